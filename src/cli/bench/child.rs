//! Children that end with this process, however it ends.

use crate::cli::{exit::Exit, failure::Failure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    env, fs,
    io::{self, Write as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{self, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long an end may take before it is forced.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How often a log is looked at; what is measured by it is no finer.
const GLANCE: Duration = Duration::from_millis(1);

/// Reads a process id, then waits on the same pipe: a further line lets it go, the pipe's
/// end means that our process is no more. A pid may be another's in time, so it signals
/// only one that runs our program, where the machine can tell.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
read -r pid || exit 0
read -r _ && exit 0
[ ! -e "/proc/$pid/exe" ] || [ "/proc/$pid/exe" -ef "$1" ] || exit 0
kill -s KILL "$pid"
"#;

/// The bare echo; it ends when our end of its stdin does.
pub(super) struct Echo {
    child: Child,
    _stdin: Option<ChildStdin>,
    /// Where it serves.
    pub(super) target: String,
}

impl Echo {
    /// Starts it.
    pub(super) async fn start() -> Result<Self, Failure> {
        let mut child = Command::new(binary()?)
            .arg("bench-echo")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed("start the echo", &error))?;
        let stdin = child.stdin.take();
        let mut address = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut lines = BufReader::new(stdout);
            let read = timeout(START_LIMIT, lines.read_line(&mut address)).await;
            read.map_err(|_| Failure::new(Exit::Refused, "the echo does not start"))?
                .map_err(|error| failed("read from the echo", &error))?;
        }
        if address.trim().is_empty() {
            return Err(Failure::new(Exit::Refused, "the echo did not start"));
        }
        Ok(Self {
            child,
            _stdin: stdin,
            target: format!("http://{}", address.trim()),
        })
    }

    /// The process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

/// `countersign serve`, and its watchdog.
pub(super) struct Serve {
    child: Child,
    shell: process::Child,
    pipe: Option<process::ChildStdin>,
    /// Where it serves.
    pub(super) target: String,
    /// From its start until it said that it is ready.
    pub(super) ready: Duration,
}

impl Serve {
    /// Starts it with these variables and nothing else of ours, logging to `log`, and
    /// waits until it is ready.
    pub(super) async fn start(variables: &[(String, String)], log: &Path) -> Result<Self, Failure> {
        let binary = binary()?;
        let run = |error: io::Error| failed("start the server", &error);
        let mut shell = process::Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "countersign-watchdog"])
            .arg(&binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(run)?;
        let pipe = shell
            .stdin
            .take()
            .ok_or_else(|| run(io::ErrorKind::BrokenPipe.into()))?;
        let announcement = pipe.as_fd().try_clone_to_owned().map_err(run)?;
        let file = fs::File::create(log).map_err(run)?;
        let started = Instant::now();
        // It tells the watchdog its own pid, and then becomes the server.
        let child = Command::new("/bin/sh")
            .args(["-c", r#"echo "$$" && exec "$@" >&2"#, "sh"])
            .arg(&binary)
            .arg("serve")
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::from(announcement))
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .map_err(run)?;
        let mut serve = Self {
            child,
            shell,
            pipe: Some(pipe),
            target: String::new(),
            ready: Duration::ZERO,
        };
        serve.until_ready(log, started).await?;
        Ok(serve)
    }

    async fn until_ready(&mut self, log: &Path, started: Instant) -> Result<(), Failure> {
        loop {
            let text = fs::read_to_string(log).unwrap_or_default();
            if let Some(address) = said(&text, "listening", "address") {
                self.target = format!("http://{address}");
            }
            if said(&text, "ready", "message").is_some() {
                self.ready = started.elapsed();
                return Ok(());
            }
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || started.elapsed() > START_LIMIT {
                let how = ended.map_or("is not ready in time".to_owned(), |how| how.to_string());
                let tail: Vec<_> = text.lines().rev().take(5).collect();
                let tail: Vec<_> = tail.into_iter().rev().collect();
                let message = format!("the server: {how}\n{}", tail.join("\n"));
                return Err(Failure::new(Exit::Refused, message));
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// The process.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks it to end, and waits.
    pub(super) async fn stop(mut self) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok());
        if let Some(pid) = pid {
            // It is a child that was not waited for, so the pid is its own.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
        self.release();
    }

    /// Lets the watchdog go, which has nothing left to do.
    fn release(&mut self) {
        if let Some(mut pipe) = self.pipe.take()
            && writeln!(pipe, "done").is_ok()
        {
            drop(pipe);
            self.shell.wait().ok();
        }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        if self.pipe.is_some() {
            // Closes the pipe, upon which the watchdog ends the server.
            self.pipe = None;
            self.shell.wait().ok();
        }
    }
}

/// A field of the log's line with this message.
fn said(log: &str, message: &str, field: &str) -> Option<String> {
    log.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let fields = &line["fields"];
        (fields["message"] == message).then(|| fields[field].as_str().map(str::to_owned))?
    })
}

fn binary() -> Result<PathBuf, Failure> {
    env::current_exe().map_err(|error| failed("find this program", &error))
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Refused, format!("cannot {what}: {error}"))
}
