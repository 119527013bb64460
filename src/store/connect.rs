//! The one door to the database: everything that talks to it connects here.
//!
//! Files are read anew for each connection, so that rotated certificates and passwords hold
//! from the next one on. Where there are several hosts or addresses, the next is tried when
//! one fails, and beside one that does not answer; the first that will do is taken.

mod hosts;

use super::url::DatabaseUrl;
use crate::store::tls::Mode;
use futures_util::{FutureExt, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use hosts::{Host, Target};
use std::{
    fmt, fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error as DriverError, config::SslMode};
use tokio_rustls::rustls;

/// How long an address may be silent before the next is tried beside it (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

/// How long one address may take, where nobody says otherwise.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// A file cannot be used.
    #[error("{setting}: {path}: {why}")]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why. It quotes nothing of the file.
        why: String,
    },
    /// The client's certificate and its key do not fit, or are of no kind that we know.
    #[error("database.certificate_file and database.key_file: {0}")]
    Identity(#[source] rustls::Error),
    /// Nobody was asked; with the words of the refusal that it repeats.
    #[error("a new connection was refused a moment ago: {0}")]
    Again(Arc<str>),
    /// The URL names no host.
    #[error("database.url names no host")]
    NoHost,
    /// A name has no address.
    #[error("{host} cannot be resolved")]
    Unresolved {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Silence.
    #[error("{0} does not answer in time")]
    Silent(HostPort),
    /// A standby, or a server that was made read-only.
    #[error("{0} is read-only")]
    ReadOnly(HostPort),
    /// TLS did not come about: the server speaks none, or is not who it has to be.
    #[error("TLS with {place} failed (sslmode={mode})")]
    Tls {
        /// Which server.
        place: HostPort,
        /// What was asked for.
        mode: Mode,
        /// Why.
        #[source]
        source: DriverError,
    },
    /// The server cannot be reached, or refuses.
    #[error("no connection to {place}")]
    Driver {
        /// Which server.
        place: HostPort,
        /// Why.
        #[source]
        source: DriverError,
    },
}

impl ConnectError {
    /// What PostgreSQL itself refused with.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Driver { source, .. } => source.code().map(tokio_postgres::error::SqlState::code),
            _ => None,
        }
    }

    /// What this host's configuration has wrong, whatever the servers say.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Identity(_) | Self::NoHost)
    }

    /// It keeps new connections out, and those that stand go on: credentials or certificates are
    /// refused, a file is of no use, or there are too many connections.
    pub fn spares_others(&self) -> bool {
        self.is_ours()
            || matches!(self, Self::Tls { .. } | Self::Again(_))
            || self
                .code()
                .is_some_and(|code| code.starts_with("28") || code == "53300")
    }

    /// Of several addresses that failed, the one is told that tells most.
    fn weight(&self) -> u8 {
        match self {
            Self::File { .. } | Self::Identity(_) | Self::NoHost => 5,
            Self::Tls { .. } => 4,
            Self::Driver { source, .. } if source.code().is_some() => 3,
            Self::ReadOnly(_) => 2,
            Self::Again(_) | Self::Silent(_) | Self::Driver { .. } => 1,
            Self::Unresolved { .. } => 0,
        }
    }
}

/// Host and port, for people.
#[derive(Debug, Clone)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Connects, and drives the connection in a task that ends when the client is dropped.
pub async fn connect(database: impl Into<DatabaseUrl>) -> Result<Client, ConnectError> {
    open(&database.into()).await.map(|(client, _)| client)
}

/// A connection, and the task that drives it.
type Connected = (Client, JoinHandle<()>);

/// The same, with the task.
pub(super) async fn open(database: &DatabaseUrl) -> Result<Connected, ConnectError> {
    open_by(database, hosts::resolve).await
}

/// The same by another way from a name and a port to addresses. Names are resolved each in its
/// host's own attempt: one whose server is silent holds up no other host.
async fn open_by<F>(
    database: &DatabaseUrl,
    resolve: impl Fn(String, u16) -> F + Copy + Send,
) -> Result<Connected, ConnectError>
where
    F: Future<Output = io::Result<Vec<IpAddr>>> + Send,
{
    let base = &prepared(database)?;
    let reach = |host: Host| {
        async move {
            let targets = host.targets(base, resolve).await?;
            let attempts = targets.into_iter().map(|target| attempt(database, target));
            first(attempts.map(FutureExt::boxed).collect()).await
        }
        .boxed()
    };
    first(hosts::of(base).into_iter().map(reach).collect()).await
}

/// What comes of the first attempt that succeeds: the next begins when one fails, and beside
/// one that is silent.
async fn first(
    attempts: Vec<BoxFuture<'_, Result<Connected, ConnectError>>>,
) -> Result<Connected, ConnectError> {
    let mut waiting = attempts.into_iter();
    let mut trying = FuturesUnordered::new();
    trying.extend(waiting.next());
    let mut told: Option<ConnectError> = None;
    loop {
        let more = !waiting.as_slice().is_empty();
        tokio::select! {
            Some(outcome) = trying.next() => match outcome {
                Ok(connected) => return Ok(connected),
                Err(error) => {
                    if told.as_ref().is_none_or(|told| told.weight() < error.weight()) {
                        told = Some(error);
                    }
                    trying.extend(waiting.next());
                }
            },
            () = tokio::time::sleep(STAGGER), if more => trying.extend(waiting.next()),
            else => return Err(told.unwrap_or(ConnectError::NoHost)),
        }
    }
}

/// Reads every file that connections need, to name one that is of no use before any is made.
pub fn check_files(database: &DatabaseUrl) -> Result<(), ConnectError> {
    prepared(database)?;
    if database.tls().mode != Mode::Disable {
        database.tls().connector()?;
    }
    Ok(())
}

/// The driver's terms, with the password as its file has it now.
fn prepared(database: &DatabaseUrl) -> Result<Config, ConnectError> {
    let mut config = database.config().clone();
    if let Some(path) = database.password_file() {
        config.password(password(path)?);
    }
    Ok(config)
}

fn password(path: &Path) -> Result<zeroize::Zeroizing<String>, ConnectError> {
    let failed = |why: String| ConnectError::File {
        setting: "database.password_file",
        path: path.to_owned(),
        why,
    };
    let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let text = zeroize::Zeroizing::new(text);
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(failed("is empty".to_owned())),
        password => Ok(zeroize::Zeroizing::new(password.to_owned())),
    }
}

/// One connection to one address. The limit covers the handshakes too: a server that is
/// frozen takes connections, and says nothing.
async fn attempt(database: &DatabaseUrl, target: Target) -> Result<Connected, ConnectError> {
    let connecting = shake(database, &target);
    tokio::time::timeout(hosts::limit(&target.config), connecting)
        .await
        .unwrap_or_else(|_| Err(ConnectError::Silent(target.place.clone())))
}

async fn shake(database: &DatabaseUrl, target: &Target) -> Result<Connected, ConnectError> {
    // Nobody listens in on a Unix socket, and PostgreSQL speaks no TLS there.
    let mode = if target.unix {
        Mode::Disable
    } else {
        database.tls().mode
    };
    let first = dial(database, target, mode).await;
    match (mode, first) {
        // As in libpq: to prefer TLS is to do without where it does not come about.
        (Mode::Prefer, Err(ConnectError::Tls { .. })) => {
            dial(database, target, Mode::Disable).await
        }
        (Mode::Prefer, Err(error)) if error.code() == Some("28000") => {
            dial(database, target, Mode::Disable)
                .await
                .map_err(|_| error)
        }
        (_, first) => first,
    }
}

async fn dial(
    database: &DatabaseUrl,
    target: &Target,
    mode: Mode,
) -> Result<Connected, ConnectError> {
    let mut config = target.config.clone();
    config.ssl_mode(match mode {
        Mode::Disable => SslMode::Disable,
        Mode::Prefer => SslMode::Prefer,
        Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
    });
    let failed = |source| sort(source, target.place.clone(), mode);
    if mode == Mode::Disable {
        let connected = config.connect(tokio_postgres::NoTls).await;
        let (client, connection) = connected.map_err(failed)?;
        Ok((client, tokio::spawn(driven(connection))))
    } else {
        let connected = config.connect(database.tls().connector()?).await;
        let (client, connection) = connected.map_err(failed)?;
        Ok((client, tokio::spawn(driven(connection))))
    }
}

/// Drives a connection to its end.
async fn driven(connection: impl Future<Output = Result<(), DriverError>>) {
    // Whoever uses the client hears of it; this is for those who use it no more.
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a database connection ended");
    }
}

fn sort(source: DriverError, place: HostPort, mode: Mode) -> ConnectError {
    // The driver keeps its kinds to itself, but for their words.
    let read_only = std::error::Error::source(&source)
        .is_some_and(|cause| cause.to_string() == "database does not allow writes");
    if read_only {
        ConnectError::ReadOnly(place)
    } else if source.to_string() == "error performing TLS handshake" {
        ConnectError::Tls {
            place,
            mode,
            source,
        }
    } else {
        ConnectError::Driver { place, source }
    }
}

#[cfg(test)]
mod tests;
