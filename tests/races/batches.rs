//! Calls about one session in one batch.

use super::{PATIENT, strict};
use crate::support::{
    meters::Meters,
    server::{Caller, Deployment, Refused},
};
use countersign::proto::v1::{self, Role, RotationOutcome, revoke_session_request::Target};
use std::pin::Pin;

/// Rounds until the calls of one have met in a batch.
const ROUNDS: usize = 20;

/// One batch at a time.
const ONE_IN_FLIGHT: (&str, &str) = ("COUNTERSIGN_BATCH_IN_FLIGHT", "1");

type Call<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Holds one call of a kind in the database, so that others gather behind it.
struct Gate {
    at: Deployment,
    meters: Meters,
    /// The queue, as its metrics name it.
    kind: &'static str,
    /// The table that calls of the kind write to.
    table: &'static str,
    /// A token of the admin's.
    token: String,
}

impl Gate {
    async fn start(kind: &'static str, table: &'static str) -> Self {
        let meters = Meters::of_this_thread();
        let settings = [PATIENT.as_slice(), &[ONE_IN_FLIGHT]].concat();
        let at = Deployment::start_with(1, &settings).await;
        let issued = at.admin().issue(v1::IssueTokenRequest::default()).await;
        let token = issued.unwrap().access_token;
        Self {
            at,
            meters,
            kind,
            table,
            token,
        }
    }

    /// Makes the calls while `first` is held, in order, and returns their answers, and
    /// whether they went out in one batch.
    async fn gather<T: Send + 'static>(
        &self,
        first: Call<()>,
        calls: Vec<Call<T>>,
    ) -> (Vec<T>, bool) {
        let instrument = format!("countersign.batch.calls{{kind={}}}", self.kind);
        let before = self.meters.of(&instrument).len();
        let held = self.at.database.client().await;
        held.batch_execute(&format!("BEGIN; LOCK TABLE {} IN SHARE MODE", self.table))
            .await
            .unwrap();
        let first = tokio::spawn(first);
        let waits = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                     WHERE NOT l.granted AND a.datname = current_database()";
        while self
            .at
            .sql
            .query_one(waits, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 0
        {
            tokio::task::yield_now().await;
        }
        let admin = self.at.admin();
        let expected = calls.len();
        let mut gathered = Vec::new();
        for call in calls {
            gathered.push(tokio::spawn(call));
            // What came before on the connection has been read when this is answered.
            assert!(admin.active(&self.token).await);
        }
        held.batch_execute("COMMIT").await.unwrap();
        first.await.unwrap();
        let mut answers = Vec::new();
        for call in gathered {
            answers.push(call.await.unwrap());
        }
        let sizes = self.meters.of(&instrument).split_off(before);
        #[expect(clippy::cast_precision_loss, reason = "tests count little")]
        let together = sizes.contains(&(expected as f64));
        (answers, together)
    }
}

type Rotation = Result<v1::RotateRefreshResponse, Refused>;

fn rotate(caller: &Caller, token: &str) -> Call<Rotation> {
    let (caller, token) = (caller.clone(), token.to_owned());
    Box::pin(async move { caller.rotate(&token).await })
}

/// What a rotation came to: its outcome, or its reason.
fn word(rotation: &Rotation) -> &str {
    match rotation {
        Ok(answer) => match answer.outcome() {
            RotationOutcome::Rotated => "ROTATED",
            RotationOutcome::Replayed => "REPLAYED",
            RotationOutcome::Unspecified => "UNSPECIFIED",
        },
        Err(refused) => &refused.reason,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_token_that_a_batch_holds_more_than_once_is_judged_before_it_is_counted() {
    let gate = Gate::start("rotate", "public.oauth_access_tokens").await;
    let right = gate.at.client(&[Role::Issuer]).await;
    let strict = gate.at.client_with(strict()).await;
    let wrong = gate.at.client(&[Role::Issuer, Role::Revoker]).await;
    let cases: [(&[&Caller], &[&str]); 6] = [
        (&[&right, &right], &["REPLAYED", "ROTATED"]),
        (
            &[&right; 8],
            &[
                "REPLAYED", "REPLAYED", "REPLAYED", "REPLAYED", "REPLAYED", "REPLAYED", "REPLAYED",
                "ROTATED",
            ],
        ),
        (&[&wrong, &right], &["INVALID_GRANT", "ROTATED"]),
        (&[&right, &wrong], &["INVALID_GRANT", "ROTATED"]),
        (
            &[&wrong, &right, &wrong, &right],
            &["INVALID_GRANT", "INVALID_GRANT", "REPLAYED", "ROTATED"],
        ),
        (
            &[&strict, &strict, &wrong],
            &["INVALID_GRANT", "REFRESH_TOKEN_REUSED", "ROTATED"],
        ),
    ];
    for (callers, expected) in cases {
        let owner = if callers.iter().any(|caller| caller.id == strict.id) {
            &strict
        } else {
            &right
        };
        let mut met = false;
        for _ in 0..ROUNDS {
            let subject = gate.at.user().await;
            let blocking = right.open(&subject).await.refresh_token;
            let login = owner.open(&subject).await;
            let first = rotate(&right, &blocking);
            let first = Box::pin(async move { assert!(first.await.is_ok()) });
            let calls = callers
                .iter()
                .map(|caller| rotate(caller, &login.refresh_token))
                .collect();
            let (answers, together) = gate.gather(first, calls).await;
            let mut words: Vec<_> = answers.iter().map(word).collect();
            words.sort_unstable();
            assert_eq!(words, expected);
            for (caller, answer) in callers.iter().zip(&answers) {
                assert_eq!(caller.id == wrong.id, word(answer) == "INVALID_GRANT");
            }
            let mut successors: Vec<_> = answers.iter().flatten().collect();
            successors.dedup_by_key(|one| one.refresh_token.clone());
            let [success] = successors.as_slice() else {
                panic!("one successor")
            };
            assert_eq!(success.generation, 1);
            let lives = !words.contains(&"REFRESH_TOKEN_REUSED");
            assert_eq!(owner.active(&success.access_token).await, lives);
            assert_eq!(owner.rotate(&success.refresh_token).await.is_ok(), lives);
            met |= together;
            if met {
                break;
            }
        }
        assert!(met, "{expected:?} never met in one batch");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn revocations_of_one_session_in_one_batch_end_it_once() {
    let gate = Gate::start("revoke", "countersign.event").await;
    let issuer = gate.at.client(&[Role::Issuer]).await;
    let mut met = false;
    for _ in 0..ROUNDS {
        let subject = gate.at.user().await;
        let (blocking, login) = (issuer.open(&subject).await, issuer.open(&subject).await);
        let before = gate.at.events().await.len();
        let revoke = |target: Target| -> Call<u32> {
            let issuer = issuer.clone();
            Box::pin(async move { issuer.revoke(target).await })
        };
        let first = revoke(Target::SessionId(blocking.session_id));
        let first = Box::pin(async move { assert_eq!(first.await, 1) });
        let calls = vec![
            revoke(Target::AccessToken(login.access_token.clone())),
            revoke(Target::RefreshToken(login.refresh_token.clone())),
            revoke(Target::SessionId(login.session_id.clone())),
            revoke(Target::SessionId(login.session_id.clone())),
        ];
        let (ended, together) = gate.gather(first, calls).await;
        assert_eq!(ended.iter().sum::<u32>(), 1, "{ended:?}");
        assert_eq!(
            gate.at.events().await[before..],
            ["session_ended:revoked"; 2]
        );
        assert!(!issuer.active(&login.access_token).await);
        met |= together;
        if met {
            break;
        }
    }
    assert!(met, "never met in one batch");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn openings_with_one_request_id_in_one_batch_leave_one_session() {
    let gate = Gate::start("open", "public.oauth_access_tokens").await;
    let issuer = gate.at.client(&[Role::Issuer]).await;
    let mut met = false;
    for round in 0..ROUNDS {
        let subject = gate.at.user().await;
        let open = |request_id: String| -> Call<v1::IssueTokenResponse> {
            let (issuer, subject) = (issuer.clone(), subject.clone());
            Box::pin(async move {
                let request = v1::IssueTokenRequest {
                    subject,
                    with_refresh_token: true,
                    request_id,
                    ..Default::default()
                };
                issuer.issue(request).await.unwrap()
            })
        };
        let first = open(String::new());
        let first = Box::pin(async move { drop(first.await) });
        let calls = (0..4).map(|_| open(format!("r{round}"))).collect();
        let (opened, together) = gate.gather(first, calls).await;
        let tokens = opened
            .iter()
            .map(|login| login.access_token.clone())
            .collect();
        let active = super::actives(&issuer, tokens).await;
        assert_eq!(active.iter().filter(|active| **active).count(), 1);
        met |= together;
        if met {
            break;
        }
    }
    assert!(met, "never met in one batch");
}
