//! Ids and pages.

use super::{UUIDS, huge, named, revoke};
use crate::support::server::{Deployment, answer, settings};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use countersign::proto::v1::{self, Role, revoke_session_request::Target};

#[tokio::test]
async fn bad_ids_and_pages_are_named_and_nothing_is_written() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let admin = at.admin();
    let subject = at.user().await;
    let before = at.counts().await;
    named(&revoke(&issuer, None).await.unwrap_err(), "target");
    for bad in UUIDS.map(str::to_owned).into_iter().chain([huge()]) {
        let target = Target::SessionId(bad.clone());
        named(
            &revoke(&issuer, Some(target)).await.unwrap_err(),
            "session_id",
        );
        let user = |subject: &str, except: &str| {
            Some(Target::User(v1::UserSessions {
                subject: subject.into(),
                except_session_id: except.into(),
            }))
        };
        named(
            &revoke(&issuer, user(&bad, "")).await.unwrap_err(),
            "user.subject",
        );
        if !bad.is_empty() {
            let refused = revoke(&issuer, user(&subject, &bad)).await.unwrap_err();
            named(&refused, "user.except_session_id");
            let request = admin.request(v1::CreateClientRequest {
                client_id: bad.clone(),
                settings: Some(settings()),
            });
            let created = answer(admin.directory().create_client(request).await);
            named(&created.unwrap_err(), "client_id");
            let request = admin.request(v1::RegisterUserRequest {
                subject: bad.clone(),
            });
            named(
                &answer(admin.directory().register_user(request).await).unwrap_err(),
                "subject",
            );
        }
        let request = issuer.request(v1::ListSessionsRequest {
            subject: bad.clone(),
            ..Default::default()
        });
        named(
            &answer(issuer.tokens().list_sessions(request).await).unwrap_err(),
            "subject",
        );
        let mut directory = admin.directory();
        let request = admin.request(v1::GetClientRequest {
            client_id: bad.clone(),
        });
        named(
            &answer(directory.get_client(request).await).unwrap_err(),
            "client_id",
        );
        let request = admin.request(v1::DisableClientRequest {
            client_id: bad.clone(),
        });
        named(
            &answer(directory.disable_client(request).await).unwrap_err(),
            "client_id",
        );
        let request = admin.request(v1::EnableClientRequest {
            client_id: bad.clone(),
        });
        named(
            &answer(directory.enable_client(request).await).unwrap_err(),
            "client_id",
        );
        let request = admin.request(v1::CutOffClientRequest {
            client_id: bad.clone(),
        });
        named(
            &answer(directory.cut_off_client(request).await).unwrap_err(),
            "client_id",
        );
        let request = admin.request(v1::RotateClientSecretRequest {
            client_id: bad.clone(),
        });
        named(
            &answer(directory.rotate_client_secret(request).await).unwrap_err(),
            "client_id",
        );
        let request = admin.request(v1::RetireClientSecretRequest {
            client_id: issuer.id.clone(),
            secret_id: bad.clone(),
        });
        named(
            &answer(directory.retire_client_secret(request).await).unwrap_err(),
            "secret_id",
        );
        let request = admin.request(v1::GetUserRequest {
            subject: bad.clone(),
        });
        named(
            &answer(directory.get_user(request).await).unwrap_err(),
            "subject",
        );
        let request = admin.request(v1::DisableUserRequest {
            subject: bad.clone(),
        });
        named(
            &answer(directory.disable_user(request).await).unwrap_err(),
            "subject",
        );
        let request = admin.request(v1::EnableUserRequest {
            subject: bad.clone(),
        });
        named(
            &answer(directory.enable_user(request).await).unwrap_err(),
            "subject",
        );
    }
    for (page_size, page_token, field) in [
        (1001, String::new(), "page_size"),
        (1, "!".into(), "page_token"),
        (1, huge(), "page_token"),
    ] {
        let request = issuer.request(v1::ListSessionsRequest {
            subject: subject.clone(),
            page_size,
            page_token: page_token.clone(),
        });
        named(
            &answer(issuer.tokens().list_sessions(request).await).unwrap_err(),
            field,
        );
        let request = admin.request(v1::ListClientsRequest {
            page_size,
            page_token,
        });
        named(
            &answer(admin.directory().list_clients(request).await).unwrap_err(),
            field,
        );
    }
    assert_eq!(at.counts().await, before);
}

/// A place in the list that no server gave, though it has the form of one.
fn made_up(micros: i64) -> String {
    let place = [&micros.to_be_bytes()[..], &[7; 16]].concat();
    URL_SAFE_NO_PAD.encode(place)
}

#[tokio::test]
async fn a_made_up_place_in_the_list_of_sessions_is_one_or_is_refused() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let list = async |micros: i64| {
        let request = issuer.request(v1::ListSessionsRequest {
            subject: subject.clone(),
            page_token: made_up(micros),
            ..Default::default()
        });
        answer(issuer.tokens().list_sessions(request).await)
    };
    let latest = DateTime::<Utc>::MAX_UTC.timestamp_micros();
    for good in [0, 1, latest] {
        assert!(list(good).await.unwrap().sessions.is_empty(), "{good}");
    }
    // PostgreSQL knows no time before 4713 BC, chrono does.
    let earliest = DateTime::<Utc>::MIN_UTC.timestamp_micros();
    for bad in [-1, earliest, i64::MIN, i64::MAX] {
        named(&list(bad).await.unwrap_err(), "page_token");
    }
}
