//! The pool of connections, and what it measures.

use super::{
    breaker::Breaker,
    connect::{self, ConnectError},
    error::{self, StoreError},
    instruments::PoolInstruments,
    parameters::ParameterTypes,
    prepared::Prepared,
    url::DatabaseUrl,
};
use deadpool::{
    Runtime,
    managed::{self, Metrics, PoolError, QueueMode, RecycleError, RecycleResult, TimeoutType},
};
use deadpool_postgres::ClientWrapper;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often a connection that stands is looked for while none can be added.
const ANOTHER_LOOK: Duration = Duration::from_millis(2);

/// How long none is tried after one was refused for reasons that are ours.
const RESPITE: Duration = Duration::from_millis(250);

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
    /// How long the database may be silent, while work waits for it, before it is away.
    pub probe_timeout: Duration,
    /// How statements travel.
    pub prepared_statements: PreparedStatements,
}

/// How statements travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreparedStatements {
    /// Prepared once a connection, under a name.
    Named,
    /// Parsed each time, without a name. Nothing depends on a session then, its settings
    /// included, so that `PgBouncer` may give each transaction another one.
    Unnamed,
}

/// The pool.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    connections: managed::Pool<Manager>,
    acquire_timeout: Duration,
    breaker: Breaker,
    unnamed: Option<Arc<ParameterTypes>>,
    instruments: Arc<PoolInstruments>,
}

impl Pool {
    fn new(
        connections: managed::Pool<Manager>,
        acquire_timeout: Duration,
        breaker: Breaker,
        unnamed: Option<Arc<ParameterTypes>>,
    ) -> Self {
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
            breaker,
            unnamed,
            instruments: Arc::new(instruments),
        }
    }

    /// A connection, within `acquire_timeout`. Where none can be added, as while credentials
    /// are being rotated, one of those that stand is waited for.
    ///
    /// While the database is known to be away it is refused at once.
    pub(super) async fn get(&self) -> Result<Object, StoreError> {
        self.breaker.check()?;
        tokio::select! {
            biased;
            connection = self.wait_for_one() => connection,
            // One that is being made may be to nobody.
            () = self.breaker.lost() => Err(StoreError::Unavailable(None)),
        }
    }

    async fn wait_for_one(&self) -> Result<Object, StoreError> {
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
                    self.breaker.suspect();
                    return Err(error.into());
                }
            }
        }
    }

    /// Where statements have no names, the types that they are sent with.
    pub(super) fn unnamed(&self) -> Option<&ParameterTypes> {
        self.unnamed.as_deref()
    }

    /// The breaker before it.
    pub(super) fn breaker(&self) -> &Breaker {
        &self.breaker
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
    breaker: Breaker,
    /// The last connection that was refused and may be let in later; `None` once one was let in.
    refused: Mutex<Option<Refusal>>,
}

/// A connection that was refused.
#[derive(Debug)]
struct Refusal {
    at: Instant,
    why: Arc<str>,
}

/// A connection of the pool, which goes back when it is dropped.
pub(super) type Object = managed::Object<Manager>;

impl managed::Manager for Manager {
    type Type = Prepared;
    type Error = ConnectError;

    async fn create(&self) -> Result<Prepared, ConnectError> {
        let refused = || self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*refused()
            && last.at.elapsed() < RESPITE
        {
            return Err(ConnectError::Again(Arc::clone(&last.why)));
        }
        match connect::open(&self.database).await {
            Ok((client, task)) => {
                if refused().take().is_some() {
                    tracing::info!("new connections to the database are let in again");
                }
                Ok(Prepared::on(ClientWrapper::new(client, task)))
            }
            Err(error) => {
                if error.spares_others() {
                    let why = Arc::from(error::causes(&error));
                    let now = Refusal {
                        at: Instant::now(),
                        why: Arc::clone(&why),
                    };
                    if refused().replace(now).is_none() {
                        tracing::warn!(
                            causes = %why,
                            "new connections to the database are refused; those that stand go on"
                        );
                    }
                }
                Err(error)
            }
        }
    }

    async fn recycle(
        &self,
        connection: &mut Prepared,
        metrics: &Metrics,
    ) -> RecycleResult<ConnectError> {
        if metrics.created < self.breaker.renewed() {
            return Err(RecycleError::message("it is from before an outage"));
        }
        if connection.is_closed() {
            return Err(RecycleError::message("the connection ended"));
        }
        Ok(())
    }
}

/// Opens the pool; connections are made when they are needed, and only to a server that
/// takes writes.
pub(super) fn open(options: PoolOptions) -> Result<Pool, StoreError> {
    let settings = format!(
        "-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={}",
        options.statement_timeout.as_millis(),
        options.lock_timeout.as_millis(),
        options.statement_timeout.as_millis(),
    );
    let database = options.url.that_writes().map(|config| {
        // PgBouncer refuses a session's options: the timeouts are those of the role then.
        if options.prepared_statements == PreparedStatements::Named {
            config.options(match config.get_options() {
                Some(own) => format!("{settings} {own}"),
                None => settings,
            });
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(options.connect_timeout);
        }
        config.application_name("countersign");
    });
    let unnamed = match options.prepared_statements {
        PreparedStatements::Named => None,
        PreparedStatements::Unnamed => Some(Arc::new(ParameterTypes::read())),
    };
    let breaker = Breaker::watching(database.clone(), options.probe_timeout);
    let manager = Manager {
        database,
        breaker: breaker.clone(),
        refused: Mutex::default(),
    };
    managed::Pool::builder(manager)
        .max_size(options.connections)
        // What came back last goes out first: its backend's caches are warm, while connections
        // in turn make each backend a cold one. Keepalives hold those that stand idle.
        .queue_mode(QueueMode::Lifo)
        .wait_timeout(Some(options.acquire_timeout))
        .runtime(Runtime::Tokio1)
        .build()
        .map(|pool| Pool::new(pool, options.acquire_timeout, breaker, unnamed))
        .map_err(|error| StoreError::Unavailable(Some(Box::new(error))))
}
