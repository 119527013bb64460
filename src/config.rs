//! The configuration: one table of settings, and what is read from it.
//!
//! `config/table.rs` is the table. From it come the TOML file, the environment
//! variables, the flags, `--print-config`, `countersign.example.toml` and
//! `docs/configuration.md`; none of them can drift.

mod choices;
mod define;
mod environment;
mod error;
mod file;
mod flags;
mod load;
mod parse;
mod render;
mod rules;
mod secret;
mod setting;
mod table;
mod text;
mod value;

#[cfg(test)]
mod tests;

pub use choices::{
    AuditOutput, ClientCertificates, LogFormat, LogLevel, Nonces, PreparedStatements, ReplayMemory,
    TlsVersion,
};
pub use environment::process_environment;
pub use error::{ConfigError, Origin, Problem};
pub use flags::{Flags, add_flags, read_flags};
pub use render::{example, handbook};
pub use secret::Secret;
pub use table::{
    Audit, Batch, Calls, Config, Connections, Database, Dpop, Forwarded, Health, Keys, Limits, Log,
    Metrics, Purge, Rotation, Sessions, Shutdown, Sidecar, Telemetry, Tls, Tokens, limits,
};
