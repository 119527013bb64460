//! `try`: what it made is ended, whatever comes between.

use super::authority::{Authority, refusal};
use countersign::proto::v1::{self, revoke_session_request::Target};
use tonic::Code;

const SESSION: &str = "0198c0de-0000-7000-8000-000000000002";

#[tokio::test]
async fn a_trial_that_fails_ends_what_it_has_made() {
    let authority = Authority::start().await;
    let token = v1::IssueTokenResponse {
        access_token: "cs_at_alone".to_owned(),
        ..Default::default()
    };
    let opened = v1::IssueTokenResponse {
        access_token: "cs_at_opened".to_owned(),
        refresh_token: "cs_rt_opened".to_owned(),
        session_id: SESSION.to_owned(),
        ..Default::default()
    };
    let active = v1::IntrospectResponse {
        active: true,
        ..Default::default()
    };
    let away = || refusal(Code::Unavailable, "DATABASE_UNAVAILABLE", "away");
    authority
        .answers(token)
        .answers(active.clone())
        .answers(opened)
        .answers(active)
        .refuses(away())
        // Nor is the first of them undone.
        .refuses(away())
        .answers(v1::RevokeSessionResponse::default());

    let run = authority.run(&["try"], "").await;
    assert_eq!(run.code, 69, "{}", run.stderr);
    authority.asked::<v1::IssueTokenRequest>();
    authority.asked::<v1::IntrospectRequest>();
    authority.asked::<v1::IssueTokenRequest>();
    authority.asked::<v1::IntrospectRequest>();
    authority.asked::<v1::RotateRefreshRequest>();
    let ended = authority.asked::<v1::RevokeTokenRequest>();
    assert_eq!(ended.token, "cs_at_alone");
    let ended = authority.asked::<v1::RevokeSessionRequest>();
    assert_eq!(ended.target, Some(Target::SessionId(SESSION.to_owned())));
    assert!(!authority.was_asked());
}
