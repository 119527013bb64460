//! The server's edge: convert, one call, convert. The one place that picks a status
//! code is [`status`]; who may call what stands in [`methods`].

mod connections;
mod convert;
mod directory;
mod layers;
pub mod methods;
mod reason;
mod shortcut;
pub mod status;
mod token_authority;
pub mod transport;

use crate::authority::Authority;
use crate::proto::{
    DESCRIPTORS,
    v1::{
        directory_service_server::DirectoryServiceServer,
        token_authority_service_server::TokenAuthorityServiceServer,
    },
};
use crate::sidecar::{self, AuthorizationServer, Sidecar};
use convert::ClientBounds;
use layers::{CallService, Edge, Limits};
use shortcut::{Hot, Shortcut};
use std::{sync::Arc, time::Duration};
use tonic::{service::Routes, transport::server::Server};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

pub use connections::serve;
pub use convert::ClientBounds as DirectoryBounds;
pub use layers::{Deadlines, Rates};

/// How the edge behaves.
#[derive(Debug, Clone)]
pub struct EdgeOptions {
    /// How long calls may take.
    pub deadlines: Deadlines,
    /// Bytes of a message at most.
    pub max_message_bytes: usize,
    /// How connections are kept.
    pub connections: Connections,
    /// Each call has a span.
    pub traced: bool,
    /// What an administrator may set for a client.
    pub bounds: ClientBounds,
    /// How often callers may call.
    pub rates: Rates,
    /// How requests are checked that Envoy asks about.
    pub sidecar: sidecar::Options,
}

/// How connections are kept.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// Calls of one connection at once.
    pub max_concurrent_streams: u32,
    /// Metadata of a call: a proof and a certificate chain fit, and are refused by name
    /// where they are too large, not by a broken connection.
    pub max_metadata_bytes: u32,
    /// Silence after which a connection is asked whether anybody is there.
    pub keepalive_interval: Duration,
    /// Silence after that question with which it is closed.
    pub keepalive_timeout: Duration,
}

impl Connections {
    /// As the settings have them by default, with so many calls of one connection at once.
    pub fn with(max_concurrent_streams: u32) -> Self {
        Self {
            max_concurrent_streams,
            max_metadata_bytes: 128 * 1024,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
        }
    }
}

/// What a caller may send of one call, and of all calls of a connection, before it is read.
/// Messages are small, and a connection carries many at once: room for them without an update
/// of the window for every few.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Every service of the port, behind what every call passes.
pub type Services = CallService<Shortcut>;

/// A server of tonic's own with the same settings: what `countersign bench` compares with.
pub fn bare_server(connections: Connections) -> Server {
    Server::builder()
        .tcp_nodelay(true)
        .max_concurrent_streams(connections.max_concurrent_streams)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_max_header_list_size(connections.max_metadata_bytes)
        .http2_keepalive_interval(Some(connections.keepalive_interval))
        .http2_keepalive_timeout(Some(connections.keepalive_timeout))
}

/// Every service of the port: the table of contents.
pub fn services(
    authority: &Arc<Authority>,
    health: HealthReporter,
    options: EdgeOptions,
) -> Result<Services, tonic_reflection::server::Error> {
    let edge = edge(authority, &options);
    let tokens = token_authority::TokenAuthority::new(Arc::clone(authority));
    let directory = directory::Directory::new(Arc::clone(authority), options.bounds);
    let sidecar = Sidecar::new(Arc::clone(authority), options.sidecar);
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let reflection_alpha = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1alpha()?;

    let hot = Hot {
        tokens: TokenAuthorityServiceServer::new(tokens)
            .max_decoding_message_size(options.max_message_bytes)
            .max_encoding_message_size(usize::MAX),
        checks: AuthorizationServer::new(sidecar)
            .max_decoding_message_size(options.max_message_bytes),
    };
    let routes = Routes::new(
        DirectoryServiceServer::new(directory).max_decoding_message_size(options.max_message_bytes),
    );
    let routes = routes
        .add_service(HealthServer::new(HealthService::from_health_reporter(
            health,
        )))
        .add_service(reflection)
        .add_service(reflection_alpha);
    // The outermost sees every call first and every answer last.
    Ok(CallService::new(edge, Shortcut::new(hot, routes)))
}

fn edge(authority: &Arc<Authority>, options: &EdgeOptions) -> Arc<Edge> {
    Arc::new(Edge::new(
        Arc::clone(authority),
        options.deadlines,
        Limits::new(&options.rates),
        options.traced,
    ))
}

/// Other services behind what every call passes.
#[cfg(test)]
pub(crate) fn around<S>(
    authority: &Arc<Authority>,
    options: &EdgeOptions,
    services: S,
) -> CallService<S> {
    CallService::new(edge(authority, options), services)
}
