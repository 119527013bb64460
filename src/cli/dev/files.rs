//! The files of a data directory: private, and written whole or not at all.

use crate::cli::{exit::Exit, failure::Failure};
use crate::domain::{clock, keys};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};
use zeroize::Zeroizing;

/// Makes a directory that others may pass through, since PostgreSQL's account must, but
/// not read.
pub(in crate::cli) fn make_private_dir(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(path)
        .map_err(|error| failure("make the directory", path, &error))
}

/// Writes a file of mode 0600 beside its place, and moves it there.
pub(in crate::cli) fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let beside = path.with_extension("new");
    let write = || -> io::Result<()> {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| failure("write", path, &error))
}

/// The password in a file, made at the first start.
pub(in crate::cli) fn password(path: &Path) -> Result<Zeroizing<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Zeroizing::new(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let random: [u8; 32] = clock::random();
            let text = Zeroizing::new(blake3::Hash::from_bytes(random).to_hex().to_string());
            write_private(path, &text)?;
            Ok(text)
        }
        Err(error) => Err(failure("read", path, &error)),
    }
}

/// Makes a key file, unless there is one.
pub(in crate::cli) fn make_key_file(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let line = Zeroizing::new(keys::dated_key_line(&clock::random(), clock::now()));
    write_private(path, &line)
}

fn failure(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Exit::BadInput,
        format!("cannot {what} {}: {error}", path.display()),
    )
}
