//! `countersign keys`: the key file.

mod file;
mod rotation;

pub use rotation::troubles;

use super::{exit::Exit, failure::Failure, output};
use crate::domain::{clock, keys::dated_key_line};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What can be done with keys.
#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make a new key, for a key file or for stdout
    ///
    /// The first key of a file mints and all verify, so an appended key waits
    /// until every replica has it and `keys promote` puts it first.
    #[command(after_long_help = "\
Examples:
  countersign keys generate --file keys
  countersign keys generate --file keys --append
  countersign keys generate")]
    Generate(GenerateArgs),
    /// Print the ids of a key file's keys, the minting one first
    #[command(after_long_help = "\
Examples:
  countersign keys list --file keys --json")]
    List(rotation::ListArgs),
    /// Add a new key behind the others: the first step of a rotation
    ///
    /// Nothing changes yet. Roll the file out to every server, then promote the key.
    #[command(after_long_help = "\
Examples:
  countersign keys add --file keys")]
    Add(rotation::AddArgs),
    /// Count what lives under each key, and say which servers have it
    ///
    /// The exit code is 1 if a server lacks a key, or something lives under a key that the
    /// file does not have.
    #[command(after_long_help = "\
Examples:
  countersign keys check --file keys --database-url-file /etc/countersign/migrate-url")]
    Check(rotation::CheckArgs),
    /// Let another key mint: refused while a running server does not have it
    #[command(after_long_help = "\
Examples:
  countersign keys promote 0a1b2c3d --file keys --database-url-file /etc/countersign/migrate-url")]
    Promote(rotation::PromoteArgs),
    /// Take a key out of the file: refused while anything lives under it, unless --yes ends it
    #[command(after_long_help = "\
Examples:
  countersign keys retire 0a1b2c3d --file keys --database-url-file /etc/countersign/migrate-url")]
    Retire(rotation::RetireArgs),
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
pub async fn run(command: KeysCommand, json: bool) -> Result<Exit, Failure> {
    match command {
        KeysCommand::Generate(args) => generated(args.file.as_deref(), args.append),
        KeysCommand::List(args) => rotation::list(&args, json),
        KeysCommand::Add(args) => rotation::add(&args),
        KeysCommand::Check(args) => rotation::check(args, json).await,
        KeysCommand::Promote(args) => rotation::promote(args).await,
        KeysCommand::Retire(args) => rotation::retire(args).await,
    }
}

/// Makes a key, for a file or for stdout.
fn generated(file: Option<&Path>, append: bool) -> Result<Exit, Failure> {
    let random: Zeroizing<[u8; 36]> = Zeroizing::new(clock::random());
    let line = Zeroizing::new(dated_key_line(&random, clock::now()));
    match file {
        None => output::write(line.as_bytes())?,
        Some(path) => file::write(path, &line, append)?,
    };
    // Its id alone: stderr ends up in logs.
    let id = line.split_whitespace().next().unwrap_or_default();
    output::say(&format!("key {id}\n"));
    Ok(Exit::Ok)
}
