//! Migrating a database, and telling what would be done.
//!
//! In order: what is refused is looked for before anything is changed; refinery applies the
//! pending migrations, each in its transaction; what documented tables that stood before
//! lack is completed, indexes concurrently; the role that serves gets its least rights.
//! All of it under one advisory lock a database, on a direct connection: a session lock and
//! concurrent builds do not pass `PgBouncer` in transaction mode.

mod error;
pub mod files;
mod history;
mod roles;
mod runner;
mod session;
pub(crate) mod state;
mod statement;

use std::{fmt, time::Duration};

pub(super) use error::Trouble;
pub use error::{Cause, MigrateError};
pub use roles::Rights;
pub(super) use roles::examine as rights;
pub use session::LOCK_KEY;
pub use state::{SchemaState, schema_state};

use super::{
    catalog::{self, CheckReport, Difference, Extent},
    url::DatabaseUrl,
};

/// How to migrate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrateOptions {
    /// The role that serves: created where it is missing, and given its least rights.
    pub serving_role: String,
    /// How long an attempt of a statement that others wait behind may itself wait for a lock.
    pub lock_timeout: Duration,
    /// The same for the last three attempts.
    pub last_lock_timeout: Duration,
    /// How often such a statement is tried, with growing pauses of at most two seconds.
    pub attempts: u32,
    /// How long to wait for another migration of the same database.
    pub patience: Duration,
}

impl Default for MigrateOptions {
    fn default() -> Self {
        Self {
            serving_role: String::from("countersign_server"),
            // Every caller queues behind an attempt for as long as it waits: shorter than a
            // proxy's patience with a check, and long enough for the batches under way to end.
            lock_timeout: Duration::from_millis(50),
            // Longer than the server's deadlock_timeout, after which it cancels an autovacuum
            // that is in the way.
            last_lock_timeout: Duration::from_millis(1_500),
            // A minute and a half of them.
            attempts: 48,
            patience: Duration::from_mins(10),
        }
    }
}

/// What a migration did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MigrationReport {
    /// The migrations that were applied, by number and name.
    pub applied: Vec<String>,
    /// What was completed on documented tables that stood before.
    pub repaired: Vec<String>,
    /// The statements that were run for the role that serves.
    pub granted: Vec<String>,
    /// What stands beyond the documents and was left as it is.
    pub tolerated: Vec<Difference>,
    /// The statements that would take what the role that serves may do beyond its least rights,
    /// through everybody or through a group: a decision that is not ours.
    pub through_others: Vec<String>,
    /// The schema that was found, if it is the next one: this binary serves on it, and has
    /// nothing to do.
    pub next: Option<i32>,
}

impl MigrationReport {
    /// Whether anything was changed.
    pub fn changed(&self) -> bool {
        !(self.applied.is_empty() && self.repaired.is_empty() && self.granted.is_empty())
    }
}

/// One thing that a migration would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does, for people.
    pub title: String,
    /// Its text: one statement, or the several of a migration.
    pub sql: String,
}

impl fmt::Display for Step {
    /// Its title as a comment, then its text, ended so that psql can run it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sql = self.sql.trim_end().trim_end_matches(';');
        writeln!(f, "-- {}\n{sql};", self.title)
    }
}

impl From<statement::Statement> for Step {
    fn from(statement: statement::Statement) -> Self {
        Self {
            title: statement.title,
            sql: statement.sql,
        }
    }
}

/// Migrates a database to the newest schema of this binary.
///
/// Safe to repeat and to run at once from several places: the second waits for the first
/// and then finds nothing to do; so does the version before, when the next one has migrated.
/// `progress` hears a line for each thing that is done.
pub async fn migrate(
    database: impl Into<DatabaseUrl>,
    options: &MigrateOptions,
    mut progress: impl FnMut(&str) + Send,
) -> Result<MigrationReport, MigrateError> {
    runner::migrate(&database.into(), options, &mut progress).await
}

/// Gives the role that serves a password, on a server that is ours alone.
pub async fn set_password(
    database: impl Into<DatabaseUrl>,
    role: &str,
    password: &str,
) -> Result<(), MigrateError> {
    let client = session::open(&database.into()).await?;
    roles::set_password(&client, role, password).await
}

/// What [`migrate`] would run on a database, in order; changes nothing.
///
/// # Errors
/// Those of [`migrate`] that do not come from writing, [`MigrateError::Refused`] included.
pub async fn dry_run(
    database: impl Into<DatabaseUrl>,
    options: &MigrateOptions,
) -> Result<Vec<Step>, MigrateError> {
    runner::dry_run(&database.into(), options).await
}

/// Checks a database against the documents; changes nothing.
pub async fn check(
    database: impl Into<DatabaseUrl>,
    extent: Extent,
) -> Result<CheckReport, MigrateError> {
    let mut client = session::open(&database.into()).await?;
    catalog::check(&mut client, extent)
        .await
        .map_err(|error| MigrateError::of("read the catalogue", "", error))
}
