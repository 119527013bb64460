//! The caller of Envoy's Check, with what Envoy would say of a request.

use super::{Caller, Trouble, callers::Tokens, population::Random, wire::Line, wire::Wire};
use envoy_types::pb::envoy::{
    config::core::v3::{HeaderMap, HeaderValue},
    service::auth::v3::{
        AttributeContext, CheckRequest,
        attribute_context::{HttpRequest, Request},
    },
};
use std::collections::HashMap;

/// The path of Check.
pub const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Headers that requests have beside their token.
const HEADERS: [(&str, &str); 8] = [
    (":authority", "api.example.org"),
    (":method", "GET"),
    (":path", "/orders?page=2"),
    (":scheme", "https"),
    ("user-agent", "countersign-bench"),
    ("accept", "application/json"),
    ("x-forwarded-proto", "https"),
    ("x-request-id", "0198c0de-0000-7000-8000-000000000001"),
];

/// Of an answer, what says that the request was let through.
#[derive(Clone, PartialEq, prost::Message)]
struct Checked {
    #[prost(message, optional, tag = "3")]
    ok: Option<Nothing>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Nothing {}

/// `Check` of a request with a session's token.
pub struct Checks {
    line: Line,
    tokens: Tokens,
    random: Random,
    request: CheckRequest,
}

impl Checks {
    /// Caller number `caller`, of a route that demands this audience.
    pub fn new(wire: &Wire, caller: usize, tokens: Tokens, audience: &str) -> Self {
        Self {
            line: wire.line(caller, CHECK),
            tokens,
            random: Random::new(),
            request: request(audience),
        }
    }
}

impl Caller for Checks {
    async fn call(&mut self) -> Result<(), Trouble> {
        let token = self.tokens.next(&mut self.random);
        let headers = self.request.attributes.as_mut();
        let headers = headers.and_then(|about| about.request.as_mut()?.http.as_mut());
        let last = headers.and_then(|http| http.header_map.as_mut()?.headers.last_mut());
        if let Some(authorization) = last {
            authorization.raw_value.clear();
            authorization.raw_value.extend_from_slice(b"Bearer ");
            authorization.raw_value.extend_from_slice(&token);
        }
        let answer: Checked = self.line.call(&self.request).await?;
        match answer.ok {
            Some(Nothing {}) => Ok(()),
            None => Err(Trouble::failed("turned away")),
        }
    }
}

/// What Envoy says, its last header still to be filled in.
fn request(audience: &str) -> CheckRequest {
    let header = |(name, value): (&str, &str)| HeaderValue {
        key: name.to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..HeaderValue::default()
    };
    let mut headers: Vec<_> = HEADERS.into_iter().map(header).collect();
    headers.push(header(("authorization", "")));
    let http = HttpRequest {
        id: "1".to_owned(),
        method: "GET".to_owned(),
        path: "/orders?page=2".to_owned(),
        host: "api.example.org".to_owned(),
        scheme: "https".to_owned(),
        protocol: "HTTP/2".to_owned(),
        header_map: Some(HeaderMap { headers }),
        ..HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request {
                http: Some(http),
                ..Request::default()
            }),
            context_extensions: HashMap::from([("audience".to_owned(), audience.to_owned())]),
            ..AttributeContext::default()
        }),
    }
}
