//! Traces, and metrics by OTLP.

use super::waits_for_a_lock;
use crate::support::{
    collector::{Collector, attributes},
    process::Process,
    server::{Caller, Deployment},
};
use countersign::proto::v1::{self, Role};
use opentelemetry::{Context, global};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use opentelemetry_sdk::{
    error::OTelSdkResult,
    trace::{SdkTracerProvider, SpanData, SpanProcessor},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tonic::Request;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// A request in the trace `trace`, sampled or not.
fn traced<T>(caller: &Caller, message: T, trace: &str, sampled: bool) -> Request<T> {
    let mut request = caller.request(message);
    let value = format!("00-{trace}-{PARENT}-0{}", u8::from(sampled));
    request
        .metadata_mut()
        .insert("traceparent", value.parse().unwrap());
    request
}

fn introspect(token: &str) -> v1::IntrospectRequest {
    v1::IntrospectRequest {
        token: token.into(),
        ..Default::default()
    }
}

fn settings(collector: &Collector) -> Vec<(&'static str, String)> {
    vec![
        ("telemetry.endpoint", format!("{:?}", collector.endpoint)),
        ("telemetry.interval", "\"1s\"".to_owned()),
        ("metrics.listen", "\"127.0.0.1:0\"".to_owned()),
    ]
}

async fn serve(at: &Deployment, settings: &[(&str, String)]) -> Process {
    let settings: Vec<_> = settings.iter().map(|(k, v)| (*k, v.as_str())).collect();
    Process::start(at, &settings).await
}

#[tokio::test]
async fn a_call_and_its_batch_are_spans_of_the_caller_s_trace() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let token = issuer.open(&at.user().await).await.access_token;
    let collector = Collector::start().await;
    // Nothing is sampled but what a caller samples.
    let mut settings = settings(&collector);
    settings.push(("telemetry.sampling", "0.0".to_owned()));
    let server = serve(&at, &settings).await;
    let mut tokens = server.tokens().await;

    // Unsampled, and without a trace: no span.
    let other = "0af7651916cd43dd8448eb211c80319c";
    for request in [
        traced(&issuer, introspect(&token), other, false),
        issuer.request(introspect(&token)),
        traced(&issuer, introspect(&token), TRACE, true),
    ] {
        let found = tokens.introspect(request).await.unwrap();
        assert!(found.into_inner().active);
    }
    let several = v1::BatchIntrospectRequest {
        tokens: vec![token.clone(), token.clone()],
    };
    let request = traced(&issuer, several, TRACE, true);
    tokens.batch_introspect(request).await.unwrap();

    let method = "countersign.v1.TokenAuthorityService/Introspect";
    let call = collector.span(method, |span| span.name == method).await;
    assert_eq!(hex(&call.trace_id), TRACE);
    assert_eq!(hex(&call.parent_span_id), PARENT);
    assert_eq!(call.kind(), SpanKind::Server);
    let told = attributes(&call.attributes);
    for attribute in [
        "rpc.system.name=grpc",
        &format!("rpc.method={method}"),
        "rpc.response.status_code=OK",
        "network.peer.address=127.0.0.1",
    ] {
        assert!(told.contains(attribute), "{attribute}: {told:?}");
    }

    let of = |call: &Span| {
        let id = call.span_id.clone();
        move |span: &Span| span.parent_span_id == id
    };
    let batch = collector.span("the batch", of(&call)).await;
    assert_eq!(batch.name, "introspect batch");
    assert_eq!(batch.kind(), SpanKind::Client);
    assert_eq!(hex(&batch.trace_id), TRACE);
    let links: Vec<_> = batch.links.iter().map(|link| &link.span_id).collect();
    assert_eq!(links, [&call.span_id]);
    let told = attributes(&batch.attributes);
    for attribute in [
        "db.system.name=postgresql",
        "db.operation.name=introspect",
        "db.operation.batch.size=1",
    ] {
        assert!(told.contains(attribute), "{attribute}: {told:?}");
    }
    // The batch that is a call of its own.
    let method = "countersign.v1.TokenAuthorityService/BatchIntrospect";
    let call = collector.span(method, |span| span.name == method).await;
    let batch = collector.span("its batch", of(&call)).await;
    assert!(attributes(&batch.attributes).contains("db.operation.batch.size=2"));

    assert_eq!(collector.spans().len(), 4, "only what was sampled");
    let resources = collector.resources();
    assert!(
        resources.contains("service.name=countersign"),
        "{resources:?}"
    );
    collector.metric("countersign.calls").await;
    collector.metric("countersign.batch.wait").await;
    let text = format!("{:?}", collector.spans());
    assert!(!text.contains("cs_"), "no token and no secret in a span");
}

#[tokio::test]
async fn calls_of_one_batch_are_all_linked_with_it() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let token = issuer.open(&at.user().await).await.access_token;
    let collector = Collector::start().await;
    let mut settings = settings(&collector);
    settings.push(("batch.in_flight", "1".to_owned()));
    // On a busy machine, too, nothing gives up before the lock is gone.
    for (key, value) in [
        ("batch.max_wait", "30s"),
        ("database.lock_timeout", "30s"),
        ("database.statement_timeout", "30s"),
        ("calls.deadline", "60s"),
    ] {
        settings.push((key, format!("{value:?}")));
    }
    let server = serve(&at, &settings).await;
    let tokens = server.tokens().await;

    // While the first batch waits for a lock, three calls gather for the second.
    let held = at.database.client().await;
    let lock = "BEGIN; LOCK TABLE public.oauth_access_tokens IN ACCESS EXCLUSIVE MODE";
    held.batch_execute(lock).await.unwrap();
    let ask = |trace: String| {
        let (mut tokens, request) = (
            tokens.clone(),
            traced(&issuer, introspect(&token), &trace, true),
        );
        tokio::spawn(async move { tokens.introspect(request).await.unwrap() })
    };
    let first = ask(TRACE.to_owned());
    waits_for_a_lock(&at).await;
    let traces: Vec<_> = (1..=3).map(|n| format!("{n:032x}")).collect();
    let calls: Vec<_> = traces.iter().cloned().map(ask).collect();
    let depth = "countersign_batch_depth{kind=\"introspect\"}";
    server.reaches(depth, 3.0).await;
    held.batch_execute("COMMIT").await.unwrap();
    first.await.unwrap();
    for call in calls {
        call.await.unwrap();
    }
    let batch = collector
        .span("a batch of three", |span| span.links.len() == 3)
        .await;
    let mut linked: Vec<_> = batch.links.iter().map(|link| hex(&link.trace_id)).collect();
    linked.sort();
    assert_eq!(linked, traces);
    assert!(attributes(&batch.attributes).contains("db.operation.batch.size=3"));
}

#[tokio::test]
async fn lines_of_a_call_s_log_bear_the_ids_of_its_trace() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let collector = Collector::start().await;
    for format in ["json", "text"] {
        let mut settings = settings(&collector);
        settings.push(("log.format", format!("{format:?}")));
        let server = serve(&at, &settings).await;
        let login = issuer.open(&at.user().await).await;
        // A refresh token that the database has lost is logged as an error.
        let forget = "DELETE FROM auth.refresh_tokens WHERE session_id = $1::text::uuid";
        let known = at.sql.execute(forget, &[&login.session_id]).await;
        assert_eq!(known.unwrap(), 1);
        let request = v1::RotateRefreshRequest {
            refresh_token: login.refresh_token,
            ..Default::default()
        };
        let request = traced(&issuer, request, TRACE, true);
        let refused = server.tokens().await.rotate_refresh(request).await;
        assert_eq!(refused.unwrap_err().code(), tonic::Code::Unauthenticated);
        let line = server.says("an authentic refresh token is unknown").await;
        let (trace, span) = if format == "json" {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let text = |key: &str| line[key].as_str().unwrap().to_owned();
            (text("trace_id"), text("span_id"))
        } else {
            let (_, ids) = line.split_once(" trace_id=").unwrap();
            let (trace, span) = ids.split_once(" span_id=").unwrap();
            (trace.to_owned(), span.to_owned())
        };
        assert_eq!(trace, TRACE);
        collector
            .span("the one of the line", |one| hex(&one.span_id) == span)
            .await;
        let line = server.says("ready").await;
        assert!(!line.contains("trace_id"), "of no call: {line}");
    }
}

#[tokio::test]
async fn a_collector_that_hangs_changes_nothing_for_callers() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let token = issuer.open(&at.user().await).await.access_token;
    let collector = Collector::that_hangs().await;
    let mut settings = settings(&collector);
    settings.push(("telemetry.sampling", "1.0".to_owned()));
    settings.push(("telemetry.buffer", "20".to_owned()));
    settings.push(("telemetry.timeout", "\"1s\"".to_owned()));
    let mut server = serve(&at, &settings).await;
    let mut tokens = server.tokens().await;

    let mut longest = Duration::ZERO;
    let dropped = |signal: &str, cause: &str| {
        format!("countersign_telemetry_dropped_total{{cause=\"{cause}\",signal=\"{signal}\"}}")
    };
    let started = Instant::now();
    loop {
        for _ in 0..50 {
            let called = Instant::now();
            let found = tokens.introspect(issuer.request(introspect(&token))).await;
            assert!(found.unwrap().into_inner().active);
            longest = longest.max(called.elapsed());
        }
        let mut all = 0;
        for (signal, cause) in [
            ("spans", "buffer"),
            ("spans", "export"),
            ("metrics", "export"),
        ] {
            all += usize::from(server.metric(&dropped(signal, cause)).await > 0.0);
        }
        if all == 3 {
            break;
        }
        let waited = started.elapsed();
        assert!(
            waited < Duration::from_mins(1),
            "{}",
            server.metrics().await
        );
    }
    // Not even once for as long as the collector is waited for.
    assert!(longest < Duration::from_secs(1), "{longest:?}");

    server.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(server.exit_code().await, 0);
}

/// Counts every span that anybody starts.
#[derive(Debug, Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl SpanProcessor for Counting {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[tokio::test]
async fn without_a_collector_no_call_starts_a_span() {
    let counting = Counting::default();
    let provider = SdkTracerProvider::builder().with_span_processor(counting.clone());
    global::set_tracer_provider(provider.build());
    // What would count, counts.
    drop(opentelemetry::trace::Tracer::start(
        &global::tracer("test"),
        "test",
    ));
    assert_eq!(counting.0.load(Ordering::Relaxed), 1);

    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let login = issuer.open(&at.user().await).await;
    let request = traced(&issuer, introspect(&login.access_token), TRACE, true);
    assert!(issuer.tokens().introspect(request).await.is_ok());
    assert_eq!(counting.0.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_endpoint_that_makes_no_sense_is_refused_by_its_key() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["serve", "--keys-file", "/nowhere"])
        .args(["--telemetry-endpoint", "localhost:4317"])
        .env_clear()
        .env("COUNTERSIGN_DATABASE_URL", "postgres://u@127.0.0.1:1/d")
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("telemetry.endpoint"), "{errors}");
}
