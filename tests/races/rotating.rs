//! 64 rotations of one token at once.

use super::{both, strict, times, two_servers};
use countersign::proto::v1::{self, RotationOutcome};
use futures_util::future::join_all;
use std::collections::HashSet;

const ROTATED: i32 = RotationOutcome::Rotated as i32;
const REPLAYED: i32 = RotationOutcome::Replayed as i32;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_rotations_at_once_one_takes_the_step_and_all_get_the_same_successor() {
    let at = two_servers().await;
    let issuers = both(&at, &at.client(&[v1::Role::Issuer]).await);
    for _ in 0..times(5) {
        let login = issuers[0].open(&at.user().await).await;
        let answers = rotations(&issuers, &login.refresh_token).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let with = |outcome| answers.iter().filter(|one| one.outcome == outcome).count();
        assert_eq!((with(ROTATED), with(REPLAYED)), (1, 63));
        let successors: HashSet<_> = answers.iter().map(|one| &one.refresh_token).collect();
        assert_eq!(successors.len(), 1);
        assert!(answers.iter().all(|one| one.generation == 1));
        let access: HashSet<_> = answers.iter().map(|one| &one.access_token).collect();
        assert_eq!(access.len(), 64, "each with an access token of its own");
        let next = issuers[1].rotate(&answers[0].refresh_token).await.unwrap();
        assert_eq!(next.generation, 2, "one step of the counter");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_grace_one_of_64_rotations_succeeds_and_the_others_end_the_family() {
    let at = two_servers().await;
    let issuers = both(&at, &at.client_with(strict()).await);
    for _ in 0..times(5) {
        let login = issuers[0].open(&at.user().await).await;
        let before = at.events().await.len();
        let mut successes = Vec::new();
        for answer in rotations(&issuers, &login.refresh_token).await {
            match answer {
                Ok(success) => successes.push(success),
                Err(refused) => assert_eq!(refused.reason, "REFRESH_TOKEN_REUSED"),
            }
        }
        assert_eq!(successes.len(), 1);
        for token in [&login.access_token, &successes[0].access_token] {
            assert!(!issuers[1].active(token).await);
        }
        let newest = &successes[0].refresh_token;
        assert_eq!(issuers[1].refusal(newest).await, "REFRESH_TOKEN_REUSED");
        assert_eq!(at.events().await[before..], ["session_ended:reused"]);
    }
}

async fn rotations(
    issuers: &super::Both,
    token: &str,
) -> Vec<Result<v1::RotateRefreshResponse, crate::support::server::Refused>> {
    join_all((0..64).map(|n: usize| issuers[n % 2].rotate(token))).await
}
