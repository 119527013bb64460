//! Expired access tokens.

use super::{
    margin,
    walk::{Expiring, Seen},
};
use crate::store::pool::Pool;
use crate::store::{columns::Columns, connection::Connection, error::StoreError, statements};
use chrono::{DateTime, Utc};
use std::collections::HashSet;

/// The access tokens of a database, and how many of them were removed.
#[derive(Debug)]
pub(super) struct AccessTokens {
    pool: Pool,
    removed: u64,
}

impl AccessTokens {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, removed: 0 }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// How many were removed since it was last asked.
    pub(super) fn take_count(&mut self) -> u64 {
        std::mem::take(&mut self.removed)
    }
}

impl Expiring for AccessTokens {
    type Id = Vec<u8>;

    async fn look(&self, from: DateTime<Utc>) -> Result<Vec<Seen<Self::Id>>, StoreError> {
        let statement = statements::PURGE_LOOK_AT_ACCESS_TOKENS;
        let connection = Connection::take(&self.pool).await?;
        let rows = connection.query(statement, &[&from, &margin()]).await?;
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
        ids: &[Self::Id],
        _: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<HashSet<Self::Id>>, StoreError> {
        let statement = statements::PURGE_REMOVE_ACCESS_TOKENS;
        let connection = Connection::take(&self.pool).await?;
        let rows = connection.query(statement, &[&ids, &margin()]).await?;
        let gone: HashSet<_> = rows
            .iter()
            .map(|row| Columns::of(row, statement.name).take())
            .collect::<Result<_, _>>()?;
        self.removed += gone.len() as u64;
        Ok(Some(gone))
    }
}
