//! One connection of the pool, and the one shape of a transaction.
//!
//! Statements of a transaction that need no answer of each other are polled
//! together, so that they travel in one flight: PostgreSQL executes them in the
//! order in which they were first polled.

use super::{
    error::StoreError,
    pool::{Object, Pool},
    prepared::Prepared,
    statements::{self, Statement},
};
use futures_util::future::try_join_all;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};
use tokio_postgres::{
    Error as DriverError, Row, Statement as PreparedStatement,
    error::SqlState,
    types::{ToSql, Type},
};

/// Parameters of a statement.
pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// A pooled connection.
pub(super) struct Connection {
    /// `None` only while it is dropped.
    object: Option<Object>,
    pool: Pool,
    /// It must not be used again.
    spoiled: AtomicBool,
    /// Its transaction is over: `commit_with` was called.
    committed: AtomicBool,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(connection) = self.object.take()
            && self.spoiled.load(Ordering::Relaxed)
        {
            // Closes it.
            drop(Object::take(connection));
        }
    }
}

impl Connection {
    pub(super) async fn take(pool: &Pool) -> Result<Self, StoreError> {
        Ok(Self {
            object: Some(pool.get().await?),
            pool: pool.clone(),
            spoiled: AtomicBool::new(false),
            committed: AtomicBool::new(false),
        })
    }

    fn client(&self) -> Result<&Prepared, StoreError> {
        let client = self.object.as_deref();
        client.ok_or(StoreError::Unavailable(None))
    }

    /// Sends something, and waits for its answer: for ever, unless it turns out that nobody
    /// is there to give one.
    async fn answered<T>(
        &self,
        statement: Statement,
        answer: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, Unanswered> {
        let breaker = self.pool.breaker();
        let (at, sent) = (Instant::now(), breaker.sent());
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            () = breaker.lost() => {
                self.spoiled.store(true, Ordering::Relaxed);
                return Err(Unanswered::Lost);
            }
        };
        drop(sent);
        self.pool.instruments().answered(statement, at);
        match &answer {
            Err(error) if error.code().is_none() => {}
            answer => {
                breaker.heard();
                let read_only = answer.as_ref().err().and_then(DriverError::code);
                if read_only == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
                    // The server has become a standby, or will not write any more.
                    self.spoiled.store(true, Ordering::Relaxed);
                }
            }
        }
        answer.map_err(Unanswered::Failed)
    }

    /// Prepares statements that are about to travel in one flight, so that no
    /// preparation gets between them. Free but for the first time, which is one flight, too:
    /// a new connection to a distant database may not cost a call its deadline.
    pub(super) async fn prepare(&self, statements: &[Statement]) -> Result<(), StoreError> {
        if self.pool.unnamed().is_some() {
            return Ok(());
        }
        let client = self.client()?;
        let mut unknown = Vec::new();
        for statement in statements {
            if client.get(*statement).is_none() {
                unknown.push(self.prepared(*statement));
            }
        }
        if !unknown.is_empty() {
            try_join_all(unknown).await?;
        }
        Ok(())
    }

    async fn prepared(&self, statement: Statement) -> Result<PreparedStatement, StoreError> {
        let client = self.client()?;
        match client.get(statement) {
            Some(prepared) => Ok(prepared),
            None => Ok(self.answered(statement, client.prepare(statement)).await?),
        }
    }

    /// Runs a statement and returns its rows.
    pub(super) async fn query(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        if let Some(types) = self.pool.unnamed() {
            let params = typed(params, types.of(statement));
            let answer = self.client()?.query_typed(statement.text, &params);
            return Ok(self.answered(statement, answer).await?);
        }
        let prepared = self.prepared(statement).await?;
        let answer = self.client()?.query(&prepared, params);
        Ok(self.answered(statement, answer).await?)
    }

    /// Runs a statement that is a transaction of its own. Only a failure that does not end the
    /// connection says for certain that nothing was committed; any other leaves it in doubt.
    pub(super) async fn query_and_commit(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        // What fails here was not sent.
        self.prepare(&[statement]).await?;
        self.query(statement, params).await.map_err(in_doubt)
    }

    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn execute(
        &self,
        statement: Statement,
        params: Params<'_>,
    ) -> Result<u64, StoreError> {
        if let Some(types) = self.pool.unnamed() {
            let params = typed(params, types.of(statement));
            let answer = self.client()?.execute_typed(statement.text, &params);
            return Ok(self.answered(statement, answer).await?);
        }
        let prepared = self.prepared(statement).await?;
        let answer = self.client()?.execute(&prepared, params);
        Ok(self.answered(statement, answer).await?)
    }

    /// Runs a statement without parameters or rows.
    async fn run(&self, statement: Statement) -> Result<(), Unanswered> {
        let Some(connection) = self.object.as_deref() else {
            return Err(Unanswered::Lost);
        };
        let answer = connection.batch_execute(statement.text);
        self.answered(statement, answer).await
    }

    /// Opens a transaction; polled together with its first statements.
    pub(super) async fn begin(&self) -> Result<(), StoreError> {
        Ok(self.run(statements::BEGIN).await?)
    }

    /// Gives the rest of the transaction the time that a search through everything
    /// unexpired may need.
    pub(super) async fn allow_search(&self) -> Result<(), StoreError> {
        Ok(self.run(statements::SEARCH).await?)
    }

    /// Takes a turn behind those who issue, before a client is locked for a short change.
    pub(super) async fn queue(&self) -> Result<(), StoreError> {
        Ok(self.run(statements::CLIENTS_QUEUE).await?)
    }

    /// Commits. Only a conflict or a constraint says for certain that nothing was
    /// committed; any other failure here leaves the commit in doubt.
    pub(super) async fn commit(&self) -> Result<(), StoreError> {
        self.run(statements::COMMIT).await.map_err(|unanswered| {
            let Unanswered::Failed(error) = unanswered else {
                return StoreError::InDoubt(None);
            };
            let class = error.code().map(|code| &code.code()[..2]);
            match class {
                Some("40" | "23") => error.into(),
                _ => StoreError::InDoubt(Some(error)),
            }
        })
    }

    /// Sends the last statements of a transaction and COMMIT behind them, in one flight. Where
    /// one of them fails, PostgreSQL rolls back instead; a connection that breaks leaves the
    /// commit in doubt. What they did is committed before anybody looks at it, so this is for
    /// statements that do the whole or fail.
    pub(super) async fn commit_with<T>(
        &self,
        statements: &[Statement],
        last: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        // Or COMMIT would overtake what waits for its preparation.
        self.prepare(statements).await?;
        self.committed.store(true, Ordering::Relaxed);
        let last = async { last.await.map_err(in_doubt) };
        let (value, ()) = futures_util::try_join!(last, self.commit())?;
        Ok(value)
    }

    /// Ends a transaction without a trace. Whoever goes on is in none.
    pub(super) async fn roll_back(&self) -> Result<(), StoreError> {
        Ok(self.run(statements::ROLLBACK).await?)
    }

    /// Gives up a transaction. A connection that cannot even do that is closed,
    /// which does it too.
    pub(super) async fn abandon(self) {
        if self.spoiled.load(Ordering::Relaxed) || self.run(statements::ROLLBACK).await.is_err() {
            self.spoiled.store(true, Ordering::Relaxed);
        }
    }
}

/// Why a statement has no answer.
enum Unanswered {
    /// It failed, or its connection broke.
    Failed(DriverError),
    /// There was an outage, and nobody is at the other end any more.
    Lost,
}

impl From<Unanswered> for StoreError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Failed(error) => error.into(),
            Unanswered::Lost => Self::Unavailable(None),
        }
    }
}

/// What a failure means of a statement that PostgreSQL may have committed by then.
fn in_doubt(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(_) | StoreError::RowCount { .. } => StoreError::InDoubt(None),
        error => error,
    }
}

/// Each parameter with its type.
pub(super) fn typed<'a>(params: Params<'a>, types: &[Type]) -> Vec<(&'a (dyn ToSql + Sync), Type)> {
    let params = params.iter().copied();
    params.zip(types.iter().cloned()).collect()
}

/// Runs `work` and then commits, or abandons the transaction that `work` began.
/// `work` begins it itself, so that BEGIN travels with the first statements.
pub(super) async fn transaction<T, F>(pool: &Pool, work: F) -> Result<T, StoreError>
where
    F: AsyncFnOnce(&Connection) -> Result<T, StoreError>,
{
    let connection = Connection::take(pool).await?;
    let done = match work(&connection).await {
        Ok(value) if connection.committed.load(Ordering::Relaxed) => Ok(value),
        Ok(value) => connection.commit().await.map(|()| value),
        Err(error) => Err(error),
    };
    if done.is_err() {
        connection.abandon().await;
    }
    done
}
