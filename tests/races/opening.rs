//! Openings with one request id at two servers.

use super::{actives, both, times, two_servers};
use countersign::proto::v1::{self, Role};
use futures_util::future::join_all;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repeats_of_one_opening_all_succeed_and_leave_one_session() {
    let at = two_servers().await;
    let issuers = both(&at, &at.client(&[Role::Issuer]).await);
    let subject = at.user().await;
    for round in 0..times(50) {
        let calls = (0..6).map(|n: usize| {
            let request = v1::IssueTokenRequest {
                subject: subject.clone(),
                with_refresh_token: true,
                request_id: format!("r{round}"),
                ..Default::default()
            };
            issuers[n % 2].issue(request)
        });
        let opened: Vec<_> = join_all(calls)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let tokens = opened.into_iter().map(|login| login.access_token).collect();
        let active = actives(&issuers[0], tokens).await;
        assert_eq!(active.iter().filter(|active| **active).count(), 1);
    }
}
