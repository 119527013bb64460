//! `countersign fence`.

use super::{
    failure::{Exit, Failure},
    migrate::DatabaseArgs,
    output,
};
use crate::store::{self, StoreError};
use clap::Args;
use std::io::{BufRead as _, IsTerminal as _};

/// Cut off every token and session that exists, with database rights.
///
/// After the restore of a backup, or the promotion of a standby that lacked commits, what
/// was revoked may be alive again. The fence ends all of it: every user logs in again, every
/// client fetches new tokens. Clients, their secrets and users stay.
///
/// Example: countersign fence --database-url-file /etc/countersign/migrate-url --yes
#[derive(Debug, Args)]
pub(super) struct FenceArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// Raises the fence.
pub(super) async fn run(args: FenceArgs) -> Result<(), Failure> {
    let url = args.database.read()?;
    if !args.yes && !confirmed()? {
        return Err(Failure::input("nothing was done"));
    }
    let not_before = store::fence(&url).await.map_err(|error| {
        let exit = match error.root() {
            StoreError::Unavailable(_) | StoreError::NotMigrated(_) => Exit::Unavailable,
            _ => Exit::Failed,
        };
        Failure::with_causes(exit, &error)
    })?;
    output::say(&format!(
        "fenced: what was created up to {} is dead\n",
        not_before.to_rfc3339()
    ))
}

fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::input(
            "this ends every session of every user; say --yes",
        ));
    }
    eprint!("This ends every session of every user. Type `fence` to go on: ");
    let mut answer = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(Failure::input)?;
    Ok(answer.trim() == "fence")
}
