//! One span for each call, in the caller's trace.
//!
//! Its attributes are those of the semantic conventions for RPC servers. Without a
//! collector there is no span, and the call's future is not wrapped.

use crate::authority::Call;
use http::{HeaderMap, Request};
use opentelemetry::{
    Context, KeyValue,
    global::{self, BoxedTracer},
    propagation::Extractor,
    trace::{SpanKind, Status, TraceContextExt as _, Tracer as _},
};
use std::net::SocketAddr;
use tonic::Code;

/// Bytes of `tracestate` that are passed on (W3C Trace Context section 3.3.1.5).
const MAX_TRACE_STATE: usize = 512;

/// Starts the spans of calls.
#[derive(Debug)]
pub(super) struct CallSpans(BoxedTracer);

impl CallSpans {
    /// If anything is traced.
    pub(super) fn new(traced: bool) -> Option<Self> {
        traced.then(|| Self(global::tracer("countersign")))
    }

    /// The context of a call of `method`, `/package.Service/Method` or `_OTHER`: its span is a
    /// child of the one that the call's `traceparent` names.
    pub(super) fn start<B>(
        &self,
        method: &'static str,
        request: &Request<B>,
        peer: Option<SocketAddr>,
    ) -> Context {
        let headers = TraceHeaders(request.headers());
        let parent = global::get_text_map_propagator(|propagator| {
            propagator.extract_with_context(&Context::new(), &headers)
        });
        let method = method.strip_prefix('/').unwrap_or(method);
        let mut attributes = Vec::with_capacity(4);
        attributes.push(KeyValue::new("rpc.system.name", "grpc"));
        attributes.push(KeyValue::new("rpc.method", method));
        if let Some(peer) = peer {
            attributes.push(KeyValue::new("network.peer.address", peer.ip().to_string()));
            attributes.push(KeyValue::new("network.peer.port", i64::from(peer.port())));
        }
        let span = self
            .0
            .span_builder(method)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes)
            .start_with_context(&self.0, &parent);
        parent.with_span(span)
    }
}

/// The id of a call's trace: its span's, or where nothing is traced the one that its
/// `traceparent` names (W3C Trace Context section 3.2.2).
pub(super) fn trace_id(context: Option<&Context>, headers: &HeaderMap) -> Option<String> {
    if let Some(context) = context {
        return Some(context.span().span_context().trace_id().to_string());
    }
    let parent = headers.get("traceparent")?.to_str().ok()?;
    let mut fields = parent.split('-');
    let (version, id) = (fields.next()?, fields.next()?);
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let sound = version.len() == 2 && id.len() == 32 && id.bytes().all(hex);
    let nothing = id.bytes().all(|byte| byte == b'0');
    (sound && !nothing).then(|| id.to_owned())
}

/// Notes the call's id, which logs, audit records and events bear too.
pub(super) fn note(context: &Context, call: &Call) {
    let span = context.span();
    if span.is_recording() {
        span.set_attribute(KeyValue::new(
            "countersign.call",
            call.claim.call.to_string(),
        ));
    }
}

/// Ends a call's span. Of the codes only those are errors of a server that are its own fault.
pub(super) fn end(context: &Context, code: Code, name: &'static str, reason: &'static str) {
    let span = context.span();
    span.set_attribute(KeyValue::new("rpc.response.status_code", name));
    if code != Code::Ok {
        span.set_attribute(KeyValue::new("countersign.reason", reason));
    }
    if matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    ) {
        span.set_attribute(KeyValue::new("error.type", name));
        span.set_status(Status::error(reason));
    }
    span.end();
}

/// A call's metadata, as far as a trace's context stands in it.
struct TraceHeaders<'a>(&'a HeaderMap);

impl Extractor for TraceHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key)?.to_str().ok()?;
        (key != "tracestate" || value.len() <= MAX_TRACE_STATE).then_some(value)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
