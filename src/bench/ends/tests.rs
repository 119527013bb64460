use super::*;
use crate::bench::{
    Callers,
    fake::{self, Answer},
    sessions::Opened,
    writers::Revokes,
};
use prost::Message as _;
use std::time::Instant;
use tonic::Code;

const LONG: Duration = Duration::from_secs(20);

async fn wire(target: &str) -> Wire {
    Wire::open(target, 1, None, LONG).await.unwrap()
}

/// The session that is to be revoked.
fn session(message: &[u8]) -> Uuid {
    let request = v1::RevokeSessionRequest::decode(message).unwrap();
    match request.target.unwrap() {
        v1::revoke_session_request::Target::SessionId(id) => id.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

fn things(sessions: &[Uuid], tokens: &[&str]) -> Vec<Thing> {
    let tokens = tokens.iter().map(|token| Thing::Token((*token).to_owned()));
    tokens
        .chain(sessions.iter().copied().map(Thing::Session))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_tried_once_more_and_keeps_nobody_from_the_rest() {
    let sessions: Vec<_> = (0..20).map(Uuid::from_u128).collect();
    let (never, at_last) = (sessions[3], sessions[7]);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&asked);
    let target = fake::start(move |path, message| {
        if path == path::REVOKE_TOKEN {
            let request = v1::RevokeTokenRequest::decode(message).unwrap();
            if request.token == "bad" {
                return Answer::Refusal(Code::Internal);
            }
            return Answer::Message(Vec::new());
        }
        let id = session(message);
        let mut told = told.lock().unwrap();
        let before = told.contains(&id);
        told.push(id);
        if id == never || (id == at_last && !before) {
            return Answer::Refusal(Code::Unavailable);
        }
        // Even numbers are gone already.
        let count = u32::from(id.as_u128() % 2 == 1);
        Answer::Message(
            v1::RevokeSessionResponse {
                revoked_sessions: count,
            }
            .encode_to_vec(),
        )
    })
    .await;
    let wire = wire(&target).await;
    let left = end(&wire, 2, things(&sessions, &["good", "bad", "fine"]), LONG).await;
    let left = left.unwrap();
    assert_eq!((left.sessions, left.tokens), (1, 1), "{left}");
    for id in &sessions {
        let asked = asked.lock().unwrap();
        let times = asked.iter().filter(|one| *one == id).count();
        let wanted = if [never, at_last].contains(id) { 2 } else { 1 };
        assert_eq!(times, wanted, "{id}");
    }
    let words = left.to_string();
    assert!(
        words.starts_with("1 sessions and 1 tokens could not be revoked: "),
        "{words}"
    );
    assert_eq!(
        end(&wire, 2, things(&sessions[8..], &["good"]), LONG).await,
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_is_not_waited_for_by_each_call() {
    let target = fake::start(|_, _| Answer::Silence).await;
    let sessions: Vec<_> = (0..100).map(Uuid::from_u128).collect();
    let began = Instant::now();
    let limit = Duration::from_millis(50);
    let left = end(&wire(&target).await, 2, things(&sessions, &[]), limit).await;
    assert_eq!(left.unwrap().sessions, 100);
    // Both attempts together, on a machine that has other things to do.
    assert!(began.elapsed() < LIMIT / 20, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_a_row_could_not_revoke_is_left_for_the_end() {
    let (good, bad) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let target = fake::start(move |_, message| {
        if session(message) == bad {
            return Answer::Refusal(Code::Unavailable);
        }
        Answer::Message(
            v1::RevokeSessionResponse {
                revoked_sessions: 1,
            }
            .encode_to_vec(),
        )
    })
    .await;
    let opened = Opened::default();
    opened.add(good);
    opened.add(bad);
    let wire = wire(&target).await;
    let mut crew = Callers(vec![Revokes::new(&wire, 0, opened.clone())]);
    let tally = crew.run(Load::Closed(LONG), &Stop::default()).await;
    assert_eq!((tally.calls(), tally.errors()), (1, 1));
    assert_eq!((opened.count(), opened.take_all()), (0, vec![bad]));
}
