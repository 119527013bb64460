//! `countersign keys`.

use super::failure::Failure;
use crate::domain::{clock, keys};
use clap::{Args, Subcommand};
use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Make keys.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key, in a new file, at the end of one, or on stdout
    ///
    /// The first key of a file mints, all verify; so a key that is appended is known to a
    /// server before it mints.
    ///
    /// Example: countersign keys generate --file /etc/countersign/keys
    Generate(GenerateArgs),
}

/// Where to write a key.
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// The key file; it is made with mode 0600
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Append to the file instead of making it
    #[arg(long, requires = "file")]
    append: bool,
}

/// Runs the command.
pub(super) fn run(command: KeysCommand) -> Result<(), Failure> {
    let KeysCommand::Generate(GenerateArgs { file, append }) = command;
    let line = Zeroizing::new(keys::new_key_line(&clock::random()));
    let Some(path) = file else {
        print!("{}", *line);
        return Ok(());
    };
    write(&path, &line, append)?;
    let id = line.split(' ').next().unwrap_or_default();
    eprintln!("key {id} is in {}", path.display());
    Ok(())
}

fn write(path: &Path, line: &str, append: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    if append {
        options.append(true);
    } else {
        options.write(true).create_new(true).mode(0o600);
    }
    let written = options.open(path).and_then(|mut file| {
        // One write: a reader sees the whole line or none of it.
        file.write_all(line.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::input(format!(
            "--file {} is there already; --append adds a key to it",
            path.display()
        )),
        _ => Failure::input(format!("--file {}: {error}", path.display())),
    })
}
