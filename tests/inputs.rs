//! Bad input on every field of every call: each is refused by its name, and nothing is
//! written.

use crate::support::server::{Caller, Deployment, Refused, answer, settings};
use countersign::proto::v1::{self, Role, revoke_session_request::Target};
use prost_types::{Duration, FieldMask};
use tonic::Code;

const UUIDS: [&str; 6] = [
    "x",
    "01a2065ac636729d8bc5b8435a6a0fc2",
    "\0",
    "é",
    "{01a2065a-c636-729d-8bc5-b8435a6a0fc2}",
    "",
];

fn huge() -> String {
    "x".repeat(1 << 20)
}

fn seconds(seconds: i64) -> Duration {
    Duration { seconds, nanos: 0 }
}

/// The requests of `IssueToken` that must be refused, each with the field to name.
fn issues(subject: &str) -> Vec<(v1::IssueTokenRequest, &'static str)> {
    let base = || v1::IssueTokenRequest {
        subject: subject.into(),
        with_refresh_token: true,
        ..Default::default()
    };
    let mut cases: Vec<(v1::IssueTokenRequest, &'static str)> = Vec::new();
    for bad in UUIDS
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .chain([huge()])
    {
        cases.push((
            v1::IssueTokenRequest {
                client_id: bad.clone(),
                ..base()
            },
            "client_id",
        ));
        cases.push((
            v1::IssueTokenRequest {
                subject: bad,
                ..base()
            },
            "subject",
        ));
    }
    let lists: [(&str, usize); 2] = [("a b", 65), ("no uri", 17)];
    for bad in ["", "a b", "a\0", "é", "\"", "unknown"]
        .map(str::to_owned)
        .into_iter()
        .chain([huge()])
    {
        cases.push((
            v1::IssueTokenRequest {
                scopes: vec![bad.clone()],
                ..base()
            },
            "scopes",
        ));
        cases.push((
            v1::IssueTokenRequest {
                audience: vec![bad],
                ..base()
            },
            "audience",
        ));
    }
    let twice = vec!["a".to_owned(), "a".to_owned()];
    cases.push((
        v1::IssueTokenRequest {
            scopes: twice,
            ..base()
        },
        "scopes",
    ));
    let many = |count: usize| (0..count).map(|n| format!("urn:{n}")).collect::<Vec<_>>();
    cases.push((
        v1::IssueTokenRequest {
            scopes: many(lists[0].1),
            ..base()
        },
        "scopes",
    ));
    cases.push((
        v1::IssueTokenRequest {
            audience: many(lists[1].1),
            ..base()
        },
        "audience",
    ));
    for bad in [
        Some(seconds(-1)),
        Some(seconds(0)),
        Some(seconds(i64::MAX)),
        Some(Duration {
            seconds: 1,
            nanos: 1,
        }),
    ] {
        cases.push((
            v1::IssueTokenRequest {
                access_token_ttl: bad,
                ..base()
            },
            "access_token_ttl",
        ));
    }
    for bad in ["a\0b".to_owned(), huge()] {
        cases.push((
            v1::IssueTokenRequest {
                user_agent: bad,
                ..base()
            },
            "user_agent",
        ));
    }
    for bad in ["here", "1.2.3", "::g", "\0"]
        .map(str::to_owned)
        .into_iter()
        .chain([huge()])
    {
        cases.push((
            v1::IssueTokenRequest {
                ip_address: bad,
                ..base()
            },
            "ip_address",
        ));
    }
    for bad in [
        "a b".to_owned(),
        "é".to_owned(),
        "\0".to_owned(),
        "x".repeat(129),
    ] {
        cases.push((
            v1::IssueTokenRequest {
                request_id: bad,
                ..base()
            },
            "request_id",
        ));
    }
    let no_user = v1::IssueTokenRequest {
        with_refresh_token: true,
        ..Default::default()
    };
    cases.push((no_user, "with_refresh_token"));
    let no_user = v1::IssueTokenRequest {
        register_subject: true,
        ..Default::default()
    };
    cases.push((no_user, "register_subject"));
    let no_session = v1::IssueTokenRequest {
        request_id: "r".into(),
        ..Default::default()
    };
    cases.push((no_session, "request_id"));
    cases
}

#[tokio::test]
async fn every_bad_field_of_issue_token_is_named_and_nothing_is_written() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let before = at.counts().await;
    for (request, field) in issues(&subject) {
        let refused = issuer.issue(request).await.unwrap_err();
        named(&refused, field);
    }
    let all = v1::IssueTokenRequest {
        client_id: "x".into(),
        subject: "y".into(),
        scopes: vec![String::new()],
        audience: vec![String::new()],
        access_token_ttl: Some(seconds(-1)),
        ip_address: "z".into(),
        ..Default::default()
    };
    let refused = issuer.issue(all).await.unwrap_err();
    for field in [
        "client_id",
        "subject",
        "scopes",
        "audience",
        "access_token_ttl",
        "ip_address",
    ] {
        named(&refused, field);
    }
    assert_eq!(refused.reason, "INVALID_REQUEST", "all at once");
    assert_eq!(at.counts().await, before);
}

fn named(refused: &Refused, field: &str) {
    assert_eq!(refused.code, Code::InvalidArgument, "{field}: {refused:?}");
    let found = refused
        .fields
        .iter()
        .any(|found| found == field || found.starts_with(&format!("{field}[")));
    assert!(found, "{field} is not among {:?}", refused.fields);
    assert!(refused.reason.starts_with("INVALID_"), "{refused:?}");
}

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

async fn revoke(
    caller: &Caller,
    target: Option<Target>,
) -> Result<v1::RevokeSessionResponse, Refused> {
    let request = caller.request(v1::RevokeSessionRequest { target });
    answer(caller.tokens().revoke_session(request).await)
}

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

#[tokio::test]
async fn bad_settings_of_a_client_are_named_and_nothing_is_written() {
    let at = Deployment::start().await;
    let client = at.client(&[]).await;
    let admin = at.admin();
    let before = at.counts().await;
    let base = || settings();
    let list = |terms: &[&str]| terms.iter().map(ToString::to_string).collect::<Vec<_>>();
    let cases: Vec<(v1::ClientSettings, &str)> = vec![
        (
            v1::ClientSettings {
                name: huge(),
                ..base()
            },
            "name",
        ),
        (
            v1::ClientSettings {
                name: "a\0".into(),
                ..base()
            },
            "name",
        ),
        (
            v1::ClientSettings {
                roles: vec![0],
                ..base()
            },
            "roles",
        ),
        (
            v1::ClientSettings {
                roles: vec![99],
                ..base()
            },
            "roles",
        ),
        (
            v1::ClientSettings {
                roles: vec![1, 1],
                ..base()
            },
            "roles",
        ),
        (
            v1::ClientSettings {
                scopes: list(&["a b"]),
                ..base()
            },
            "scopes",
        ),
        (
            v1::ClientSettings {
                scopes: list(&["a", "a"]),
                ..base()
            },
            "scopes",
        ),
        (
            v1::ClientSettings {
                audience: list(&["x"]),
                ..base()
            },
            "audience",
        ),
        (
            v1::ClientSettings {
                introspection_audience: list(&["x"]),
                ..base()
            },
            "introspection_audience",
        ),
        (
            v1::ClientSettings {
                default_audience: list(&["x"]),
                ..base()
            },
            "default_audience",
        ),
        (
            v1::ClientSettings {
                access_token_ttl: Some(seconds(0)),
                ..base()
            },
            "access_token_ttl",
        ),
        (
            v1::ClientSettings {
                session_ttl: Some(seconds(i64::MAX)),
                ..base()
            },
            "session_ttl",
        ),
        (
            v1::ClientSettings {
                idle_timeout: Some(seconds(-5)),
                ..base()
            },
            "idle_timeout",
        ),
        (
            v1::ClientSettings {
                rotation_grace: Some(seconds(121)),
                ..base()
            },
            "rotation_grace",
        ),
        (
            v1::ClientSettings {
                rotation_grace: Some(seconds(8)),
                ..base()
            },
            "rotation_grace",
        ),
        (
            v1::ClientSettings {
                sessions_per_user: 10_001,
                ..base()
            },
            "sessions_per_user",
        ),
        (
            v1::ClientSettings {
                session_limit_policy: 9,
                ..base()
            },
            "session_limit_policy",
        ),
    ];
    for (bad, field) in cases {
        let named_field = format!("settings.{field}");
        let request = v1::CreateClientRequest {
            client_id: String::new(),
            settings: Some(bad.clone()),
        };
        let refused = answer(
            admin
                .directory()
                .create_client(admin.request(request))
                .await,
        );
        named(&refused.unwrap_err(), &named_field);
        let request = v1::UpdateClientRequest {
            client_id: client.id.clone(),
            settings: Some(bad),
            update_mask: Some(FieldMask {
                paths: vec![field.into()],
            }),
        };
        let refused = answer(
            admin
                .directory()
                .update_client(admin.request(request))
                .await,
        );
        named(&refused.unwrap_err(), &named_field);
    }
    let unnamed = v1::CreateClientRequest::default();
    let refused = answer(
        admin
            .directory()
            .create_client(admin.request(unnamed))
            .await,
    );
    named(&refused.unwrap_err(), "settings.name");
    for paths in [vec![], vec!["colour".to_owned()]] {
        let request = v1::UpdateClientRequest {
            client_id: client.id.clone(),
            settings: Some(base()),
            update_mask: Some(FieldMask { paths }),
        };
        let refused = answer(
            admin
                .directory()
                .update_client(admin.request(request))
                .await,
        );
        named(&refused.unwrap_err(), "update_mask");
    }
    let request = v1::UpdateClientRequest {
        client_id: client.id.clone(),
        settings: Some(v1::ClientSettings {
            audience: list(&["urn:new"]),
            ..base()
        }),
        update_mask: Some(FieldMask {
            paths: vec!["audience".into()],
        }),
    };
    let refused = answer(
        admin
            .directory()
            .update_client(admin.request(request))
            .await,
    )
    .unwrap_err();
    assert_eq!(
        refused.reason, "INVALID_TARGET",
        "the default audience would lie beyond it"
    );
    assert_eq!(at.counts().await, before);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_the_callers_mistake() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let path = "/countersign.v1.TokenAuthorityService/IssueToken";
    let mut grpc = tonic::client::Grpc::new(issuer.channel());
    grpc.ready().await.unwrap();
    // A string where the method has a message.
    let codec: tonic_prost::ProstCodec<v1::Confirmation, ()> = Default::default();
    let wrong = v1::Confirmation { jkt: "x".into() };
    let path = http::uri::PathAndQuery::from_static(path);
    let refused: Result<tonic::Response<()>, _> =
        grpc.unary(issuer.request(wrong), path, codec).await;
    let refused = Refused::from(refused.unwrap_err());
    // Field 1 of both is text, so that this one is read, and named.
    assert_eq!(refused.fields, ["client_id"]);

    let request = v1::RevokeTokenRequest {
        token: "x".repeat(5 << 20),
        ..Default::default()
    };
    let refused = answer(issuer.tokens().revoke_token(issuer.request(request)).await).unwrap_err();
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::InvalidArgument, "INVALID_REQUEST")
    );

    let mut grpc = tonic::client::Grpc::new(issuer.channel());
    grpc.ready().await.unwrap();
    let codec: tonic_prost::ProstCodec<v1::UserSessions, ()> = Default::default();
    let wrong = v1::UserSessions {
        subject: "x".into(),
        except_session_id: "y".into(),
    };
    let path = "/countersign.v1.DirectoryService/CreateClient";
    let path = http::uri::PathAndQuery::from_static(path);
    // Its second field is text where the method has a message.
    let refused: Result<tonic::Response<()>, _> =
        grpc.unary(issuer.request(wrong), path, codec).await;
    let refused = Refused::from(refused.unwrap_err());
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::InvalidArgument, "INVALID_REQUEST")
    );
}
