//! `IssueToken`.

use crate::support::server::{AUDIENCE, Deployment, settings};
use countersign::proto::v1::{self, IssueTokenRequest, Role, SessionLimitPolicy};
use prost_types::Duration;
use tonic::Code;
use uuid::Uuid;

fn login(subject: &str, request_id: &str) -> IssueTokenRequest {
    IssueTokenRequest {
        subject: subject.into(),
        with_refresh_token: true,
        request_id: request_id.into(),
        ..IssueTokenRequest::default()
    }
}

#[tokio::test]
async fn a_token_has_what_was_asked_for_within_what_the_client_may() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let plain = issuer.issue(IssueTokenRequest::default()).await.unwrap();
    assert_eq!(
        plain.audience,
        [AUDIENCE],
        "an empty audience means the client's default"
    );
    assert!(plain.scopes.is_empty() && plain.session_id.is_empty());
    let lives = async |token: &v1::IssueTokenResponse| {
        let told = issuer.introspect(&token.access_token).await;
        assert_eq!(told.expires_at, token.access_token_expires_at);
        let seconds = |at: Option<prost_types::Timestamp>| at.unwrap().seconds;
        seconds(told.expires_at) - seconds(told.issued_at)
    };
    assert_eq!(lives(&plain).await, 600);
    for (asked, granted) in [(60, 60), (86_400, 600)] {
        let ttl = Some(Duration {
            seconds: asked,
            nanos: 0,
        });
        let request = IssueTokenRequest {
            access_token_ttl: ttl,
            ..Default::default()
        };
        let token = issuer.issue(request).await.unwrap();
        assert_eq!(lives(&token).await, granted, "{asked}");
    }
    let row = at
        .sql
        .query_one(
            "SELECT metadata ->> 'countersign', metadata ? 'session_id', user_id \
             FROM public.oauth_access_tokens LIMIT 1",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        row.get::<_, String>(0),
        u32::from_be_bytes([7; 4]).to_string(),
        "the key id"
    );
    assert!(!row.get::<_, bool>(1) && row.get::<_, Option<Uuid>>(2).is_none());
}

#[tokio::test]
async fn without_the_role_a_client_mints_only_for_itself() {
    let at = Deployment::start().await;
    let plain = at
        .client(&[Role::Revoker, Role::Introspector, Role::Admin])
        .await;
    let other = at.client(&[]).await;
    let own = IssueTokenRequest {
        client_id: plain.id.clone(),
        ..Default::default()
    };
    plain.issue(own).await.unwrap();
    for request in [
        IssueTokenRequest {
            subject: at.user().await,
            ..Default::default()
        },
        IssueTokenRequest {
            client_id: other.id.clone(),
            ..Default::default()
        },
    ] {
        let refused = plain.issue(request).await.unwrap_err();
        assert_eq!(refused.code, Code::PermissionDenied);
    }
    let issuer = at.client(&[Role::Issuer]).await;
    let request = IssueTokenRequest {
        client_id: other.id.clone(),
        ..login(&at.user().await, "")
    };
    let opened = issuer.issue(request).await.unwrap();
    assert_eq!(issuer.refusal(&opened.refresh_token).await, "INVALID_GRANT");
    other.rotate(&opened.refresh_token).await.unwrap();
}

#[tokio::test]
async fn the_unknown_is_refused_by_name_and_a_subject_can_be_registered_at_once() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let stranger = Uuid::from_u128(77).to_string();
    let before = at.counts().await;
    let unknown = [
        (
            IssueTokenRequest {
                client_id: stranger.clone(),
                ..Default::default()
            },
            "CLIENT_NOT_FOUND",
        ),
        (login(&stranger, ""), "SUBJECT_NOT_FOUND"),
        (
            IssueTokenRequest {
                scopes: vec!["c".into()],
                ..Default::default()
            },
            "INVALID_SCOPE",
        ),
        (
            IssueTokenRequest {
                audience: vec!["urn:c".into()],
                ..Default::default()
            },
            "INVALID_TARGET",
        ),
    ];
    for (request, reason) in unknown {
        assert_eq!(issuer.issue(request).await.unwrap_err().reason, reason);
    }
    assert_eq!(at.counts().await, before, "nothing is written");
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let request = IssueTokenRequest {
                register_subject: true,
                ..login(&stranger, "")
            };
            let issuer = issuer.clone();
            tokio::spawn(async move { issuer.issue(request).await.unwrap() })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let registered = at.events().await;
    assert_eq!(
        registered
            .iter()
            .filter(|event| *event == "subject_registered")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_repeated_opening_leaves_no_orphan() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let first = issuer.issue(login(&subject, "r1")).await.unwrap();
    let second = issuer.issue(login(&subject, "r1")).await.unwrap();
    assert_ne!(first.session_id, second.session_id);
    assert!(!issuer.active(&first.access_token).await);
    assert_eq!(
        issuer.refusal(&first.refresh_token).await,
        "SESSION_REVOKED"
    );
    assert!(issuer.active(&second.access_token).await);
    let other = issuer
        .issue(login(&at.user().await, "r1"))
        .await
        .unwrap_err();
    assert_eq!(other.reason, "REQUEST_ID_CONFLICT");
    assert!(issuer.active(&second.access_token).await);
    let elsewhere = at.client(&[Role::Issuer]).await;
    elsewhere.issue(login(&subject, "r1")).await.unwrap();
    assert!(
        issuer.active(&second.access_token).await,
        "another caller's ids are its own"
    );
    at.sql
        .execute(
            "UPDATE countersign.session_grant SET opened_at = opened_at - interval '25 hours'",
            &[],
        )
        .await
        .unwrap();
    let later = issuer.issue(login(&at.user().await, "r1")).await.unwrap();
    assert!(issuer.active(&later.access_token).await);
    assert!(
        issuer.active(&second.access_token).await,
        "after a day the id is free"
    );

    let calls: Vec<_> = (0..16)
        .map(|_| {
            let (issuer, request) = (issuer.clone(), login(&subject, "r2"));
            tokio::spawn(async move { issuer.issue(request).await.unwrap() })
        })
        .collect();
    let mut opened = Vec::new();
    for call in calls {
        opened.push(call.await.unwrap());
    }
    let mut live = 0;
    for login in opened {
        live += usize::from(issuer.active(&login.access_token).await);
    }
    assert_eq!(live, 1, "of 16 at once one session stays");
}

#[tokio::test]
async fn a_user_has_no_more_sessions_than_the_client_allows() {
    let at = Deployment::start().await;
    for policy in [
        SessionLimitPolicy::Refuse,
        SessionLimitPolicy::EndLeastRecentlyUsed,
    ] {
        let limited = at
            .client_with(v1::ClientSettings {
                roles: vec![Role::Issuer.into()],
                sessions_per_user: 3,
                session_limit_policy: policy.into(),
                ..settings()
            })
            .await;
        let subject = at.user().await;
        let calls: Vec<_> = (0..9)
            .map(|_| {
                let (limited, request) = (limited.clone(), login(&subject, ""));
                tokio::spawn(async move { limited.issue(request).await })
            })
            .collect();
        let mut live = 0;
        for call in calls {
            match call.await.unwrap() {
                Ok(opened) => live += usize::from(limited.active(&opened.access_token).await),
                Err(refused) => assert_eq!(refused.reason, "SESSION_LIMIT_REACHED"),
            }
        }
        let list = v1::ListSessionsRequest {
            subject,
            ..Default::default()
        };
        let listed = limited
            .tokens()
            .list_sessions(limited.request(list))
            .await
            .unwrap();
        assert_eq!(listed.into_inner().sessions.len(), 3, "{policy:?}");
        assert!(live >= 3, "{policy:?}");
    }
}
