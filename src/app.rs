//! The composition root: builds the house from a configuration, and runs it.

use crate::{
    authority::{Authority, audit::Audit},
    config::{self, AuditOutput, Config},
    domain::{keys::KeyRing, policy::Defaults},
    grpc::{self, Deadlines, DirectoryBounds, EdgeOptions, transport::MaterialError},
    listening::{self, Listening},
    proto::v1::{directory_service_server, token_authority_service_server},
    purging::Purging,
    store::{
        BatchLimits, DatabaseUrl, InvalidUrl, PoolOptions, PurgeOptions, Store, StoreError,
        StoreOptions,
        readiness::{self, Verdict},
    },
};
use std::{fs::OpenOptions, future::Future, io::Write, net::SocketAddr, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::sync::watch;
use tonic_health::{ServingStatus, server::HealthReporter};

/// How often the database is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a server did not start, or ended.
#[derive(Debug, Error)]
pub enum AppError {
    /// An address cannot be bound.
    #[error("{setting}: cannot listen on {address}: {source}")]
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// The address.
        address: String,
        /// Why.
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error("tls: {0}")]
    Certificates(#[source] MaterialError),
    /// The audit stream cannot be opened.
    #[error("audit.output: cannot open the audit stream: {0}")]
    Audit(#[source] std::io::Error),
    /// The database's URL makes no sense.
    #[error("database.url {0}")]
    Url(#[from] InvalidUrl),
    /// The pool cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The descriptors of the proto make no sense: a defect of the build.
    #[error("the server's own descriptors: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("the server's transport failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The database will not have us, now or later.
    #[error("{0}")]
    Refused(#[from] readiness::Refused),
}

/// A server that is bound, but does not serve yet.
pub struct Bound {
    listening: Listening,
    router: tonic::transport::server::Router<grpc::Layers>,
    authority: Arc<Authority>,
    health: Health,
    database: DatabaseUrl,
    allow_asynchronous_commit: bool,
    purging: Option<Purging>,
    drain: Duration,
}

/// The authority alone, for commands with database rights. Needs a running tokio runtime.
pub fn authority(config: &Config, ring: Arc<KeyRing>) -> Result<Authority, AppError> {
    let database = DatabaseUrl::parse(config.database.url.expose())?;
    let audit = Audit::start(audit_output(&config.audit.output)?, config.audit.buffer)
        .map_err(AppError::Audit)?;
    let store = Store::open(store_options(config, database))?;
    Ok(Authority::new(store, ring, config.issuer.clone(), audit))
}

/// Binds and checks everything that needs no database. Needs a running tokio runtime.
pub async fn build(config: &Config, ring: Arc<KeyRing>) -> Result<Bound, AppError> {
    let database = DatabaseUrl::parse(config.database.url.expose())?;
    let authority = Arc::new(authority(config, ring)?);
    let health = Health {
        reporter: HealthReporter::new(),
        ready: watch::Sender::new(false),
    };
    health.tell(false).await;
    let router = grpc::services(&authority, health.reporter.clone(), edge_options(config))?;
    let listening = Box::pin(listening::listen(config)).await?;
    let purging = config.purge.enabled.then(|| Purging {
        purger: authority.purger(PurgeOptions {
            batch: config.purge.batch,
            budget: Some(config.purge.budget),
        }),
        pause: config.purge.pause,
    });
    Ok(Bound {
        listening,
        router,
        authority,
        health,
        database,
        allow_asynchronous_commit: config.database.allow_asynchronous_commit,
        purging,
        drain: config.shutdown.drain,
    })
}

impl Bound {
    /// Where it listens; the port is known even when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// The authority behind it.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// Whether it is ready, now and whenever that changes.
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.health.ready.subscribe()
    }

    /// Serves until `shutdown` is done, then finishes what runs, within the drain's time.
    ///
    /// Until the database can serve it answers UNAVAILABLE and is not ready; it ends by
    /// itself only where waiting would not help.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), AppError> {
        let Listening {
            listeners,
            address,
            tls,
        } = self.listening;
        let incoming = listeners.accept();
        let renewing = tls.clone().map(|tls| {
            tokio::spawn(async move {
                tls.keep_current().await;
            })
        });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let mut serving = tokio::spawn(self.router.serve_with_incoming_shutdown(incoming, async {
            drop(stopped.await);
        }));
        tracing::info!(%address, tls = tls.is_some(), "listening");
        let (stop_purging, purging_stops) = watch::channel(false);
        let ready = self.health.ready.subscribe();
        let mut purging = self
            .purging
            .map(|purging| tokio::spawn(purging.run(ready, purging_stops)));

        let watch = watch_database(
            &self.authority,
            &self.health,
            &self.database,
            self.allow_asynchronous_commit,
        );
        let refused = tokio::select! {
            refused = watch => Some(refused),
            () = shutdown => None,
            ended = &mut serving => return ended.unwrap_or(Ok(())).map_err(Into::into),
        };
        if let Some(renewing) = renewing {
            renewing.abort();
        }
        self.health.tell(false).await;
        tracing::info!("stopping: finishing what runs");
        // Nobody hears it only if the server has ended.
        let _ = stop.send(());
        stop_purging.send_replace(true);
        let ended = async {
            if let Some(purging) = &mut purging {
                let _ = purging.await;
            }
            (&mut serving).await
        };
        if let Ok(ended) = tokio::time::timeout(self.drain, ended).await {
            ended.unwrap_or(Ok(()))?;
        } else {
            serving.abort();
            if let Some(purging) = &purging {
                purging.abort();
            }
            tracing::warn!("calls were still running at the end of shutdown.drain");
        }
        match refused {
            Some(refused) => Err(refused.into()),
            None => Ok(()),
        }
    }
}

/// Looks at the database again and again, and tells health what it saw. Returns only
/// when the database will never have this server.
async fn watch_database(
    authority: &Authority,
    health: &Health,
    database: &DatabaseUrl,
    allow_asynchronous_commit: bool,
) -> readiness::Refused {
    let mut said = String::new();
    // At the start the whole schema is compared; from then on a look is cheap.
    loop {
        match readiness::examine(database, allow_asynchronous_commit).await {
            Verdict::Ready => break,
            Verdict::Refused(refused) => return refused,
            Verdict::Waiting(why) => {
                if why != said {
                    tracing::warn!(%why, "waiting for the database");
                    said = why;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }
    let mut ready = false;
    loop {
        let now = match authority.probe().await {
            Ok(probe) if probe.read_only => Err("the database is a read-only standby".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        match (&now, ready) {
            (Ok(()), false) => {
                health.tell(true).await;
                tracing::info!("ready");
            }
            (Err(why), true) => {
                health.tell(false).await;
                tracing::warn!(%why, "not ready");
            }
            _ => {}
        }
        ready = now.is_ok();
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Readiness, as callers and this process see it.
struct Health {
    reporter: HealthReporter,
    ready: watch::Sender<bool>,
}

impl Health {
    /// Tells everyone, of the whole and of each service.
    async fn tell(&self, ready: bool) {
        let status = if ready {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        for service in [
            "",
            token_authority_service_server::SERVICE_NAME,
            directory_service_server::SERVICE_NAME,
        ] {
            self.reporter.set_service_status(service, status).await;
        }
        self.ready.send_replace(ready);
    }
}

fn audit_output(output: &AuditOutput) -> Result<Box<dyn Write + Send>, AppError> {
    Ok(match output {
        AuditOutput::Stderr => Box::new(std::io::stderr()),
        AuditOutput::Stdout => Box::new(std::io::stdout()),
        AuditOutput::File(path) => Box::new(
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(AppError::Audit)?,
        ),
    })
}

fn store_options(config: &Config, url: DatabaseUrl) -> StoreOptions {
    StoreOptions {
        pool: PoolOptions {
            url,
            connections: config.database.connections,
            connect_timeout: config.database.connect_timeout,
            acquire_timeout: config.database.acquire_timeout,
            statement_timeout: config.database.statement_timeout,
            lock_timeout: config.database.lock_timeout,
        },
        batches: BatchLimits {
            max_calls: config.batch.max_calls,
            max_waiting: config.batch.max_waiting,
            in_flight: config.batch.in_flight,
            patience: config.database.lock_timeout,
        },
        defaults: Defaults {
            access_token_ttl: config.tokens.access_token_ttl,
            session_ttl: config.sessions.ttl,
            idle_timeout: config.sessions.idle_timeout,
            rotation_grace: config.rotation.grace,
            sessions_per_user: match config.sessions.per_user {
                0 => None,
                most => Some(most),
            },
        },
    }
}

fn edge_options(config: &Config) -> EdgeOptions {
    EdgeOptions {
        deadlines: Deadlines {
            call: config.calls.deadline,
            rotation: config.rotation.deadline,
        },
        max_message_bytes: config.calls.max_message_bytes,
        max_concurrent_streams: config.calls.max_concurrent_streams,
        rates: listening::rates(&config.limits),
        bounds: DirectoryBounds {
            limits: config::limits(),
            rotation_deadline: config.rotation.deadline,
        },
    }
}
