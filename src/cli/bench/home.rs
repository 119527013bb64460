//! The directory of a private instance: temporary, or kept with what was preloaded.

use crate::{
    bench::population::Size,
    cli::{dev::files, exit::Exit, failure::Failure, postgres::home_for},
    domain::clock,
};
use serde::{Deserialize, Serialize};
use std::{
    env, fs,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// What a kept home holds, once it is preloaded.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The client that calls.
    pub(super) client_id: Uuid,
    /// Its secret, in the clear: the file is its owner's alone.
    pub(super) client_secret: String,
    /// What was preloaded.
    pub(super) size: Size,
}

/// A directory of ours.
pub(super) struct Home {
    dir: PathBuf,
    temporary: bool,
}

impl Home {
    /// The directory that was asked for, or a new one that goes with this value.
    pub(super) fn open(wanted: Option<&Path>) -> Result<Self, Failure> {
        let temporary = wanted.is_none();
        let dir = wanted.map_or_else(temporary_place, Path::to_owned);
        files::make_private_dir(&dir)?;
        let dir = fs::canonicalize(&dir)
            .map_err(|error| Failure::new(Exit::BadInput, format!("{}: {error}", dir.display())))?;
        Ok(Self { dir, temporary })
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The home of its PostgreSQL.
    pub(super) fn postgres(&self) -> Result<PathBuf, Failure> {
        Ok(home_for(&self.dir.join("postgres"))?)
    }

    /// What was preloaded at an earlier start.
    pub(super) fn kept(&self) -> Result<Option<Kept>, Failure> {
        let path = self.file("bench.json");
        let Ok(text) = fs::read_to_string(&path) else {
            return Ok(None);
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            // Serde's own sentence may quote the file, the secret included.
            let message = format!("{}: line {}: not ours", path.display(), error.line());
            Failure::new(Exit::BadInput, message)
        })
    }

    /// Notes what was preloaded.
    pub(super) fn keep(&self, kept: &Kept) -> Result<(), Failure> {
        // Strings and numbers only: it cannot fail.
        let text = serde_json::to_string_pretty(kept).unwrap_or_default();
        files::write_private(&self.file("bench.json"), &(text + "\n"))
    }
}

/// A place on a disk: `/tmp` is memory on many machines, where nothing is durable.
fn temporary_place() -> PathBuf {
    let disk = PathBuf::from("/var/tmp");
    let above = match env::var_os("TMPDIR") {
        Some(chosen) => chosen.into(),
        None if disk.is_dir() => disk,
        None => env::temp_dir(),
    };
    let name = u64::from_ne_bytes(clock::random());
    above.join(format!("countersign-bench-{name:016x}"))
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.temporary {
            // Where PostgreSQL's account cannot reach the directory, its home is elsewhere.
            if let Ok(postgres) = self.postgres() {
                let _ = fs::remove_dir_all(postgres);
            }
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}
