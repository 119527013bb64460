//! The exit codes, one meaning each, for scripts to act on.

use std::process::ExitCode;

/// What the process says when it ends. From 64 on the numbers are those of
/// `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// The call was refused or failed.
    Refused = 1,
    /// The command line makes no sense; clap says so itself.
    Usage = 2,
    /// Bad configuration or input (`EX_USAGE`).
    BadInput = 64,
    /// The database's tables, or its durability, are not what serving needs (`EX_DATAERR`).
    Unsuitable = 65,
    /// The server or the database cannot be reached (`EX_UNAVAILABLE`).
    Unreachable = 69,
    /// The database schema is beyond what this binary knows (`EX_PROTOCOL`).
    SchemaBeyond = 76,
    /// Credentials or rights were refused (`EX_NOPERM`).
    Credentials = 77,
}

/// The codes as `--help` tells them.
pub const HELP: &str = "\
Exit codes:
  0   done
  1   the call was refused or failed
  2   the command line makes no sense
  64  bad configuration or input
  65  the database's tables or its durability are not what serving needs
  69  the server or the database cannot be reached
  76  the database schema is beyond what this binary knows
  77  credentials or rights were refused";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_tells_every_code() {
        for exit in [
            Exit::Ok,
            Exit::Refused,
            Exit::Usage,
            Exit::BadInput,
            Exit::Unsuitable,
            Exit::Unreachable,
            Exit::SchemaBeyond,
            Exit::Credentials,
        ] {
            assert!(HELP.contains(&format!("\n  {:<4}", exit as u8)), "{exit:?}");
        }
    }
}
