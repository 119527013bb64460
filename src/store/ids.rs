//! The 32-bit ids of `auth.refresh_session` and `auth."user"`.
//!
//! The identities give them out until a reserve before their end; from there on
//! freed ids are searched and given out explicitly, below what the identity ever
//! gave. Where none is free, the call is refused before the end is reached.

use super::{
    columns::Columns,
    connection::{Connection, Params},
    error::StoreError,
    instruments::IdInstruments,
    statements::{self, Statement},
};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Ids that are left to the identity, for the foreign rows of others.
const RESERVE: i32 = 1_000_000;
/// The last id that our rows take.
const LAST: i32 = i32::MAX - RESERVE;
/// How many ids a statement looks at.
const WINDOW: i64 = 100_000;
/// How many of these windows one call searches.
const WINDOWS: i64 = 20;

/// Where new ids come from, in this process.
#[derive(Debug, Default)]
pub(super) struct IdSource {
    instruments: IdInstruments,
    sessions: Gaps,
    users: Gaps,
}

/// How long nobody searches where a search has just found none: it is long, and each call of
/// the batch that needed an id is tried by itself after it.
const REST: Duration = Duration::from_secs(1);

/// The freed ids of one table.
#[derive(Debug, Default)]
struct Gaps {
    /// New ids come from here.
    used: AtomicBool,
    /// When a search found none.
    none_at: Mutex<Option<Instant>>,
}

impl Gaps {
    fn none_of_late(&self) -> bool {
        let none_at = self.none_at.lock().unwrap_or_else(PoisonError::into_inner);
        none_at.is_some_and(|at| at.elapsed() < REST)
    }

    fn found_none(&self) {
        let mut none_at = self.none_at.lock().unwrap_or_else(PoisonError::into_inner);
        *none_at = Some(Instant::now());
    }
}

impl IdSource {
    /// Explicit ids for new sessions, or NULLs that leave the choice to the
    /// identity.
    pub(super) async fn for_sessions(
        &self,
        connection: &Connection,
        count: usize,
    ) -> Result<Vec<Option<i32>>, StoreError> {
        choose(
            connection,
            ("auth.refresh_session", statements::IDS_ALLOCATE_SESSIONS),
            &self.sessions,
            count,
        )
        .await
    }

    /// As [`Self::for_sessions`], for new users.
    pub(super) async fn for_users(
        &self,
        connection: &Connection,
        count: usize,
    ) -> Result<Vec<Option<i32>>, StoreError> {
        choose(
            connection,
            ("auth.user", statements::IDS_ALLOCATE_USERS),
            &self.users,
            count,
        )
        .await
    }

    /// Notes an id that a session got.
    pub(super) fn saw_session(&self, id: i32) {
        if id >= LAST {
            self.sessions.used.store(true, Ordering::Relaxed);
        }
    }

    /// Notes an id that a user got.
    pub(super) fn saw_user(&self, id: i32) {
        if id >= LAST {
            self.users.used.store(true, Ordering::Relaxed);
        }
    }

    /// Reads how far the identities have come, at start and now and then.
    pub(super) async fn look(&self, connection: &Connection) -> Result<(i64, i64), StoreError> {
        let statement = statements::IDS_HEADROOM;
        let rows = connection.query(statement, &[]).await?;
        let row = rows.first().ok_or(StoreError::RowCount {
            statement: statement.name,
            found: 0,
            expected: 1,
        })?;
        let mut columns = Columns::of(row, statement.name);
        let (sessions, users): (i64, i64) = (columns.take()?, columns.take()?);
        self.saw_session(i32::try_from(sessions).unwrap_or(i32::MAX));
        self.saw_user(i32::try_from(users).unwrap_or(i32::MAX));
        let left = (i64::from(LAST) - sessions, i64::from(LAST) - users);
        self.instruments.left(left.0, left.1);
        Ok(left)
    }

    /// Reads how many sessions the planner believes there are.
    pub(super) async fn estimate(&self, connection: &Connection) -> Result<(), StoreError> {
        let statement = statements::SESSIONS_ESTIMATE;
        let rows = connection.query(statement, &[]).await?;
        if let Some(row) = rows.first() {
            self.instruments
                .estimated(Columns::of(row, statement.name).take()?);
        }
        Ok(())
    }
}

async fn choose(
    connection: &Connection,
    (table, statement): (&str, Statement),
    gaps: &Gaps,
    count: usize,
) -> Result<Vec<Option<i32>>, StoreError> {
    if !gaps.used.load(Ordering::Relaxed) {
        return Ok(vec![None; count]);
    }
    if gaps.none_of_late() {
        return Err(StoreError::IdsExhausted(None));
    }
    let mut ids = Vec::with_capacity(count);
    for _ in 0..WINDOWS {
        let missing = i64::try_from(count - ids.len()).unwrap_or(i64::MAX);
        for row in connection
            .query(statement, &[&i64::from(LAST), &missing])
            .await?
        {
            ids.push(Some(Columns::of(&row, statement.name).take()?));
        }
        if ids.len() == count {
            return Ok(ids);
        }
    }
    if ids.is_empty() {
        gaps.found_none();
    }
    // With the batch, the cursor would go back to where it was, and every further call would
    // search the same ids. Nothing else of the batch was to stand.
    connection.roll_back().await?;
    let searched = WINDOW * WINDOWS;
    let params: Params<'_> = &[&table, &searched, &i64::from(LAST)];
    connection.execute(statements::IDS_PASS_ON, params).await?;
    Err(StoreError::IdsExhausted(None))
}
