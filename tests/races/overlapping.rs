//! Batches that overlap all the time, as those of all pairs do now and then: no deadlock.

use super::{
    PATIENT, both,
    ops::Dice,
    pairs::{counted, none_since},
    user,
};
use crate::support::server::Deployment;
use countersign::proto::v1::{self, Role, revoke_session_request::Target};
use futures_util::future::join_all;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Sessions, request ids or tokens that batches overlap in.
const SESSIONS: usize = 48;
const REQUESTS: usize = 12;
const TOKENS: usize = 24;

/// How long: within the grace window.
const OVERLAPPING: Duration = Duration::from_secs(10);
/// How long a machine that is busy may take to come to enough.
const PATIENCE: Duration = Duration::from_mins(2);

/// Many batches that lock the same sessions and end none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn overlapping_batches_over_the_same_sessions_do_not_deadlock() {
    let at = Deployment::start_with(2, &PATIENT).await;
    let issuers = both(&at, &at.client(&[Role::Issuer]).await);
    let strangers = both(&at, &at.client(&[]).await);
    let before = counted(&at.sql).await;
    let subject = at.user().await;
    let logins = join_all((0..SESSIONS).map(|_| issuers[0].open(&subject)));
    let logins = Arc::new(logins.await);
    let until = Instant::now() + OVERLAPPING;
    let mut callers = JoinSet::new();
    for n in 0..4 * SESSIONS {
        let (issuer, stranger) = (issuers[n / 2 % 2].clone(), strangers[n / 2 % 2].clone());
        let logins = Arc::clone(&logins);
        callers.spawn(async move {
            let (mut dice, mut wrong) = (Dice::new(n), Vec::new());
            while Instant::now() < until {
                let login = &logins[dice.roll(SESSIONS)];
                if n % 2 == 0 {
                    // The first of each steps, the others are replays of it.
                    let rotated = issuer.rotate(&login.refresh_token).await;
                    if rotated.as_ref().is_ok_and(|step| step.generation == 1) {
                        continue;
                    }
                    wrong.push(format!("{rotated:?}"));
                } else {
                    let target = Target::SessionId(login.session_id.clone());
                    assert_eq!(stranger.revoke(target).await, 0);
                }
            }
            wrong
        });
    }
    let wrong = callers.join_all().await.concat();
    drop((issuers, strangers));
    none_since(before, &at.stop()).await;
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Every opening takes over a request id, by which it replaces the session before it, while
/// others wait for the same ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repeated_openings_do_not_deadlock() {
    let at = Deployment::start_with(2, &PATIENT).await;
    let issuers = both(&at, &at.client(&[Role::Issuer]).await);
    let before = counted(&at.sql).await;
    let users = Arc::new(join_all((0..REQUESTS).map(|_| at.user())).await);
    let (started, opened) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for n in 0..4 * REQUESTS {
        let (issuer, users) = (issuers[n % 2].clone(), Arc::clone(&users));
        let opened = Arc::clone(&opened);
        callers.spawn(async move {
            let mut dice = Dice::new(n);
            while goes_on(started, opened.load(Relaxed) > 10 * REQUESTS) {
                let number = dice.roll(REQUESTS);
                let request = v1::IssueTokenRequest {
                    subject: users[number].clone(),
                    with_refresh_token: true,
                    request_id: format!("r{number}"),
                    ..Default::default()
                };
                let succeeded = issuer.issue(request).await.is_ok();
                opened.fetch_add(usize::from(succeeded), Relaxed);
            }
        });
    }
    callers.join_all().await;
    drop(issuers);
    none_since(before, &at.stop()).await;
    let opened = opened.load(Relaxed);
    assert!(opened > 10 * REQUESTS, "{opened} succeeded");
}

/// Whether to go on: for the time, and until there was enough.
fn goes_on(started: Instant, enough: bool) -> bool {
    let so_far = started.elapsed();
    so_far < OVERLAPPING || (!enough && so_far < PATIENCE)
}

/// Tokens that belong to no session, revoked one by one and as a user's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn revocations_of_tokens_do_not_deadlock_with_those_of_their_user() {
    let at = Deployment::start_with(2, &PATIENT).await;
    let issuers = both(&at, &at.client(&[Role::Issuer]).await);
    let revokers = both(&at, &at.client(&[Role::Revoker]).await);
    let before = counted(&at.sql).await;
    let subject = at.user().await;
    let nothing = uuid::Uuid::max().to_string();
    let (started, mut rounds) = (Instant::now(), 0);
    while goes_on(started, rounds > 10) {
        let tokens = join_all((0..TOKENS).map(|n| {
            let request = v1::IssueTokenRequest {
                subject: subject.clone(),
                ..Default::default()
            };
            issuers[n % 2].issue(request)
        }));
        let tokens: Vec<_> = tokens.await.into_iter().map(Result::unwrap).collect();
        let one_by_one = join_all(tokens.iter().enumerate().map(|(n, token)| {
            let request = v1::RevokeTokenRequest {
                token: token.access_token.clone(),
                token_type_hint: String::new(),
            };
            let revoker = &revokers[n % 2];
            async move {
                let request = revoker.request(request);
                revoker.tokens().revoke_token(request).await.unwrap();
            }
        }));
        let at_once = join_all(
            revokers
                .iter()
                .map(|revoker| revoker.revoke(user(&subject, &nothing))),
        );
        tokio::join!(one_by_one, at_once);
        rounds += 1;
    }
    drop((issuers, revokers));
    none_since(before, &at.stop()).await;
    assert!(rounds > 10, "{rounds} rounds");
}
