//! `countersign fence`.

use super::{exit::Exit, failure::Failure, migrate::DatabaseArgs, output};
use crate::store;
use clap::Args;
use std::io::{BufRead as _, IsTerminal as _};

/// After the restore of a backup, or the promotion of a standby that lacked commits, what
/// was revoked may be alive again. The fence ends all of it: every user logs in again, every
/// client fetches new tokens. Clients, their secrets and users stay.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  countersign fence --database-url-file /etc/countersign/migrate-url --yes")]
pub(super) struct FenceArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

/// Raises the fence.
pub(super) async fn run(args: FenceArgs) -> Result<Exit, Failure> {
    let url = args.database.read()?;
    if !args.yes && !confirmed()? {
        return Err(Failure::new(Exit::BadInput, "nothing was done"));
    }
    let not_before = store::fence(&url)
        .await
        .map_err(|error| Failure::of_store(&error))?;
    let text = format!(
        "fenced: what was created up to {} is dead\n",
        not_before.to_rfc3339()
    );
    output::write(text.as_bytes())
}

fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::BadInput,
            "this ends every session of every user; pass --yes",
        ));
    }
    eprint!("This ends every session of every user. Type `fence` to go on: ");
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(Exit::BadInput, error))?;
    Ok(answer.trim() == "fence")
}
