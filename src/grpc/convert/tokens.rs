//! The token calls.

use super::{Fields, timestamp};
use crate::authority::{
    Authority, IssueRequest, IssuedToken, OpeningRequest, Presentation, RotateRequest, RotatedToken,
};
use crate::domain::{
    dpop::{BindingFailure, TargetUri},
    introspection::{Description, Finding},
    limits,
    tokens::Plaintext,
};
use crate::proto::v1;
use std::time::Duration;
use tonic::Status;
use uuid::Uuid;

/// The longest lifetime that can be asked for; the client's limit holds anyway.
const LONGEST_TTL: Duration = Duration::from_hours(8784);

pub(in crate::grpc) fn issue_request(
    message: v1::IssueTokenRequest,
) -> Result<IssueRequest, Status> {
    let v1::IssueTokenRequest {
        client_id,
        subject,
        scopes,
        audience,
        access_token_ttl,
        with_refresh_token,
        user_agent,
        ip_address,
        request_id,
        register_subject,
    } = message;
    let mut fields = Fields::default();
    let opening = OpeningRequest {
        user_agent: fields.text("user_agent", user_agent, limits::USER_AGENT_CHARS),
        ip_address: fields.ip_address("ip_address", &ip_address),
        request_id: fields.visible_ascii("request_id", request_id, limits::REQUEST_ID_CHARS),
    };
    let subject = fields.optional_uuid("subject", &subject);
    if with_refresh_token && subject.is_none() {
        fields.refuse(
            "with_refresh_token",
            "needs a subject: a client-only token has no refresh token",
        );
    }
    if register_subject && subject.is_none() {
        fields.refuse("register_subject", "needs a subject");
    }
    if !with_refresh_token {
        let given = [
            ("user_agent", opening.user_agent.is_some()),
            ("ip_address", opening.ip_address.is_some()),
            ("request_id", opening.request_id.is_some()),
        ];
        for (field, _) in given.into_iter().filter(|(_, given)| *given) {
            fields.refuse(field, "belongs to a session: it needs with_refresh_token");
        }
    }
    let bounds = Duration::from_secs(1)..=LONGEST_TTL;
    let request = IssueRequest {
        client_id: fields.optional_uuid("client_id", &client_id),
        subject,
        scopes: fields.terms("scopes", scopes, limits::REQUEST_SCOPES),
        audience: fields.terms("audience", audience, limits::REQUEST_AUDIENCE),
        access_token_ttl: fields.duration("access_token_ttl", access_token_ttl, &bounds),
        opening: with_refresh_token.then_some(opening),
        register_subject,
    };
    fields.finish(request)
}

pub(in crate::grpc) fn issued(token: IssuedToken) -> v1::IssueTokenResponse {
    let session = token.session.as_ref();
    v1::IssueTokenResponse {
        access_token: token.access_token.reveal().to_owned(),
        token_type: token_type(token.dpop_jkt.as_ref()).into(),
        access_token_expires_at: Some(timestamp(token.expires_at)),
        scopes: token.scopes.to_vec(),
        session_id: session
            .map(|session| session.session_id.to_string())
            .unwrap_or_default(),
        refresh_token: session
            .map(|session| session.refresh_token.reveal().to_owned())
            .unwrap_or_default(),
        refresh_token_expires_at: session.map(|session| timestamp(session.expires_at)),
        token_id: token.token_id.to_string(),
        audience: token.audience.to_vec(),
    }
}

pub(in crate::grpc) fn rotate_request(
    message: v1::RotateRefreshRequest,
) -> Result<RotateRequest, Status> {
    let v1::RotateRefreshRequest {
        refresh_token,
        scopes,
        audience,
        user_agent,
        ip_address,
    } = message;
    let mut fields = Fields::default();
    fields.token("refresh_token", &refresh_token);
    if !refresh_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        fields.refuse("refresh_token", "is not visible ASCII");
    }
    let request = RotateRequest {
        refresh_token: Plaintext::presented(refresh_token),
        scopes: fields.terms("scopes", scopes, limits::REQUEST_SCOPES),
        audience: fields.terms("audience", audience, limits::REQUEST_AUDIENCE),
        user_agent: fields.text("user_agent", user_agent, limits::USER_AGENT_CHARS),
        ip_address: fields.ip_address("ip_address", &ip_address),
    };
    fields.finish(request)
}

pub(in crate::grpc) fn rotated(rotated: RotatedToken) -> v1::RotateRefreshResponse {
    let RotatedToken { token, replayed } = rotated;
    let outcome = if replayed {
        v1::RotationOutcome::Replayed
    } else {
        v1::RotationOutcome::Rotated
    };
    let generation = token
        .session
        .as_ref()
        .map(|session| session.generation)
        .unwrap_or_default();
    let issued = issued(token);
    v1::RotateRefreshResponse {
        access_token: issued.access_token,
        token_type: issued.token_type,
        access_token_expires_at: issued.access_token_expires_at,
        scopes: issued.scopes,
        session_id: issued.session_id,
        refresh_token: issued.refresh_token,
        refresh_token_expires_at: issued.refresh_token_expires_at,
        token_id: issued.token_id,
        audience: issued.audience,
        outcome: outcome.into(),
        generation,
    }
}

/// What `RevokeSession` names.
pub(in crate::grpc) enum RevocationTarget {
    /// A session by its id.
    Session(Uuid),
    /// The session of a token.
    Token(String),
    /// A user's sessions.
    User {
        /// The user.
        subject: Uuid,
        /// The session that stays.
        except: Option<Uuid>,
    },
}

pub(in crate::grpc) fn revocation_target(
    message: v1::RevokeSessionRequest,
) -> Result<RevocationTarget, Status> {
    use v1::revoke_session_request::Target;
    let mut fields = Fields::default();
    let target = match message.target {
        Some(Target::SessionId(id)) => RevocationTarget::Session(fields.uuid("session_id", &id)),
        Some(Target::RefreshToken(token)) => {
            fields.token("refresh_token", &token);
            RevocationTarget::Token(token)
        }
        Some(Target::AccessToken(token)) => {
            fields.token("access_token", &token);
            RevocationTarget::Token(token)
        }
        Some(Target::User(v1::UserSessions {
            subject,
            except_session_id,
        })) => RevocationTarget::User {
            subject: fields.uuid("user.subject", &subject),
            except: fields.optional_uuid("user.except_session_id", &except_session_id),
        },
        None => {
            let why = "is required: one of session_id, refresh_token, access_token or user";
            fields.refuse("target", why);
            RevocationTarget::Session(Uuid::nil())
        }
    };
    fields.finish(target)
}

/// The token of `RevokeToken`. Tokens say themselves what they are, and an invalid hint is
/// ignored (RFC 7009 section 2.2).
pub(in crate::grpc) fn revoked_token(message: v1::RevokeTokenRequest) -> Result<String, Status> {
    let v1::RevokeTokenRequest {
        token,
        token_type_hint: _,
    } = message;
    let mut fields = Fields::default();
    fields.token("token", &token);
    fields.finish(token)
}

/// The tokens of `BatchIntrospect`.
pub(in crate::grpc) fn batch_tokens(
    message: v1::BatchIntrospectRequest,
) -> Result<Vec<String>, Status> {
    let v1::BatchIntrospectRequest { tokens } = message;
    let mut fields = Fields::default();
    if tokens.is_empty() || tokens.len() > limits::BATCH_TOKENS {
        let most = limits::BATCH_TOKENS;
        fields.refuse("tokens", format!("must be 1 to {most} tokens"));
        return fields.finish(tokens);
    }
    for (at, token) in tokens.iter().enumerate() {
        fields.token(&format!("tokens[{at}]"), token);
    }
    fields.finish(tokens)
}

/// A token that a caller asks about, and the proof that came to it with the token.
pub(in crate::grpc) fn introspect_request(
    message: v1::IntrospectRequest,
) -> Result<(String, Option<Presentation>), Status> {
    let v1::IntrospectRequest {
        token,
        token_type_hint: _,
        dpop,
    } = message;
    let mut fields = Fields::default();
    fields.token("token", &token);
    let presented = dpop.and_then(|presented| presentation(&mut fields, presented));
    fields.finish((token, presented))
}

fn presentation(fields: &mut Fields, message: v1::DpopPresentation) -> Option<Presentation> {
    let v1::DpopPresentation {
        proof,
        method,
        uri,
        nonce_required,
    } = message;
    if proof.is_empty() {
        fields.refuse("dpop.proof", "is required");
    }
    if method.is_empty() || method.len() > limits::HTTP_METHOD_CHARS {
        let most = limits::HTTP_METHOD_CHARS;
        fields.refuse("dpop.method", format!("is not 1 to {most} characters"));
    }
    let target = Some(&uri).filter(|uri| uri.len() <= limits::REQUEST_URI_CHARS);
    let target = target.and_then(|uri| TargetUri::parse(uri));
    if target.is_none() {
        let most = limits::REQUEST_URI_CHARS;
        let why = format!("is no absolute http or https URI of at most {most} characters");
        fields.refuse("dpop.uri", why);
    }
    Some(Presentation {
        proof,
        method,
        uri: target?,
        nonce_required,
    })
}

pub(in crate::grpc) fn finding(finding: Finding, authority: &Authority) -> v1::IntrospectResponse {
    match finding {
        Finding::Inactive => v1::IntrospectResponse::default(),
        Finding::Active(token) => description(*token, authority.issuer()),
        Finding::Unproven(failure) => {
            let reason = format!("ERROR_REASON_{}", failure.reason());
            let wants_nonce =
                matches!(failure, BindingFailure::Proof(fault) if fault.wants_nonce());
            v1::IntrospectResponse {
                dpop_failure: Some(v1::DpopFailure {
                    reason: v1::ErrorReason::from_str_name(&reason)
                        .unwrap_or_default()
                        .into(),
                    detail: failure.to_string(),
                    nonce: authority.nonce(wants_nonce).unwrap_or_default(),
                }),
                ..v1::IntrospectResponse::default()
            }
        }
    }
}

fn description(token: Description, issuer: &str) -> v1::IntrospectResponse {
    let is_access = token.token_id.is_some();
    let token_type = if is_access {
        token_type(token.dpop_jkt.as_ref())
    } else {
        v1::TokenType::Unspecified
    };
    let kind = if is_access {
        v1::TokenKind::AccessToken
    } else {
        v1::TokenKind::RefreshToken
    };
    let text = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    v1::IntrospectResponse {
        active: true,
        scopes: token.scopes.to_vec(),
        client_id: token.client_id.to_string(),
        subject: text(token.subject),
        token_type: token_type.into(),
        expires_at: Some(timestamp(token.expires_at)),
        issued_at: Some(timestamp(token.issued_at)),
        audience: token.audience.to_vec(),
        issuer: issuer.to_owned(),
        token_id: text(token.token_id),
        session_id: text(token.session_id),
        confirmation: token.dpop_jkt.map(|jkt| v1::Confirmation { jkt }),
        token_kind: kind.into(),
        client_only: token.subject.is_none(),
        dpop_failure: None,
    }
}

fn token_type(dpop_jkt: Option<&String>) -> v1::TokenType {
    if dpop_jkt.is_some() {
        v1::TokenType::Dpop
    } else {
        v1::TokenType::Bearer
    }
}
