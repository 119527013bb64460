//! `countersign serve`: the real server.

use super::{exit::Exit, failure::Failure, output};
use crate::{
    app::{self, AppError},
    config::{self, Config, ConfigError, Flags},
    domain::keys::KeyRing,
    keyfile,
    reload::{Kept, Reload},
    shutdown::Signals,
    store::readiness::RefusedKind,
    telemetry::{Logs, Telemetry, TelemetryError},
};
use clap::{ArgMatches, Args, Command, FromArgMatches};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::signal::unix::{SignalKind, signal};

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
    pub(super) fn load(self, file: Option<&Path>) -> Result<Config, Failure> {
        Config::load(file, config::process_environment(), self.0).map_err(Failure::from)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::BadInput, error)
    }
}

impl From<TelemetryError> for Failure {
    fn from(error: TelemetryError) -> Self {
        Self::new(Exit::BadInput, error)
    }
}

/// Serves until it is asked to stop, or at once until it is asked again.
pub(super) async fn run(args: ServeArgs) -> Result<(), Failure> {
    let config = args.settings.clone().load(args.config.as_deref())?;
    if args.print_config {
        return output::write(config.print().as_bytes()).map(drop);
    }
    let signals = Signals::listen().map_err(deaf)?;
    let hangup = signal(SignalKind::hangup()).map_err(deaf)?;
    let mut telemetry = Telemetry::start(&config).await?;
    let ring = key_ring(&config)?;
    let bound = tokio::select! {
        bound = app::build(&config, ring, &mut telemetry) => Some(bound?),
        // It may be waiting for the Workload API, and nobody was served yet.
        () = signals.heard(1) => None,
    };
    let Some(mut bound) = bound else {
        tracing::info!("stopping: before anything was served");
        telemetry.stop().await;
        return Ok(());
    };
    bound.reloading().at(hangup);
    if let Some(path) = args.config {
        let logs = telemetry.logs().clone();
        let level = log_level(path.clone(), args.settings, config, logs);
        bound.reloading().add("log", path, level);
    }
    let life = async {
        let ended = bound.run(signals.heard(1)).await;
        telemetry.stop().await;
        ended.map_err(Failure::from)
    };
    tokio::select! {
        ended = life => ended,
        () = signals.heard(2) => Err(cut_short()),
    }
}

/// What a second signal leaves to say.
pub(super) fn cut_short() -> Failure {
    Failure::new(
        Exit::Refused,
        "ended at once by a second signal; what ran was cut off",
    )
}

/// Signals cannot be heard.
pub(super) fn deaf(error: std::io::Error) -> Failure {
    Failure::new(Exit::Refused, format!("signals cannot be heard: {error}"))
}

/// Reads the configuration again, for the log's level. What else has changed in it is named,
/// and waits for the next start.
fn log_level(path: PathBuf, flags: SettingFlags, started: Config, logs: Logs) -> Reload {
    Box::new(move || {
        let loaded = Config::load(Some(&path), config::process_environment(), flags.0.clone());
        let outcome = match loaded {
            Ok(now) => {
                let waiting = started.differences(&now);
                if !waiting.is_empty() {
                    let keys = waiting.join(", ");
                    tracing::warn!(%keys, "these settings have changed, and take a restart");
                }
                Ok(logs.set_level(now.log.level))
            }
            Err(error) => Err(Kept {
                why: error.to_string(),
                again: false,
            }),
        };
        Box::pin(std::future::ready(outcome))
    })
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
            | AppError::DatabaseFiles(_)
            | AppError::Url(_) => Exit::BadInput,
            AppError::Store(_) => Exit::Unreachable,
            AppError::Reflection(_) => Exit::Refused,
            AppError::Refused(refused) => match refused.kind {
                RefusedKind::Credentials => Exit::Credentials,
                RefusedKind::Schema => Exit::SchemaBeyond,
                RefusedKind::Tables | RefusedKind::Durability => Exit::Unsuitable,
            },
        };
        Self::new(exit, error)
    }
}
