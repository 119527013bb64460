//! `countersign keys`: the key file.

use super::{exit::Exit, failure::Failure, output};
use crate::{
    domain::{
        clock,
        keys::{KeyFileError, KeyRing, dated_key_line},
    },
    keyfile::read_key_file,
};
use clap::{Args, Subcommand};
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// What can be done with keys.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make a new key, for a key file or for stdout
    ///
    /// The first key of a file mints and all verify, so an appended key waits
    /// until every replica has it and someone moves its line to the top.
    #[command(after_long_help = "\
Examples:
  countersign keys generate --file keys
  countersign keys generate --file keys --append
  countersign keys generate")]
    Generate(GenerateArgs),
}

/// The options of `keys generate`.
#[derive(Args)]
pub struct GenerateArgs {
    /// Write the key to this file, created with the mode 0600 [default: stdout]
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Add the key at the end of the file if there is one
    #[arg(long, requires = "file")]
    append: bool,
}

/// Runs one of them.
pub fn run(command: &KeysCommand) -> Result<Exit, Failure> {
    match command {
        KeysCommand::Generate(args) => generate(args),
    }
}

fn generate(args: &GenerateArgs) -> Result<Exit, Failure> {
    let random: Zeroizing<[u8; 36]> = Zeroizing::new(clock::random());
    let line = Zeroizing::new(dated_key_line(&random, clock::now()));
    match &args.file {
        None => output::write(line.as_bytes())?,
        Some(path) => write_file(path, &line, args.append)?,
    };
    // Its id alone: stderr ends up in logs.
    let id = line.split_whitespace().next().unwrap_or_default();
    output::say(&format!("key {id}\n"));
    Ok(Exit::Ok)
}

/// Writes beside the file and then puts the whole in its place, so that no reader
/// ever finds half of it.
fn write_file(path: &Path, line: &str, append: bool) -> Result<Exit, Failure> {
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
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let draft = path.with_file_name(name);
    // Nobody else writes while the draft exists.
    let mut file = OpenOptions::new()
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
    let written = fill(&mut file, path, line).and_then(|()| put(&draft, path, append));
    if written.is_err() || !append {
        // What matters has been said already, or done.
        let _ = fs::remove_file(&draft);
    }
    written?;
    Ok(Exit::Ok)
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
        write_file(&path, &line(1), false).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert!(load_key_file(&path).is_ok());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_existing_key_file_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        write_file(&path, &line(1), false).unwrap();
        let failure = write_file(&path, &line(2), false).unwrap_err();
        assert_eq!(failure.exit(), Exit::BadInput);
        assert_eq!(fs::read_to_string(&path).unwrap(), line(1));
    }

    #[test]
    fn an_appended_key_comes_last_and_the_mode_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, format!("# ours\n{}", line(1).trim_end())).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        write_file(&path, &line(2), true).unwrap();
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
        assert!(write_file(&path, &line(2), true).is_err());

        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "nonsense\n").unwrap();
        assert!(write_file(&path, &line(2), true).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense\n");

        fs::write(&path, line(1)).unwrap();
        fs::write(directory.path().join("keys.new"), "").unwrap();
        assert!(write_file(&path, &line(2), true).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), line(1));
    }
}
