//! Credentials that stop working under a server that runs are told where people look.

use crate::support::{process::Process, server::Deployment};
use countersign::proto::v1::{self, Role};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_role_that_may_log_in_no_more_is_told_once_and_with_its_cause() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let server = Process::start(&at, &[]).await;
    let role = &at.database.serving_role;
    let refusal = "new connections to the database are refused";

    let statement = format!("ALTER ROLE {role} NOLOGIN");
    at.sql.batch_execute(&statement).await.unwrap();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1";
    at.sql.query_one(end, &[role]).await.unwrap();

    let line = server.says(refusal).await;
    assert!(line.contains("SQLSTATE 28000"), "{line}");
    let line = server.says("not ready").await;
    assert!(line.contains("SQLSTATE 28000"), "{line}");
    // A call that asks nobody, since another was refused a moment ago, has that one's cause.
    let mut tokens = server.tokens().await;
    let started = Instant::now();
    let line = loop {
        let request = issuer.request(v1::IssueTokenRequest::default());
        tokens.issue_token(request).await.unwrap_err();
        let log = server.log();
        if let Some(line) = log.lines().find(|line| line.contains("a moment ago")) {
            break line.to_owned();
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{log}");
    };
    assert!(line.contains("SQLSTATE 28000"), "{line}");

    let statement = format!("ALTER ROLE {role} LOGIN");
    at.sql.batch_execute(&statement).await.unwrap();
    let again = "new connections to the database are let in again";
    server.says(again).await;
    let log = server.log();
    let told = log.lines().filter(|line| line.contains(refusal)).count();
    assert_eq!(told, 1, "{log}");
}
