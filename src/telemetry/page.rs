//! The page of metrics: `GET /metrics`, in the text format of Prometheus, over plain HTTP/1.

use super::TelemetryError;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Encoder as _, Registry, TextEncoder};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// Connections at once; one more waits.
const MOST: usize = 32;
/// How long a connection may take to ask, the first time or again.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause after a connection that could not be accepted.
const BREATH: Duration = Duration::from_millis(50);

/// The page, bound to its address.
#[derive(Debug)]
pub struct Page {
    listener: TcpListener,
    address: SocketAddr,
    registry: Registry,
}

impl Page {
    /// Binds the page, and gives the reader that fills it.
    pub(super) async fn bind(
        address: SocketAddr,
    ) -> Result<(Self, PrometheusExporter), TelemetryError> {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .without_target_info()
            .build()
            .map_err(|error| TelemetryError::Metrics(error.to_string()))?;
        let bind = |source| TelemetryError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let page = Self {
            listener,
            address,
            registry,
        };
        Ok((page, reader))
    }

    /// Where it is; the port is known even when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves it until the process ends, or the future is dropped.
    pub async fn run(self) {
        let free = Arc::new(Semaphore::new(MOST));
        // Never closed.
        while let Ok(place) = Arc::clone(&free).acquire_owned().await {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(BREATH).await;
                continue;
            };
            let registry = self.registry.clone();
            tokio::spawn(async move {
                let answer = service_fn(move |request| {
                    let response = answer(&registry, &request);
                    async { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .serve_connection(TokioIo::new(stream), answer);
                // Whoever hangs up has seen what there was.
                drop(connection.await);
                drop(place);
            });
        }
    }
}

fn answer(registry: &Registry, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let status = match (request.uri().path(), request.method()) {
        ("/metrics", &Method::GET | &Method::HEAD) => StatusCode::OK,
        ("/metrics", _) => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::NOT_FOUND,
    };
    let mut body = Vec::new();
    let mut response = Response::builder().status(status);
    if status == StatusCode::OK {
        let encoder = TextEncoder::new();
        response = response.header(header::CONTENT_TYPE, encoder.format_type());
        // Only a family without a measurement cannot be written, and none is gathered.
        drop(encoder.encode(&registry.gather(), &mut body));
    }
    response
        .body(Full::new(Bytes::from(body)))
        .unwrap_or_default()
}
