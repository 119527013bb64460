//! How often callers may call.

use super::{DOMAIN, Mesh};
use crate::support::{
    certificates::uri,
    meters::Meters,
    server::{Caller, Deployment, Refused},
};
use countersign::proto::v1::{self, Role};
use futures_util::future::join_all;
use std::time::Instant;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

/// How many of many calls at once are refused with `RATE_LIMITED`, and the most that a limit
/// of so many a second lets through meanwhile: a second's worth, and what comes back.
async fn crowd(
    calls: impl IntoIterator<Item = impl Future<Output = Result<(), Refused>>>,
    rate: f64,
) -> (usize, f64) {
    let started = Instant::now();
    let answers = join_all(calls).await;
    let most = rate * (1.0 + started.elapsed().as_secs_f64()) + 1.0;
    let limited = answers
        .into_iter()
        .filter_map(Result::err)
        .filter(|refused| {
            let limited = refused.reason == "RATE_LIMITED";
            assert_eq!(limited, refused.code == Code::ResourceExhausted);
            limited
        });
    (limited.count(), most)
}

/// Whether at least that many were refused that had to be.
fn holds(calls: u32, (refused, most): (usize, f64)) -> bool {
    f64::from(calls) - f64::from(u32::try_from(refused).unwrap()) <= most
}

async fn issue(caller: &Caller) -> Result<(), Refused> {
    caller
        .issue(v1::IssueTokenRequest::default())
        .await
        .map(drop)
}

#[tokio::test]
async fn a_caller_over_its_limit_is_told_when_and_costs_no_query() {
    let meters = Meters::of_this_thread();
    let at = Deployment::start_with(1, &[("COUNTERSIGN_LIMITS_ISSUE", "5")]).await;
    let (one, other) = (at.client(&[Role::Issuer]).await, at.client(&[]).await);
    let crowded = crowd((0..100).map(|_| issue(&one)), 5.0).await;
    assert!(holds(100, crowded), "{crowded:?}");
    issue(&other).await.unwrap();
    let token = issued(&other).await;
    for _ in 0..20 {
        // Reading is of another class, and not limited here.
        assert!(other.active(&token).await);
    }

    // What got an answer went to the database, and nothing else did.
    let asked = || {
        meters
            .of("countersign.batch.calls{kind=issue}")
            .iter()
            .sum::<f64>()
    };
    let before = asked();
    let mut answered = 0;
    let mut limited = 0;
    while limited < 1000 {
        let (refused, _) = crowd((0..50).map(|_| issue(&one)), 5.0).await;
        limited += refused;
        answered += 50 - refused;
    }
    let answered = f64::from(u32::try_from(answered).unwrap());
    assert!((asked() - before - answered).abs() < 0.5, "{answered}");

    let retry = loop {
        let request = one.request(v1::IssueTokenRequest::default());
        if let Err(status) = one.tokens().issue_token(request).await {
            let details = status.get_error_details();
            break details.retry_info().unwrap().retry_delay.unwrap();
        }
    };
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
    let meters = Meters::of_this_thread();
    let at = Deployment::start_with(1, &[("COUNTERSIGN_LIMITS_SERVER", "10")]).await;
    let callers = [at.nobody(), at.admin()];
    let crowded = crowd((0..100).map(|n| issue(&callers[n % 2])), 10.0).await;
    assert!(holds(100, crowded), "{crowded:?}");
    assert!(
        crowded.0 <= 90,
        "a second's worth is let through: {crowded:?}"
    );
    let counted = meters.of("countersign.refusals{reason=RATE_LIMITED}");
    let counted = counted.iter().sum::<f64>();
    let refused = f64::from(u32::try_from(crowded.0).unwrap());
    assert!((counted - refused).abs() < 0.5, "{counted} of {crowded:?}");
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
    let crowded = crowd((0..100).map(|_| issue(&bad)), 5.0).await;
    assert!(holds(100, crowded), "{crowded:?}");
    // From the same address, with a secret of ours.
    for _ in 0..20 {
        issue(&good).await.unwrap();
    }
}

/// Each asks the database for its client, ten times as often as one may fail.
#[tokio::test]
async fn certificates_of_nobody_cost_a_bounded_number_of_queries() {
    let meters = Meters::of_this_thread();
    let settings = [
        ("COUNTERSIGN_LIMITS_FAILED_AUTHENTICATIONS", "1"),
        ("COUNTERSIGN_DATABASE_CONNECTIONS", "1"),
        ("COUNTERSIGN_DATABASE_ACQUIRE_TIMEOUT", "30s"),
    ];
    let mesh = Mesh::start(&settings).await;
    let stranger = format!("{DOMAIN}/ns/prod/sa/stranger");
    let stranger = mesh.holder(&mesh.authority.sign(&[uri(&stranger)])).await;
    let asked = || {
        let queries = "countersign.database.duration{statement=identities/clients}";
        f64::from(u32::try_from(meters.of(queries).len()).unwrap())
    };
    // The first prepares the statement, which counts as well.
    issue(&stranger).await.unwrap_err();
    let before = asked();
    let started = Instant::now();
    let calls = 300;
    for answer in join_all((0..calls).map(|_| issue(&stranger))).await {
        let reason = answer.unwrap_err().reason;
        assert!(
            ["CREDENTIALS_INVALID", "RATE_LIMITED"].contains(&&*reason),
            "{reason}"
        );
    }
    let most = 10.0 * (1.0 + started.elapsed().as_secs_f64()) + 1.0;
    let asked = asked() - before;
    assert!(
        (1.0..=most).contains(&asked),
        "{asked} of {calls}, not {most}"
    );
}
