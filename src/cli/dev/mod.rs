//! `countersign dev`: a token authority from nothing, in one process on one port.

mod certificates;
mod description;
pub(super) mod files;
mod seed;
mod transcript;

use super::{
    exit::Exit,
    failure::Failure,
    postgres::{Binaries, Cluster, ClusterOptions, PostgresError, home_for},
    serve::{cut_short, deaf, key_ring},
};
use crate::{
    app,
    config::{Config, Flags},
    shutdown::Signals,
    store::{
        DatabaseUrl,
        migrate::{self, MigrateOptions},
    },
    telemetry::Telemetry,
};
use certificates::Certificates;
use clap::Args;
use description::Description;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The role that serves from the private PostgreSQL.
const SERVING_ROLE: &str = "countersign_server";
/// The role that serves from another: roles and their passwords are the whole cluster's, and
/// servers of another of its databases keep theirs.
const SERVING_ROLE_ELSEWHERE: &str = "countersign_dev";

/// PostgreSQL is found on the machine, or fetched once into the user's cache. What is made
/// stays in the data directory, so that the next start finds it again. The commands to try
/// are printed; scripts read `dev.json` in the data directory. Ctrl-C stops everything.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  countersign dev
  countersign dev --data-dir /tmp/countersign --listen 127.0.0.1:0")]
pub(super) struct DevArgs {
    /// Where everything is kept
    #[arg(long, value_name = "PATH", default_value = ".countersign")]
    data_dir: PathBuf,
    /// Use this PostgreSQL instead of a private one: its URL, with the rights to migrate. The
    /// role `countersign_dev` is made there, and serves
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// The address to serve on; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7300")]
    listen: SocketAddr,
    /// The address to serve TLS on [default: the next port of --listen]
    #[arg(long, value_name = "ADDRESS")]
    tls_listen: Option<SocketAddr>,
    /// The major version of the private PostgreSQL; by default the newest on the machine
    #[arg(long, value_name = "MAJOR", conflicts_with = "database_url")]
    postgres: Option<u32>,
}

/// Runs until it is asked to stop.
pub(super) async fn run(args: DevArgs) -> Result<(), Failure> {
    files::make_private_dir(&args.data_dir)?;
    let signals = Signals::listen().map_err(deaf)?;

    let (cluster, owner) = if let Some(url) = &args.database_url {
        (None, parse(url)?)
    } else {
        let cluster = tokio::select! {
            cluster = private_postgres(&args.data_dir, args.postgres) => cluster?,
            () = signals.heard(1) => return Ok(()),
        };
        let url = parse(&cluster.superuser_url())?;
        (Some(cluster), url)
    };
    let served = tokio::select! {
        served = serve(&args, &owner) => served,
        () = signals.heard(1) => return stop(cluster, Ok(())).await,
    };
    let (bound, description) = match served {
        Ok(served) => served,
        Err(failure) => return stop(cluster, Err(failure)).await,
    };
    let path = args.data_dir.join("dev.json");
    let mut readiness = bound.readiness();
    let running = async {
        tokio::select! {
            ended = bound.run(signals.heard(1)) => ended.map_err(Failure::from),
            () = signals.heard(2) => Err(cut_short()),
        }
    };
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return stop(cluster, ended).await,
        // The sender lives as long as the server runs.
        _ = readiness.wait_for(|ready| *ready) => {}
    }
    let announced = files::write_private(&path, &description.json())
        .and_then(|()| transcript::print(&description, &path));
    if let Err(failure) = announced {
        return stop(cluster, Err(failure)).await;
    }
    let ended = running.await;
    stop(cluster, ended).await
}

fn parse(url: &str) -> Result<DatabaseUrl, Failure> {
    DatabaseUrl::parse(url)
        .map_err(|error| Failure::new(Exit::BadInput, format!("--database-url {error}")))
}

async fn private_postgres(data_dir: &Path, major: Option<u32>) -> Result<Cluster, Failure> {
    let home = home_for(&data_dir.join("postgres"))?;
    let binaries = Binaries::for_home(&home, major).await?;
    Ok(Cluster::start(&binaries, ClusterOptions::new(&home)).await?)
}

async fn stop(cluster: Option<Cluster>, ended: Result<(), Failure>) -> Result<(), Failure> {
    if let Some(cluster) = cluster {
        let stopped = cluster.stop().await;
        ended?;
        stopped?;
        return Ok(());
    }
    ended
}

/// Migrates, makes what is missing, and binds.
async fn serve(args: &DevArgs, owner: &DatabaseUrl) -> Result<(app::Bound, Description), Failure> {
    let role = match args.database_url {
        None => SERVING_ROLE,
        Some(_) => SERVING_ROLE_ELSEWHERE,
    };
    let options = MigrateOptions {
        serving_role: role.to_owned(),
        ..MigrateOptions::default()
    };
    migrate::migrate(owner, &options, |line| eprintln!("{line}")).await?;
    let password = files::password(&args.data_dir.join("serving-password"))?;
    migrate::set_password(owner, role, &password).await?;
    let keys = args.data_dir.join("keys");
    files::make_key_file(&keys)?;

    let place = args.data_dir.join("tls");
    let certificates = Certificates::make(&place, args.listen.ip())?;

    let url = owner.as_role(role, &password).to_url();
    let config = config(args, &url, &keys, &certificates)?;
    let mut telemetry = Telemetry::start(&config).await?;
    let bound = app::build(&config, key_ring(&config)?, &mut telemetry).await?;
    let endpoint = format!("http://{}", bound.address());
    let known = Description::read(&args.data_dir.join("dev.json"));
    let (clients, subject) = seed::seed(bound.authority(), known.as_ref()).await?;
    let tls_endpoint = bound.secure_address();
    let description = Description {
        tls_endpoint: tls_endpoint.map_or_else(String::new, |at| format!("https://{at}")),
        tls_directory: place.display().to_string(),
        public_origin: endpoint.clone(),
        endpoint,
        database_url: url.to_string(),
        clients,
        subject,
    };
    Ok((bound, description))
}

/// The configuration that `serve` would have been given.
fn config(
    args: &DevArgs,
    url: &Zeroizing<String>,
    keys: &Path,
    certificates: &Certificates,
) -> Result<Config, Failure> {
    let text = |path: PathBuf| path.display().to_string();
    let next = match args.listen.port() {
        0 => 0,
        port => port.wrapping_add(1),
    };
    let tls_listen = args.tls_listen.unwrap_or((args.listen.ip(), next).into());
    let settings = [
        ("COUNTERSIGN_LISTEN", args.listen.to_string()),
        ("COUNTERSIGN_DATABASE_URL", url.to_string()),
        ("COUNTERSIGN_KEYS_FILE", keys.display().to_string()),
        ("COUNTERSIGN_ISSUER", "countersign-dev".to_owned()),
        (
            "COUNTERSIGN_DPOP_ORIGINS",
            format!("http://{}", args.listen),
        ),
        ("COUNTERSIGN_SIDECAR_AUDIENCE", seed::AUDIENCE.to_owned()),
        ("COUNTERSIGN_TLS_LISTEN", tls_listen.to_string()),
        (
            "COUNTERSIGN_TLS_CERTIFICATE_FILE",
            text(certificates.certificate("server")),
        ),
        ("COUNTERSIGN_TLS_KEY_FILE", text(certificates.key("server"))),
        ("COUNTERSIGN_TLS_CLIENT_CA_FILE", text(certificates.ca())),
        ("COUNTERSIGN_TLS_CLIENT_CERTIFICATES", "optional".to_owned()),
        // No load balancer has to hear of the end.
        ("COUNTERSIGN_SHUTDOWN_PAUSE", "0s".to_owned()),
    ];
    let settings = settings
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Config::load(None, settings, Flags::default()).map_err(Failure::from)
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Self {
        Self::new(Exit::Unreachable, error)
    }
}
