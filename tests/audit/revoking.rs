//! Revocations: whose session somebody wanted to end stands on record, whether it ended or not.

use crate::support::{audit::AuditFile, server::Deployment};
use countersign::proto::v1::{self, Role, revoke_session_request::Target};
use serde_json::Value;

/// What a record of a revocation tells.
fn told(record: &Value) -> [&Value; 5] {
    ["outcome", "reason", "sessions", "session_id", "client_id"].map(|name| &record[name])
}

#[tokio::test]
async fn a_strangers_revocation_is_on_record_though_it_ends_nothing() {
    let audit = AuditFile::new();
    let path = audit.path();
    let at = Deployment::start_with(1, &[("COUNTERSIGN_AUDIT_OUTPUT", &path)]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let stranger = at.client(&[Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    audit.news(&at).await;
    let session = [
        Target::SessionId(login.session_id.clone()),
        Target::RefreshToken(login.refresh_token.clone()),
        Target::AccessToken(login.access_token.clone()),
    ];
    let theirs: [Value; 5] = [
        "done".into(),
        "NOT_THEIRS".into(),
        0.into(),
        login.session_id.clone().into(),
        issuer.id.clone().into(),
    ];
    for target in session.clone() {
        assert_eq!(stranger.revoke(target).await, 0);
        let news = audit.news(&at).await;
        assert_eq!(news.len(), 1, "{news:?}");
        assert_eq!(told(&news[0]), theirs.each_ref());
        assert_eq!(news[0]["event"], "revoke_session");
        assert_eq!(news[0]["caller"], stranger.id);
    }
    for token in [&login.refresh_token, &login.access_token] {
        let revoke = v1::RevokeTokenRequest {
            token: token.clone(),
            ..Default::default()
        };
        let mut tokens = stranger.tokens();
        tokens.revoke_token(stranger.request(revoke)).await.unwrap();
        let news = audit.news(&at).await;
        assert_eq!(news.len(), 1, "{news:?}");
        assert_eq!(told(&news[0]), theirs.each_ref());
        assert_eq!(news[0]["event"], "revoke_token");
    }

    assert!(issuer.active(&login.access_token).await);
    audit.news(&at).await;
    assert_eq!(issuer.revoke(session[0].clone()).await, 1);
    let news = audit.news(&at).await;
    assert_eq!(news.len(), 1, "{news:?}");
    let [outcome, _, ended, session_id, client_id] = &theirs;
    let one = Value::from(1);
    assert_ne!(ended, &one);
    let own = [outcome, &Value::Null, &one, session_id, client_id];
    assert_eq!(told(&news[0]), own);
}
