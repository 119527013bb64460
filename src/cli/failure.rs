//! How a command ends, and with which exit code.

use crate::{grpc::status::code_name, proto::ERROR_DOMAIN};
use serde_json::json;
use std::{
    fmt::{self, Write as _},
    process::ExitCode,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The exit codes, as README documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// The call was refused, or the command failed.
    Failed = 1,
    /// Bad configuration or input.
    Configuration = 64,
    /// The database's tables, or its durability, are not what serving needs.
    Unsuitable = 65,
    /// The server or the database cannot be reached.
    Unavailable = 69,
    /// The database's schema is beyond what this binary knows.
    Schema = 76,
    /// Credentials or rights were refused.
    Credentials = 77,
}

/// Why a command failed: what it says, and the exit code.
#[derive(Debug)]
pub(super) struct Failure {
    exit: Exit,
    message: String,
    /// The same for scripts, where a server refused a call.
    details: Option<serde_json::Value>,
}

impl Failure {
    /// A failure with its sentence.
    pub(super) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            details: None,
        }
    }

    /// A failure with the whole chain of its causes.
    pub(super) fn with_causes(exit: Exit, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            // Writing to a string does not fail.
            let _ = write!(message, ": {next}");
            cause = next.source();
        }
        Self::new(exit, message)
    }

    /// Bad input of the command line.
    pub(super) fn input(message: impl fmt::Display) -> Self {
        Self::new(Exit::Configuration, message)
    }

    /// Says it on stderr, and gives the exit code.
    pub(super) fn report(&self, json: bool) -> ExitCode {
        match (&self.details, json) {
            (Some(details), true) => eprintln!("{details}"),
            (None, true) => eprintln!("{}", json!({ "message": self.message })),
            (_, false) => eprintln!("countersign: {}", self.message),
        }
        ExitCode::from(self.exit as u8)
    }
}

/// What a server answered instead: code, reason and message, then each bad field.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details
            .error_info()
            .filter(|info| info.domain == ERROR_DOMAIN);
        let reason = info.map(|info| info.reason.clone()).unwrap_or_default();
        let code = code_name(status.code());
        let mut message = format!("{code} {reason}: {}", status.message());
        let violations = details
            .bad_request()
            .map(|bad| bad.field_violations.clone())
            .unwrap_or_default();
        // Writing to a string does not fail.
        for violation in &violations {
            let _ = write!(
                message,
                "\n  {}: {}",
                violation.field, violation.description
            );
        }
        let retry = details.retry_info().and_then(|retry| retry.retry_delay);
        if let Some(retry) = retry {
            let _ = write!(
                message,
                "\n  try again in {}",
                humantime::format_duration(retry)
            );
        }
        let exit = match status.code() {
            Code::Unavailable => Exit::Unavailable,
            Code::PermissionDenied => Exit::Credentials,
            Code::Unauthenticated if reason.starts_with("CREDENTIALS_") => Exit::Credentials,
            _ => Exit::Failed,
        };
        let fields: Vec<_> = violations
            .iter()
            .map(|one| json!({ "field": one.field, "description": one.description }))
            .collect();
        let details = json!({
            "code": code,
            "reason": reason,
            "message": status.message(),
            "field_violations": fields,
        });
        Self {
            exit,
            message,
            details: Some(details),
        }
    }
}
