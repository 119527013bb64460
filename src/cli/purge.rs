//! `countersign purge`.

use super::{
    exit::Exit,
    failure::Failure,
    migrate::DatabaseArgs,
    output::{self, Record},
};
use crate::store::{PoolOptions, PreparedStatements, PurgeOptions, Purger};
use clap::Args;
use std::time::Duration;

/// How long one statement may take; counting looks at everything that is due.
const STATEMENT_TIMEOUT: Duration = Duration::from_mins(10);

/// Removes access tokens that expired, and sessions past their absolute expiry with their
/// ledger and their tombstone, in small transactions, until nothing is due. `serve` does
/// the same in the background; it may run meanwhile, and this more than once at a time.
/// Rows of others are never touched. The serving role's rights suffice.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  countersign purge --database-url-file /etc/countersign/migrate-url
  countersign purge --dry-run --json")]
pub(super) struct PurgeArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Count what is due, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// The most access tokens, or sessions, that one transaction removes
    #[arg(long, value_name = "COUNT", default_value = "250")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    batch: u16,
}

/// Purges, or counts.
pub(super) async fn run(args: PurgeArgs, json: bool) -> Result<Exit, Failure> {
    let connections = PoolOptions {
        url: args.database.read()?,
        connections: 1,
        connect_timeout: Duration::from_secs(10),
        acquire_timeout: Duration::from_secs(10),
        statement_timeout: STATEMENT_TIMEOUT,
        lock_timeout: Duration::from_secs(10),
        probe_timeout: Duration::from_secs(10),
        prepared_statements: PreparedStatements::Named,
    };
    let options = PurgeOptions {
        batch: args.batch.into(),
        budget: None,
    };
    let failed = |error| Failure::of_store(&error);
    let mut purger = Purger::open(connections, options).map_err(failed)?;
    let rows = if args.dry_run {
        purger.count().await.map_err(failed)?
    } else {
        purger.pass(&|| true).await.map_err(failed)?.0
    };
    let record = Record::default()
        .flag("dry_run", args.dry_run)
        .number("sessions", rows.sessions)
        .number("grants", rows.grants)
        .number("ledger_rows", rows.ledger)
        .number("access_tokens", rows.access_tokens)
        .number("dpop_proofs", rows.proofs);
    output::print(record, json)
}
