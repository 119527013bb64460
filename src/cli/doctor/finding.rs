//! What the doctor found.

use crate::cli::output::Record;
use std::fmt::Display;

/// What follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Ok,
    /// It serves, and could be better.
    Advice,
    /// It does not serve, or not for long, or not safely.
    Trouble,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Advice => "advice",
            Self::Trouble => "TROUBLE",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What follows.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it; empty where nothing is to be done.
    pub remedy: String,
}

impl Finding {
    /// All is well.
    pub fn ok(what: &'static str, found: impl Display) -> Self {
        Self {
            what,
            state: State::Ok,
            found: found.to_string(),
            remedy: String::new(),
        }
    }

    /// It could be better.
    pub fn advice(what: &'static str, found: impl Display, remedy: impl Display) -> Self {
        Self {
            state: State::Advice,
            remedy: remedy.to_string(),
            ..Self::ok(what, found)
        }
    }

    /// It is not well.
    pub fn trouble(what: &'static str, found: impl Display, remedy: impl Display) -> Self {
        Self {
            state: State::Trouble,
            remedy: remedy.to_string(),
            ..Self::ok(what, found)
        }
    }

    /// One line, and a second with what to do.
    pub fn text(&self) -> String {
        let Self {
            what,
            state,
            found,
            remedy,
        } = self;
        let line = format!("{:<8}{what}: {found}\n", state.name());
        if remedy.is_empty() {
            line
        } else {
            format!("{line}        → {remedy}\n")
        }
    }
}

impl From<Finding> for Record {
    fn from(finding: Finding) -> Self {
        Self::default()
            .text("what", finding.what.to_owned())
            .text("state", finding.state.name().to_lowercase())
            .text("found", finding.found)
            .text("remedy", finding.remedy)
    }
}
