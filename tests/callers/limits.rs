//! How often callers may call.

use crate::support::server::{Caller, Deployment, Refused};
use countersign::proto::v1::{self, Role};
use futures_util::future::join_all;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

/// Calls that are refused with `RATE_LIMITED`, of many at once.
async fn refused(
    calls: impl IntoIterator<Item = impl Future<Output = Result<(), Refused>>>,
) -> usize {
    let answers = join_all(calls).await;
    let refused = answers.into_iter().filter_map(Result::err);
    refused
        .map(|refused| {
            assert_eq!(refused.code, Code::ResourceExhausted);
            assert_eq!(refused.reason, "RATE_LIMITED");
        })
        .count()
}

async fn issue(caller: &Caller) -> Result<(), Refused> {
    caller
        .issue(v1::IssueTokenRequest::default())
        .await
        .map(drop)
}

/// How many statements the database has run for others in a transaction.
async fn transactions(at: &Deployment) -> i64 {
    at.sql
        .batch_execute("SELECT pg_stat_force_next_flush()")
        .await
        .unwrap();
    let query = "SELECT xact_commit + xact_rollback FROM pg_stat_database \
                 WHERE datname = current_database()";
    at.sql.query_one(query, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_caller_over_its_limit_is_told_when_and_costs_no_query() {
    let at = Deployment::start_with(1, &[("COUNTERSIGN_LIMITS_ISSUE", "5")]).await;
    let (one, other) = (at.client(&[Role::Issuer]).await, at.client(&[]).await);
    assert!(refused((0..40).map(|_| issue(&one))).await >= 30);
    issue(&other).await.unwrap();
    let token = issued(&other).await;
    for _ in 0..20 {
        // Reading is of another class, and not limited here.
        assert!(other.active(&token).await);
    }

    // Drained, it is refused whatever it asks, and nothing is asked of the database: what
    // readiness asks every second is all there is.
    refused((0..40).map(|_| issue(&one))).await;
    let before = transactions(&at).await;
    let started = std::time::Instant::now();
    let mut limited = 0;
    while limited < 1000 {
        limited += refused((0..50).map(|_| issue(&one))).await;
    }
    let own = i64::try_from(started.elapsed().as_secs() + 2).unwrap() * (5 + 3);
    let asked = transactions(&at).await - before;
    assert!(
        asked <= own + 10,
        "{asked} transactions for {limited} refused calls"
    );

    let request = one.request(v1::IssueTokenRequest::default());
    let mut status = one.tokens().issue_token(request).await;
    while status.is_ok() {
        let request = one.request(v1::IssueTokenRequest::default());
        status = one.tokens().issue_token(request).await;
    }
    let details = status.unwrap_err().get_error_details();
    let retry = details.retry_info().unwrap().retry_delay.unwrap();
    assert!(!retry.is_zero() && retry.as_millis() <= 200, "{retry:?}");
}

async fn issued(caller: &Caller) -> String {
    loop {
        if let Ok(issued) = caller.issue(v1::IssueTokenRequest::default()).await {
            return issued.access_token;
        }
    }
}

#[tokio::test]
async fn all_together_have_a_limit_too() {
    let at = Deployment::start_with(1, &[("COUNTERSIGN_LIMITS_SERVER", "10")]).await;
    let callers = [at.nobody(), at.admin()];
    let admitted = |answers: Vec<Result<(), Refused>>| {
        let limited = |one: &Result<(), Refused>| {
            one.as_ref()
                .is_err_and(|refused| refused.reason == "RATE_LIMITED")
        };
        answers.iter().filter(|one| !limited(one)).count()
    };
    let answers = join_all((0..60).map(|n| issue(&callers[n % 2]))).await;
    let admitted = admitted(answers);
    assert!((10..40).contains(&admitted), "{admitted}");
    // Health is open, whatever the load.
    let mut health = tonic_health::pb::health_client::HealthClient::new(at.nobody().channel());
    for _ in 0..50 {
        let request = tonic_health::pb::HealthCheckRequest::default();
        health.check(Request::new(request)).await.unwrap();
    }
}

#[tokio::test]
async fn who_fails_too_often_from_one_address_is_told_so_and_others_are_not_held_up() {
    let settings = [("COUNTERSIGN_LIMITS_FAILED_AUTHENTICATIONS", "5")];
    let at = Deployment::start_with(1, &settings).await;
    let good = at.client(&[]).await;
    let bad = at.caller(&good.id, "wrong");
    let answers = join_all((0..100).map(|_| issue(&bad))).await;
    let limited = answers.iter().filter(|answer| {
        answer
            .as_ref()
            .is_err_and(|refused| refused.reason == "RATE_LIMITED")
    });
    assert!(limited.count() >= 50);
    // From the same address, with a secret of ours.
    for _ in 0..20 {
        issue(&good).await.unwrap();
    }
}
