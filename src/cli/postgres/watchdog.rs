//! What ends the server when this process is killed.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};

use super::PostgresError;
use super::account::Account;

/// Reads the server's process id, then waits on the same pipe: a further line
/// lets it go, the pipe's end means that our process is no more.
///
/// A pid may be given to another process in time, so it signals only the one
/// that the data directory's pid file names and, where the machine can tell,
/// that works in that directory.
const SCRIPT: &str = r#"
trap '' HUP INT TERM
data=$1
read -r pid || exit 0
read -r _ && exit 0
ours() {
    read -r named <"$data/postmaster.pid" && [ "$named" = "$pid" ] || return 1
    [ ! -e "/proc/$pid/cwd" ] || [ "/proc/$pid/cwd" -ef "$data" ]
}
for signal in QUIT QUIT QUIT QUIT QUIT QUIT QUIT KILL; do
    ours && kill -s "$signal" "$pid"
    sleep 1
    kill -0 "$pid" || exit 0
done
"#;

/// A shell that ends the server by an immediate shutdown, unless it is let go:
/// when this value is dropped, and when this process is killed, for either
/// closes the pipe.
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
    pipe: ChildStdin,
}

impl Watchdog {
    /// Starts it, before there is a server, so that no moment is unwatched.
    pub(super) fn start(account: &Account, data: &Path) -> Result<Self, PostgresError> {
        let path = Path::new("/bin/sh");
        let run = |source| PostgresError::io("run", path, source);
        let mut shell = account
            .command(path)
            .as_std_mut()
            .args(["-c", SCRIPT, "countersign-watchdog"])
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(run)?;
        match shell.stdin.take() {
            Some(pipe) => Ok(Self { shell, pipe }),
            None => Err(run(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// The standard output on which the server's process is to announce its
    /// pid, by itself: so no server runs of which the watchdog was not told.
    pub(super) fn announcement(&self) -> Result<Stdio, PostgresError> {
        let copy = self.pipe.as_fd().try_clone_to_owned();
        copy.map(Stdio::from)
            .map_err(|source| PostgresError::io("write to", Path::new("the watchdog"), source))
    }

    /// Lets it go, once the server has ended: it has nothing left to do.
    pub(super) fn release(mut self) {
        // Where it is gone already, there is nobody to let go.
        if writeln!(self.pipe, "done").is_ok() {
            self.shell.wait().ok();
        }
    }
}
