//! What Envoy says of a request.

use super::{
    credentials::{self, Credentials},
    headers::Headers,
    requirement::{Misconfigured, NAMESPACE, Requirement},
};
use envoy_types::pb::{
    envoy::{
        config::core::v3::Metadata,
        service::auth::v3::{AttributeContext, CheckRequest},
    },
    google::protobuf::{Value, value::Kind},
};

/// A request about which Envoy asks.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    attributes: &'a AttributeContext,
    pub(super) method: &'a str,
    /// With its query.
    pub(super) path: &'a str,
    pub(super) headers: Headers<'a>,
    pub(super) credentials: Credentials,
    /// The workload that sent it, by its certificate; empty: unknown.
    pub(super) principal: &'a str,
}

impl<'a> Asked<'a> {
    /// Reads it; `None`: it is no request of HTTP.
    pub(super) fn read(message: &'a CheckRequest) -> Option<Self> {
        let attributes = message.attributes.as_ref()?;
        let http = attributes.request.as_ref()?.http.as_ref()?;
        let headers = Headers::of_request(http);
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
        let attributes = self.attributes;
        let mut said: Vec<(String, String)> = Vec::new();
        for (key, value) in &attributes.context_extensions {
            said.push((key.clone(), value.clone()));
        }
        let metadata = [
            &attributes.route_metadata_context,
            &attributes.metadata_context,
        ];
        for metadata in metadata.into_iter().flatten() {
            of_metadata(metadata, &mut said)?;
        }
        default.of_route(said)
    }
}

fn of_metadata(metadata: &Metadata, said: &mut Vec<(String, String)>) -> Result<(), Misconfigured> {
    let own = metadata.filter_metadata.get(NAMESPACE);
    for (key, value) in own.into_iter().flat_map(|own| &own.fields) {
        let text = text(value).ok_or_else(|| Misconfigured::Value {
            key: key.clone(),
            expected: "a text, a truth or a list of texts",
        })?;
        said.push((key.clone(), text));
    }
    Ok(())
}

/// A value as a context extension would have it.
fn text(value: &Value) -> Option<String> {
    match value.kind.as_ref()? {
        Kind::StringValue(text) => Some(text.clone()),
        Kind::BoolValue(truth) => Some(truth.to_string()),
        Kind::ListValue(list) => {
            let items = list.values.iter().map(|item| match &item.kind {
                Some(Kind::StringValue(text)) => Some(text.as_str()),
                _ => None,
            });
            let items: Option<Vec<_>> = items.collect();
            items.map(|items| items.join(" "))
        }
        Kind::NullValue(_) | Kind::NumberValue(_) | Kind::StructValue(_) => None,
    }
}
