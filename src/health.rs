//! Health, as callers, kubelets and this process see it.
//!
//! Readiness is that the database can be reached and has the schema that this binary serves;
//! it is told of the whole (`""`) and of each service. Liveness is the process alone:
//! [`LIVENESS`] is SERVING as long as anything answers.

use crate::{
    authority::Authority,
    domain::instruments::READY,
    proto::v1::{directory_service_server, token_authority_service_server},
    sidecar,
    store::{
        DatabaseUrl,
        readiness::{self, Verdict},
    },
};
use opentelemetry::metrics::Gauge;
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, sync::watch};
use tonic::transport::server::{Server, TcpIncoming};
use tonic_health::{
    ServingStatus,
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

/// The service name by which a kubelet asks whether the process lives.
pub const LIVENESS: &str = "liveness";

/// How often the database is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What readiness is told of.
const SERVICES: [&str; 4] = [
    "",
    token_authority_service_server::SERVICE_NAME,
    directory_service_server::SERVICE_NAME,
    sidecar::SERVICE_NAME,
];

/// Readiness, and everyone who hears of it.
#[derive(Debug)]
pub struct Health {
    /// On the port of the calls.
    callers: HealthReporter,
    /// On a port of its own.
    kubelets: HealthReporter,
    ready: watch::Sender<bool>,
    gauge: Gauge<u64>,
}

impl Health {
    /// Not ready yet.
    pub async fn new() -> Self {
        let health = Self {
            callers: HealthReporter::new(),
            kubelets: HealthReporter::new(),
            ready: watch::Sender::new(false),
            gauge: opentelemetry::global::meter("countersign")
                .u64_gauge(READY.name)
                .with_unit(READY.unit)
                .with_description(READY.description)
                .build(),
        };
        for reporter in [&health.callers, &health.kubelets] {
            let serving = ServingStatus::Serving;
            reporter.set_service_status(LIVENESS, serving).await;
        }
        health.tell(false).await;
        health
    }

    /// What the port of the calls answers with.
    pub fn reporter(&self) -> HealthReporter {
        self.callers.clone()
    }

    /// Whether it is ready, now and whenever that changes.
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Tells everyone, of the whole and of each service.
    pub async fn tell(&self, ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for reporter in [&self.callers, &self.kubelets] {
            for service in SERVICES {
                reporter.set_service_status(service, status).await;
            }
        }
        self.gauge.record(u64::from(ready), &[]);
        self.ready.send_replace(ready);
    }

    /// Ends the watches on the port of the calls, which would keep their connections open.
    pub async fn end_watches(&mut self) {
        for service in SERVICES.into_iter().chain([LIVENESS]) {
            self.callers.clear_service_status(service).await;
        }
    }

    /// Serves health alone, in the clear, for as long as the future is kept.
    pub fn serve(
        &self,
        listener: TcpListener,
    ) -> impl Future<Output = Result<(), tonic::transport::Error>> + Send + 'static {
        let service = HealthService::from_health_reporter(self.kubelets.clone());
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(30)))
            .add_service(HealthServer::new(service))
            .serve_with_incoming(incoming)
    }

    /// Looks at the database again and again, and tells what it saw. Returns only when the
    /// database will never have this server.
    pub async fn watch(
        &self,
        authority: &Authority,
        database: &DatabaseUrl,
        allow_asynchronous_commit: bool,
    ) -> readiness::Refused {
        let mut said = String::new();
        // At the start the whole schema is compared; from then on a look is cheap.
        loop {
            match readiness::examine(database, allow_asynchronous_commit).await {
                Verdict::Ready => break,
                Verdict::Refused(refused) => return refused,
                Verdict::Waiting(why) => {
                    if why != said {
                        tracing::warn!(%why, "waiting for the database");
                        said = why;
                    }
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
        let mut ready = false;
        loop {
            let now = match authority.probe().await {
                Ok(probe) if probe.read_only => {
                    Err("the database is a read-only standby".to_owned())
                }
                Ok(_) => Ok(()),
                Err(error) => Err(error.causes()),
            };
            match (&now, ready) {
                (Ok(()), false) => {
                    self.tell(true).await;
                    tracing::info!("ready");
                }
                (Err(why), true) => {
                    self.tell(false).await;
                    tracing::warn!(%why, "not ready");
                }
                _ => {}
            }
            ready = now.is_ok();
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Binds the port of health, and says where it is.
pub async fn bind(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
