//! Settings whose value is one of a few words.

use std::path::PathBuf;

use super::{
    define::words,
    value::{Field, Value},
};

words! {
    /// The least severe line that is logged.
    LogLevel {
        /// A call or a task failed.
        Error = "error",
        /// Something needs an operator's eye.
        Warn = "warn",
        /// What the process does as a whole.
        Info = "info",
        /// What each call does.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

words! {
    /// How a log line is written.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

words! {
    /// How statements travel to the database.
    PreparedStatements {
        /// Prepared once a connection.
        Named = "named",
        /// Parsed each time.
        Unnamed = "unnamed",
    }
}

words! {
    /// Whether callers send certificates.
    ClientCertificates {
        /// None is asked for.
        Off = "off",
        /// One that is sent must hold.
        Optional = "optional",
        /// Without one there is no connection.
        Required = "required",
    }
}

words! {
    /// A version of TLS.
    TlsVersion {
        /// RFC 5246.
        V12 = "1.2",
        /// RFC 8446.
        V13 = "1.3",
    }
}

words! {
    /// Whether DPoP proofs carry nonces of this authority.
    Nonces {
        /// None is offered.
        Off = "off",
        /// Each answer to a proof offers one.
        On = "on",
        /// No proof is taken without one.
        Required = "required",
    }
}

words! {
    /// Where DPoP proofs are remembered.
    ReplayMemory {
        /// Each replica remembers its own.
        Memory = "memory",
        /// The database remembers them for all replicas.
        Shared = "shared",
    }
}

/// Where the audit stream goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditOutput {
    /// The process's standard error.
    Stderr,
    /// The process's standard output.
    Stdout,
    /// This file, appended to.
    File(PathBuf),
}

impl AuditOutput {
    /// The accepted words; anything else is a path.
    pub const WORDS: &[&str] = &["stderr", "stdout"];
}

impl Field for AuditOutput {
    fn from_value(value: Value) -> Option<Self> {
        let Value::Text(text) = value else {
            return None;
        };
        Some(match text.as_str() {
            "stderr" => Self::Stderr,
            "stdout" => Self::Stdout,
            _ => Self::File(PathBuf::from(text)),
        })
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Text(match self {
            Self::Stderr => "stderr".to_owned(),
            Self::Stdout => "stdout".to_owned(),
            Self::File(path) => path.to_string_lossy().into_owned(),
        }))
    }
}
