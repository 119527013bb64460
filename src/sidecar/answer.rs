//! What Envoy is told: always an answer, never an error of the call, which
//! `failure_mode_allow` would let through.

use super::{
    Options,
    allowance::{Identity, allowance},
    credentials::{Credentials, Problem},
    decision::{Denial, Doubt},
    headers::Headers,
    message::{
        AppendAction, CheckResponse, DeniedHttpResponse, Header, HeaderOption, HttpStatus, Status,
        check_response::HttpResponse,
    },
    requirement::Requirement,
};
use crate::domain::introspection::Description;
use prost::bytes::Bytes;
use tonic::Code;

/// Lets a request through, as a token's or as nobody's.
pub(super) fn allow(
    token: Option<&Description>,
    headers: &Headers<'_>,
    options: &Options,
    nonce: Option<&str>,
) -> CheckResponse {
    let identity = token.map(Identity::of);
    let allowance = allowance(identity.as_ref(), headers, options, nonce);
    CheckResponse {
        status: Some(status(Code::Ok)),
        dynamic_metadata: allowance.metadata,
        http_response: Some(HttpResponse::Ok(allowance.response)),
    }
}

/// Turns a request away.
pub(super) fn deny(
    denial: Denial,
    requirement: Option<&Requirement>,
    credentials: &Credentials<'_>,
    options: &Options,
    nonce: Option<String>,
) -> CheckResponse {
    let mut headers = Vec::new();
    let add = |name: &'static str, value: Bytes| {
        let name = Bytes::from_static(name.as_bytes());
        header(name, value, AppendAction::AppendIfExistsOrAdd)
    };
    if denial.status() != 503 {
        let challenges = challenges(denial, requirement, credentials, options);
        let challenges = challenges.into_iter();
        headers.extend(challenges.map(|value| add("www-authenticate", value.into())));
    }
    headers.extend(nonce.map(nonce_header));
    headers.push(add("cache-control", Bytes::from_static(b"no-store")));
    headers.push(add("content-type", Bytes::from_static(b"application/json")));
    denied(denial, headers)
}

/// Turns a request away about which nobody can tell, whoever asks.
pub(super) fn doubt(doubt: Doubt) -> CheckResponse {
    denied(Denial::Doubt(doubt), Vec::new())
}

fn denied(denial: Denial, headers: Vec<HeaderOption>) -> CheckResponse {
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
        body: format!("{{\"error\":\"{error}\"}}\n").into(),
    };
    CheckResponse {
        status: Some(status(code)),
        dynamic_metadata: Bytes::new(),
        http_response: Some(HttpResponse::Denied(response)),
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
    credentials: &Credentials<'_>,
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

fn nonce_header(nonce: String) -> HeaderOption {
    let name = Bytes::from_static(b"dpop-nonce");
    header(name, nonce.into(), AppendAction::OverwriteIfExistsOrAdd)
}

fn header(name: Bytes, value: Bytes, action: AppendAction) -> HeaderOption {
    HeaderOption {
        header: Some(Header { key: name, value }),
        append_action: action.into(),
    }
}

fn status(code: Code) -> Status {
    Status { code: code.into() }
}
