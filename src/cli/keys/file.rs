//! A key file, written whole or not at all.

use crate::{
    cli::{exit::Exit, failure::Failure},
    domain::keys::{KeyFileError, KeyRing},
    keyfile::read_key_file,
};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::Path,
};
use zeroize::Zeroizing;

/// Writes beside the file and then puts the whole in its place, so that no reader
/// ever finds half of it.
pub(super) fn write(path: &Path, line: &str, append: bool) -> Result<Exit, Failure> {
    // A link stays a link; the file that it names is replaced.
    let path = &match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(trouble(path, &error)),
        Ok(_) if !append => {
            return Err(Failure::Input(format!(
                "{} exists; --append adds a key to it",
                path.display()
            )));
        }
        Ok(target) => target,
    };
    let (draft, mut file) = draft(path)?;
    let written = fill(&mut file, path, line).and_then(|()| put(&draft, path, append));
    if written.is_err() || !append {
        // What matters has been said already, or done.
        let _ = fs::remove_file(&draft);
    }
    written?;
    Ok(Exit::Ok)
}

/// The one draft beside a file: nobody else writes while it exists.
fn draft(path: &Path) -> Result<(std::path::PathBuf, File), Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = path.with_file_name(name);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Failure::Input(format!(
                "{} exists: another run is writing, or one was cut off and it can be removed",
                draft.display()
            )),
            _ => trouble(&draft, &error),
        })?;
    Ok((draft, file))
}

fn fill(file: &mut File, path: &Path, line: &str) -> Result<(), Failure> {
    let mut text = Zeroizing::new(String::new());
    if path.exists() {
        let old = read_key_file(path).map_err(|problem| Failure::Input(problem.to_string()))?;
        text.reserve_exact(old.len() + 1 + line.len());
        text.push_str(&old);
        if !old.is_empty() && !old.ends_with('\n') {
            text.push('\n');
        }
        keep_owner(file, path).map_err(|error| trouble(path, &error))?;
    }
    if let Err(problem @ (KeyFileError::Malformed { .. } | KeyFileError::Duplicate { .. })) =
        KeyRing::parse(&text)
    {
        return Err(Failure::Input(format!("{}: {problem}", path.display())));
    }
    text.push_str(line);
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| trouble(path, &error))
}

/// The server may run as another user than the one who adds a key.
fn keep_owner(file: &File, path: &Path) -> io::Result<()> {
    let (old, new) = (fs::metadata(path)?, file.metadata()?);
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    let permissions: Permissions = old.permissions();
    file.set_permissions(permissions)
}

fn put(draft: &Path, path: &Path, append: bool) -> Result<(), Failure> {
    let moved = if append {
        fs::rename(draft, path)
    } else {
        // Unlike a rename, a link never takes the place of a file.
        fs::hard_link(draft, path)
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    moved
        .and_then(|()| File::open(directory)?.sync_all())
        .map_err(|error| trouble(path, &error))
}

fn trouble(path: &Path, error: &io::Error) -> Failure {
    Failure::Input(format!("{}: {error}", path.display()))
}

/// Puts this text in the place of a file that is there; owner and mode stay.
pub(super) fn rewrite(path: &Path, text: &str) -> Result<(), Failure> {
    let path = &fs::canonicalize(path).map_err(|error| trouble(path, &error))?;
    let (draft, mut file) = draft(path)?;
    let written = keep_owner(&file, path)
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all())
        .map_err(|error| trouble(path, &error))
        .and_then(|()| put(&draft, path, true));
    if written.is_err() {
        // What matters has been said already.
        let _ = fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::keys::new_key_line, keyfile::load_key_file};
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn line(byte: u8) -> String {
        new_key_line(&[byte; 36])
    }

    #[test]
    fn a_new_key_file_is_its_owner_s_alone_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        write(&path, &line(1), false).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(load_key_file(&path).is_ok());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_existing_key_file_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        write(&path, &line(1), false).unwrap();
        let failure = write(&path, &line(2), false).unwrap_err();
        assert_eq!(failure.exit(), Exit::BadInput);
        assert_eq!(fs::read_to_string(&path).unwrap(), line(1));
    }

    #[test]
    fn an_appended_key_comes_last_and_the_mode_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, format!("# ours\n{}", line(1).trim_end())).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        write(&path, &line(2), true).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("# ours\n{}{}", line(1), line(2))
        );
        assert_eq!(mode(&path), 0o640);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_appended_to_a_file_that_is_open_or_malformed_or_being_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, line(1)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(write(&path, &line(2), true).is_err());

        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "nonsense\n").unwrap();
        assert!(write(&path, &line(2), true).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense\n");

        fs::write(&path, line(1)).unwrap();
        fs::write(directory.path().join("keys.new"), "").unwrap();
        assert!(write(&path, &line(2), true).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), line(1));
    }
}
