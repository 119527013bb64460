//! What an operator sees: logs, traces and metrics.
//!
//! Instruments and spans are made through the OpenTelemetry API wherever something is
//! measured; here is where they go, if anywhere. Nothing here blocks or fails a call: a
//! collector that hangs costs spans, which are counted (`countersign.telemetry.dropped`).

pub mod handbook;
mod logs;
mod otlp;
mod page;
mod spans;

pub use logs::Logs;
pub use page::Page;

use crate::{config::Config, domain::instruments as table};
use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::{
    Resource,
    metrics::{MeterProviderBuilder, PeriodicReader, SdkMeterProvider},
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use otlp::Collector;
use spans::Exporting;
use std::{net::SocketAddr, time::Duration};
use thiserror::Error;

/// How long the last spans and metrics may take each, when the process ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why telemetry cannot start.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The collector's endpoint makes no sense.
    #[error("telemetry.endpoint: {0}")]
    Endpoint(String),
    /// What the page of metrics is made of cannot be put together: a defect of the build.
    #[error("metrics.listen: {0}")]
    Metrics(String),
    /// The address of the page of metrics cannot be bound.
    #[error("metrics.listen: cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// The process's logs, traces and metrics.
#[derive(Debug, Default)]
pub struct Telemetry {
    logs: Logs,
    page: Option<Page>,
    meters: Option<SdkMeterProvider>,
    traces: Option<Exporting>,
}

impl Telemetry {
    /// Nothing of it: instruments and spans go nowhere, logs where they went before.
    pub fn off() -> Self {
        Self::default()
    }

    /// Starts logs, and what the configuration asks for beside them. The page of metrics is
    /// bound, and answers once it is run. Comes before anything that measures is made; needs
    /// a running tokio runtime.
    pub async fn start(config: &Config) -> Result<Self, TelemetryError> {
        let logs = Logs::start(&config.log);
        let settings = &config.telemetry;
        let collector = settings
            .endpoint
            .as_deref()
            .map(|endpoint| Collector::new(endpoint, settings.timeout))
            .transpose()?;

        let mut meters: Option<MeterProviderBuilder> = None;
        let begin = || SdkMeterProvider::builder().with_resource(resource());
        let page = match config.metrics.listen {
            None => None,
            Some(address) => {
                let (page, reader) = Page::bind(address).await?;
                meters = Some(begin().with_reader(reader));
                Some(page)
            }
        };
        let mut counting = None;
        if let Some(collector) = &collector {
            let (exporter, count) = collector.metrics()?;
            let reader = PeriodicReader::builder(exporter)
                .with_interval(settings.interval)
                .build();
            meters = Some(meters.unwrap_or_else(begin).with_reader(reader));
            counting = Some(count);
        }
        let meters = meters.map(MeterProviderBuilder::build);
        if let Some(meters) = &meters {
            global::set_meter_provider(meters.clone());
            tell_build();
        }
        let dropped = otlp::Dropped::default();
        if let Some(count) = counting {
            count.begin(dropped.clone());
        }
        let traces = collector
            .map(|collector| trace(config, &collector, dropped))
            .transpose()?;
        Ok(Self {
            logs,
            page,
            meters,
            traces,
        })
    }

    /// Whether anything is traced.
    pub fn traces(&self) -> bool {
        self.traces.is_some()
    }

    /// The page of metrics, bound but not served yet; once.
    pub fn take_page(&mut self) -> Option<Page> {
        self.page.take()
    }

    /// The logs.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Sends what is left, within a moment: a collector that hangs does not keep the process.
    pub async fn stop(self) {
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        if let Some(meters) = self.meters {
            // It blocks until the last sending is through, or given up. In a thread that
            // nobody waits for, since a runtime waits for those of its own.
            std::thread::spawn(move || {
                drop(meters.shutdown());
                drop(ended);
            });
        }
        if let Some(exporting) = self.traces {
            exporting.stop(FAREWELL).await;
        }
        drop(tokio::time::timeout(FAREWELL, end).await);
    }
}

/// Starts the sending of spans.
fn trace(
    config: &Config,
    collector: &Collector,
    dropped: otlp::Dropped,
) -> Result<Exporting, TelemetryError> {
    let settings = &config.telemetry;
    let mut exporter = collector.spans()?;
    let resource = resource();
    opentelemetry_sdk::trace::SpanExporter::set_resource(&mut exporter, &resource);
    let (queue, exporting) = spans::start(exporter, settings.buffer, settings.timeout, dropped);
    let share = Sampler::TraceIdRatioBased(settings.sampling);
    let sampler = if settings.follow_callers {
        Sampler::ParentBased(Box::new(share))
    } else {
        share
    };
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(sampler)
        .with_span_processor(queue)
        .build();
    global::set_tracer_provider(provider);
    global::set_text_map_propagator(TraceContextPropagator::new());
    Ok(exporting)
}

/// Who measures: this process. `OTEL_RESOURCE_ATTRIBUTES` may say more.
fn resource() -> Resource {
    Resource::builder()
        .with_service_name("countersign")
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new(
                "service.instance.id",
                crate::domain::clock::uuid().to_string(),
            ),
        ])
        .build()
}

fn tell_build() {
    global::meter("countersign")
        .u64_observable_gauge(table::BUILD.name)
        .with_unit(table::BUILD.unit)
        .with_description(table::BUILD.description)
        .with_callback(|observer| {
            observer.observe(1, &[KeyValue::new("version", env!("CARGO_PKG_VERSION"))]);
        })
        .build();
}
