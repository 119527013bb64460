//! `countersign doctor`: looks at everything that a server needs, and says what to do.

mod database;
mod files;
mod finding;

use super::{
    exit::Exit,
    failure::Failure,
    output::{self, Record},
    serve::SettingFlags,
};
use clap::Args;
use finding::{Finding, State};
use std::path::PathBuf;

/// Looks at what `serve` would run with: the configuration, the key file, certificates, the
/// files and places that it writes to, and the database as the role that serves sees it.
/// Nothing is changed, and it may run beside a server. Exit code 1: something is in trouble.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  countersign doctor --config /etc/countersign/countersign.toml
  countersign doctor --config countersign.toml --json")]
pub(super) struct DoctorArgs {
    /// The configuration file (TOML)
    #[arg(long, env = "COUNTERSIGN_CONFIG", value_name = "PATH")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingFlags,
}

/// Looks, and tells.
pub(super) async fn run(args: DoctorArgs, json: bool) -> Result<Exit, Failure> {
    let from = args.config.as_deref().map_or_else(
        || "the environment and flags".to_owned(),
        |path| path.display().to_string(),
    );
    let config = args.settings.load(args.config.as_deref())?;
    let mut findings = vec![Finding::ok("configuration", from)];
    let (keys, ring) = files::keys(&config);
    findings.push(keys);
    findings.extend(files::certificates(&config).await);
    findings.push(files::edge(&config));
    findings.push(files::audit(&config.audit.output));
    findings.extend(files::telemetry(&config).await);
    findings.extend(database::look(&config, ring.as_ref()).await);

    let sound = findings
        .iter()
        .all(|finding| finding.state != State::Trouble);
    if json {
        output::print(Record::default().rows("findings", findings), true)?;
    } else {
        let text: String = findings.iter().map(Finding::text).collect();
        output::write(text.as_bytes())?;
    }
    Ok(if sound { Exit::Ok } else { Exit::Refused })
}
