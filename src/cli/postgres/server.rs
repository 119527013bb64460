//! One run of the `postgres` program, from its start to its end.

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use super::error::last_lines;
use super::home::Home;
use super::watchdog::Watchdog;
use super::{Binaries, PostgresError};

/// How long a start may take; replaying the log after a crash is part of it.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How long each kind of shutdown may take before the next harsher one.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// How often a state that nothing announces is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// What suits a developer's machine; durability stays as PostgreSQL has it.
const SETTINGS: [(&str, &str); 8] = [
    ("listen_addresses", "127.0.0.1"),
    // A socket would be open to every user of the machine, or have too long a path.
    ("unix_socket_directories", ""),
    ("shared_buffers", "128MB"),
    ("max_connections", "100"),
    ("max_wal_size", "2GB"),
    ("wal_compression", "pglz"),
    ("jit", "off"),
    ("log_line_prefix", "%m [%p] "),
];

/// A running server; dropped, it is ended by an immediate shutdown.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pid: i32,
    watchdog: Option<Watchdog>,
}

impl Server {
    /// Runs postgres on the home's data and waits until it takes connections.
    ///
    /// Fails with [`PostgresError::PortTaken`], [`PostgresError::NotStarted`],
    /// [`PostgresError::NotReady`] or [`PostgresError::Io`].
    pub(super) async fn start(
        binaries: &Binaries,
        home: &Home,
        port: u16,
        settings: &[(String, String)],
    ) -> Result<Self, PostgresError> {
        if !is_free(port) {
            return Err(PostgresError::PortTaken { port });
        }
        let log_start = fs::metadata(home.log()).map_or(0, |log| log.len());
        let server = Self::spawn(binaries, home, port, settings)?;
        server.until_ready(home, port, log_start).await
    }

    fn spawn(
        binaries: &Binaries,
        home: &Home,
        port: u16,
        settings: &[(String, String)],
    ) -> Result<Self, PostgresError> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(home.log())
            .map_err(|source| PostgresError::io("write", &home.log(), source))?;
        let program = binaries.program("postgres");
        let run = |source| PostgresError::io("run", &program, source);
        let watchdog = Watchdog::start(home.account(), &home.data())?;
        // A shell that tells the watchdog its own pid, and then becomes postgres.
        let mut command = home.account().command(Path::new("/bin/sh"));
        command
            .args(["-c", r#"echo "$$" && exec "$@" >&2"#, "sh"])
            .arg(&program)
            .arg("-D")
            .arg(home.data())
            .arg("-p")
            .arg(port.to_string());
        let ours = SETTINGS.map(|(name, value)| format!("{name}={value}"));
        let theirs = settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        for setting in ours.into_iter().chain(theirs) {
            command.arg("-c").arg(setting);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(watchdog.announcement()?)
            .stderr(log)
            .spawn()
            .map_err(run)?;
        match child.id().map(i32::try_from) {
            Some(Ok(pid)) => Ok(Self {
                child,
                pid,
                watchdog: Some(watchdog),
            }),
            // Never so: a child that was not waited for has a pid, and pids fit.
            _ => Err(run(std::io::ErrorKind::NotFound.into())),
        }
    }

    async fn until_ready(
        mut self,
        home: &Home,
        port: u16,
        log_start: u64,
    ) -> Result<Self, PostgresError> {
        let until = Instant::now() + START_LIMIT;
        while !home.is_ready(self.pid) {
            let ended = self.ended();
            if ended.is_none() && Instant::now() < until {
                sleep(GLANCE).await;
                continue;
            }
            let text = home.log_since(log_start);
            let (log, tail) = (home.log(), last_lines(&text, 12));
            return Err(match ended {
                Some(_)
                    if text.contains("could not create any TCP/IP sockets") && !is_free(port) =>
                {
                    PostgresError::PortTaken { port }
                }
                Some(status) => PostgresError::NotStarted {
                    status: status.to_string(),
                    log,
                    tail,
                },
                None => PostgresError::NotReady {
                    seconds: START_LIMIT.as_secs(),
                    log,
                    tail,
                },
            });
        }
        Ok(self)
    }

    pub(super) fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits until the server ends by itself.
    pub(super) async fn wait(&mut self) -> Result<ExitStatus, PostgresError> {
        let waited = self.child.wait().await;
        waited.map_err(|source| PostgresError::io("wait for", "postgres".as_ref(), source))
    }

    /// Ends the server: by `first`, and where that takes too long by an
    /// immediate shutdown, and in the end by SIGKILL.
    pub(super) async fn stop(mut self, first: Signal) -> Result<(), PostgresError> {
        for signal in [first, Signal::SIGQUIT, Signal::SIGKILL] {
            self.signal(signal);
            if let Ok(ended) = timeout(STOP_LIMIT, self.wait()).await {
                return ended.map(drop);
            }
        }
        Err(PostgresError::io(
            "end",
            "postgres".as_ref(),
            std::io::ErrorKind::TimedOut.into(),
        ))
    }

    /// Signals the server, and never a stranger: a child's pid is nobody
    /// else's until it was waited for, and from then on `id` is none.
    fn signal(&self, signal: Signal) {
        if self.child.id().is_some() {
            // It can only fail because the server has just ended, as was wished.
            kill(Pid::from_raw(self.pid), signal).ok();
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::SIGQUIT);
            let until = Instant::now() + STOP_LIMIT;
            while self.ended().is_none() && Instant::now() < until {
                std::thread::sleep(GLANCE);
            }
        }
        // A server that is still there is left to the watchdog, whose pipe closes now.
        if self.ended().is_some()
            && let Some(watchdog) = self.watchdog.take()
        {
            watchdog.release();
        }
    }
}

/// Whether nothing listens on `port`; the operating system lets a port be
/// taken again at once after its listener ended.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
