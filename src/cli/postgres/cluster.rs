//! The server as its users see it.

use std::path::PathBuf;
use std::process::ExitStatus;

use nix::sys::signal::Signal;

use super::home::Home;
use super::initdb::{SUPERUSER, ensure_data};
use super::server::{Server, is_free};
use super::{Binaries, PostgresError, random};

/// Ports to choose from: below those that Linux and macOS give to outgoing
/// connections, so that a server that was stopped finds its port free again.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// How many ports are tried before we give up.
const PORT_TRIES: u32 = 20;

/// What a cluster is made of.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// The directory for all that the cluster has; made where it is missing.
    /// It belongs to the cluster alone: see the module's page.
    pub home: PathBuf,
    /// The port of 127.0.0.1; a free one is chosen where none is given.
    pub port: Option<u16>,
    /// Settings of postgresql.conf, as names and values; they win over ours.
    pub settings: Vec<(String, String)>,
}

impl ClusterOptions {
    /// Options for a cluster in `home`, on a free port, with our settings alone.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self {
            home: home.into(),
            port: None,
            settings: Vec::new(),
        }
    }

    /// Adds a setting of postgresql.conf.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A PostgreSQL server of our own, reached over 127.0.0.1 alone.
///
/// It is durable: `fsync` and `synchronous_commit` are on unless the options
/// say otherwise. Dropped, it is ended at once by an immediate shutdown (the
/// drop waits for that, usually some tens of milliseconds); so is it by a
/// watchdog when this process is killed. Nothing acknowledged is lost by either.
#[derive(Debug)]
pub struct Cluster {
    binaries: Binaries,
    settings: Vec<(String, String)>,
    password: String,
    port: u16,
    // Before the home, whose lock must outlive it.
    server: Option<Server>,
    home: Home,
}

impl Cluster {
    /// Makes the data directory where there is none, starts the server, and
    /// waits until it takes connections.
    ///
    /// A server left by a process of ours that was killed a moment ago is
    /// waited for. Dropping the future ends what it has started.
    ///
    /// Fails with any [`PostgresError`] but those of fetching.
    pub async fn start(
        binaries: &Binaries,
        options: ClusterOptions,
    ) -> Result<Self, PostgresError> {
        let home = Home::open(&options.home)?;
        home.account().require(&binaries.bin_dir)?;
        ensure_data(binaries, &home).await?;
        let password = home.password()?;
        home.await_former_server().await?;
        let mut cluster = Self {
            binaries: binaries.clone(),
            settings: options.settings,
            password,
            port: 0,
            server: None,
            home,
        };
        if let Some(port) = options.port {
            cluster.port = port;
            cluster.start_again().await?;
            return Ok(cluster);
        }
        let mut tries = 0;
        loop {
            cluster.port = free_port()?;
            tries += 1;
            match cluster.start_again().await {
                // Another process took it between our look and the server's.
                Err(PostgresError::PortTaken { .. }) if tries < PORT_TRIES => {}
                other => return other.map(|()| cluster),
            }
        }
    }

    /// The port of 127.0.0.1 that the server listens on, also while it is stopped.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The major version of the server.
    pub fn version(&self) -> u32 {
        self.binaries.version
    }

    /// The process id of the server; none while it is stopped.
    pub fn pid(&self) -> Option<i32> {
        self.server.as_ref().map(Server::pid)
    }

    /// The file that the server logs to.
    pub fn log(&self) -> PathBuf {
        self.home.log()
    }

    /// The URL of the database `postgres` for the superuser, with its password.
    pub fn superuser_url(&self) -> String {
        self.url_for(SUPERUSER, &self.password, "postgres")
    }

    /// The URL of `database` for `user`, with the password; all three as they
    /// are, not encoded.
    pub fn url_for(&self, user: &str, password: &str, database: &str) -> String {
        format!(
            "postgresql://{}:{}@127.0.0.1:{}/{}",
            encoded(user),
            encoded(password),
            self.port,
            encoded(database)
        )
    }

    /// Waits until the server ends by itself, and says how; for ever while it
    /// is stopped. May be dropped and called again.
    pub async fn wait(&mut self) -> Result<ExitStatus, PostgresError> {
        match &mut self.server {
            Some(server) => server.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Ends the server as a crash would, by an immediate shutdown: connections
    /// break, and the next start replays the log.
    pub async fn stop_immediately(&mut self) -> Result<(), PostgresError> {
        match self.server.take() {
            Some(server) => server.stop(Signal::SIGQUIT).await,
            None => Ok(()),
        }
    }

    /// Starts the server again, on the same port and data, and waits until it
    /// takes connections. Does nothing while it runs.
    pub async fn start_again(&mut self) -> Result<(), PostgresError> {
        if self.server.is_none() {
            let server =
                Server::start(&self.binaries, &self.home, self.port, &self.settings).await?;
            self.server = Some(server);
        }
        Ok(())
    }

    /// Ends the server by a fast shutdown, which breaks connections and leaves
    /// nothing to replay; where that takes over 10 s, by an immediate one.
    pub async fn stop(mut self) -> Result<(), PostgresError> {
        match self.server.take() {
            Some(server) => server.stop(Signal::SIGINT).await,
            None => Ok(()),
        }
    }
}

/// A port that is free now.
fn free_port() -> Result<u16, PostgresError> {
    let mut port = 0;
    for _ in 0..PORT_TRIES {
        port = PORTS.start + u16::from_ne_bytes(random()) % (PORTS.end - PORTS.start);
        if is_free(port) {
            return Ok(port);
        }
    }
    Err(PostgresError::PortTaken { port })
}

/// `text` percent-encoded for any part of a URL (RFC 3986 section 2.3).
fn encoded(text: &str) -> String {
    let of_byte = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(of_byte).collect()
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn every_byte_with_a_meaning_in_urls_is_encoded() {
        assert_eq!(encoded("a:b@c/d?é-._~"), "a%3Ab%40c%2Fd%3F%C3%A9-._~");
    }
}
