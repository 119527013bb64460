//! Why a migration, or a check, could not be done, sorted by what one can do about it.

use std::{error::Error, fmt::Write as _, io};

use thiserror::Error;
use tokio_postgres::error::SqlState;

use crate::store::{catalog::Difference, connect::ConnectError};

/// The cause beneath, kept for the log.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a migration, a dry run or a check was not done.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// Nothing answers there, or the connection broke, or the server takes none now.
    #[error("the database cannot be reached")]
    Unreachable(#[source] Cause),

    /// A file of certificates, keys or the password cannot be used.
    #[error(transparent)]
    Files(ConnectError),

    /// The server refuses the role, or its password, or asks for one that was not given.
    #[error("the database refuses the credentials")]
    WrongPassword(#[source] Cause),

    /// The server knows no such database.
    #[error("the database does not exist")]
    NoSuchDatabase(#[source] Cause),

    /// The role that migrates lacks a right.
    #[error(
        "the role that migrates may not {doing}; let a role that may run:\n{}",
        listed(.statements)
    )]
    InsufficientRights {
        /// What was being done.
        doing: String,
        /// The statements that somebody with the right has to run.
        statements: Vec<String>,
        /// The server's refusal; `None` where it only gave nothing.
        #[source]
        source: Option<Cause>,
    },

    /// The catalogue has something in the way; nothing was changed.
    #[error("the database is not as documented:\n{}", listed(.0))]
    Refused(Vec<Difference>),

    /// All was applied, and yet something documented is missing.
    #[error("after migrating something is still missing:\n{}", listed(.0))]
    Incomplete(Vec<Difference>),

    /// A migration that was applied reads otherwise in this binary.
    #[error(
        "migration {version:04} was applied as `{applied}`, and this binary holds another text \
         of it: the database was migrated by another build"
    )]
    Divergent {
        /// Its number.
        version: i32,
        /// Its name in the history.
        applied: String,
    },

    /// A migration before the newest applied one is missing from the history.
    #[error("migration {0} was never applied, though a later one was")]
    Gap(String),

    /// The database was migrated by a newer binary.
    #[error(
        "the database has schema {found}, this binary knows schemas up to {newest}: use a newer one"
    )]
    NewerSchema {
        /// The newest migration in the history.
        found: i32,
        /// The newest migration of the binary.
        newest: i32,
    },

    /// Rows that stand contradict a documented constraint or unique index.
    #[error("rows that stand do not let Countersign {doing}; what it began was taken back")]
    Contradicted {
        /// What was being done.
        doing: String,
        /// The server's word, with the constraint.
        #[source]
        source: Cause,
    },

    /// Others held locks, or another migration ran, for longer than the options allow.
    #[error("gave up after waiting: could not {doing}, because others hold locks")]
    Busy {
        /// What was being done.
        doing: String,
        /// The last refusal; `None` where another migration holds the lock.
        #[source]
        source: Option<Cause>,
    },

    /// Anything else that the server said.
    #[error("the database failed to {doing}")]
    Failed {
        /// What was being done.
        doing: String,
        /// What it said.
        #[source]
        source: Cause,
    },
}

impl MigrateError {
    /// Sorts an error of the driver that came while `doing` something by `sql`.
    pub(super) fn of(doing: &str, sql: &str, error: tokio_postgres::Error) -> Self {
        let trouble = Trouble::of(&error);
        Self::sorted(trouble, doing, sql, Box::new(error))
    }

    /// Sorts why there is no connection.
    pub(super) fn of_connecting(error: ConnectError) -> Self {
        if error.is_ours() {
            return Self::Files(error);
        }
        let trouble = match &error {
            ConnectError::Driver { source, .. } => Trouble::of(source),
            _ => Trouble::Unreachable,
        };
        Self::sorted(trouble, "connect", "", Box::new(error))
    }

    /// Sorts an error of refinery that came while applying migrations.
    pub(super) fn of_refinery(doing: &str, error: refinery::Error) -> Self {
        let trouble = driver_error(&error).map_or(Trouble::Other, Trouble::of);
        Self::sorted(trouble, doing, "(the migration)", Box::new(error))
    }

    fn sorted(trouble: Trouble, doing: &str, sql: &str, source: Cause) -> Self {
        let doing = doing.to_owned();
        match trouble {
            Trouble::Unreachable => Self::Unreachable(source),
            Trouble::Credentials => Self::WrongPassword(source),
            Trouble::NoSuchDatabase => Self::NoSuchDatabase(source),
            Trouble::Rights => Self::InsufficientRights {
                doing,
                statements: vec![sql.to_owned()],
                source: Some(source),
            },
            Trouble::Contradicted => Self::Contradicted { doing, source },
            Trouble::Locked => Self::Busy {
                doing,
                source: Some(source),
            },
            Trouble::Other => Self::Failed { doing, source },
        }
    }
}

/// What an error of the driver is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Trouble {
    Unreachable,
    Credentials,
    NoSuchDatabase,
    Rights,
    /// Rows contradict a constraint.
    Contradicted,
    /// Worth another attempt.
    Locked,
    Other,
}

impl Trouble {
    pub(in crate::store) fn of(error: &tokio_postgres::Error) -> Self {
        let Some(database) = error.as_db_error() else {
            return Self::of_the_connection(error);
        };
        match database.code() {
            &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                Self::Credentials
            }
            &SqlState::INVALID_CATALOG_NAME => Self::NoSuchDatabase,
            &SqlState::INSUFFICIENT_PRIVILEGE => Self::Rights,
            &SqlState::LOCK_NOT_AVAILABLE
            | &SqlState::T_R_DEADLOCK_DETECTED
            | &SqlState::T_R_SERIALIZATION_FAILURE => Self::Locked,
            // Two that change one row of the catalogue; it has no state of its own.
            &SqlState::INTERNAL_ERROR if database.message().contains("concurrently updated") => {
                Self::Locked
            }
            &SqlState::TOO_MANY_CONNECTIONS
            | &SqlState::ADMIN_SHUTDOWN
            | &SqlState::CRASH_SHUTDOWN
            | &SqlState::CANNOT_CONNECT_NOW => Self::Unreachable,
            code if code.code().starts_with("08") => Self::Unreachable,
            code if code.code().starts_with("23") => Self::Contradicted,
            _ => Self::Other,
        }
    }

    /// The driver tells the kinds of its own errors only by their text.
    fn of_the_connection(error: &tokio_postgres::Error) -> Self {
        let io = error.source().is_some_and(<dyn Error>::is::<io::Error>);
        let text = error.to_string();
        if error.is_closed() || io || text.contains("connect") || text.contains("timeout") {
            Self::Unreachable
        } else if text.contains("authentication") || chain(error).contains("password missing") {
            Self::Credentials
        } else {
            Self::Other
        }
    }
}

/// The driver's error within refinery's.
pub(super) fn driver_error(error: &refinery::Error) -> Option<&tokio_postgres::Error> {
    match error.kind() {
        refinery::error::Kind::Connection(_, source) => source.downcast_ref(),
        _ => None,
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

fn listed<T: ToString>(lines: &[T]) -> String {
    lines
        .iter()
        .map(|line| format!("  {}", line.to_string()))
        .collect::<Vec<_>>()
        .join("\n")
}
