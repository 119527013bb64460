//! The answers of the token calls.

use super::short;
use crate::{cli::output::Record, proto::v1};

impl From<v1::IssueTokenResponse> for Record {
    fn from(answer: v1::IssueTokenResponse) -> Self {
        let v1::IssueTokenResponse {
            access_token,
            token_type,
            access_token_expires_at,
            scopes,
            session_id,
            refresh_token,
            refresh_token_expires_at,
            token_id,
            audience,
        } = answer;
        Record::default()
            .text("access_token", access_token)
            .text("token_type", token_type_name(token_type))
            .time("access_token_expires_at", access_token_expires_at)
            .list("scopes", scopes)
            .text("session_id", session_id)
            .text("refresh_token", refresh_token)
            .time("refresh_token_expires_at", refresh_token_expires_at)
            .text("token_id", token_id)
            .list("audience", audience)
    }
}

impl From<v1::RotateRefreshResponse> for Record {
    fn from(answer: v1::RotateRefreshResponse) -> Self {
        let v1::RotateRefreshResponse {
            access_token,
            token_type,
            access_token_expires_at,
            scopes,
            session_id,
            refresh_token,
            refresh_token_expires_at,
            token_id,
            audience,
            outcome,
            generation,
        } = answer;
        Record::default()
            .text("access_token", access_token)
            .text("token_type", token_type_name(token_type))
            .time("access_token_expires_at", access_token_expires_at)
            .list("scopes", scopes)
            .text("session_id", session_id)
            .text("refresh_token", refresh_token)
            .time("refresh_token_expires_at", refresh_token_expires_at)
            .text("token_id", token_id)
            .list("audience", audience)
            .text("outcome", outcome_name(outcome))
            .number("generation", generation)
    }
}

impl From<v1::RevokeTokenResponse> for Record {
    fn from(answer: v1::RevokeTokenResponse) -> Self {
        let v1::RevokeTokenResponse {} = answer;
        Record::default()
    }
}

impl From<v1::RevokeSessionResponse> for Record {
    fn from(answer: v1::RevokeSessionResponse) -> Self {
        let v1::RevokeSessionResponse { revoked_sessions } = answer;
        Record::default().number("revoked_sessions", revoked_sessions)
    }
}

impl From<v1::IntrospectResponse> for Record {
    fn from(answer: v1::IntrospectResponse) -> Self {
        let v1::IntrospectResponse {
            active,
            scopes,
            client_id,
            subject,
            token_type,
            expires_at,
            issued_at,
            audience,
            issuer,
            token_id,
            session_id,
            confirmation,
            token_kind,
            client_only,
            dpop_failure,
        } = answer;
        let record = Record::default()
            .flag("active", active)
            .list("scopes", scopes)
            .text("client_id", client_id)
            .text("subject", subject)
            .text("token_type", token_type_name(token_type))
            .time("expires_at", expires_at)
            .time("issued_at", issued_at)
            .list("audience", audience)
            .text("issuer", issuer)
            .text("token_id", token_id)
            .text("session_id", session_id)
            .nested("confirmation", confirmation)
            .text("token_kind", token_kind_name(token_kind));
        // An inactive token is `active: false` and nothing else (RFC 7662).
        let record = if active {
            record.flag("client_only", client_only)
        } else {
            record
        };
        record.nested("dpop_failure", dpop_failure)
    }
}

impl From<v1::DpopFailure> for Record {
    fn from(failure: v1::DpopFailure) -> Self {
        let reason = failure.reason();
        let v1::DpopFailure { detail, nonce, .. } = failure;
        let reason = reason.as_str_name().trim_start_matches("ERROR_REASON_");
        Record::default()
            .text("reason", reason.to_owned())
            .text("detail", detail)
            .text("nonce", nonce)
    }
}

impl From<v1::Confirmation> for Record {
    fn from(confirmation: v1::Confirmation) -> Self {
        let v1::Confirmation { jkt } = confirmation;
        Record::default().text("jkt", jkt)
    }
}

impl From<v1::BatchIntrospectResponse> for Record {
    fn from(answer: v1::BatchIntrospectResponse) -> Self {
        let v1::BatchIntrospectResponse { results } = answer;
        Record::default().blocks("results", results)
    }
}

impl From<v1::ListSessionsResponse> for Record {
    fn from(answer: v1::ListSessionsResponse) -> Self {
        let v1::ListSessionsResponse {
            sessions,
            next_page_token,
        } = answer;
        Record::default()
            .blocks("sessions", sessions)
            .text("next_page_token", next_page_token)
    }
}

impl From<v1::Session> for Record {
    fn from(session: v1::Session) -> Self {
        let v1::Session {
            session_id,
            client_id,
            subject,
            scopes,
            audience,
            generation,
            user_agent,
            ip_address,
            created_at,
            last_used_at,
            expires_at,
        } = session;
        Record::default()
            .text("session_id", session_id)
            .text("client_id", client_id)
            .text("subject", subject)
            .list("scopes", scopes)
            .list("audience", audience)
            .number("generation", generation)
            .text("user_agent", user_agent)
            .text("ip_address", ip_address)
            .time("created_at", created_at)
            .time("last_used_at", last_used_at)
            .time("expires_at", expires_at)
    }
}

fn token_type_name(value: i32) -> String {
    short("TOKEN_TYPE_", value, v1::TokenType::as_str_name)
}

fn token_kind_name(value: i32) -> String {
    short("TOKEN_KIND_", value, v1::TokenKind::as_str_name)
}

fn outcome_name(value: i32) -> String {
    short("ROTATION_OUTCOME_", value, v1::RotationOutcome::as_str_name)
}
