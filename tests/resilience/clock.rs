//! The server's clock is five minutes off the database's.
//!
//! What the server compares with is moved, not its own clock: the functions that its
//! statements ask for the time are shadowed, for its role, by such as are off.

use super::{
    load::{Caller, Load},
    pause,
};
use crate::support::{process::Process, server::Deployment};
use countersign::proto::v1;
use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};
use tonic::Code;

/// `clock_timestamp()` and its like as the serving role hears them, so many seconds off.
async fn shift(at: &Deployment, seconds: i32) {
    let role = &at.database.serving_role;
    let mut sql = format!(
        "CREATE SCHEMA IF NOT EXISTS shifted; GRANT USAGE ON SCHEMA shifted TO {role};
         ALTER ROLE {role} IN DATABASE {} SET search_path = shifted, pg_catalog, public;",
        at.database.name
    );
    for (name, volatility) in [
        ("clock_timestamp", "VOLATILE"),
        ("statement_timestamp", "STABLE"),
        ("transaction_timestamp", "STABLE"),
        ("now", "STABLE"),
    ] {
        write!(
            sql,
            "CREATE OR REPLACE FUNCTION shifted.{name}() RETURNS timestamptz LANGUAGE sql \
             {volatility} AS 'SELECT pg_catalog.{name}() + make_interval(secs => {seconds})';"
        )
        .unwrap();
    }
    at.sql.batch_execute(&sql).await.unwrap();
    // The next connections have it.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1";
    at.sql.query_one(end, &[role]).await.unwrap();
}

/// Whether what was issued just now expires as by a clock that is so many seconds off.
fn is_off(issued: &v1::IssueTokenResponse, seconds: i32) -> bool {
    let expires = issued.access_token_expires_at.unwrap().seconds;
    let ours = countersign::domain::clock::now().timestamp() + 600;
    (expires - ours - i64::from(seconds)).abs() < 60
}

#[tokio::test]
async fn five_minutes_between_the_clocks_change_no_answer() {
    for seconds in [300, -300] {
        let at = Deployment::start().await;
        let issuer = at.client(&[v1::Role::Issuer, v1::Role::Introspector]).await;
        let subject = at.user().await;
        let before = issuer.open(&subject).await;
        shift(&at, seconds).await;
        let began = Instant::now();
        let opened = loop {
            let request = v1::IssueTokenRequest {
                subject: subject.clone(),
                scopes: vec!["a".into()],
                with_refresh_token: true,
                ..v1::IssueTokenRequest::default()
            };
            match issuer.issue(request).await {
                Ok(opened) => break opened,
                Err(refused) => assert_eq!(refused.code, Code::Unavailable, "{refused:?}"),
            }
            assert!(began.elapsed() < Duration::from_secs(15));
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        // It is off, as the callers see it.
        assert!(
            is_off(&opened, seconds),
            "{:?}",
            opened.access_token_expires_at
        );

        assert!(issuer.active(&opened.access_token).await);
        assert!(
            issuer.active(&before.access_token).await,
            "ten minutes are not over"
        );
        let rotated = issuer.rotate(&opened.refresh_token).await.unwrap();
        assert_eq!(rotated.outcome(), v1::RotationOutcome::Rotated);
        // Within the grace, whose age the database's clock alone tells.
        let again = issuer.rotate(&opened.refresh_token).await.unwrap();
        assert_eq!(again.outcome(), v1::RotationOutcome::Replayed);
        assert_eq!(again.refresh_token, rotated.refresh_token);
        let target = v1::revoke_session_request::Target::SessionId(opened.session_id.clone());
        assert_eq!(issuer.revoke(target).await, 1);
        assert!(!issuer.active(&rotated.access_token).await);
        assert_eq!(
            issuer.refusal(&rotated.refresh_token).await,
            "SESSION_REVOKED"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_the_four_calls_fails_while_the_clocks_are_five_minutes_apart() {
    for seconds in [300, -300] {
        let at = Deployment::start().await;
        let admin = at.admin().authorization();
        shift(&at, seconds).await;
        let server = Process::start(&at, &[]).await;
        let caller = Caller::new(vec![server.channel().await], &admin).await;
        assert!(is_off(&caller.open().await.unwrap(), seconds));
        let load = Load::start(&caller, 12);
        let began = Instant::now();
        load.recovers(began).await;
        pause(Duration::from_secs(1)).await;
        let outcomes = load.outcomes(began);
        assert!(
            outcomes.keys().all(|(_, code)| code == "Ok"),
            "{seconds} s: {outcomes:?}"
        );
        load.end().await;
    }
}
