//! Why a command failed, as a person or a script reads it, and its exit code.

use super::{
    exit::Exit,
    output,
    printable::{printable, printable_json},
    status,
};
use crate::store::{self, StoreError};
use serde_json::{Value, json};
use std::{error::Error, io};
use tonic::{Status, TimeoutExpired};

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// What the person or the environment gave is unusable.
    Input(String),
    /// Nobody answers at the target.
    Unreachable {
        /// Where it was tried.
        target: String,
        /// The transport's reasons, the outermost first.
        cause: String,
    },
    /// The server's answer to a call.
    Call(Box<Status>),
    /// The answer came, but could not be written.
    Output(io::Error),
    /// A command with rights of its own failed.
    Command {
        /// With this exit code.
        exit: Exit,
        /// Why.
        message: String,
    },
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // The channel's own deadline comes out as CANCELLED by the transport.
        let expired = chain(&status).any(<dyn Error>::is::<TimeoutExpired>);
        Self::Call(Box::new(if expired {
            Status::deadline_exceeded(
                "no answer within --timeout; it may have been done all the same",
            )
        } else {
            status
        }))
    }
}

impl Failure {
    /// A failure of a command with database rights.
    pub fn of_store(error: &StoreError) -> Self {
        let exit = match error.root() {
            _ if error.is_ours() => Exit::BadInput,
            _ if error.refuses_the_role() => Exit::Credentials,
            StoreError::Unavailable(_) | StoreError::Down | StoreError::NotMigrated(_) => {
                Exit::Unreachable
            }
            _ => Exit::Refused,
        };
        Self::with_causes(exit, error)
    }

    /// A failure of a command that calls nobody.
    pub fn new(exit: Exit, message: impl ToString) -> Self {
        Self::Command {
            exit,
            message: message.to_string(),
        }
    }

    /// The same with the whole chain of its causes.
    pub fn with_causes(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        Self::Command {
            exit,
            message: causes(error),
        }
    }

    /// A transport's failure before any call was sent.
    pub fn unreachable(target: &str, error: &(dyn Error + 'static)) -> Self {
        Self::Unreachable {
            target: target.to_owned(),
            cause: causes(error),
        }
    }

    /// The exit code that tells a script what it can do.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Input(_) => Exit::BadInput,
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Output(_) => Exit::Refused,
            Self::Call(status) => status::exit(status),
            Self::Command { exit, .. } => *exit,
        }
    }

    /// Writes the failure to stderr: text for people, or one line of JSON.
    pub fn report(&self, json: bool) {
        if json {
            output::say(&(printable_json(&self.json().to_string()) + "\n"));
        } else {
            output::say(&self.text());
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Input(message) => format!("error: {}\n", printable(message)),
            // Several lines, where several things are wrong.
            Self::Command { message, .. } => {
                let lines: Vec<_> = message.lines().map(printable).collect();
                format!("error: {}\n", lines.join("\n"))
            }
            Self::Unreachable { target, cause } => {
                format!("error: {target} cannot be reached: {cause}\n")
            }
            Self::Output(error) => format!("error: the answer cannot be written: {error}\n"),
            Self::Call(status) => status::text(status),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Call(status) => json!({ "error": status::json(status) }),
            Self::Input(message) | Self::Command { message, .. } => {
                json!({ "error": { "message": message } })
            }
            Self::Unreachable { target, cause } => {
                json!({ "error": { "message": format!("{target} cannot be reached: {cause}") } })
            }
            Self::Output(error) => {
                json!({ "error": { "message": format!("the answer cannot be written: {error}") } })
            }
        }
    }
}

/// An error and its causes in one line, the outermost first. No row is quoted.
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for cause in chain(error).map(store::words_of) {
        // Some of the transport's errors print their cause themselves.
        if text.ends_with(&cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause);
    }
    text
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}
