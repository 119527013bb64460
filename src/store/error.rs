//! What can go wrong with the database, sorted by what the caller can do.

use super::{connect::ConnectError, migrate::Trouble};
use deadpool::managed::{PoolError, TimeoutType};
use std::{error::Error as _, sync::Arc};
use thiserror::Error;
use tokio_postgres::error::{DbError, Error as DriverError};

/// A failure of the database, never of a rule.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The database cannot be reached, or the connection broke.
    #[error("the database is not available")]
    Unavailable(#[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// The database is known to be away; nothing was sent to it, or nobody waits any more for
    /// what was.
    #[error("the database is known to be away")]
    Down,
    /// The connection broke after COMMIT was sent; whether it counts is unknown.
    #[error("the connection broke while committing")]
    InDoubt(#[source] Option<DriverError>),
    /// The tables are not there yet.
    #[error("the database is not migrated yet")]
    NotMigrated(#[source] DriverError),
    /// Other transactions kept getting in the way.
    #[error("other calls kept getting in the way")]
    Contention(#[source] Option<DriverError>),
    /// Too many calls wait.
    #[error("too many calls wait for the database")]
    Overloaded,
    /// The documented tables' 32-bit ids are used up.
    #[error("an identity of the documented tables is used up")]
    IdsExhausted(#[source] Option<DriverError>),
    /// A row met another that it may not stand beside, or missed one that it refers to: as a
    /// rule one that another call has just written.
    #[error("a row conflicts with another")]
    Conflict(#[source] DriverError),
    /// A constraint refused a row.
    #[error("a constraint of the database refused a row")]
    Constraint(#[source] DriverError),
    /// A row makes no sense.
    #[error("{statement} returned a row that makes no sense in column {column}")]
    Corrupt {
        /// The statement.
        statement: &'static str,
        /// The column, counted from 0.
        column: usize,
        /// What the driver said.
        #[source]
        source: Option<DriverError>,
    },
    /// A statement changed another number of rows than it must.
    #[error("{statement} changed {found} rows where {expected} were due")]
    RowCount {
        /// The statement.
        statement: &'static str,
        /// How many it changed.
        found: usize,
        /// How many were due.
        expected: usize,
    },
    /// Anything else that the database refused.
    #[error("the database refused a statement")]
    Database(#[source] DriverError),
    /// One failure of a whole batch, told to each of its calls.
    #[error(transparent)]
    Shared(Arc<StoreError>),
}

impl StoreError {
    /// Whether the same work may simply be done again: nothing was committed.
    pub fn is_transient(&self) -> bool {
        match self.root() {
            Self::Contention(_) | Self::Conflict(_) | Self::RowCount { .. } => true,
            Self::Unavailable(_)
            | Self::Down
            | Self::InDoubt(_)
            | Self::NotMigrated(_)
            | Self::Overloaded
            | Self::IdsExhausted(_)
            | Self::Constraint(_)
            | Self::Corrupt { .. }
            | Self::Database(_)
            | Self::Shared(_) => false,
        }
    }

    /// Its kind, as spans name it.
    pub fn kind(&self) -> &'static str {
        match self.root() {
            Self::Unavailable(_) => "unavailable",
            Self::Down => "down",
            Self::InDoubt(_) => "in_doubt",
            Self::NotMigrated(_) => "not_migrated",
            Self::Contention(_) => "contention",
            Self::Overloaded => "overloaded",
            Self::IdsExhausted(_) => "ids_exhausted",
            Self::Conflict(_) => "conflict",
            Self::Constraint(_) => "constraint",
            Self::Corrupt { .. } => "corrupt",
            Self::RowCount { .. } => "row_count",
            Self::Database(_) | Self::Shared(_) => "database",
        }
    }

    /// The failure itself, where it was told to several calls.
    pub fn root(&self) -> &Self {
        match self {
            Self::Shared(error) => error.root(),
            other => other,
        }
    }

    /// Whether it comes by the thousand, and was told already: the breaker has said once that it
    /// is open, and the shed calls are counted.
    pub fn comes_in_crowds(&self) -> bool {
        matches!(self.root(), Self::Down | Self::Overloaded)
    }

    /// Whether one row may be to blame, so that the others of its batch deserve a
    /// try without it.
    pub fn blames_a_row(&self) -> bool {
        matches!(
            self.root(),
            Self::Conflict(_)
                | Self::Constraint(_)
                | Self::Corrupt { .. }
                | Self::Database(_)
                // Not every call of a batch needs a new id.
                | Self::IdsExhausted(_)
        )
    }

    /// Whether the database refuses the role: its credentials, or for want of a right.
    pub fn refuses_the_role(&self) -> bool {
        self.cause::<DriverError>().is_some_and(|error| {
            matches!(Trouble::of(error), Trouble::Credentials | Trouble::Rights)
        })
    }

    /// Whether this host's configuration is to blame, whatever the database says.
    pub fn is_ours(&self) -> bool {
        self.cause::<ConnectError>()
            .is_some_and(ConnectError::is_ours)
    }

    /// The outermost cause of a type.
    fn cause<E: std::error::Error + 'static>(&self) -> Option<&E> {
        std::iter::successors(self.root().source(), |&cause| cause.source())
            .find_map(<dyn std::error::Error>::downcast_ref)
    }

    /// The whole chain of causes as one line for the log: of what PostgreSQL says only
    /// the code and the names of objects, since its words quote rows and statements.
    pub fn causes(&self) -> String {
        causes(self)
    }
}

/// The same of any error.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let database = cause
            .downcast_ref::<DriverError>()
            .and_then(DriverError::as_db_error);
        if let Some(database) = database {
            let of = |name: &str, object: Option<&str>| {
                object
                    .map(|object| format!(", {name} {object}"))
                    .unwrap_or_default()
            };
            let table = of("table", database.table());
            let constraint = of("constraint", database.constraint());
            return format!(
                "{line}: SQLSTATE {}{table}{constraint}",
                database.code().code()
            );
        }
        line = format!("{line}: {cause}");
        next = cause.source();
    }
    line
}

/// What an error says to the person at the command. Of what PostgreSQL says that is its message,
/// its code and the names of objects, never its detail, which quotes rows; nor the message where
/// data itself is at fault (class 22), which quotes that.
pub fn words_of(error: &(dyn std::error::Error + 'static)) -> String {
    let Some(database) = error.downcast_ref::<DbError>() else {
        return error.to_string();
    };
    let code = database.code().code();
    let mut words = database.severity().to_owned();
    if !code.starts_with("22") {
        words = format!("{words}: {}", database.message());
    }
    words = format!("{words} (SQLSTATE {code}");
    if let Some(table) = database.table() {
        let schema = database.schema().unwrap_or_default();
        words = format!("{words}, table {schema}.{table}");
    }
    if let Some(constraint) = database.constraint() {
        words = format!("{words}, constraint {constraint}");
    }
    words + ")"
}

impl From<DriverError> for StoreError {
    fn from(error: DriverError) -> Self {
        let Some(code) = error.code() else {
            return Self::Unavailable(Some(Box::new(error)));
        };
        match code.code() {
            // undefined schema, table, column or function
            "3F000" | "42P01" | "42703" | "42883" => Self::NotMigrated(error),
            // the sequence is at its end; an id is out of range
            "2200H" | "22003" => Self::IdsExhausted(Some(error)),
            // a unique or foreign key
            "23505" | "23503" => Self::Conflict(error),
            // read-only, as a standby is; idle in a transaction for too long
            "25006" | "25P03" => Self::Unavailable(Some(Box::new(error))),
            // lock not available, lock timeout
            "55P03" => Self::Contention(Some(error)),
            code => match &code[..2] {
                // connection; out of memory, disk or connections; cancelled by a timeout,
                // shutting down, crashed, starting up; input and output
                "08" | "53" | "57" | "58" => Self::Unavailable(Some(Box::new(error))),
                // an integrity constraint
                "23" => Self::Constraint(error),
                // serialization failure, deadlock
                "40" => Self::Contention(Some(error)),
                _ => Self::Database(error),
            },
        }
    }
}

impl From<ConnectError> for StoreError {
    fn from(error: ConnectError) -> Self {
        Self::Unavailable(Some(Box::new(error)))
    }
}

impl From<PoolError<ConnectError>> for StoreError {
    fn from(error: PoolError<ConnectError>) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::Overloaded,
            PoolError::Backend(error) => error.into(),
            other => Self::Unavailable(Some(Box::new(other))),
        }
    }
}
