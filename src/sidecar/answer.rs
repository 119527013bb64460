//! What Envoy is told: always an answer, never an error of the call, which
//! `failure_mode_allow` would let through.

use super::{
    Options,
    credentials::{Credentials, Problem},
    decision::{Denial, Doubt},
    headers::Headers,
    message::{
        AppendAction, CheckResponse, DeniedHttpResponse, Field, Header, HeaderOption, HttpStatus,
        List, OkHttpResponse, Status, Struct, Value, check_response::HttpResponse, value::Kind,
    },
    requirement::Requirement,
};
use crate::domain::introspection::Description;
use prost::bytes::Bytes;
use tonic::Code;
use uuid::Uuid;

/// Lets a request through, as a token's or as nobody's.
pub(super) fn allow(
    token: Option<&Description>,
    headers: Headers<'_>,
    options: &Options,
    nonce: Option<String>,
) -> CheckResponse {
    let identity = token.map(Identity::of);
    let set = identity.as_ref().map(|identity| identity.headers(options));
    let set = set.unwrap_or_default();
    let mut strays = options.headers.strays(headers, &set);
    if !options.keep_token {
        strays.extend(["authorization", "dpop"].map(|name| Bytes::from_static(name.as_bytes())));
    }
    let ok = OkHttpResponse {
        headers: set,
        headers_to_remove: strays,
        response_headers_to_add: nonce.map(nonce_header).into_iter().collect(),
    };
    CheckResponse {
        status: Some(status(Code::Ok)),
        dynamic_metadata: Some(metadata(identity.as_ref())),
        http_response: Some(HttpResponse::Ok(ok)),
    }
}

/// Whose request it is, each text made once for the headers and the metadata.
struct Identity<'t> {
    token: &'t Description,
    client_id: Bytes,
    scopes: Bytes,
    subject: Option<Bytes>,
    session_id: Option<Bytes>,
    token_id: Option<Bytes>,
}

impl<'t> Identity<'t> {
    fn of(token: &'t Description) -> Self {
        Self {
            token,
            client_id: id(token.client_id),
            scopes: token.scopes.as_slice().join(" ").into(),
            subject: token.subject.map(id),
            session_id: token.session_id.map(id),
            token_id: token.token_id.map(id),
        }
    }

    /// The headers that tell it.
    fn headers(&self, options: &Options) -> Vec<HeaderOption> {
        let names = &options.headers;
        let expires_at = self.token.expires_at.timestamp().to_string().into();
        let told = [
            (&names.client_id, Some(&self.client_id)),
            (&names.scopes, Some(&self.scopes)),
            (&names.expires_at, Some(&expires_at)),
            (&names.subject, self.subject.as_ref()),
            (&names.session_id, self.session_id.as_ref()),
            (&names.token_id, self.token_id.as_ref()),
        ];
        let told = told.into_iter();
        // Envoy would drop an empty value, and keep what came from outside.
        let told = told.filter_map(|(name, value)| Some((name, value.filter(|v| !v.is_empty())?)));
        let overwrite = AppendAction::OverwriteIfExistsOrAdd;
        told.map(|(name, value)| header(name.clone(), value.clone(), overwrite))
            .collect()
    }
}

/// What access logs and RBAC may read, in the namespace of the filter.
fn metadata(identity: Option<&Identity<'_>>) -> Struct {
    let mut fields = vec![field("anonymous", Kind::Truth(identity.is_none()))];
    if let Some(identity) = identity {
        let token = identity.token;
        let end = token.expires_at.timestamp();
        #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
        let end = Kind::Number(end as f64);
        let scopes = identity.scopes.split(|byte| *byte == b' ');
        let scopes = scopes.filter(|scope| !scope.is_empty());
        let scopes = scopes.map(|scope| identity.scopes.slice_ref(scope));
        let audience = token.audience.as_slice().iter();
        let audience = audience.map(|one| Bytes::copy_from_slice(one.as_bytes()));
        fields.extend([
            field("client_id", Kind::Text(identity.client_id.clone())),
            field("scopes", list(scopes)),
            field("audience", list(audience)),
            field("expires_at", end),
            field("dpop", Kind::Truth(token.dpop_jkt.is_some())),
        ]);
        let ids = [
            ("subject", &identity.subject),
            ("session_id", &identity.session_id),
            ("token_id", &identity.token_id),
        ];
        let ids = ids.into_iter();
        fields.extend(ids.filter_map(|(name, id)| Some(field(name, Kind::Text(id.clone()?)))));
    }
    Struct { fields }
}

fn field(name: &'static str, kind: Kind) -> Field {
    Field {
        name: Bytes::from_static(name.as_bytes()),
        value: Some(Value { kind: Some(kind) }),
    }
}

fn list(texts: impl Iterator<Item = Bytes>) -> Kind {
    let values = texts.map(|text| Value {
        kind: Some(Kind::Text(text)),
    });
    Kind::List(List {
        values: values.collect(),
    })
}

/// An id as RFC 9562 section 4 writes it.
fn id(id: Uuid) -> Bytes {
    let mut text = Uuid::encode_buffer();
    Bytes::copy_from_slice(id.hyphenated().encode_lower(&mut text).as_bytes())
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
        dynamic_metadata: None,
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

fn nonce_header(nonce: String) -> HeaderOption {
    let name = Bytes::from_static(b"dpop-nonce");
    header(name, nonce.into(), AppendAction::OverwriteIfExistsOrAdd)
}

fn header(name: Bytes, value: Bytes, action: AppendAction) -> HeaderOption {
    HeaderOption {
        header: Some(Header {
            key: name,
            value,
            raw_value: Bytes::new(),
        }),
        append_action: action.into(),
    }
}

fn status(code: Code) -> Status {
    Status { code: code.into() }
}
