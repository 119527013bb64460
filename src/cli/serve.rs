//! `countersign serve`: the real server.

use super::{exit::Exit, failure::Failure, output};
use crate::{
    app::{self, AppError},
    config::{self, Config, ConfigError, Flags},
    domain::keys::KeyRing,
    keyfile, shutdown,
    store::readiness::RefusedKind,
    telemetry,
};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use std::{path::PathBuf, sync::Arc};

/// Every setting comes from the file, from an environment variable over it
/// (`COUNTERSIGN_ROTATION_GRACE`), or from a flag over both; see docs/configuration.md.
/// Where the database is away or not migrated yet, the server binds, says so, waits, and
/// is not ready.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  countersign serve --config /etc/countersign/countersign.toml
  countersign serve --config countersign.toml --print-config")]
pub(super) struct ServeArgs {
    /// The configuration file (TOML)
    #[arg(long, env = "COUNTERSIGN_CONFIG", value_name = "PATH")]
    config: Option<PathBuf>,
    /// Print the effective configuration without secrets, and exit
    #[arg(long)]
    print_config: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

/// The flags of the table of settings.
#[derive(Debug, Clone, Default)]
pub struct SettingFlags(Flags);

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        config::add_flags(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        config::add_flags(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(config::read_flags(matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = config::read_flags(matches);
        Ok(())
    }
}

impl SettingFlags {
    /// The configuration of a file, the environment and these flags.
    pub(super) fn load(self, file: Option<&std::path::Path>) -> Result<Config, Failure> {
        Config::load(file, config::process_environment(), self.0).map_err(Failure::from)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::BadInput, error)
    }
}

/// Serves until it is asked to stop.
pub(super) async fn run(args: ServeArgs) -> Result<(), Failure> {
    let config = args.settings.load(args.config.as_deref())?;
    if args.print_config {
        return output::write(config.print().as_bytes()).map(drop);
    }
    telemetry::start_logs(&config.log);
    let ring = key_ring(&config)?;
    let bound = app::build(&config, ring).await?;
    let asked = async {
        if let Err(error) = shutdown::requested().await {
            tracing::error!(%error, "signals cannot be heard");
            std::future::pending::<()>().await;
        }
    };
    Ok(bound.run(asked).await?)
}

/// The key ring of the configured file.
pub(super) fn key_ring(config: &Config) -> Result<Arc<KeyRing>, Failure> {
    keyfile::load_key_file(&config.keys.file)
        .map(Arc::new)
        .map_err(|problem| Failure::new(Exit::BadInput, format!("keys.file: {problem}")))
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        let exit = match &error {
            AppError::Listen { .. }
            | AppError::Certificates(_)
            | AppError::Audit(_)
            | AppError::Url(_) => Exit::BadInput,
            AppError::Store(_) => Exit::Unreachable,
            AppError::Reflection(_) | AppError::Transport(_) => Exit::Refused,
            AppError::Refused(refused) => match refused.kind {
                RefusedKind::Credentials => Exit::Credentials,
                RefusedKind::Schema => Exit::SchemaBeyond,
                RefusedKind::Tables | RefusedKind::Durability => Exit::Unsuitable,
            },
        };
        Self::new(exit, error)
    }
}
