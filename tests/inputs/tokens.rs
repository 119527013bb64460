//! Presented tokens.

use super::{huge, named, revoke};
use crate::support::server::{Deployment, answer};
use countersign::proto::v1::{self, Role, revoke_session_request::Target};

#[tokio::test]
async fn bad_tokens_are_named_or_refused_and_nothing_is_written() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let before = at.counts().await;
    for bad in [
        String::new(),
        huge(),
        "a\0b".into(),
        "é".into(),
        "a b".into(),
    ] {
        named(&issuer.rotate(&bad).await.unwrap_err(), "refresh_token");
    }
    let mut mistyped = login.refresh_token.clone();
    mistyped.replace_range(20..21, if &mistyped[20..21] == "A" { "B" } else { "A" });
    for bad in ["nonsense", "cs_rt_", &login.access_token, &mistyped] {
        assert_eq!(issuer.refusal(bad).await, "REFRESH_TOKEN_INVALID");
        assert!(bad == login.access_token || !issuer.active(bad).await);
    }
    for bad in [String::new(), huge()] {
        let request = v1::IntrospectRequest {
            token: bad.clone(),
            ..Default::default()
        };
        let refused = answer(issuer.tokens().introspect(issuer.request(request)).await);
        named(&refused.unwrap_err(), "token");
        let request = v1::RevokeTokenRequest {
            token: bad.clone(),
            ..Default::default()
        };
        let refused = answer(issuer.tokens().revoke_token(issuer.request(request)).await);
        named(&refused.unwrap_err(), "token");
        let request = v1::BatchIntrospectRequest {
            tokens: vec!["x".into(), bad.clone()],
        };
        let refused = answer(
            issuer
                .tokens()
                .batch_introspect(issuer.request(request))
                .await,
        );
        named(&refused.unwrap_err(), "tokens");
        for (target, field) in [
            (Target::RefreshToken(bad.clone()), "refresh_token"),
            (Target::AccessToken(bad.clone()), "access_token"),
        ] {
            named(&revoke(&issuer, Some(target)).await.unwrap_err(), field);
        }
    }
    for silent in ["a\0b", "é", "nonsense"] {
        assert!(!issuer.active(silent).await);
    }
    for tokens in [vec![], vec!["x".to_owned(); 1001]] {
        let request = issuer.request(v1::BatchIntrospectRequest { tokens });
        named(
            &answer(issuer.tokens().batch_introspect(request).await).unwrap_err(),
            "tokens",
        );
    }
    let request = v1::IntrospectRequest {
        token: "x".into(),
        token_type_hint: "id_token".into(),
    };
    let refused = answer(issuer.tokens().introspect(issuer.request(request)).await);
    named(&refused.unwrap_err(), "token_type_hint");
    assert_eq!(at.counts().await, before);
    assert!(issuer.active(&login.access_token).await);
}
