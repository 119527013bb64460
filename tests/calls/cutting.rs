//! Disabling, cut-offs, the fence, withdrawn scopes, retired secrets.

use crate::support::server::{Deployment, answer, settings};
use countersign::{
    proto::v1::{self, Role, revoke_session_request::Target},
    store::{self, DatabaseUrl},
};
use tonic::Code;

#[tokio::test]
async fn disabling_kills_at_once_and_enabling_revives_nothing() {
    let at = Deployment::start_with(2, &[]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let watcher = at.at(1, &at.admin());
    let admin = at.admin();
    let subject = at.user().await;
    let login = issuer.open(&subject).await;
    let client_only = issuer.issue(Default::default()).await.unwrap().access_token;

    let user = || v1::DisableUserRequest {
        subject: subject.clone(),
    };
    for _ in 0..2 {
        admin
            .directory()
            .disable_user(admin.request(user()))
            .await
            .unwrap();
    }
    assert!(!watcher.active(&login.access_token).await);
    assert!(
        watcher.active(&client_only).await,
        "a user's cut-off touches no client-only token"
    );
    assert_eq!(
        issuer.refusal(&login.refresh_token).await,
        "SUBJECT_DISABLED"
    );
    let request = v1::IssueTokenRequest {
        subject: subject.clone(),
        ..Default::default()
    };
    assert_eq!(
        issuer.issue(request).await.unwrap_err().reason,
        "SUBJECT_DISABLED"
    );
    let enable = v1::EnableUserRequest {
        subject: subject.clone(),
    };
    admin
        .directory()
        .enable_user(admin.request(enable))
        .await
        .unwrap();
    assert!(!watcher.active(&login.access_token).await);
    assert_eq!(
        issuer.refusal(&login.refresh_token).await,
        "SESSION_CUT_OFF"
    );

    let login = issuer.open(&subject).await;
    assert!(
        watcher.active(&login.access_token).await,
        "a new login lives"
    );
    let named = || v1::DisableClientRequest {
        client_id: issuer.id.clone(),
    };
    admin
        .directory()
        .disable_client(admin.request(named()))
        .await
        .unwrap();
    for token in [&login.access_token, &client_only] {
        assert!(!watcher.active(token).await);
    }
    let refused = at
        .at(1, &issuer)
        .issue(Default::default())
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::Unauthenticated, "CLIENT_DISABLED")
    );
    let named = v1::EnableClientRequest {
        client_id: issuer.id.clone(),
    };
    admin
        .directory()
        .enable_client(admin.request(named))
        .await
        .unwrap();
    for token in [&login.access_token, &client_only] {
        assert!(!watcher.active(token).await, "enabling revives nothing");
    }
    let fresh = issuer.issue(Default::default()).await.unwrap();
    assert!(watcher.active(&fresh.access_token).await);
    let events = at.events().await;
    for kind in [
        "subject_disabled",
        "subject_enabled",
        "client_disabled",
        "client_enabled",
    ] {
        assert_eq!(
            events.iter().filter(|event| *event == kind).count(),
            1,
            "{kind}"
        );
    }
}

#[tokio::test]
async fn a_cut_off_covers_what_a_clock_of_the_future_has_stamped() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let admin = at.admin();
    let token = issuer.issue(Default::default()).await.unwrap().access_token;
    at.sql
        .execute(
            "UPDATE public.oauth_access_tokens \
             SET created_at = now() + interval '5 minutes', expires_at = now() + interval '1 hour'",
            &[],
        )
        .await
        .unwrap();
    assert!(issuer.active(&token).await);
    let named = v1::CutOffClientRequest {
        client_id: issuer.id.clone(),
    };
    admin
        .directory()
        .cut_off_client(admin.request(named))
        .await
        .unwrap();
    assert!(!issuer.active(&token).await);
    let fresh = issuer.issue(Default::default()).await.unwrap().access_token;
    assert!(
        issuer.active(&fresh).await,
        "and what comes after it lives, though the clock is back"
    );
}

/// Stamps what stands in a table as a clock would that is five minutes ahead.
async fn stamp_ahead(at: &Deployment, table: &str) {
    let stamp = format!(
        "UPDATE {table}
         SET created_at = now() + interval '5 minutes', expires_at = now() + interval '1 hour'"
    );
    assert_eq!(at.sql.execute(&stamp, &[]).await.unwrap(), 1, "{table}");
}

#[tokio::test]
async fn a_users_cut_off_covers_what_a_clock_of_the_future_has_stamped() {
    for (table, session, revokes) in [
        ("public.oauth_access_tokens", false, true),
        ("public.oauth_access_tokens", false, false),
        ("auth.refresh_session", true, false),
    ] {
        let at = Deployment::start().await;
        let issuer = at.client(&[Role::Issuer]).await;
        let subject = at.user().await;
        let order = v1::IssueTokenRequest {
            subject: subject.clone(),
            with_refresh_token: session,
            ..Default::default()
        };
        let token = issuer.issue(order).await.unwrap().access_token;
        stamp_ahead(&at, table).await;
        assert!(issuer.active(&token).await);
        if revokes {
            let all = v1::UserSessions {
                subject: subject.clone(),
                except_session_id: String::new(),
            };
            let revoker = at.client(&[Role::Revoker]).await;
            revoker.revoke(Target::User(all)).await;
        } else {
            let admin = at.admin();
            let mut directory = admin.directory();
            let subject = || subject.clone();
            let disable = v1::DisableUserRequest { subject: subject() };
            let disabled = directory.disable_user(admin.request(disable)).await;
            disabled.unwrap();
            let enable = v1::EnableUserRequest { subject: subject() };
            let enabled = directory.enable_user(admin.request(enable)).await;
            enabled.unwrap();
        }
        assert!(!issuer.active(&token).await, "{table} {revokes}");
        let again = issuer.open(&subject).await;
        assert!(
            issuer.active(&again.access_token).await,
            "and a login after it lives, though the clock is back"
        );
        issuer.rotate(&again.refresh_token).await.unwrap();
    }
}

#[tokio::test]
async fn enabling_a_client_revives_nothing_that_a_clock_of_the_future_has_stamped() {
    for (table, session) in [
        ("public.oauth_access_tokens", false),
        ("auth.refresh_session", true),
    ] {
        let at = Deployment::start().await;
        let issuer = at.client(&[Role::Issuer]).await;
        let order = v1::IssueTokenRequest {
            subject: if session {
                at.user().await
            } else {
                String::new()
            },
            with_refresh_token: session,
            ..Default::default()
        };
        let token = issuer.issue(order).await.unwrap().access_token;
        stamp_ahead(&at, table).await;
        assert!(issuer.active(&token).await);
        let admin = at.admin();
        let mut directory = admin.directory();
        let client_id = || issuer.id.clone();
        let disable = v1::DisableClientRequest {
            client_id: client_id(),
        };
        let disabled = directory.disable_client(admin.request(disable)).await;
        disabled.unwrap();
        let enable = v1::EnableClientRequest {
            client_id: client_id(),
        };
        let enabled = directory.enable_client(admin.request(enable)).await;
        enabled.unwrap();
        assert!(!issuer.active(&token).await, "{table}");
        let fresh = issuer.issue(Default::default()).await.unwrap();
        assert!(issuer.active(&fresh.access_token).await);
    }
}

#[tokio::test]
async fn the_fence_cuts_off_everything_that_existed() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let login = issuer.open(&subject).await;
    let client_only = issuer.issue(Default::default()).await.unwrap().access_token;
    store::fence(&DatabaseUrl::parse(&at.database.url()).unwrap())
        .await
        .unwrap();
    for token in [&login.access_token, &client_only, &login.refresh_token] {
        assert!(!issuer.active(token).await);
    }
    assert_eq!(
        issuer.refusal(&login.refresh_token).await,
        "SESSION_CUT_OFF"
    );
    let again = issuer.open(&subject).await;
    assert!(issuer.active(&again.access_token).await);
    assert_eq!(at.events().await.last().unwrap(), "authority_fenced");
}

#[tokio::test]
async fn a_withdrawn_scope_kills_what_grants_it() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let admin = at.admin();
    let login = issuer.open(&at.user().await).await;
    let update = v1::UpdateClientRequest {
        client_id: issuer.id.clone(),
        settings: Some(v1::ClientSettings {
            scopes: vec!["a".into()],
            ..settings()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["scopes".into()],
        }),
    };
    admin
        .directory()
        .update_client(admin.request(update))
        .await
        .unwrap();
    assert!(!issuer.active(&login.access_token).await);
    assert_eq!(
        issuer.refusal(&login.refresh_token).await,
        "SCOPE_WITHDRAWN"
    );
}

#[tokio::test]
async fn a_session_whose_scope_is_withdrawn_takes_no_place_of_the_limit() {
    let at = Deployment::start().await;
    let admin = at.admin();
    let limited = at
        .client_with(v1::ClientSettings {
            roles: vec![Role::Issuer.into()],
            sessions_per_user: 1,
            ..settings()
        })
        .await;
    let subject = at.user().await;
    limited.open(&subject).await;
    let narrow = || v1::IssueTokenRequest {
        subject: subject.clone(),
        scopes: vec!["a".into()],
        with_refresh_token: true,
        ..Default::default()
    };
    let refused = limited.issue(narrow()).await.unwrap_err();
    assert_eq!(refused.reason, "SESSION_LIMIT_REACHED");
    let update = v1::UpdateClientRequest {
        client_id: limited.id.clone(),
        settings: Some(v1::ClientSettings {
            scopes: vec!["a".into()],
            ..settings()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["scopes".into()],
        }),
    };
    admin
        .directory()
        .update_client(admin.request(update))
        .await
        .unwrap();
    let opened = limited.issue(narrow()).await.unwrap();
    assert!(limited.active(&opened.access_token).await);
}

#[tokio::test]
async fn two_secrets_live_side_by_side_and_a_retired_one_is_refused_at_once() {
    let at = Deployment::start_with(2, &[]).await;
    let old = at.client(&[]).await;
    let admin = at.admin();
    let named = || v1::RotateClientSecretRequest {
        client_id: old.id.clone(),
    };
    let made = admin
        .directory()
        .rotate_client_secret(admin.request(named()))
        .await
        .unwrap();
    let new = at.caller(&old.id, &made.into_inner().client_secret);
    let refused = answer(
        admin
            .directory()
            .rotate_client_secret(admin.request(named()))
            .await,
    );
    assert_eq!(refused.unwrap_err().reason, "SECRET_LIMIT_REACHED");
    for caller in [&old, &new] {
        caller.issue(Default::default()).await.unwrap();
    }
    let client = v1::GetClientRequest {
        client_id: old.id.clone(),
    };
    let client = admin
        .directory()
        .get_client(admin.request(client))
        .await
        .unwrap();
    let secrets = client.into_inner().client.unwrap().secrets;
    let retire = |secret: usize| v1::RetireClientSecretRequest {
        client_id: old.id.clone(),
        secret_id: secrets[secret].secret_id.clone(),
    };
    for _ in 0..2 {
        admin
            .directory()
            .retire_client_secret(admin.request(retire(0)))
            .await
            .unwrap();
    }
    let refused = at.at(1, &old).issue(Default::default()).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::Unauthenticated, "CREDENTIALS_INVALID")
    );
    new.issue(Default::default()).await.unwrap();
    let last = answer(
        admin
            .directory()
            .retire_client_secret(admin.request(retire(1)))
            .await,
    );
    assert_eq!(last.unwrap_err().reason, "LAST_SECRET");
}
