//! One span for each batch in the database, linked with the spans of its calls.
//!
//! Without a collector there is no span, and nobody looks for one.

use super::error::StoreError;
use opentelemetry::{
    Context, KeyValue,
    global::{self, BoxedTracer},
    trace::{
        FutureExt as _, Link, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _,
    },
};
use std::future::Future;

/// The spans of one kind of batch.
#[derive(Debug)]
pub(super) struct BatchSpans {
    kind: &'static str,
    tracer: BoxedTracer,
}

/// The span of the call that runs, if it is traced and sampled.
pub(super) fn of_call(traced: bool) -> Option<SpanContext> {
    if !traced {
        return None;
    }
    Context::map_current(|current| {
        let context = current.span().span_context().clone();
        context.is_sampled().then_some(context)
    })
}

impl BatchSpans {
    /// Spans of batches of this kind, if anything is traced.
    pub(super) fn of(kind: &'static str, traced: bool) -> Option<Self> {
        traced.then(|| Self {
            kind,
            tracer: global::tracer("countersign"),
        })
    }

    /// Runs a batch of `size` calls within a span: a child of the first sampled call, linked
    /// with all of them. Where none is sampled there is no span.
    ///
    /// The attributes are those of the semantic conventions for database clients.
    pub(super) async fn around<T>(
        &self,
        calls: impl Iterator<Item = &SpanContext>,
        size: usize,
        run: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let links: Vec<_> = calls
            .map(|call| Link::new(call.clone(), Vec::new(), 0))
            .collect();
        let Some(first) = links.first() else {
            return run.await;
        };
        let parent = Context::new().with_remote_span_context(first.span_context.clone());
        let span = self
            .tracer
            .span_builder(format!("{} batch", self.kind))
            .with_kind(SpanKind::Client)
            .with_attributes([
                KeyValue::new("db.system.name", "postgresql"),
                KeyValue::new("db.operation.name", self.kind),
                KeyValue::new(
                    "db.operation.batch.size",
                    i64::try_from(size).unwrap_or(i64::MAX),
                ),
            ])
            .with_links(links)
            .start_with_context(&self.tracer, &parent);
        let context = parent.with_span(span);
        let done = run.with_context(context.clone()).await;
        if let Err(error) = &done {
            let span = context.span();
            span.set_attribute(KeyValue::new("error.type", error.kind()));
            span.set_status(Status::error(error.to_string()));
        }
        context.span().end();
        done
    }
}
