//! Logs: one line an event, on stderr.

use crate::config::{Log, LogFormat};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Starts logging. Libraries are heard from `warn` on only, since below it some of them
/// print the metadata and parameters of calls.
pub fn start_logs(log: &Log) {
    let filter = EnvFilter::new(format!("warn,countersign={}", log.level.as_str()));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    // A second start, as in tests, keeps the first.
    drop(match log.format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => registry.with(lines.json()).try_init(),
    });
}
