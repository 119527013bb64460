//! Why a configuration is refused.

use std::{fmt, path::PathBuf};

/// A refused configuration: everything that is wrong with it, at once.
///
/// `Display` gives one line a problem, each with the key, where it was set, what was
/// wrong and what is accepted. It never shows a secret.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is refused:{}", lines(.problems))]
pub struct ConfigError {
    /// What is wrong: at least one problem.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The dotted key, the environment variable or the file that it is about.
    pub key: String,
    /// Where it was set.
    pub origin: Origin,
    /// What was wrong, without any secret.
    pub wrong: String,
    /// What would be accepted instead, where that can be said.
    pub accepted: Option<String>,
}

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it, and it has no default.
    Nowhere,
    /// The table's default.
    Default,
    /// The configuration file, and the line where it is known (1 is the first).
    File(PathBuf, Option<usize>),
    /// An environment variable, by its name.
    Variable(String),
    /// A flag, without its dashes.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => formatter.write_str("not set"),
            Self::Default => formatter.write_str("the default"),
            Self::File(path, None) => write!(formatter, "{}", path.display()),
            Self::File(path, Some(line)) => write!(formatter, "{} line {line}", path.display()),
            Self::Variable(name) => write!(formatter, "environment variable {name}"),
            Self::Flag(name) => write!(formatter, "flag --{name}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}): {}", self.key, self.origin, self.wrong)?;
        match &self.accepted {
            Some(accepted) => write!(formatter, "; accepted: {accepted}"),
            None => Ok(()),
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |text, problem| {
        text + "\n  " + &problem.to_string()
    })
}
