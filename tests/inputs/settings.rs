//! The settings of a client.

use super::{huge, named, seconds};
use crate::support::server::{Deployment, answer, settings};
use countersign::proto::v1;
use prost_types::FieldMask;

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
                spiffe_ids: list(&["spiffe://a"]),
                ..base()
            },
            "spiffe_ids",
        ),
        (
            v1::ClientSettings {
                spiffe_ids: list(&["spiffe://a/b", "spiffe://a/b"]),
                ..base()
            },
            "spiffe_ids",
        ),
        (
            v1::ClientSettings {
                spiffe_ids: (0..33).map(|n| format!("spiffe://a/{n}")).collect(),
                ..base()
            },
            "spiffe_ids",
        ),
        (
            v1::ClientSettings {
                dns_names: list(&["*.a"]),
                ..base()
            },
            "dns_names",
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
