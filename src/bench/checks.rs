//! The caller of Envoy's Check, with what Envoy would say of a request.

use super::{Caller, Trouble, callers::Tokens, population::Random, wire::Line, wire::Wire};
use crate::driver::Streams;
use envoy_types::pb::envoy::{
    config::core::v3::{HeaderMap, HeaderValue},
    service::auth::v3::{
        AttributeContext, CheckRequest,
        attribute_context::{HttpRequest, Request},
    },
};
use prost::Message as _;
use std::{collections::HashMap, ops::Range};

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
///
/// Nothing but the token differs between its messages, and all tokens are of one length; so the
/// message is encoded once and the token written over the last one's.
pub struct Checks {
    line: Line,
    tokens: Tokens,
    random: Random,
    message: Vec<u8>,
    /// Where the token stands in it.
    token: Range<usize>,
}

impl Checks {
    /// Caller number `caller`, of a route that demands this audience.
    pub fn new(wire: &Wire, caller: usize, mut tokens: Tokens, audience: &str) -> Self {
        let mut random = Random::new();
        let first = tokens.next(&mut random);
        let message = request(audience, &first).encode_to_vec();
        let found = message.windows(first.len()).position(|part| part == first);
        // What was just encoded is there.
        let start = found.unwrap_or_default();
        Self {
            line: wire.line(caller, CHECK),
            tokens,
            random,
            message,
            token: start..start + first.len(),
        }
    }
}

impl Caller for Checks {
    async fn call(&mut self) -> Result<(), Trouble> {
        let token = self.tokens.next(&mut self.random);
        let place = &mut self.message[self.token.clone()];
        if place.len() != token.len() {
            return Err(Trouble::failed("a token of another length"));
        }
        place.copy_from_slice(&token);
        let answer: Checked = self.line.call_encoded(&self.message).await?;
        match answer.ok {
            Some(Nothing {}) => Ok(()),
            None => Err(Trouble::failed("turned away")),
        }
    }

    fn task(&self) -> Option<Streams> {
        Some(self.line.task())
    }
}

/// What Envoy says of a request with that token.
fn request(audience: &str, token: &[u8]) -> CheckRequest {
    let header = |name: &str, value: Vec<u8>| HeaderValue {
        key: name.to_owned(),
        raw_value: value,
        ..HeaderValue::default()
    };
    let headers = HEADERS.into_iter();
    let headers = headers.map(|(name, value)| header(name, value.as_bytes().to_vec()));
    let mut headers: Vec<_> = headers.collect();
    headers.push(header("authorization", [b"Bearer ", token].concat()));
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
