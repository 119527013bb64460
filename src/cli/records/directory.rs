//! The answers about clients and users.

use super::short;
use crate::{cli::output::Record, proto::v1};

impl From<v1::Client> for Record {
    fn from(client: v1::Client) -> Self {
        let v1::Client {
            client_id,
            settings,
            disabled_at,
            tokens_not_before,
            created_at,
            updated_at,
            secrets,
        } = client;
        Record::default()
            .text("client_id", client_id)
            .nested("settings", settings)
            .time("disabled_at", disabled_at)
            .time("tokens_not_before", tokens_not_before)
            .time("created_at", created_at)
            .time("updated_at", updated_at)
            .rows("secrets", secrets)
    }
}

impl From<v1::ClientSettings> for Record {
    fn from(settings: v1::ClientSettings) -> Self {
        let v1::ClientSettings {
            name,
            roles,
            scopes,
            audience,
            default_audience,
            introspection_audience,
            access_token_ttl,
            session_ttl,
            idle_timeout,
            rotation_grace,
            sessions_per_user,
            session_limit_policy,
            spiffe_ids,
            dns_names,
            bearer_allowed,
            dpop_required,
            dpop_nonce_required,
        } = settings;
        let record = Record::default()
            .text("name", name)
            .list("roles", roles.into_iter().map(role_name).collect())
            .list("scopes", scopes)
            .list("audience", audience)
            .list("default_audience", default_audience)
            .list("introspection_audience", introspection_audience)
            .span("access_token_ttl", access_token_ttl)
            .span("session_ttl", session_ttl)
            .span("idle_timeout", idle_timeout)
            .span("rotation_grace", rotation_grace);
        // 0 says that the authority's default counts, as an unset duration does.
        let record = match sessions_per_user {
            0 => record,
            limit => record.number("sessions_per_user", limit),
        };
        record
            .text("session_limit_policy", policy_name(session_limit_policy))
            .list("spiffe_ids", spiffe_ids)
            .list("dns_names", dns_names)
            .flag("bearer_allowed", bearer_allowed.unwrap_or(true))
            .flag("dpop_required", dpop_required)
            .flag("dpop_nonce_required", dpop_nonce_required)
    }
}

impl From<v1::ClientSecret> for Record {
    fn from(secret: v1::ClientSecret) -> Self {
        let v1::ClientSecret {
            secret_id,
            created_at,
        } = secret;
        Record::default()
            .text("secret_id", secret_id)
            .time("created_at", created_at)
    }
}

impl From<v1::User> for Record {
    fn from(user: v1::User) -> Self {
        let v1::User {
            subject,
            disabled_at,
            tokens_not_before,
            created_at,
        } = user;
        Record::default()
            .text("subject", subject)
            .time("disabled_at", disabled_at)
            .time("tokens_not_before", tokens_not_before)
            .time("created_at", created_at)
    }
}

impl From<v1::CreateClientResponse> for Record {
    fn from(answer: v1::CreateClientResponse) -> Self {
        let v1::CreateClientResponse {
            client,
            client_secret,
        } = answer;
        Record::default()
            .nested("client", client)
            .text("client_secret", client_secret)
    }
}

impl From<v1::ListClientsResponse> for Record {
    fn from(answer: v1::ListClientsResponse) -> Self {
        let v1::ListClientsResponse {
            clients,
            next_page_token,
        } = answer;
        Record::default()
            .blocks("clients", clients)
            .text("next_page_token", next_page_token)
    }
}

impl From<v1::RotateClientSecretResponse> for Record {
    fn from(answer: v1::RotateClientSecretResponse) -> Self {
        let v1::RotateClientSecretResponse {
            secret_id,
            client_secret,
        } = answer;
        Record::default()
            .text("secret_id", secret_id)
            .text("client_secret", client_secret)
    }
}

/// An answer whose only field is the client or the user after the change.
macro_rules! only {
    ($($answer:ident: $field:ident),* $(,)?) => {$(
        impl From<v1::$answer> for Record {
            fn from(answer: v1::$answer) -> Self {
                let v1::$answer { $field } = answer;
                Record::default().nested(stringify!($field), $field)
            }
        }
    )*};
}

only! {
    GetClientResponse: client,
    UpdateClientResponse: client,
    DisableClientResponse: client,
    EnableClientResponse: client,
    CutOffClientResponse: client,
    RetireClientSecretResponse: client,
    RegisterUserResponse: user,
    GetUserResponse: user,
    DisableUserResponse: user,
    EnableUserResponse: user,
}

fn role_name(value: i32) -> String {
    short("ROLE_", value, v1::Role::as_str_name)
}

fn policy_name(value: i32) -> String {
    short(
        "SESSION_LIMIT_POLICY_",
        value,
        v1::SessionLimitPolicy::as_str_name,
    )
}
