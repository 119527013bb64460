//! Making a data directory.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;

use super::error::last_lines;
use super::home::{Home, data_major};
use super::{Binaries, PostgresError, random};

/// The name of the superuser.
pub(super) const SUPERUSER: &str = "postgres";

/// Makes the home's data directory unless it is there already.
///
/// `initdb` works beside it and its work is renamed into place, so an
/// interrupted one is harmless. It does not wait for the disk: the files it
/// makes are only as durable as the operating system until the first
/// checkpoint after them, which matters for no data of a developer's machine.
///
/// Fails with [`PostgresError::WrongMajor`], [`PostgresError::Initdb`] or
/// [`PostgresError::Io`].
pub(super) async fn ensure_data(binaries: &Binaries, home: &Home) -> Result<(), PostgresError> {
    let data = home.data();
    match data_major(&data)? {
        Some(made_by) if made_by == binaries.version => return Ok(()),
        Some(made_by) => {
            return Err(PostgresError::WrongMajor {
                path: data,
                data: made_by,
                program: binaries.version,
            });
        }
        None => {}
    }
    let under_way = home.data_under_way()?;
    let password_file = home.password_file();
    write_password(&password_file)
        .map_err(|source| PostgresError::io("write", &password_file, source))?;
    home.account().own(&password_file)?;

    let initdb = binaries.program("initdb");
    let made = home
        .account()
        .command(&initdb)
        .arg("--pgdata")
        .arg(&under_way)
        .arg("--pwfile")
        .arg(&password_file)
        .args(["--username", SUPERUSER, "--auth", "scram-sha-256"])
        .args([
            "--encoding",
            "UTF8",
            "--no-locale",
            "--no-sync",
            "--no-instructions",
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| PostgresError::io("run", &initdb, source))?;
    if !made.status.success() {
        return Err(PostgresError::Initdb {
            path: under_way,
            output: last_lines(&String::from_utf8_lossy(&made.stderr), 10),
        });
    }
    fs::rename(&under_way, &data).map_err(|source| PostgresError::io("put in place", &data, source))
}

/// Writes a new password of 256 random bits to `path`, for its owner's eyes only.
fn write_password(path: &Path) -> io::Result<()> {
    let password = blake3::Hash::from_bytes(random()).to_hex();
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?
        .write_all(password.as_bytes())
}
