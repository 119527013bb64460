//! `RotateRefresh`, by the whole table. Many at once: `races/rotating.rs`.

use crate::support::server::Deployment;
use countersign::proto::v1::{self, RotationOutcome};

const ROTATED: i32 = RotationOutcome::Rotated as i32;
const REPLAYED: i32 = RotationOutcome::Replayed as i32;

/// Moves the time of a session's step and of its ledger back.
async fn long_ago(at: &Deployment, session: &str) {
    let session = uuid::Uuid::parse_str(session).unwrap();
    for statement in [
        "UPDATE auth.refresh_session SET last_used_at = last_used_at - interval '1 hour' WHERE jti = $1",
        "UPDATE auth.refresh_tokens SET updated_at = updated_at - interval '1 hour' WHERE session_id = $1",
    ] {
        at.sql.execute(statement, &[&session]).await.unwrap();
    }
}

#[tokio::test]
async fn a_repeat_within_the_window_gets_the_same_successor_and_a_new_access_token() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let first = issuer.rotate(&login.refresh_token).await.unwrap();
    assert_eq!((first.outcome, first.generation), (ROTATED, 1));
    let again = issuer.rotate(&login.refresh_token).await.unwrap();
    assert_eq!((again.outcome, again.generation), (REPLAYED, 1));
    assert_eq!(again.refresh_token, first.refresh_token);
    assert_ne!(again.access_token, first.access_token);
    for token in [
        &login.access_token,
        &first.access_token,
        &again.access_token,
    ] {
        assert!(issuer.active(token).await);
    }
    let second = issuer.rotate(&first.refresh_token).await.unwrap();
    assert_eq!(second.generation, 2);
    assert_eq!(
        issuer.refusal(&login.refresh_token).await,
        "REFRESH_TOKEN_SUPERSEDED"
    );
    assert!(
        issuer.active(&second.access_token).await,
        "a late duplicate ends nothing"
    );
}

#[tokio::test]
async fn a_stale_token_ends_its_family_and_that_is_committed() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    for steps in [1, 3] {
        let login = issuer.open(&at.user().await).await;
        let mut newest = login.refresh_token.clone();
        let mut access = login.access_token.clone();
        for _ in 0..steps {
            let stepped = issuer.rotate(&newest).await.unwrap();
            (newest, access) = (stepped.refresh_token, stepped.access_token);
        }
        long_ago(&at, &login.session_id).await;
        assert_eq!(
            issuer.refusal(&login.refresh_token).await,
            "REFRESH_TOKEN_REUSED"
        );
        assert!(!issuer.active(&access).await);
        for token in [&newest, &login.refresh_token, &newest] {
            assert_eq!(
                issuer.refusal(token).await,
                "REFRESH_TOKEN_REUSED",
                "again and again"
            );
        }
    }
    let ended = at
        .events()
        .await
        .iter()
        .filter(|event| *event == "session_ended:reused")
        .count();
    assert_eq!(ended, 2);
}

#[tokio::test]
async fn another_client_learns_nothing_and_changes_nothing() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let thief = at.client(&[v1::Role::Issuer, v1::Role::Revoker]).await;
    let login = issuer.open(&at.user().await).await;
    let first = issuer.rotate(&login.refresh_token).await.unwrap();
    long_ago(&at, &login.session_id).await;
    for token in [&login.refresh_token, &first.refresh_token] {
        assert_eq!(thief.refusal(token).await, "INVALID_GRANT");
    }
    assert!(issuer.active(&first.access_token).await);
    assert_eq!(
        issuer.refusal(&login.refresh_token).await,
        "REFRESH_TOKEN_REUSED"
    );
    assert_eq!(
        thief.refusal(&first.refresh_token).await,
        "INVALID_GRANT",
        "of an ended one too"
    );
}

#[tokio::test]
async fn each_end_of_a_session_has_its_own_reason() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let cases = [
        (
            "UPDATE auth.refresh_session SET expires_at = now() WHERE jti = $1",
            "SESSION_EXPIRED",
        ),
        (
            "UPDATE auth.refresh_session SET last_used_at = now() - interval '8 days' WHERE jti = $1",
            "SESSION_IDLE",
        ),
        (
            "DELETE FROM auth.refresh_tokens WHERE session_id = $1",
            "REFRESH_TOKEN_UNKNOWN",
        ),
        (
            "UPDATE auth.refresh_session SET refresh_version = 0 WHERE jti = $1",
            "REFRESH_TOKEN_UNKNOWN",
        ),
        (
            "UPDATE countersign.account SET disabled_at = now() FROM auth.refresh_session s \
             WHERE s.user_id = account.user_id AND s.jti = $1",
            "SUBJECT_DISABLED",
        ),
        (
            "UPDATE countersign.account SET not_before = now() FROM auth.refresh_session s \
             WHERE s.user_id = account.user_id AND s.jti = $1",
            "SESSION_CUT_OFF",
        ),
    ];
    for (statement, reason) in cases {
        let login = issuer.open(&at.user().await).await;
        let first = issuer.rotate(&login.refresh_token).await.unwrap();
        let session = uuid::Uuid::parse_str(&login.session_id).unwrap();
        assert!(at.sql.execute(statement, &[&session]).await.unwrap() > 0);
        let before = at.counts().await;
        assert_eq!(issuer.refusal(&first.refresh_token).await, reason);
        assert_eq!(at.counts().await, before, "{reason} changes nothing");
    }
}

#[tokio::test]
async fn narrowing_holds_for_the_access_token_alone() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let narrow = |scopes: &[&str], token: &str| v1::RotateRefreshRequest {
        refresh_token: token.into(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        ..v1::RotateRefreshRequest::default()
    };
    let beyond = issuer.request(narrow(&["a", "c"], &login.refresh_token));
    let refused = issuer.tokens().rotate_refresh(beyond).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    let part = issuer.request(narrow(&["a"], &login.refresh_token));
    let first = issuer
        .tokens()
        .rotate_refresh(part)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (first.scopes, first.outcome),
        (vec!["a".to_owned()], ROTATED)
    );
    let second = issuer.rotate(&first.refresh_token).await.unwrap();
    assert_eq!(second.scopes, ["a", "b"]);
}

#[tokio::test]
async fn the_ledger_is_a_chain_of_digests() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let subject = at.user().await;
    let login = issuer.open(&subject).await;
    issuer.rotate(&login.refresh_token).await.unwrap();
    let rows = at
        .sql
        .query(
            "SELECT token, parent, revoked, user_id, instance_id FROM auth.refresh_tokens \
             WHERE session_id = $1 ORDER BY id",
            &[&uuid::Uuid::parse_str(&login.session_id).unwrap()],
        )
        .await
        .unwrap();
    let [parent, child] = rows.as_slice() else {
        panic!("two rows")
    };
    let digest: String = parent.get(0);
    assert_eq!(digest.len(), 43);
    assert_eq!(child.get::<_, Option<String>>(1), Some(digest));
    assert_eq!(parent.get::<_, Option<String>>(1), None);
    assert_eq!(
        (parent.get::<_, bool>(2), child.get::<_, bool>(2)),
        (true, false)
    );
    assert_eq!(child.get::<_, String>(3), subject);
    assert_eq!(child.get::<_, uuid::Uuid>(4).to_string(), issuer.id);
}
