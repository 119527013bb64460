//! A collector of OpenTelemetry in the test's own process, by OTLP over gRPC.

use opentelemetry_proto::tonic::{
    collector::{
        metrics::v1::{
            ExportMetricsServiceRequest, ExportMetricsServiceResponse,
            metrics_service_server::{MetricsService, MetricsServiceServer},
        },
        trace::v1::{
            ExportTraceServiceRequest, ExportTraceServiceResponse,
            trace_service_server::{TraceService, TraceServiceServer},
        },
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    transport::server::{Server, TcpIncoming},
};

/// How long something may take to arrive.
const PATIENCE: Duration = Duration::from_mins(1);

/// The collector; it ends with the value.
pub struct Collector {
    pub endpoint: String,
    received: Received,
    serving: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Received {
    hangs: bool,
    spans: Arc<Mutex<Vec<Span>>>,
    metrics: Arc<Mutex<BTreeSet<String>>>,
    resources: Arc<Mutex<BTreeSet<String>>>,
}

impl Collector {
    /// One that answers.
    pub async fn start() -> Self {
        Self::new(false).await
    }

    /// One that takes every request and answers none.
    pub async fn that_hangs() -> Self {
        Self::new(true).await
    }

    async fn new(hangs: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Received {
            hangs,
            ..Received::default()
        };
        let serving = Server::builder()
            .add_service(TraceServiceServer::new(received.clone()))
            .add_service(MetricsServiceServer::new(received.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        let serving = tokio::spawn(async { serving.await.unwrap() });
        Self {
            endpoint,
            received,
            serving,
        }
    }

    /// The first span that is wanted, once it is there.
    pub async fn span(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        let started = Instant::now();
        loop {
            let found = self.spans().into_iter().find(|span| wanted(span));
            if let Some(span) = found {
                return span;
            }
            assert!(started.elapsed() < PATIENCE, "no span: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<Span> {
        self.received.spans.lock().unwrap().clone()
    }

    /// Waits until a metric of that name has come.
    pub async fn metric(&self, name: &str) {
        let started = Instant::now();
        while !self.received.metrics.lock().unwrap().contains(name) {
            assert!(started.elapsed() < PATIENCE, "no metric {name}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What those who send say of themselves, `key=value`.
    pub fn resources(&self) -> BTreeSet<String> {
        self.received.resources.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Attributes as `key=value`.
pub fn attributes(attributes: &[KeyValue]) -> BTreeSet<String> {
    attributes
        .iter()
        .map(|one| {
            let value = one.value.as_ref().and_then(|value| value.value.as_ref());
            let value = match value {
                Some(Value::StringValue(text)) => text.clone(),
                Some(Value::IntValue(number)) => number.to_string(),
                other => format!("{other:?}"),
            };
            format!("{}={value}", one.key)
        })
        .collect()
}

impl Received {
    async fn hang(&self) {
        if self.hangs {
            std::future::pending::<()>().await;
        }
    }
}

#[tonic::async_trait]
impl TraceService for Received {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.hang().await;
        for resource in request.into_inner().resource_spans {
            let told = resource.resource.unwrap_or_default().attributes;
            self.resources.lock().unwrap().extend(attributes(&told));
            let spans = resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans);
            self.spans.lock().unwrap().extend(spans);
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Received {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.hang().await;
        let metrics = request.into_inner().resource_metrics.into_iter();
        let names = metrics
            .flat_map(|resource| resource.scope_metrics)
            .flat_map(|scope| scope.metrics)
            .map(|metric| metric.name);
        self.metrics.lock().unwrap().extend(names);
        Ok(Response::new(Default::default()))
    }
}
