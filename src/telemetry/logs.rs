//! Logs: one line an event, on stderr, with the ids of the trace that it belongs to.

use crate::config::{Log, LogFormat, LogLevel};
use opentelemetry::{Context, trace::TraceContextExt as _};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use tracing::{Event, Subscriber};
use tracing_subscriber::{
    EnvFilter, Registry,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};

/// The process's logs, whose level can be changed.
#[derive(Debug, Clone, Default)]
pub struct Logs(Option<Level>);

/// The level, and where to change it.
#[derive(Debug, Clone)]
struct Level {
    filter: reload::Handle<EnvFilter, Registry>,
    current: Arc<Mutex<LogLevel>>,
}

/// Libraries are heard from `warn` on only, since below it some of them print the metadata
/// and parameters of calls.
fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(format!("warn,countersign={}", level.as_str()))
}

impl Logs {
    /// Starts logging.
    pub fn start(log: &Log) -> Self {
        let (filter, handle) = reload::Layer::new(filter(log.level));
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let registry = tracing_subscriber::registry().with(filter);
        // A second start, as in tests, keeps the first.
        drop(match log.format {
            LogFormat::Text => {
                let lines = lines.with_ansi(false).map_event_format(Traced::text);
                registry.with(lines).try_init()
            }
            LogFormat::Json => {
                let lines = lines.json().map_event_format(Traced::json);
                registry.with(lines).try_init()
            }
        });
        Self(Some(Level {
            filter: handle,
            current: Arc::new(Mutex::new(log.level)),
        }))
    }

    /// Logs from this level on, and says whether it was another before.
    pub fn set_level(&self, level: LogLevel) -> bool {
        let Some(known) = &self.0 else {
            return false;
        };
        let mut current = known.current.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == level {
            return false;
        }
        *current = level;
        // It fails only where a first start was kept, as in tests.
        drop(known.filter.reload(filter(level)));
        tracing::info!(level = level.as_str(), "the log's level has changed");
        true
    }
}

/// Adds the ids of the trace and span that are current to a line.
struct Traced<F> {
    line: F,
    json: bool,
}

impl<F> Traced<F> {
    fn text(line: F) -> Self {
        Self { line, json: false }
    }

    fn json(line: F) -> Self {
        Self { line, json: true }
    }
}

impl<S, N, F> FormatEvent<S, N> for Traced<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let ids = Context::map_current(|current| {
            let span = current.span();
            let span = span.span_context();
            span.is_valid().then(|| (span.trace_id(), span.span_id()))
        });
        let Some((trace, span)) = ids else {
            return self.line.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.line
            .format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        match line.strip_suffix('}').filter(|_| self.json) {
            Some(object) => writeln!(
                writer,
                "{object},\"trace_id\":\"{trace}\",\"span_id\":\"{span}\"}}"
            ),
            None => writeln!(writer, "{line} trace_id={trace} span_id={span}"),
        }
    }
}
