//! The directory that holds all that a cluster has.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use super::account::{Account, make_enterable};
use super::{PostgresError, random};

/// The data directory's name in the home.
pub(super) const DATA: &str = "data";

/// How long a server whose owner was killed may take to end.
const FORMER_SERVER_LIMIT: Duration = Duration::from_secs(15);

/// A home that this process alone uses, as long as the value lives.
#[derive(Debug)]
pub(super) struct Home {
    dir: PathBuf,
    account: Account,
    _lock: File,
}

impl Home {
    /// Makes `dir` where it is missing, and takes it for this process.
    pub(super) fn open(dir: &Path) -> Result<Self, PostgresError> {
        let made = |source| PostgresError::io("make", dir, source);
        let dir = &std::path::absolute(dir).map_err(made)?;
        let account = Account::for_data(&dir.join(DATA))?;
        account.require_above(dir)?;
        make_enterable(dir).map_err(made)?;
        let dir = fs::canonicalize(dir).map_err(made)?;
        if account.is_another() {
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o711))
                .map_err(|source| PostgresError::io("change the mode of", &dir, source))?;
        }
        account.require(&dir)?;
        let path = dir.join("lock");
        let lock =
            File::create(&path).map_err(|source| PostgresError::io("make", &path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(PostgresError::InUse { path: dir }),
            Err(TryLockError::Error(source)) => {
                return Err(PostgresError::io("lock", &path, source));
            }
        }
        Ok(Self {
            dir,
            account,
            _lock: lock,
        })
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn data(&self) -> PathBuf {
        self.dir.join(DATA)
    }

    /// A new place for `initdb` to work in, on the same disk as the data. What
    /// an interrupted one left is removed; it may even be at work still, so no
    /// two places are the same.
    pub(super) fn data_under_way(&self) -> Result<PathBuf, PostgresError> {
        const NAME: &str = "data-under-way-";
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(NAME) {
                fs::remove_dir_all(entry.path())
                    .map_err(|source| PostgresError::io("remove", &entry.path(), source))?;
            }
        }
        let place = self
            .dir
            .join(format!("{NAME}{:08x}", u32::from_ne_bytes(random())));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&place)
            .map_err(|source| PostgresError::io("make", &place, source))?;
        self.account.own(&place)?;
        Ok(place)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("postgres.log")
    }

    pub(super) fn password_file(&self) -> PathBuf {
        self.dir.join("password")
    }

    /// The superuser's password.
    pub(super) fn password(&self) -> Result<String, PostgresError> {
        let path = self.password_file();
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            Ok(_) => Err(PostgresError::PasswordMissing { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(PostgresError::PasswordMissing { path })
            }
            Err(source) => Err(PostgresError::io("read", &path, source)),
        }
    }

    /// What the server's log holds from byte `from` on; empty where it cannot be read.
    pub(super) fn log_since(&self, from: u64) -> String {
        let mut bytes = Vec::new();
        let read = File::open(self.log()).and_then(|mut log| {
            log.seek(SeekFrom::Start(from))?;
            log.read_to_end(&mut bytes)
        });
        match read {
            Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(_) => String::new(),
        }
    }

    /// Whether the server `pid` of ours says that it takes connections.
    pub(super) fn is_ready(&self, pid: i32) -> bool {
        // The file's eighth line is the state; postgres pads it to a fixed width.
        fs::read_to_string(self.pid_file()).is_ok_and(|text| {
            let mut lines = text.lines();
            lines
                .next()
                .is_some_and(|first| first.trim().parse() == Ok(pid))
                && lines.nth(6).is_some_and(|state| state.trim() == "ready")
        })
    }

    /// Waits until no server runs on the data any more: the watchdog of a
    /// process that was killed a moment ago is about to end its server.
    ///
    /// Fails with [`PostgresError::StillRunning`].
    pub(super) async fn await_former_server(&self) -> Result<(), PostgresError> {
        let until = Instant::now() + FORMER_SERVER_LIMIT;
        while let Some(pid) = self.former_server()? {
            if Instant::now() > until {
                return Err(PostgresError::StillRunning {
                    path: self.data(),
                    pid,
                });
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The server that runs on our data. A pid file whose number meanwhile
    /// belongs to a stranger is removed, for postgres would take it for a server.
    fn former_server(&self) -> Result<Option<i32>, PostgresError> {
        let path = self.pid_file();
        let text = fs::read_to_string(&path).unwrap_or_default();
        let Some(pid) = text
            .lines()
            .next()
            .and_then(|first| first.trim().parse::<i32>().ok())
        else {
            return Ok(None);
        };
        if pid <= 0 || kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
            return Ok(None);
        }
        if !Path::new("/proc/self/cwd").exists() || works_in(pid, &self.data()) {
            return Ok(Some(pid));
        }
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(PostgresError::io("remove", &path, source))
            }
            _ => Ok(None),
        }
    }

    fn pid_file(&self) -> PathBuf {
        self.data().join("postmaster.pid")
    }
}

/// Whether the process `pid` has `dir` as its working directory, as every
/// postgres has its data directory.
fn works_in(pid: i32, dir: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir)
}

/// The major version that made `data`; none where there is no data.
pub(super) fn data_major(data: &Path) -> Result<Option<u32>, PostgresError> {
    let path = data.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => match text.trim().parse() {
            Ok(major) => Ok(Some(major)),
            Err(error) => Err(PostgresError::io(
                "understand",
                &path,
                io::Error::other(error),
            )),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PostgresError::io("read", &path, source)),
    }
}
