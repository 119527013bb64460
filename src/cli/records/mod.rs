//! The answers as records. Each message is taken apart whole, so that a field
//! added to the proto breaks the build here.

mod directory;
mod tokens;

/// An enum's name less the proto's prefix; empty for UNSPECIFIED, and the number
/// itself where a newer server sends one that this binary has no name for.
fn short<E: TryFrom<i32>>(prefix: &str, value: i32, name: fn(&E) -> &'static str) -> String {
    match E::try_from(value) {
        _ if value == 0 => String::new(),
        Ok(known) => {
            let name = name(&known);
            name.strip_prefix(prefix).unwrap_or(name).to_owned()
        }
        Err(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        cli::output::Record,
        proto::{DESCRIPTORS, v1},
    };
    use prost::Message as _;
    use prost_types::{Duration, FileDescriptorSet, Timestamp};
    use serde_json::json;

    fn proto_fields(message: &str) -> Vec<String> {
        let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let mut messages = set
            .file
            .iter()
            .filter(|file| file.package() == "countersign.v1")
            .flat_map(|file| &file.message_type);
        let found = messages.find(|one| one.name() == message).unwrap();
        found
            .field
            .iter()
            .map(|field| field.name().to_owned())
            .collect()
    }

    fn moment() -> Timestamp {
        Timestamp {
            seconds: 1_764_000_000,
            nanos: 500_000_000,
        }
    }

    fn client() -> v1::Client {
        let span = |seconds| Some(Duration { seconds, nanos: 0 });
        let list = |text: &str| vec![text.to_owned()];
        v1::Client {
            client_id: "c".to_owned(),
            settings: Some(v1::ClientSettings {
                name: "edge".to_owned(),
                roles: vec![v1::Role::Issuer.into(), 99],
                spiffe_ids: list("spiffe://example.org/edge"),
                dns_names: list("edge.example.org"),
                scopes: list("read"),
                audience: list("https://a"),
                default_audience: list("https://a"),
                introspection_audience: list("https://a"),
                access_token_ttl: span(300),
                session_ttl: span(86_400),
                idle_timeout: span(3600),
                rotation_grace: span(0),
                sessions_per_user: 5,
                session_limit_policy: v1::SessionLimitPolicy::EndLeastRecentlyUsed.into(),
                bearer_allowed: Some(false),
                dpop_required: true,
                dpop_nonce_required: true,
            }),
            disabled_at: Some(moment()),
            tokens_not_before: Some(moment()),
            created_at: Some(moment()),
            updated_at: Some(moment()),
            secrets: vec![v1::ClientSecret {
                secret_id: "s".to_owned(),
                created_at: Some(moment()),
            }],
        }
    }

    #[test]
    fn a_full_answer_has_the_proto_s_names_in_the_proto_s_order() {
        let introspection = v1::IntrospectResponse {
            active: true,
            scopes: vec!["read".to_owned()],
            client_id: "c".to_owned(),
            subject: "u".to_owned(),
            token_type: v1::TokenType::Dpop.into(),
            expires_at: Some(moment()),
            issued_at: Some(moment()),
            audience: vec!["https://a".to_owned()],
            issuer: "i".to_owned(),
            token_id: "t".to_owned(),
            session_id: "s".to_owned(),
            confirmation: Some(v1::Confirmation {
                jkt: "k".to_owned(),
            }),
            token_kind: v1::TokenKind::AccessToken.into(),
            client_only: false,
            dpop_failure: Some(v1::DpopFailure::default()),
        };
        assert_eq!(
            Record::from(introspection).names(),
            proto_fields("IntrospectResponse")
        );
        assert_eq!(Record::from(client()).names(), proto_fields("Client"));
        assert_eq!(
            Record::from(client().settings.unwrap()).names(),
            proto_fields("ClientSettings")
        );
    }

    #[test]
    fn json_has_short_enums_rfc_3339_times_and_no_absent_fields() {
        let answer = v1::RotateRefreshResponse {
            access_token: "cs_at_x".to_owned(),
            token_type: v1::TokenType::Bearer.into(),
            access_token_expires_at: Some(moment()),
            outcome: v1::RotationOutcome::Rotated.into(),
            ..Default::default()
        };
        assert_eq!(
            serde_json::to_value(Record::from(answer)).unwrap(),
            json!({
                "access_token": "cs_at_x",
                "token_type": "BEARER",
                "access_token_expires_at": "2025-11-24T16:00:00.500Z",
                "outcome": "ROTATED",
                "generation": 0,
            })
        );
        let client = serde_json::to_value(Record::from(client())).unwrap();
        assert_eq!(client["settings"]["roles"], json!(["ISSUER", "99"]));
        assert_eq!(client["settings"]["access_token_ttl"], "300s");
        assert_eq!(
            client["settings"]["session_limit_policy"],
            "END_LEAST_RECENTLY_USED"
        );
    }

    #[test]
    fn an_inactive_token_is_told_nothing_but_that() {
        let record = Record::from(v1::IntrospectResponse::default());
        assert_eq!(
            serde_json::to_value(record).unwrap(),
            json!({ "active": false })
        );
    }

    #[test]
    fn text_is_aligned_and_shows_a_client_s_secrets_a_line_each() {
        let text = Record::from(v1::CreateClientResponse {
            client: Some(v1::Client {
                settings: None,
                disabled_at: None,
                tokens_not_before: None,
                updated_at: None,
                ..client()
            }),
            client_secret: "cs_cs_x".to_owned(),
        })
        .to_text();
        assert_eq!(
            text,
            "client id      c\n\
             created at     2025-11-24T16:00:00.500Z\n\
             secrets        s  2025-11-24T16:00:00.500Z\n\
             client secret  cs_cs_x\n"
        );
    }
}
