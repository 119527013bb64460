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
    assert_eq!(at.counts().await, before);
    assert!(issuer.active(&login.access_token).await);
}

#[tokio::test]
async fn a_hint_influences_no_answer_whatever_it_is() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let user = at.user().await;
    for hint in [
        "access_token",
        "refresh_token",
        "pct",
        "é\0",
        &"x".repeat(9_000),
    ] {
        let login = issuer.open(&user).await;
        for token in [&login.access_token, &login.refresh_token] {
            let request = v1::IntrospectRequest {
                token: token.clone(),
                token_type_hint: hint.to_owned(),
                dpop: None,
            };
            let found = answer(issuer.tokens().introspect(issuer.request(request)).await);
            assert!(found.unwrap().active, "{hint}");
        }
        let request = v1::RevokeTokenRequest {
            token: login.refresh_token,
            token_type_hint: hint.to_owned(),
        };
        let revoked = answer(issuer.tokens().revoke_token(issuer.request(request)).await);
        assert!(revoked.is_ok(), "{revoked:?}");
        assert!(!issuer.active(&login.access_token).await, "{hint}");
    }
}

#[tokio::test]
async fn every_other_bad_field_of_a_rotation_is_named_and_nothing_is_consumed() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let before = at.counts().await;
    let base = || v1::RotateRefreshRequest {
        refresh_token: login.refresh_token.clone(),
        ..Default::default()
    };
    let mut cases: Vec<(v1::RotateRefreshRequest, &str)> = Vec::new();
    for bad in ["", "a b", "a\0", "é", "unknown"]
        .map(str::to_owned)
        .into_iter()
        .chain([huge()])
    {
        cases.push((
            v1::RotateRefreshRequest {
                scopes: vec![bad.clone()],
                ..base()
            },
            "scopes",
        ));
        cases.push((
            v1::RotateRefreshRequest {
                audience: vec![bad],
                ..base()
            },
            "audience",
        ));
    }
    let twice = vec!["a".to_owned(), "a".to_owned()];
    cases.push((
        v1::RotateRefreshRequest {
            scopes: twice,
            ..base()
        },
        "scopes",
    ));
    let beyond = vec!["urn:other".to_owned()];
    cases.push((
        v1::RotateRefreshRequest {
            audience: beyond,
            ..base()
        },
        "audience",
    ));
    for bad in ["a\0b".to_owned(), huge()] {
        cases.push((
            v1::RotateRefreshRequest {
                user_agent: bad.clone(),
                ..base()
            },
            "user_agent",
        ));
        cases.push((
            v1::RotateRefreshRequest {
                ip_address: bad,
                ..base()
            },
            "ip_address",
        ));
    }
    for (request, field) in cases {
        let refused = answer(
            issuer
                .tokens()
                .rotate_refresh(issuer.request(request))
                .await,
        );
        named(&refused.unwrap_err(), field);
    }
    assert_eq!(at.counts().await, before);
    assert_eq!(
        issuer
            .rotate(&login.refresh_token)
            .await
            .unwrap()
            .generation,
        1
    );
}
