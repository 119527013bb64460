//! Sessions past their absolute expiry, with their ledger and their grant.

use super::{
    Purged, margin, repeatable,
    walk::{Expiring, Seen},
};
use crate::store::pool::Pool;
use crate::store::{
    columns::Columns,
    connection::{Connection, transaction},
    error::StoreError,
    statements,
};
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use uuid::Uuid;

/// Ledger rows that one transaction removes at most: the statement's literal limit.
const LEDGER_ROWS: u64 = 1000;

/// The families of a database, and what of them was removed.
#[derive(Debug)]
pub(super) struct Families {
    pool: Pool,
    removed: Purged,
}

impl Families {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            removed: Purged::default(),
        }
    }

    /// What was removed since it was last asked.
    pub(super) fn take_counts(&mut self) -> Purged {
        std::mem::take(&mut self.removed)
    }
}

impl Expiring for Families {
    type Id = Uuid;

    async fn look(&self, from: DateTime<Utc>) -> Result<Vec<Seen<Uuid>>, StoreError> {
        let statement = statements::PURGE_LOOK_AT_FAMILIES;
        let connection = Connection::take(&self.pool).await?;
        let rows = connection
            .query(statement, &[&from, &margin(), &repeatable()])
            .await?;
        rows.iter()
            .map(|row| {
                let mut columns = Columns::of(row, statement.name);
                Ok(Seen {
                    now: columns.take()?,
                    expires_at: columns.take()?,
                    id: columns.take()?,
                })
            })
            .collect()
    }

    async fn remove(
        &mut self,
        ids: &[Uuid],
        spent: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<HashSet<Uuid>>, StoreError> {
        loop {
            let step = transaction(&self.pool, async |connection| step(connection, ids).await);
            let (purged, gone) = step.await?;
            self.removed.sessions += purged.sessions;
            self.removed.grants += purged.grants;
            self.removed.ledger += purged.ledger;
            match gone {
                Some(gone) => return Ok(Some(gone)),
                None if spent() => return Ok(None),
                None => {}
            }
        }
    }
}

/// One transaction over families: their ledger, or as much of it as one may remove, and
/// after the last of it session and grant. `None`: there may be more of the ledger.
async fn step(
    connection: &Connection,
    ids: &[Uuid],
) -> Result<(Purged, Option<HashSet<Uuid>>), StoreError> {
    let mut purged = Purged::default();
    connection
        .prepare(&[statements::PURGE_LOCK_SESSIONS])
        .await?;
    let statement = statements::PURGE_LOCK_SESSIONS;
    let margin = margin();
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&ids, &margin];
    let ((), locked) =
        futures_util::try_join!(connection.begin(), connection.query(statement, &params))?;
    let locked = locked
        .iter()
        .map(|row| Columns::of(row, statement.name).take())
        .collect::<Result<Vec<Uuid>, _>>()?;

    let statement = statements::PURGE_LOCK_GRANTS;
    let rows = connection.query(statement, &[&ids, &locked]).await?;
    let held = rows
        .iter()
        .map(|row| Columns::of(row, statement.name).take())
        .collect::<Result<Vec<Uuid>, _>>()?;
    if held.is_empty() {
        return Ok((purged, Some(HashSet::new())));
    }

    purged.ledger = connection
        .execute(statements::PURGE_REMOVE_LEDGER, &[&held])
        .await?;
    if purged.ledger >= LEDGER_ROWS {
        return Ok((purged, None));
    }
    let statement = statements::PURGE_REMOVE_FAMILIES;
    for row in &connection.query(statement, &[&held]).await? {
        let mut columns = Columns::of(row, statement.name);
        purged.sessions = columns.rows()?;
        purged.grants = columns.rows()?;
    }
    Ok((purged, Some(held.into_iter().collect())))
}
