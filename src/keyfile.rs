//! Reads a key file from disk, and refuses one that everybody could have read or
//! written.

use crate::domain::keys::{KeyFileError, KeyRing};
use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use thiserror::Error;
use zeroize::Zeroizing;

/// Thousands of keys; no key file is longer.
const MAX_BYTES: u64 = 1 << 20;

/// Why a key file was refused. No key material is told.
#[derive(Debug, Error)]
pub enum KeyFileProblem {
    /// It cannot be opened or read.
    #[error("the key file {} cannot be read: {source}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Its mode lets everybody read, write or run it.
    #[error(
        "the key file {} has the mode {mode:04o}, open to every user of the machine; run \
         `chmod o= {}`, or set defaultMode 0440 on the volume that mounts it",
        .path.display(),
        .path.display()
    )]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its text is no key ring.
    #[error("the key file {} is refused: {source}", .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// The line and what is wrong with it.
        source: KeyFileError,
    },
}

/// Reads a key ring from the file at `path`, which must be closed to others
/// (`mode & 0o007 == 0`); its group may read it, as Kubernetes mounts secrets.
pub fn load_key_file(path: &Path) -> Result<KeyRing, KeyFileProblem> {
    let text = read_key_file(path)?;
    KeyRing::parse(&text).map_err(|source| KeyFileProblem::Malformed {
        path: path.to_owned(),
        source,
    })
}

/// A key file's text, under the same rule about its mode.
pub fn read_key_file(path: &Path) -> Result<Zeroizing<String>, KeyFileProblem> {
    let unreadable = |source| KeyFileProblem::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(unreadable)?;
    // Of the file that was opened, so that no other can be slipped in between.
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(KeyFileProblem::Open {
            path: path.to_owned(),
            mode,
        });
    }
    // With room from the start, no copy of the keys is left behind by growing.
    let room = usize::try_from(metadata.len().min(MAX_BYTES)).unwrap_or_default() + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    let length = file
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if length as u64 > MAX_BYTES {
        return Err(unreadable(io::Error::other(format!(
            "it is longer than {MAX_BYTES} bytes"
        ))));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::new_key_line;
    use std::fs::{self, Permissions};

    fn key_file(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, new_key_line(&[7; 36])).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn a_key_file_that_others_cannot_touch_is_read() {
        for mode in [0o400, 0o600, 0o440, 0o640, 0o660] {
            let (_directory, path) = key_file(mode);
            assert!(load_key_file(&path).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn a_key_file_open_to_the_world_is_refused_with_what_to_do() {
        for mode in [0o644, 0o602, 0o601, 0o604] {
            let (_directory, path) = key_file(mode);
            let problem = load_key_file(&path).unwrap_err().to_string();
            assert!(problem.contains(&format!("{mode:04o}")), "{problem}");
            assert!(problem.contains("chmod o="), "{problem}");
            assert!(problem.contains(&path.display().to_string()), "{problem}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_line_and_without_the_key() {
        let (_directory, path) = key_file(0o600);
        fs::write(&path, "# ours\ndeadbeef c2VjcmV0\n").unwrap();
        let problem = load_key_file(&path).unwrap_err().to_string();
        assert!(problem.contains("line 2"), "{problem}");
        assert!(!problem.contains("c2VjcmV0"), "{problem}");
        assert!(matches!(
            load_key_file(&path.with_extension("none")),
            Err(KeyFileProblem::Unreadable { .. })
        ));
    }
}
