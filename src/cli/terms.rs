//! What several commands take: tokens, durations, ids.

use super::{connection::read_secret, failure::Failure};
use clap::Args;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A token that is presented.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct TokenArg {
    /// The token; `-` reads it from stdin, since a command line is visible to everyone on the
    /// machine
    token: Option<String>,
    /// A file that holds the token
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
}

impl TokenArg {
    /// The token's text.
    pub(super) fn read(self) -> Result<Zeroizing<String>, Failure> {
        match (self.token, self.token_file) {
            (Some(token), _) => token_text(token),
            (None, Some(path)) => read_secret(&path, "--token-file"),
            (None, None) => Err(Failure::input("which token?")),
        }
    }
}

/// A token from the command line, or from stdin where it is `-`.
pub(super) fn token_text(token: String) -> Result<Zeroizing<String>, Failure> {
    if token == "-" {
        read_secret(Path::new("-"), "TOKEN")
    } else {
        Ok(Zeroizing::new(token))
    }
}

/// A duration on the wire.
pub(super) fn duration(time: humantime::Duration) -> Result<prost_types::Duration, Failure> {
    prost_types::Duration::try_from(std::time::Duration::from(time))
        .map_err(|_| Failure::input(format!("{time} is too long")))
}
