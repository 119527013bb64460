//! The pool of connections, and what it measures.

use super::{
    connect::{self, ConnectError},
    error::StoreError,
    instruments::PoolInstruments,
    url::DatabaseUrl,
};
use deadpool::{
    Runtime,
    managed::{self, Metrics, PoolError, RecycleError, RecycleResult, TimeoutType},
};
use deadpool_postgres::ClientWrapper;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio_postgres::config::TargetSessionAttrs;

/// How often a connection that stands is looked for while none can be added.
const ANOTHER_LOOK: Duration = Duration::from_millis(20);

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
    connections: managed::Pool<Manager>,
    acquire_timeout: Duration,
    instruments: Arc<PoolInstruments>,
}

impl Pool {
    fn new(connections: managed::Pool<Manager>, acquire_timeout: Duration) -> Self {
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
            acquire_timeout,
            instruments: Arc::new(instruments),
        }
    }

    /// A connection, within `acquire_timeout`. Where none can be added, as while credentials
    /// are being rotated, one of those that stand is waited for.
    pub(super) async fn get(&self) -> Result<Object, StoreError> {
        let until = Instant::now() + self.acquire_timeout;
        loop {
            match self.connections.get().await {
                Ok(connection) => return Ok(connection),
                Err(PoolError::Backend(error))
                    if error.spares_others()
                        && self.connections.status().size > 0
                        && Instant::now() < until =>
                {
                    tokio::time::sleep(ANOTHER_LOOK).await;
                }
                Err(error) => {
                    if matches!(error, PoolError::Timeout(TimeoutType::Wait)) {
                        self.instruments.timed_out();
                    }
                    return Err(error.into());
                }
            }
        }
    }

    /// What it measures.
    pub(super) fn instruments(&self) -> &Arc<PoolInstruments> {
        &self.instruments
    }
}

/// Makes connections through the one door.
#[derive(Debug)]
pub(super) struct Manager {
    database: DatabaseUrl,
}

/// A connection of the pool, which goes back when it is dropped.
pub(super) type Object = managed::Object<Manager>;

impl managed::Manager for Manager {
    type Type = ClientWrapper;
    type Error = ConnectError;

    async fn create(&self) -> Result<ClientWrapper, ConnectError> {
        let (client, task) = connect::open(&self.database).await?;
        Ok(ClientWrapper::new(client, task))
    }

    async fn recycle(
        &self,
        client: &mut ClientWrapper,
        _: &Metrics,
    ) -> RecycleResult<ConnectError> {
        if client.is_closed() {
            return Err(RecycleError::message("the connection ended"));
        }
        Ok(())
    }
}

/// Opens the pool; connections are made when they are needed, and only to a server that
/// takes writes: what a standby answers may be of yesterday.
pub(super) fn open(options: PoolOptions) -> Result<Pool, StoreError> {
    let settings = format!(
        "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={}",
        options.statement_timeout.as_millis(),
        options.lock_timeout.as_millis(),
        options.statement_timeout.as_millis(),
    );
    let database = options.url.map(|config| {
        let settings = match config.get_options() {
            Some(own) => format!("{settings} {own}"),
            None => settings,
        };
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(options.connect_timeout);
        }
        config
            .application_name("countersign")
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .options(settings);
    });
    managed::Pool::builder(Manager { database })
        .max_size(options.connections)
        .wait_timeout(Some(options.acquire_timeout))
        .runtime(Runtime::Tokio1)
        .build()
        .map(|pool| Pool::new(pool, options.acquire_timeout))
        .map_err(|error| StoreError::Unavailable(Some(Box::new(error))))
}
