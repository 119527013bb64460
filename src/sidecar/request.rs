//! What Envoy says of a request.

use super::{
    credentials::{self, Credentials},
    headers::Headers,
    message::{Attributes, CheckRequest, Metadata, Struct, Value, value::Kind},
    requirement::{Misconfigured, NAMESPACE, Requirement},
};
use prost::Message as _;
use std::{borrow::Cow, str};

/// A request about which Envoy asks.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    attributes: &'a Attributes,
    pub(super) method: &'a str,
    /// With its query.
    pub(super) path: &'a str,
    pub(super) headers: Headers<'a>,
    pub(super) credentials: Credentials<'a>,
    /// The workload that sent it, by its certificate; empty: unknown.
    pub(super) principal: &'a str,
}

impl<'a> Asked<'a> {
    /// Reads it; `None`: it is no request of HTTP, or its headers cannot be read.
    pub(super) fn read(message: &'a CheckRequest) -> Option<Self> {
        let attributes = message.attributes.as_ref()?;
        let http = attributes.request.as_ref()?.http.as_ref()?;
        let headers = Headers::of_request(http)?;
        let source = attributes.source.as_ref();
        Some(Self {
            attributes,
            method: &http.method,
            path: &http.path,
            credentials: credentials::read(&headers, &http.path),
            headers,
            principal: source.map_or("", |source| source.principal.as_str()),
        })
    }

    /// What its route demands: by `context_extensions`, the route's own metadata, and dynamic
    /// metadata, the last two under `countersign`.
    pub(super) fn requirement(&self, default: &Requirement) -> Result<Requirement, Misconfigured> {
        let own = [
            of_metadata(self.attributes.route_metadata_context.as_ref())?,
            of_metadata(self.attributes.metadata_context.as_ref())?,
        ];
        let mut said: Vec<(&str, Cow<'_, str>)> = Vec::new();
        for extension in &self.attributes.context_extensions {
            said.push((&extension.key, Cow::Borrowed(&extension.value)));
        }
        for field in own.iter().flat_map(|own| &own.fields) {
            let key = str::from_utf8(&field.name).map_err(|_| Misconfigured::Metadata)?;
            let value = field.value.as_ref().and_then(text);
            let value = value.ok_or_else(|| Misconfigured::Value {
                key: key.to_owned(),
                expected: "a text, a truth or a list of texts",
            })?;
            said.push((key, value));
        }
        default.of_route(&said)
    }
}

/// What metadata says under our name.
fn of_metadata(metadata: Option<&Metadata>) -> Result<Struct, Misconfigured> {
    let all = metadata.into_iter().flat_map(|all| &all.filter_metadata);
    let mut own = Struct::default();
    for namespace in all.filter(|one| one.name == NAMESPACE) {
        let said = namespace.metadata.clone();
        own.merge(said).map_err(|_| Misconfigured::Metadata)?;
    }
    Ok(own)
}

/// A value as a context extension would have it.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    let word = |text| str::from_utf8(text).ok();
    match value.kind.as_ref()? {
        Kind::Text(text) => word(text).map(Cow::Borrowed),
        Kind::Truth(truth) => Some(truth.to_string().into()),
        Kind::List(list) => {
            let items = list.values.iter().map(|item| match &item.kind {
                Some(Kind::Text(text)) => word(text),
                _ => None,
            });
            let items: Option<Vec<_>> = items.collect();
            items.map(|items| items.join(" ").into())
        }
        Kind::Number(_) => None,
    }
}
