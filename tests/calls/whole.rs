//! What a call writes stands as a whole or not at all, wherever in it PostgreSQL refuses a row;
//! and what PostgreSQL says of that row is told to nobody.

use crate::support::{
    process::Process,
    server::{Caller, Deployment},
};
use countersign::proto::v1::{self, Role, RotationOutcome};
use tonic::Code;

/// Lets a table take no row any more.
async fn close(at: &Deployment, table: &str) {
    let close = format!("ALTER TABLE {table} ADD CONSTRAINT closed CHECK (false) NOT VALID");
    at.sql.batch_execute(&close).await.unwrap();
}

async fn open(at: &Deployment, table: &str) {
    let open = format!("ALTER TABLE {table} DROP CONSTRAINT closed");
    at.sql.batch_execute(&open).await.unwrap();
}

const TOKENS: &str = "public.oauth_access_tokens";

fn login(subject: &str, user_agent: &str) -> v1::IssueTokenRequest {
    v1::IssueTokenRequest {
        subject: subject.into(),
        with_refresh_token: true,
        user_agent: user_agent.into(),
        ..Default::default()
    }
}

/// On connections that have not yet prepared what comes last, too.
#[tokio::test]
async fn an_opening_and_a_step_whose_token_is_refused_leave_nothing_behind() {
    let at = Deployment::start_with(2, &[]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let version = "SELECT refresh_version FROM auth.refresh_session";
    let version = async || -> i32 { at.sql.query_one(version, &[]).await.unwrap().get(0) };

    close(&at, TOKENS).await;
    let before = at.counts().await;
    let refused = issuer.issue(login(&subject, "")).await.unwrap_err();
    assert_eq!(refused.code, Code::Internal, "{refused:?}");
    assert_eq!(at.counts().await, before);
    open(&at, TOKENS).await;
    let login = issuer.issue(login(&subject, "")).await.unwrap();

    close(&at, TOKENS).await;
    let before = at.counts().await;
    for server in [1, 0] {
        let refused = at.at(server, &issuer).rotate(&login.refresh_token).await;
        assert_eq!(refused.unwrap_err().code, Code::Internal, "{server}");
        assert_eq!(at.counts().await, before, "{server}");
        assert_eq!(version().await, 0, "{server}");
    }
    open(&at, TOKENS).await;
    let step = at.at(1, &issuer).rotate(&login.refresh_token).await;
    assert_eq!(step.unwrap().outcome, RotationOutcome::Rotated as i32);
    assert_eq!(version().await, 1);
}

#[tokio::test]
async fn what_postgresql_says_of_a_row_is_told_to_nobody() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let server = Process::start(&at, &[]).await;
    let issuer = Caller::known(&issuer.id, &issuer.secret, server.channel().await);
    // It would be quoted, as all of the row.
    let agent = "not-for-the-log";
    close(&at, "auth.refresh_session").await;
    let request = issuer.request(login(&subject, agent));
    let refused = issuer.tokens().issue_token(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Internal, "{refused:?}");
    server.says("SQLSTATE 23514").await;
    for text in [format!("{refused:?}"), server.log()] {
        for quoted in ["violates", "Failing row", agent] {
            assert!(!text.contains(quoted), "{quoted}: {text}");
        }
    }
    assert!(!refused.message().contains("SQLSTATE"), "{refused:?}");
}
