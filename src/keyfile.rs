//! Reads the key file.

use crate::domain::keys::{KeyFileError, KeyRing};
use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};
use thiserror::Error;
use zeroize::Zeroizing;

/// Why a key file was refused. No key material is told.
#[derive(Debug, Error)]
pub enum KeyFileProblem {
    /// It cannot be read.
    #[error("cannot read the key file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everyone on the machine can read or change it.
    #[error(
        "the key file {path} is open to the world (mode {mode:04o}): `chmod o-rwx` it, and \
         replace its keys if others have the machine"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its text makes no sense.
    #[error("the key file {path}: {source}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyFileError,
    },
}

/// Reads a key file; one that is readable by its group is fine.
pub fn load_key_file(path: &Path) -> Result<KeyRing, KeyFileProblem> {
    let unreadable = |source| KeyFileProblem::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(KeyFileProblem::Open {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(unreadable)?;
    KeyRing::parse(&text).map_err(|source| KeyFileProblem::Malformed {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::new_key_line;
    use std::fs::{self, Permissions};

    #[test]
    fn a_file_open_to_the_world_is_refused_and_the_groups_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        fs::write(&path, new_key_line(&[7; 36])).unwrap();
        for (mode, fine) in [
            (0o600, true),
            (0o640, true),
            (0o660, true),
            (0o644, false),
            (0o602, false),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(load_key_file(&path).is_ok(), fine, "mode {mode:o}");
        }
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let missing = load_key_file(&path).unwrap_err().to_string();
        assert!(missing.contains("cannot read"), "{missing}");
        fs::write(&path, "nonsense\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let malformed = load_key_file(&path).unwrap_err().to_string();
        assert!(
            malformed.contains("line 1") && !malformed.contains("nonsense"),
            "{malformed}"
        );
    }
}
