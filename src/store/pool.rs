//! Opens the pool of connections.

use super::error::StoreError;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use std::{fmt, str::FromStr, time::Duration};
use tokio_postgres::NoTls;

/// How connections are made.
pub struct PoolOptions {
    /// A PostgreSQL URL or key/value string; secret.
    pub url: String,
    /// Connections at most.
    pub connections: usize,
    /// How long one may take to make.
    pub connect_timeout: Duration,
    /// How long a call waits for one.
    pub acquire_timeout: Duration,
    /// How long a statement may run.
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock.
    pub lock_timeout: Duration,
}

impl fmt::Debug for PoolOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolOptions")
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Opens the pool; connections are made when they are needed.
pub(super) fn open(options: PoolOptions) -> Result<Pool, StoreError> {
    let unavailable =
        |error: Box<dyn std::error::Error + Send + Sync>| StoreError::Unavailable(Some(error));
    let mut config = tokio_postgres::Config::from_str(&options.url)
        .map_err(|error| unavailable(Box::new(error)))?;
    let settings = format!(
        "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={}",
        options.statement_timeout.as_millis(),
        options.lock_timeout.as_millis(),
        options.statement_timeout.as_millis(),
    );
    let settings = match config.get_options() {
        Some(own) => format!("{settings} {own}"),
        None => settings,
    };
    config
        .application_name("countersign")
        .connect_timeout(options.connect_timeout)
        .options(settings);
    let manager = Manager::from_config(
        config,
        NoTls,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    Pool::builder(manager)
        .max_size(options.connections)
        .wait_timeout(Some(options.acquire_timeout))
        .create_timeout(Some(options.connect_timeout))
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|error| unavailable(Box::new(error)))
}
