//! Envoy's Check: by itself, and behind a real Envoy with the example that users start from.

mod dev;
pub mod direct;
pub mod gateway;
mod outages;
mod proofs;
mod requests;
mod streams;

use crate::support::server::{AUDIENCE, Caller, Deployment, settings};
use countersign::proto::v1::{self, Role};

/// The default audience of the routes in these tests.
pub const DEFAULT: (&str, &str) = ("COUNTERSIGN_SIDECAR_AUDIENCE", AUDIENCE);

/// The client that is Envoy.
pub async fn envoy(at: &Deployment) -> Caller {
    at.client_with(v1::ClientSettings {
        roles: vec![Role::Introspector.into()],
        introspection_audience: vec![AUDIENCE.into(), "urn:other".into()],
        ..settings()
    })
    .await
}

/// `Authorization: Bearer` of a token.
fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}
