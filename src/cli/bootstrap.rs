//! `countersign client bootstrap`: the first admin, and the way back in.

use super::{
    exit::Exit,
    failure::Failure,
    output,
    serve::{SettingFlags, key_ring},
};
use crate::{
    app, authority,
    domain::{caller::Role, policy::ClientSettings},
};
use clap::Args;
use std::path::PathBuf;
use uuid::Uuid;

/// Needs the configuration that the server runs with: its database and its keys. The
/// secret goes to stdout and is never shown again.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  countersign client bootstrap --config /etc/countersign/countersign.toml")]
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
    #[command(flatten)]
    settings: SettingFlags,
}

/// Registers the admin.
pub(super) async fn run(args: BootstrapArgs, json: bool) -> Result<Exit, Failure> {
    let config = args.settings.load(args.config.as_deref())?;
    let authority = app::authority(&config, key_ring(&config)?, 0)?;
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
    let secret = created.secret.reveal();
    let text = if json {
        format!(
            "{}\n",
            serde_json::json!({ "client_id": client_id, "client_secret": secret })
        )
    } else {
        format!("client id      {client_id}\nclient secret  {secret}\n")
    };
    output::write(text.as_bytes())
}

/// How a failure of a command with database rights ends.
pub(super) fn failure(failure: authority::Failure) -> Failure {
    match failure {
        authority::Failure::Refused(_) => Failure::new(Exit::Refused, failure),
        authority::Failure::Store(error) => Failure::of_store(&error),
    }
}
