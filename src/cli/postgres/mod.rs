//! A private PostgreSQL server for `countersign dev` and for the tests.
//!
//! [`Binaries`] finds PostgreSQL on the machine, or fetches it once.
//! [`Cluster`] makes a data directory, runs a server on it on a free port of
//! 127.0.0.1, and ends it: by [`Cluster::stop`], by `Drop`, or, when this
//! process is killed, by a watchdog. No SQL and no connection is made here.
//!
//! Everything a cluster has lies in one directory, its *home*:
//!
//! | in the home | what |
//! |---|---|
//! | `data/` | PostgreSQL's data directory |
//! | `postgres.log` | the server's own log, appended to |
//! | `password` | the superuser's generated password, mode 0600 |
//! | `lock` | locked as long as a process of ours uses the home |
//!
//! PostgreSQL refuses to run as root. When we are root it runs as the owner of
//! the data directory, else as `postgres`, else as `nobody`. The home then gets
//! mode 0711, so that this account can pass through it; directories above the
//! home are never changed, see [`home_for`].

use crate::domain::clock::random;

mod account;
mod binaries;
mod cluster;
mod error;
mod fetch;
mod home;
mod initdb;
mod server;
mod watchdog;

use std::path::{Path, PathBuf};

pub use binaries::{Binaries, MIN_MAJOR};
pub use cluster::{Cluster, ClusterOptions};
pub use error::PostgresError;

/// Returns the home to use where `wanted` is wished for.
///
/// That is `wanted` itself, unless we are root and PostgreSQL's account cannot
/// reach it (it lies below `/root`, say): then a directory of
/// `/var/lib/countersign` that is always the same for the same `wanted`.
///
/// Fails with [`PostgresError::NoAccount`] or [`PostgresError::Io`].
pub fn home_for(wanted: &Path) -> Result<PathBuf, PostgresError> {
    let wanted = std::path::absolute(wanted)
        .map_err(|source| PostgresError::io("make absolute", wanted, source))?;
    let account = account::Account::for_data(&wanted.join(home::DATA))?;
    if account.require_above(&wanted).is_ok() {
        return Ok(wanted);
    }
    let name = blake3::hash(wanted.as_os_str().as_encoded_bytes()).to_hex();
    Ok(Path::new("/var/lib/countersign").join(&name[..16]))
}
