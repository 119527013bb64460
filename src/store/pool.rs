//! The pool of connections, and what it measures.

use super::{error::StoreError, instruments::PoolInstruments, url::DatabaseUrl};
use deadpool_postgres::{
    Manager, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use std::{sync::Arc, time::Duration};
use tokio_postgres::NoTls;

/// How connections are made.
#[derive(Debug)]
pub struct PoolOptions {
    /// Where the database is.
    pub url: DatabaseUrl,
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

/// The pool.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    connections: deadpool_postgres::Pool,
    instruments: Arc<PoolInstruments>,
}

impl Pool {
    fn new(connections: deadpool_postgres::Pool) -> Self {
        // The last look may come after the pool's end.
        let weak = Arc::new(connections.weak());
        let instruments = PoolInstruments::of(move || {
            let status = weak.upgrade()?.status();
            Some([
                (status.size - status.available.min(status.size)) as u64,
                status.available as u64,
                status.waiting as u64,
            ])
        });
        Self {
            connections,
            instruments: Arc::new(instruments),
        }
    }

    /// A connection, within `acquire_timeout`.
    pub(super) async fn get(&self) -> Result<Object, StoreError> {
        self.connections.get().await.map_err(|error| {
            if matches!(error, PoolError::Timeout(TimeoutType::Wait)) {
                self.instruments.timed_out();
            }
            error.into()
        })
    }

    /// What it measures.
    pub(super) fn instruments(&self) -> &Arc<PoolInstruments> {
        &self.instruments
    }
}

/// Opens the pool; connections are made when they are needed.
pub(super) fn open(options: PoolOptions) -> Result<Pool, StoreError> {
    let mut config = options.url.config().clone();
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
    deadpool_postgres::Pool::builder(manager)
        .max_size(options.connections)
        .wait_timeout(Some(options.acquire_timeout))
        .create_timeout(Some(options.connect_timeout))
        .runtime(Runtime::Tokio1)
        .build()
        .map(Pool::new)
        .map_err(|error| StoreError::Unavailable(Some(Box::new(error))))
}
