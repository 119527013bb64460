//! The background purge of a running server.

use super::{count, expire, tokens};
use crate::support::server::Deployment;
use countersign::proto::v1;
use std::time::{Duration, Instant};

async fn gone(at: &Deployment, what: &str) {
    let due = "SELECT (SELECT count(*) FROM public.oauth_access_tokens WHERE expires_at < now() - interval '10 minutes')
        + (SELECT count(*) FROM countersign.session_grant WHERE expires_at < now() - interval '10 minutes')";
    let started = Instant::now();
    while count(at, due).await > 0 {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn servers_purge_by_themselves_and_go_on_after_the_database_was_away() {
    let at = Deployment::start_with(2, &[("COUNTERSIGN_PURGE_PAUSE", "20ms")]).await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    expire(&at, &[login.session_id]).await;
    tokens(&at, 1200, 3600, true).await;
    gone(&at, "at first").await;

    let subject = at.user().await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for _ in 0..20 {
        count(&at, end).await;
        tokio::task::yield_now().await;
    }
    let login = loop {
        let request = v1::IssueTokenRequest {
            subject: subject.clone(),
            with_refresh_token: true,
            ..v1::IssueTokenRequest::default()
        };
        if let Ok(login) = issuer.issue(request).await {
            break login;
        }
    };
    expire(&at, &[login.session_id]).await;
    tokens(&at, 300, 3500, true).await;
    gone(&at, "after the database was away").await;
}
