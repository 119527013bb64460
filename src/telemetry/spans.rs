//! The way of a span to the collector: a bounded buffer, and a task that empties it.
//!
//! A call puts its span into the buffer or drops it; it never waits. The SDK's own processor
//! does not tell how many it drops.

use super::otlp::Dropped;
use opentelemetry::Context;
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter, SpanProcessor},
};
use std::time::Duration;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// Spans that are sent at once.
const MOST: usize = 512;
/// How long spans gather before they are sent.
const GATHERING: Duration = Duration::from_millis(200);

/// The near end of the buffer.
#[derive(Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<SpanData>,
    dropped: Dropped,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.spans.try_send(span).is_err() {
            self.dropped.full(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The task at the far end.
#[derive(Debug)]
pub(super) struct Exporting {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Sends what the buffer holds, for no longer than `patience`, and ends.
    pub(super) async fn stop(mut self, patience: Duration) {
        self.stop.send_replace(true);
        if tokio::time::timeout(patience, &mut self.task)
            .await
            .is_err()
        {
            self.task.abort();
        }
    }
}

/// Starts sending through `exporter`, each time for no longer than `timeout`.
pub(super) fn start(
    exporter: impl SpanExporter + 'static,
    buffer: usize,
    timeout: Duration,
    dropped: Dropped,
) -> (Queue, Exporting) {
    let (spans, waiting) = mpsc::channel(buffer);
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(send(exporter, waiting, stopping, timeout, dropped.clone()));
    (Queue { spans, dropped }, Exporting { stop, task })
}

async fn send(
    exporter: impl SpanExporter,
    mut waiting: mpsc::Receiver<SpanData>,
    mut stopping: watch::Receiver<bool>,
    timeout: Duration,
    dropped: Dropped,
) {
    let mut failing = false;
    loop {
        let mut batch = Vec::new();
        let stopped = tokio::select! {
            biased;
            _ = waiting.recv_many(&mut batch, MOST) => false,
            _ = stopping.wait_for(|stop| *stop) => true,
        };
        if stopped || batch.is_empty() {
            return;
        }
        if batch.len() < MOST {
            tokio::select! {
                () = tokio::time::sleep(GATHERING) => {}
                _ = stopping.wait_for(|stop| *stop) => {}
            }
            while batch.len() < MOST
                && let Ok(span) = waiting.try_recv()
            {
                batch.push(span);
            }
        }
        let spans = batch.len() as u64;
        let sent = tokio::time::timeout(timeout, exporter.export(batch)).await;
        let failed = !matches!(sent, Ok(Ok(())));
        if failed {
            dropped.refused(spans);
        }
        match (failed, failing) {
            (true, false) => tracing::warn!("the collector does not take spans; they are dropped"),
            (false, true) => tracing::info!("the collector takes spans again"),
            _ => {}
        }
        failing = failed;
    }
}
