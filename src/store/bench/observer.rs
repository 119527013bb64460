//! What the database tells of itself, on one connection of its owner.

use crate::store::{
    connect::connect,
    error::StoreError,
    statements::{self, Statement},
    url::DatabaseUrl,
};
use std::time::Duration;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

/// How often a reload is looked for, and how long.
const GLANCE: Duration = Duration::from_millis(10);
const GLANCES: u32 = 500;

/// A connection with the owner's rights.
pub struct Observer(Client);

impl Observer {
    /// Connects.
    pub async fn connect(owner: &DatabaseUrl) -> Result<Self, StoreError> {
        Ok(Self(connect(owner).await?))
    }

    /// Whether the role is a superuser.
    pub async fn is_superuser(&self) -> Result<bool, StoreError> {
        Ok(self.row(statements::BENCH_RIGHTS).await?.try_get(0)?)
    }

    /// Whether the migrated tables hold nothing yet.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.row(statements::BENCH_EMPTY).await?.try_get(0)?)
    }

    /// Bytes of WAL that were ever written; a difference of two says what was between.
    pub async fn wal_bytes(&self) -> Result<u64, StoreError> {
        let bytes: i64 = self.row(statements::BENCH_WAL).await?.try_get(0)?;
        Ok(u64::try_from(bytes).unwrap_or_default())
    }

    /// Writes what is dirty, so that the next row begins with nothing to write, and with
    /// every page's next change as a full-page image.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        Ok(self
            .0
            .batch_execute(statements::BENCH_CHECKPOINT.text)
            .await?)
    }

    /// Vacuums and analyses every table.
    pub async fn vacuum(&self) -> Result<(), StoreError> {
        Ok(self.0.batch_execute(statements::BENCH_VACUUM.text).await?)
    }

    /// Switches full-page images of the whole server, and checkpoints, so that it holds
    /// from now on.
    pub async fn full_page_writes(&self, on: bool) -> Result<(), StoreError> {
        let (statement, wanted) = if on {
            (statements::BENCH_FULL_PAGES_ON, "on")
        } else {
            (statements::BENCH_FULL_PAGES_OFF, "off")
        };
        self.0.batch_execute(statement.text).await?;
        self.0.query(statements::BENCH_RELOAD.text, &[]).await?;
        for _ in 0..GLANCES {
            let settings = self.settings().await?;
            if settings
                .iter()
                .any(|(name, value)| name == "full_page_writes" && value == wanted)
            {
                return self.checkpoint().await;
            }
            tokio::time::sleep(GLANCE).await;
        }
        Err(StoreError::Unavailable(None))
    }

    /// The version and the settings that matter, as PostgreSQL shows them.
    pub async fn settings(&self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = self.0.query(statements::BENCH_SETTINGS.text, &[]).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect()
    }

    /// The sessions that have taken steps, and how many.
    pub async fn steps(&self) -> Result<Vec<(Uuid, u32)>, StoreError> {
        let rows = self.0.query(statements::BENCH_STEPS.text, &[]).await?;
        rows.iter()
            .map(|row| {
                let steps: i32 = row.try_get(1)?;
                Ok((row.try_get(0)?, u32::try_from(steps).unwrap_or_default()))
            })
            .collect()
    }

    async fn row(&self, statement: Statement) -> Result<Row, StoreError> {
        Ok(self.0.query_one(statement.text, &[]).await?)
    }
}
