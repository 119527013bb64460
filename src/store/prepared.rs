//! A connection with the statements that it has prepared.
//!
//! Each is found by its place in the table of statements. A cache by text, as the driver's pool
//! has one, would hash kilobytes of SQL for every statement that is run.

use super::statements::{self, Statement};
use deadpool_postgres::ClientWrapper;
use std::{
    ops::Deref,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio_postgres::{Error as DriverError, Statement as PreparedStatement};

/// A connection, and what it knows by name.
#[derive(Debug)]
pub(super) struct Prepared {
    client: ClientWrapper,
    statements: Mutex<Vec<Option<PreparedStatement>>>,
}

impl Deref for Prepared {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.client
    }
}

impl Prepared {
    /// A new connection, which has prepared nothing.
    pub(super) fn on(client: ClientWrapper) -> Self {
        Self {
            client,
            statements: Mutex::new(vec![None; statements::ALL.len()]),
        }
    }

    /// What was prepared before.
    pub(super) fn get(&self, statement: Statement) -> Option<PreparedStatement> {
        self.statements()[statement.place].clone()
    }

    /// Prepares a statement, and remembers it.
    pub(super) async fn prepare(
        &self,
        statement: Statement,
    ) -> Result<PreparedStatement, DriverError> {
        let prepared = self.client.prepare(statement.text).await?;
        self.statements()[statement.place] = Some(prepared.clone());
        Ok(prepared)
    }

    fn statements(&self) -> MutexGuard<'_, Vec<Option<PreparedStatement>>> {
        let statements = self.statements.lock();
        statements.unwrap_or_else(PoisonError::into_inner)
    }
}
