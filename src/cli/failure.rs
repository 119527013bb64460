//! How a command ends, and with which exit code.

use std::{fmt, process::ExitCode};

/// The exit codes, as README documents them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
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

/// Why a command failed: a sentence, and the exit code.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    /// A failure with its sentence.
    pub fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
        }
    }

    /// Says it on stderr, and gives the exit code.
    pub fn report(&self) -> ExitCode {
        eprintln!("countersign: {}", self.message);
        ExitCode::from(self.exit as u8)
    }
}
