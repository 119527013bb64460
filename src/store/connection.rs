//! One connection of the pool, and the one shape of a transaction.
//!
//! Statements of a transaction that need no answer of each other are polled
//! together, so that they travel in one flight: PostgreSQL executes them in the
//! order in which they were first polled.

use super::{
    error::StoreError,
    instruments::PoolInstruments,
    pool::{Object, Pool},
    statements::{self, Statement},
};
use std::{sync::Arc, time::Instant};
use tokio_postgres::{Row, types::ToSql};

/// Parameters of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A pooled connection.
pub(super) struct Connection {
    connection: Object,
    instruments: Arc<PoolInstruments>,
}

impl Connection {
    pub(super) async fn take(pool: &Pool) -> Result<Self, StoreError> {
        Ok(Self {
            connection: pool.get().await?,
            instruments: Arc::clone(pool.instruments()),
        })
    }

    /// Prepares statements that are about to travel in one flight, so that no
    /// preparation gets between them. Free but for the first time.
    pub(super) async fn prepare(&self, statements: &[Statement]) -> Result<(), StoreError> {
        for statement in statements {
            self.connection.prepare_cached(statement.text).await?;
        }
        Ok(())
    }

    /// Runs a statement and returns its rows.
    pub(super) async fn query(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let prepared = self.connection.prepare_cached(statement.text).await?;
        let sent = Instant::now();
        let answer = self.connection.query(&prepared, params).await;
        self.instruments.answered(statement, sent);
        Ok(answer?)
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn execute(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<u64, StoreError> {
        let prepared = self.connection.prepare_cached(statement.text).await?;
        let sent = Instant::now();
        let answer = self.connection.execute(&prepared, params).await;
        self.instruments.answered(statement, sent);
        Ok(answer?)
    }

    /// Opens a transaction; polled together with its first statements.
    pub(super) async fn begin(&self) -> Result<(), StoreError> {
        let sent = Instant::now();
        let answer = self.connection.batch_execute(statements::BEGIN.text).await;
        self.instruments.answered(statements::BEGIN, sent);
        Ok(answer?)
    }

    /// Gives the rest of the transaction the time that a search through everything
    /// unexpired may need.
    pub(super) async fn allow_search(&self) -> Result<(), StoreError> {
        let sent = Instant::now();
        let answer = self.connection.batch_execute(statements::SEARCH.text).await;
        self.instruments.answered(statements::SEARCH, sent);
        Ok(answer?)
    }

    /// Commits. Only a conflict or a constraint says for certain that nothing was
    /// committed; any other failure here leaves the commit in doubt.
    pub(super) async fn commit(&self) -> Result<(), StoreError> {
        let sent = Instant::now();
        let answer = self.connection.batch_execute(statements::COMMIT.text).await;
        self.instruments.answered(statements::COMMIT, sent);
        answer.map_err(|error| {
            let class = error.code().map(|code| &code.code()[..2]);
            match class {
                Some("40" | "23") => error.into(),
                _ => StoreError::InDoubt(error),
            }
        })
    }

    /// Gives up a transaction. A connection that cannot even do that is closed,
    /// which does it too.
    pub(super) async fn abandon(self) {
        if self
            .connection
            .batch_execute(statements::ROLLBACK.text)
            .await
            .is_err()
        {
            drop(Object::take(self.connection));
        }
    }
}

/// Runs `work` and then commits, or abandons the transaction that `work` began.
/// `work` begins it itself, so that BEGIN travels with the first statements.
pub(super) async fn transaction<T, F>(pool: &Pool, work: F) -> Result<T, StoreError>
where
    F: AsyncFnOnce(&Connection) -> Result<T, StoreError>,
{
    let connection = Connection::take(pool).await?;
    let done = match work(&connection).await {
        Ok(value) => connection.commit().await.map(|()| value),
        Err(error) => Err(error),
    };
    if done.is_err() {
        connection.abandon().await;
    }
    done
}
