//! `countersign client bootstrap`: the first admin, and the way back in.

use super::{
    failure::{Exit, Failure},
    serve::{SettingFlags, key_ring},
};
use crate::{
    app,
    authority::{self, StoreError},
    domain::{caller::Role, policy::ClientSettings},
};
use clap::Args;
use std::path::PathBuf;
use uuid::Uuid;

/// Register an admin with database rights, and print its secret once.
///
/// Needs the configuration that the server runs with: its database and its keys. The
/// secret goes to stdout and is never shown again.
///
/// Example: countersign client bootstrap --config /etc/countersign/countersign.toml
#[derive(Debug, Args)]
pub struct BootstrapArgs {
    /// The configuration file (TOML)
    #[arg(long, env = "COUNTERSIGN_CONFIG", value_name = "PATH")]
    config: Option<PathBuf>,
    /// The new client's id; made up if not given
    #[arg(long, value_name = "UUID")]
    id: Option<Uuid>,
    /// The new client's name
    #[arg(long, default_value = "admin")]
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

/// Registers the admin.
pub async fn run(args: BootstrapArgs) -> Result<(), Failure> {
    let config = args.settings.load(args.config.as_deref())?;
    let authority = app::authority(&config, key_ring(&config)?)?;
    let settings = ClientSettings {
        name: args.name,
        roles: vec![Role::Admin],
        ..ClientSettings::default()
    };
    let created = authority
        .bootstrap_client(args.id, settings)
        .await
        .map_err(failure)?;
    let client_id = created.entry.client.client_id;
    if args.json {
        let secret = created.secret.reveal();
        println!(
            "{}",
            serde_json::json!({ "client_id": client_id, "client_secret": secret })
        );
    } else {
        println!("client_id      {client_id}");
        println!("client_secret  {}", created.secret.reveal());
    }
    Ok(())
}

/// How a failure of a command with database rights ends.
pub(super) fn failure(failure: authority::Failure) -> Failure {
    let exit = match &failure {
        authority::Failure::Refused(_) => Exit::Failed,
        authority::Failure::Store(error) => match error.root() {
            StoreError::Unavailable(_) | StoreError::NotMigrated(_) => Exit::Unavailable,
            _ => Exit::Failed,
        },
    };
    Failure::new(exit, failure)
}
