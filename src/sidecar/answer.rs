//! What Envoy is told: always an answer, never an error of the call, which
//! `failure_mode_allow` would let through.

use super::{
    Options,
    credentials::{Credentials, Problem},
    decision::{Denial, Doubt},
    headers::Headers,
    requirement::Requirement,
};
use crate::domain::introspection::Description;
use envoy_types::pb::{
    envoy::{
        config::core::v3::{
            HeaderValue, HeaderValueOption, header_value_option::HeaderAppendAction,
        },
        service::auth::v3::{
            CheckResponse, DeniedHttpResponse, OkHttpResponse, check_response::HttpResponse,
        },
        r#type::v3::HttpStatus,
    },
    google::{
        protobuf::{ListValue, Struct, Value, value::Kind},
        rpc::Status,
    },
};
use tonic::Code;

/// Lets a request through, as a token's or as nobody's.
pub(super) fn allow(
    token: Option<&Description>,
    headers: &Headers<'_>,
    options: &Options,
    nonce: Option<String>,
) -> CheckResponse {
    let identity = token
        .map(|token| identity(token, options))
        .unwrap_or_default();
    let set: Vec<&str> = identity.iter().map(|(name, _)| *name).collect();
    let mut strays = options.headers.strays(headers, &set);
    if !options.keep_token {
        strays.extend(["authorization".to_owned(), "dpop".to_owned()]);
    }
    let overwritten = identity.iter().map(|(name, value)| {
        header(
            name,
            value.clone(),
            HeaderAppendAction::OverwriteIfExistsOrAdd,
        )
    });
    let ok = OkHttpResponse {
        headers: overwritten.collect(),
        headers_to_remove: strays,
        response_headers_to_add: nonce.map(nonce_header).into_iter().collect(),
        ..OkHttpResponse::default()
    };
    CheckResponse {
        status: Some(status(Code::Ok)),
        dynamic_metadata: Some(metadata(token)),
        http_response: Some(HttpResponse::OkResponse(ok)),
    }
}

/// The headers that tell whose request it is, each with its value.
fn identity<'o>(token: &Description, options: &'o Options) -> Vec<(&'o str, String)> {
    let names = &options.headers;
    let mut identity = vec![
        (names.client_id.as_str(), token.client_id.to_string()),
        (&names.scopes, token.scopes.as_slice().join(" ")),
        (&names.expires_at, token.expires_at.timestamp().to_string()),
    ];
    let ids = [
        (&names.subject, token.subject),
        (&names.session_id, token.session_id),
        (&names.token_id, token.token_id),
    ];
    let ids = ids.into_iter();
    identity.extend(ids.filter_map(|(name, id)| Some((name.as_str(), id?.to_string()))));
    // Envoy would drop an empty value, and keep what came from outside.
    identity.retain(|(_, value)| !value.is_empty());
    identity
}

/// What access logs and RBAC may read, in the namespace of the filter.
fn metadata(token: Option<&Description>) -> Struct {
    let text = |text: String| Value {
        kind: Some(Kind::StringValue(text)),
    };
    let list = |items: &[String]| Value {
        kind: Some(Kind::ListValue(ListValue {
            values: items.iter().cloned().map(text).collect(),
        })),
    };
    let truth = |truth: bool| Value {
        kind: Some(Kind::BoolValue(truth)),
    };
    let mut fields = vec![("anonymous", truth(token.is_none()))];
    if let Some(token) = token {
        let end = token.expires_at.timestamp();
        #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
        let end = Value {
            kind: Some(Kind::NumberValue(end as f64)),
        };
        fields.extend([
            ("client_id", text(token.client_id.to_string())),
            ("scopes", list(token.scopes.as_slice())),
            ("audience", list(token.audience.as_slice())),
            ("expires_at", end),
            ("dpop", truth(token.dpop_jkt.is_some())),
        ]);
        let ids = [
            ("subject", token.subject),
            ("session_id", token.session_id),
            ("token_id", token.token_id),
        ];
        let ids = ids.into_iter();
        fields.extend(ids.filter_map(|(name, id)| Some((name, text(id?.to_string())))));
    }
    let fields = fields.into_iter();
    Struct {
        fields: fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    }
}

/// Turns a request away.
pub(super) fn deny(
    denial: Denial,
    requirement: Option<&Requirement>,
    credentials: &Credentials,
    options: &Options,
    nonce: Option<String>,
) -> CheckResponse {
    let mut headers = Vec::new();
    let add =
        |name: &str, value: String| header(name, value, HeaderAppendAction::AppendIfExistsOrAdd);
    if denial.status() != 503 {
        let challenges = challenges(denial, requirement, credentials, options);
        headers.extend(
            challenges
                .into_iter()
                .map(|value| add("www-authenticate", value)),
        );
    }
    headers.extend(nonce.map(nonce_header));
    headers.push(add("cache-control", "no-store".to_owned()));
    headers.push(add("content-type", "application/json".to_owned()));
    denied(denial, headers)
}

/// Turns a request away about which nobody can tell, whoever asks.
pub(super) fn doubt(doubt: Doubt) -> CheckResponse {
    denied(Denial::Doubt(doubt), Vec::new())
}

fn denied(denial: Denial, headers: Vec<HeaderValueOption>) -> CheckResponse {
    let code = match denial.status() {
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        _ => Code::Unavailable,
    };
    let error = error(denial).unwrap_or(match code {
        Code::Unauthenticated => "token_required",
        Code::PermissionDenied => "forbidden",
        _ => "temporarily_unavailable",
    });
    let response = DeniedHttpResponse {
        status: Some(HttpStatus {
            code: denial.status().into(),
        }),
        headers,
        body: format!("{{\"error\":\"{error}\"}}\n"),
    };
    CheckResponse {
        status: Some(status(code)),
        dynamic_metadata: None,
        http_response: Some(HttpResponse::DeniedResponse(response)),
    }
}

/// The error of RFC 6750 section 3.1 or RFC 9449 section 7.1; none where nothing was presented.
fn error(denial: Denial) -> Option<&'static str> {
    match denial {
        Denial::NoToken | Denial::Doubt(_) | Denial::Principal => None,
        Denial::Malformed(Problem::Proofs) | Denial::InvalidProof => Some("invalid_dpop_proof"),
        Denial::Malformed(_) => Some("invalid_request"),
        Denial::InvalidToken => Some("invalid_token"),
        Denial::UseNonce => Some("use_dpop_nonce"),
        Denial::Audience | Denial::Scope | Denial::Subject => Some("insufficient_scope"),
    }
}

/// The challenges of a denial (RFC 6750 section 3, RFC 9449 section 7.1): of the scheme that was
/// used, or of each that would do.
fn challenges(
    denial: Denial,
    requirement: Option<&Requirement>,
    credentials: &Credentials,
    options: &Options,
) -> Vec<String> {
    let dpop_only = requirement.is_some_and(|requirement| requirement.dpop_required);
    let used_dpop = matches!(
        (credentials, denial),
        (Credentials::Dpop { .. }, _) | (_, Denial::Malformed(Problem::Proofs))
    );
    let mut parameters = vec![format!("realm=\"{}\"", quoted(&options.realm))];
    if let Some(error) = error(denial) {
        parameters.push(format!("error=\"{error}\""));
    }
    if let Denial::Malformed(problem) = denial {
        parameters.push(format!("error_description=\"{}\"", problem.text()));
    }
    let scopes: Vec<_> = requirement
        .iter()
        .flat_map(|own| own.all_scopes())
        .collect();
    if !scopes.is_empty() && matches!(denial, Denial::NoToken | Denial::Scope) {
        // A scope has neither quotes nor backslashes (RFC 6749 section 3.3).
        parameters.push(format!("scope=\"{}\"", scopes.join(" ")));
    }
    let parameters = parameters.join(", ");
    let bearer = format!("Bearer {parameters}");
    let dpop = format!("DPoP {parameters}, algs=\"{}\"", options.algorithms);
    match (used_dpop || dpop_only, denial) {
        (true, _) => vec![dpop],
        (false, Denial::NoToken) => vec![bearer, dpop],
        (false, _) => vec![bearer],
    }
}

/// The inside of a quoted string (RFC 9110 section 5.6.4).
fn quoted(text: &str) -> String {
    let plain = text
        .chars()
        .filter(|one| !one.is_control() && one.is_ascii());
    plain
        .flat_map(|one| match one {
            '"' | '\\' => vec!['\\', one],
            one => vec![one],
        })
        .collect()
}

fn nonce_header(nonce: String) -> HeaderValueOption {
    header(
        "dpop-nonce",
        nonce,
        HeaderAppendAction::OverwriteIfExistsOrAdd,
    )
}

fn header(name: &str, value: String, action: HeaderAppendAction) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue {
            key: name.to_owned(),
            value,
            raw_value: Vec::new(),
        }),
        append_action: action.into(),
        ..HeaderValueOption::default()
    }
}

fn status(code: Code) -> Status {
    Status {
        code: code.into(),
        ..Status::default()
    }
}
