//! The collector, by OTLP over gRPC. What else its senders read from the environment, such as
//! `OTEL_EXPORTER_OTLP_HEADERS`, is theirs.

use super::TelemetryError;
use crate::domain::instruments::TELEMETRY_DROPPED;
use opentelemetry::{KeyValue, metrics::Counter};
use opentelemetry_otlp::{
    MetricExporter, SpanExporter, WithExportConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    metrics::{Temporality, data::ResourceMetrics, exporter::PushMetricExporter},
};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tonic::transport::ClientTlsConfig;

/// Where traces and metrics are sent.
#[derive(Debug)]
pub(super) struct Collector {
    endpoint: String,
    timeout: Duration,
}

impl Collector {
    pub(super) fn new(endpoint: &str, timeout: Duration) -> Result<Self, TelemetryError> {
        if !["http://", "https://"]
            .iter()
            .any(|scheme| endpoint.starts_with(scheme))
        {
            let wrong = "it begins with neither http:// nor https://".to_owned();
            return Err(TelemetryError::Endpoint(wrong));
        }
        Ok(Self {
            endpoint: endpoint.to_owned(),
            timeout,
        })
    }

    /// For `https://`, with the certificates that the machine trusts.
    fn tls(&self) -> Option<ClientTlsConfig> {
        self.endpoint
            .starts_with("https://")
            .then(|| ClientTlsConfig::new().with_enabled_roots())
    }

    /// What sends spans.
    pub(super) fn spans(&self) -> Result<SpanExporter, TelemetryError> {
        let mut builder = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&self.endpoint)
            .with_timeout(self.timeout);
        if let Some(tls) = self.tls() {
            builder = builder.with_tls_config(tls);
        }
        builder.build().map_err(|error| endpoint(&error))
    }

    /// What sends metrics, and counts the sendings that fail.
    pub(super) fn metrics(&self) -> Result<(CountedMetrics, Counting), TelemetryError> {
        let mut builder = MetricExporter::builder()
            .with_tonic()
            .with_endpoint(&self.endpoint)
            .with_timeout(self.timeout);
        if let Some(tls) = self.tls() {
            builder = builder.with_tls_config(tls);
        }
        let exporter = builder.build().map_err(|error| endpoint(&error))?;
        let counting = Counting::default();
        let counted = CountedMetrics {
            exporter,
            counting: counting.clone(),
        };
        Ok((counted, counting))
    }
}

fn endpoint(error: &opentelemetry_otlp::ExporterBuildError) -> TelemetryError {
    TelemetryError::Endpoint(error.to_string())
}

/// Counts what the collector does not get. From zero, so that the first step is seen.
#[derive(Debug, Clone)]
pub(super) struct Dropped(Counter<u64>);

impl Default for Dropped {
    fn default() -> Self {
        let row = &TELEMETRY_DROPPED;
        let counter = opentelemetry::global::meter("countersign")
            .u64_counter(row.name)
            .with_unit(row.unit)
            .with_description(row.description)
            .build();
        let dropped = Self(counter);
        dropped.full(0);
        dropped.refused(0);
        dropped.sending(0);
        dropped
    }
}

impl Dropped {
    /// So many spans found the buffer full.
    pub(super) fn full(&self, spans: u64) {
        self.count(spans, "spans", "buffer");
    }

    /// So many spans were not taken.
    pub(super) fn refused(&self, spans: u64) {
        self.count(spans, "spans", "export");
    }

    fn sending(&self, sendings: u64) {
        self.count(sendings, "metrics", "export");
    }

    fn count(&self, items: u64, signal: &'static str, cause: &'static str) {
        let attributes = [
            KeyValue::new("signal", signal),
            KeyValue::new("cause", cause),
        ];
        self.0.add(items, &attributes);
    }
}

/// The counter of an exporter that had to be made before any counter.
#[derive(Debug, Clone, Default)]
pub(super) struct Counting(Arc<OnceLock<Dropped>>);

impl Counting {
    pub(super) fn begin(&self, dropped: Dropped) {
        // Begun once.
        drop(self.0.set(dropped));
    }
}

/// Sends metrics, and counts what fails.
pub(super) struct CountedMetrics {
    exporter: MetricExporter,
    counting: Counting,
}

impl PushMetricExporter for CountedMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let sent = self.exporter.export(metrics).await;
        if let (Err(_), Some(dropped)) = (&sent, self.counting.0.get()) {
            dropped.sending(1);
        }
        sent
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
