//! The composition root: builds the house from a configuration, and runs it.

use crate::{
    authority::{Authority, Proofs, audit::Audit},
    config::{AuditOutput, Config, ReplayMemory},
    domain::keys::KeyRing,
    grpc::{self, methods, transport::MaterialError},
    health::{self, Health},
    listening::{self, Listening},
    options::{edge_options, proof_rules, store_options},
    presence::Presence,
    purging::Purging,
    reload::{self, Reloading},
    store::{
        DatabaseFiles, DatabaseUrl, InvalidUrl, PurgeOptions, Store, StoreError,
        connect::{self, ConnectError},
        readiness,
    },
    telemetry::{Page, Telemetry},
};
use std::{fs::OpenOptions, future::Future, io::Write, net::SocketAddr, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

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
    /// A file that connections to the database need cannot be used.
    #[error(transparent)]
    DatabaseFiles(#[from] ConnectError),
    /// The database's URL makes no sense.
    #[error("database.url {0}")]
    Url(#[from] InvalidUrl),
    /// The pool cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The descriptors of the proto make no sense: a defect of the build.
    #[error("the server's own descriptors: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The database will not have us, now or later.
    #[error("{0}")]
    Refused(#[from] readiness::Refused),
}

/// A server that is bound, but does not serve yet.
pub struct Bound {
    listening: Listening,
    services: grpc::Services,
    connections: grpc::Connections,
    max_age: Duration,
    authority: Arc<Authority>,
    health: Health,
    kubelets: Option<(TcpListener, SocketAddr)>,
    page: Option<Page>,
    reloading: Reloading,
    database: DatabaseUrl,
    allow_asynchronous_commit: bool,
    purging: Option<Purging>,
    pause: Duration,
    drain: Duration,
}

/// The authority behind a server that listens on this port; 0 for commands with database
/// rights. Needs a running tokio runtime.
pub fn authority(config: &Config, ring: Arc<KeyRing>, port: u16) -> Result<Authority, AppError> {
    let database = database(config)?;
    let audit = Audit::start(audit_output(&config.audit.output)?, config.audit.buffer)
        .map_err(AppError::Audit)?;
    let traced = config.telemetry.endpoint.is_some();
    let store = Store::open(store_options(config, database, traced))?;
    let paths: Vec<_> = methods::TABLE.iter().map(|method| method.path).collect();
    let remembered = match config.dpop.replay {
        ReplayMemory::Memory => Some(config.dpop.replay_entries),
        ReplayMemory::Shared => None,
    };
    let proofs = Proofs::new(proof_rules(config, port), &paths, remembered);
    let issuer = config.issuer.clone();
    Ok(Authority::new(store, ring, issuer, audit, proofs))
}

/// Binds and checks everything that needs no database. Needs a running tokio runtime, and
/// comes after the start of telemetry, whose page of metrics it takes along.
pub async fn build(
    config: &Config,
    ring: Arc<KeyRing>,
    telemetry: &mut Telemetry,
) -> Result<Bound, AppError> {
    let database = database(config)?;
    let listening = Box::pin(listening::listen(config)).await?;
    let port = listening.address.port();
    let authority = Arc::new(authority(config, ring, port)?);
    let health = Health::new().await;
    let options = edge_options(config, telemetry.traces());
    let connections = options.connections;
    let services = grpc::services(&authority, health.reporter(), options)?;

    let kubelets = match config.health.listen {
        None => None,
        Some(address) => Some(bind("health.listen", address).await?),
    };
    let mut reloading = Reloading::default();
    let keys = reload::keys(&authority, &config.keys.file);
    reloading.add("keys", config.keys.file.clone(), keys);
    if let Some(tls) = &listening.tls {
        for file in tls.files() {
            reloading.add("certificates", file, reload::certificates(tls));
        }
    }
    let purging = config.purge.enabled.then(|| Purging {
        purger: authority.purger(PurgeOptions {
            batch: config.purge.batch,
            budget: Some(config.purge.budget),
        }),
        pause: config.purge.pause,
    });
    Ok(Bound {
        listening,
        services,
        connections,
        max_age: config.connections.max_age,
        authority,
        health,
        kubelets,
        page: telemetry.take_page(),
        reloading,
        database,
        allow_asynchronous_commit: config.database.allow_asynchronous_commit,
        purging,
        pause: config.shutdown.pause,
        drain: config.shutdown.drain,
    })
}

/// Binds an address, and says where it is; the port is known even when 0 was asked for.
async fn bind(
    setting: &'static str,
    wanted: SocketAddr,
) -> Result<(TcpListener, SocketAddr), AppError> {
    health::bind(wanted)
        .await
        .map_err(|source| AppError::Listen {
            setting,
            address: wanted.to_string(),
            source,
        })
}

impl Bound {
    /// Where it listens; the port is known even when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// Where TLS is, if it has an address of its own.
    pub fn secure_address(&self) -> Option<SocketAddr> {
        self.listening.secure
    }

    /// The authority behind it.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// Whether it is ready, now and whenever that changes.
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.health.readiness()
    }

    /// What it reads again while it runs: the key ring, and what is added.
    pub fn reloading(&mut self) -> &mut Reloading {
        &mut self.reloading
    }

    /// Serves until `shutdown` is done. Then it is not ready any more, and still takes calls
    /// for the pause, until everybody knows; says goodbye to every caller, and finishes what
    /// runs, within the drain's time.
    ///
    /// Until the database can serve it answers UNAVAILABLE and is not ready; it ends by
    /// itself only where waiting would not help.
    pub async fn run(mut self, shutdown: impl Future<Output = ()> + Send) -> Result<(), AppError> {
        let Listening {
            listeners,
            address,
            secure,
            tls,
        } = self.listening;
        let incoming = listeners.accept();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let served = grpc::serve(
            self.services,
            self.connections,
            incoming,
            self.max_age,
            stopped,
        );
        let mut serving = tokio::spawn(served);
        tracing::info!(%address, tls = tls.is_some() && secure.is_none(), "listening");
        if let Some(address) = secure {
            tracing::info!(%address, tls = true, "listening for TLS");
        }
        // What goes on until the very end, and ends with it.
        let mut beside = JoinSet::new();
        beside.spawn(self.reloading.run());
        if let Some(tls) = tls {
            beside.spawn(async move { tls.follow().await });
        }
        if let Some(page) = self.page {
            tracing::info!(address = %page.address(), "metrics");
            beside.spawn(page.run());
        }
        if let Some((listener, address)) = self.kubelets {
            tracing::info!(%address, "health");
            let health = self.health.serve(listener);
            beside.spawn(async { drop(health.await) });
        }
        let presence = Arc::new(Presence::new(Arc::clone(&self.authority)));
        let (told, ready) = (Arc::clone(&presence), self.health.readiness());
        beside.spawn(async move { told.tell(ready).await });
        let (counted, ready) = (Arc::clone(&presence), self.health.readiness());
        beside.spawn(async move { counted.count_dependents(ready).await });
        let (stop_purging, purging_stops) = watch::channel(false);
        let ready = self.health.readiness();
        let mut purging = self
            .purging
            .map(|purging| tokio::spawn(purging.run(ready, purging_stops)));

        let watch = self.health.watch(
            &self.authority,
            &self.database,
            self.allow_asynchronous_commit,
        );
        let refused = tokio::select! {
            refused = watch => Some(refused),
            () = shutdown => None,
            _ = &mut serving => return Ok(()),
        };
        let was_ready = *self.health.readiness().borrow();
        self.health.tell(false).await;
        stop_purging.send_replace(true);
        // Who was never ready is known to nobody.
        if was_ready && refused.is_none() && !self.pause.is_zero() {
            tracing::info!(pause = ?self.pause, "stopping: still taking calls");
            tokio::select! {
                () = tokio::time::sleep(self.pause) => {}
                _ = &mut serving => return Ok(()),
            }
        }
        tracing::info!("stopping: finishing what runs");
        // Nobody hears it only if the server has ended.
        let _ = stop.send(());
        self.health.end_watches().await;
        let ended = async {
            if let Some(purging) = &mut purging {
                let _ = purging.await;
            }
            (&mut serving).await
        };
        if tokio::time::timeout(self.drain, ended).await.is_err() {
            serving.abort();
            if let Some(purging) = &purging {
                purging.abort();
            }
            tracing::warn!("calls were still running at the end of shutdown.drain");
        }
        presence.leave().await;
        match refused {
            Some(refused) => Err(refused.into()),
            None => Ok(()),
        }
    }
}

/// The configured database; every file that belongs to it can be used.
pub(crate) fn database(config: &Config) -> Result<DatabaseUrl, AppError> {
    let settings = &config.database;
    let files = DatabaseFiles {
        ca: settings.ca_file.clone(),
        certificate: settings.certificate_file.clone(),
        key: settings.key_file.clone(),
        password: settings.password_file.clone(),
    };
    let database = DatabaseUrl::with_files(settings.url.expose(), files)?;
    connect::check_files(&database)?;
    Ok(database)
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

#[cfg(test)]
mod tests;
