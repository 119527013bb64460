//! The live catalogue against the documents: what is missing, what is tolerated, what is
//! refused.
//!
//! `documented.rs`, `referred.rs` and `ours.rs` describe, `read.rs` reads, `compare.rs`
//! judges. Nothing here writes; repairing is the migration's.

mod columns;
mod compare;
pub mod describe;
mod difference;
pub mod documented;
mod indexes;
mod live;
mod ours;
mod read;
mod referred;

use std::fmt;

use tokio_postgres::{Client, Error};

pub use difference::{Difference, Finding, IndexLack, Repair, Severity};

use super::migrate::{files, state};

/// What the check of a database found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Every difference, in the order of the documents.
    pub differences: Vec<Difference>,
    /// The ledger's rows that are not ours. `None`: there is no ledger, or nobody asked.
    pub foreign_rows: Option<ForeignRows>,
}

/// Rows of `auth.refresh_tokens` without a session grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignRows {
    /// All of them.
    pub rows: i64,
    /// Those that hold a token in the clear: of a row that is not ours, any token counts.
    pub in_the_clear: i64,
}

/// How much to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The catalogue alone: milliseconds, whatever the tables hold.
    Catalogue,
    /// The catalogue, and the foreign rows, which reads the whole ledger.
    CountForeignRows,
}

impl CheckReport {
    /// Whether everything stands exactly as documented; what is tolerated is beyond that.
    pub fn is_exact(&self) -> bool {
        self.differences
            .iter()
            .all(|difference| difference.severity == Severity::Tolerated)
    }

    /// The differences of one severity.
    pub fn of(&self, severity: Severity) -> impl Iterator<Item = &Difference> {
        self.differences
            .iter()
            .filter(move |difference| difference.severity == severity)
    }
}

impl fmt::Display for CheckReport {
    /// One difference a line, then the foreign rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for difference in &self.differences {
            writeln!(f, "{difference}")?;
        }
        if let Some(foreign) = self.foreign_rows {
            writeln!(
                f,
                "foreign rows: {}, of them holding a token in the clear: {}",
                foreign.rows, foreign.in_the_clear
            )?;
        }
        Ok(())
    }
}

/// Checks the database that `client` is connected to, within one read-only transaction.
///
/// Any role may ask that can read the catalogue and, once they exist, `countersign.authority`
/// and, to count foreign rows, the ledger and the session grants. Works through `PgBouncer`.
pub async fn check(client: &mut Client, extent: Extent) -> Result<CheckReport, Error> {
    let (findings, foreign_rows) = examine(client, extent).await?;
    Ok(CheckReport {
        differences: findings
            .into_iter()
            .map(|finding| finding.difference)
            .collect(),
        foreign_rows,
    })
}

/// The same with what repairs each difference, for the migration.
pub async fn examine(
    client: &mut Client,
    extent: Extent,
) -> Result<(Vec<Finding>, Option<ForeignRows>), Error> {
    let transaction = read::begin(client).await?;
    let live = read::read(&transaction).await?;
    let found = state::read(&transaction).await?;
    let foreign_rows = match extent {
        Extent::Catalogue => None,
        Extent::CountForeignRows => read::foreign_rows(&transaction, &live).await?,
    };
    transaction.commit().await?;

    let mut findings = compare::compare(&live, found.is_migrated(), files::first().sql);
    if let Some(lack) = found.lack() {
        findings.push(lack);
    }
    Ok((
        findings,
        foreign_rows.map(|(rows, in_the_clear)| ForeignRows { rows, in_the_clear }),
    ))
}
