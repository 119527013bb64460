//! The removal of what expired: access tokens, and sessions with their ledger and grant.
//!
//! Time ended them, so nobody is told: a row goes when nothing of it can be observed
//! any more. A purge waits for nobody: what another transaction holds is left for later,
//! so any number of them may run at once, beside every call. Foreign rows are passed by.

mod families;
mod proofs;
mod tokens;
mod walk;

use super::{
    columns::Columns,
    connection::Connection,
    error::StoreError,
    instruments::PurgeInstruments,
    pool::{self, PoolOptions},
    statements,
};
use crate::domain::{issuance::REQUEST_ID_LIFETIME, limits};
use crate::store::pool::Pool;
use families::Families;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use tokens::AccessTokens;
use walk::{Walk, walk};

/// How a purge goes about it.
#[derive(Debug, Clone, Copy)]
pub struct PurgeOptions {
    /// Access tokens, or sessions, that one transaction removes at most; 1 to 1,000.
    pub batch: usize,
    /// How long one pass may take. `None`: until nothing is due.
    pub budget: Option<Duration>,
}

/// What a pass removed, or would remove.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    /// Sessions that had reached their end without being ended.
    pub sessions: u64,
    /// Grants, those of ended sessions included.
    pub grants: u64,
    /// Rows of their ledgers.
    pub ledger: u64,
    /// Access tokens.
    pub access_tokens: u64,
    /// DPoP proofs that can be used no more.
    pub proofs: u64,
}

/// How long ago the oldest row expired that is due and still stands; zero: none does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PurgeLag {
    /// Of sessions.
    pub families: Duration,
    /// Of access tokens.
    pub access_tokens: Duration,
}

/// Purges, pass after pass, and remembers how far it came.
#[derive(Debug)]
pub struct Purger {
    options: PurgeOptions,
    families: Families,
    of_families: Walk,
    tokens: AccessTokens,
    of_tokens: Walk,
    instruments: PurgeInstruments,
}

impl Purger {
    pub(super) fn new(pool: Pool, options: PurgeOptions) -> Self {
        Self {
            options,
            families: Families::new(pool.clone()),
            of_families: Walk::default(),
            tokens: AccessTokens::new(pool),
            of_tokens: Walk::default(),
            instruments: PurgeInstruments::default(),
        }
    }

    /// A purge with connections of its own, for commands with database rights.
    pub fn open(connections: PoolOptions, options: PurgeOptions) -> Result<Self, StoreError> {
        Ok(Self::new(pool::open(connections)?, options))
    }

    /// One pass: what is due, until all of it is gone, the budget is used up, or `wanted`
    /// says no. Holds one connection at most, and none between two batches.
    ///
    /// What was removed in spite of a failure stays removed, and is counted by the instruments.
    pub async fn pass(
        &mut self,
        wanted: &(dyn Fn() -> bool + Sync),
    ) -> Result<(Purged, PurgeLag), StoreError> {
        let started = Instant::now();
        let by = |share: u32| self.options.budget.map(|budget| started + budget / share);
        // Half for each at least, so that neither starves the other.
        let (half, whole) = (by(2), by(1));
        let batch = self.options.batch;
        let mut proofs = 0;
        let spent = after_one(half, wanted);
        let families = walk(&mut self.families, &mut self.of_families, batch, &spent).await;
        let spent = after_one(whole, wanted);
        let tokens = walk(&mut self.tokens, &mut self.of_tokens, batch, &spent).await;
        let forgotten = proofs::remove(self.tokens.pool(), batch, &mut proofs, &spent).await;
        // Where one cannot be removed, the others still are.
        let walked = families.and(tokens).and(forgotten);
        let purged = Purged {
            access_tokens: self.tokens.take_count(),
            proofs,
            ..self.families.take_counts()
        };
        self.instruments.purged(&purged);
        if let Err(error) = walked {
            self.instruments.failed();
            return Err(error);
        }
        let lag = PurgeLag {
            families: self.of_families.lag(),
            access_tokens: self.of_tokens.lag(),
        };
        self.instruments.left(&lag);
        Ok((purged, lag))
    }

    /// Counts what is due, and removes nothing.
    pub async fn count(&self) -> Result<Purged, StoreError> {
        let statement = statements::PURGE_COUNT;
        let connection = Connection::take(self.tokens.pool()).await?;
        let rows = connection
            .query(statement, &[&margin(), &repeatable()])
            .await?;
        let row = rows.first().ok_or(StoreError::RowCount {
            statement: statement.name,
            found: 0,
            expected: 1,
        })?;
        let mut columns = Columns::of(row, statement.name);
        Ok(Purged {
            sessions: columns.rows()?,
            grants: columns.rows()?,
            ledger: columns.rows()?,
            access_tokens: columns.rows()?,
            proofs: columns.rows()?,
        })
    }
}

/// Whether the time of a walk is over. However slow the database is, a first batch is removed,
/// or what is due would never go.
fn after_one(end: Option<Instant>, wanted: &(dyn Fn() -> bool + Sync)) -> impl Fn() -> bool + Sync {
    let begun = AtomicBool::new(false);
    move || !wanted() || (begun.swap(true, Ordering::Relaxed) && past(end))
}

fn past(end: Option<Instant>) -> bool {
    end.is_some_and(|end| Instant::now() >= end)
}

/// How long ago a row must have expired, in milliseconds.
fn margin() -> i64 {
    i64::try_from(limits::PURGE_MARGIN_SECONDS * 1000).unwrap_or(i64::MAX)
}

/// How long a request id makes its opening repeatable, in milliseconds.
fn repeatable() -> i64 {
    REQUEST_ID_LIFETIME.num_milliseconds()
}
