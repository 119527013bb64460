//! `countersign bench`: the load generator for people.

mod child;
mod database;
mod echo;
mod engine;
mod envoy;
mod field;
mod home;
mod instance;
mod machine;
mod outlet;
mod preload;
mod prepared;
mod progress;
mod table;
mod target;
mod variables;

pub(super) use echo::{EchoArgs, run as run_echo};

use super::{
    connection::{CallOptions, Json},
    exit::Exit,
    failure::Failure,
    output,
};
use crate::{
    bench::{
        Stop, chart,
        report::{Report, RowReport, Server},
        rows::{self, Row},
    },
    shutdown::Signals,
};
use clap::Args;
use engine::{Engine, Plan};
use outlet::Outlet;
use progress::Progress;
use std::{num::NonZero, path::PathBuf, time::Duration};
use uuid::Uuid;

/// Rows run in turn, in rounds, so that what drifts from minute to minute meets all of
/// them; a ratio is the median of the rounds' own ratios. By default everything runs on a
/// private PostgreSQL and a server of its own, which end with the command. With --target
/// or --as, an http:// address, since bench speaks no TLS, the rows that need the database
/// itself are left out, and what was opened is revoked at the end, and after Ctrl-C; a second
/// Ctrl-C ends at once. BENCHMARKS.md says how each figure is made.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "\
Examples:
  countersign bench
  countersign bench --rows 1000000 --home /var/tmp/countersign-bench --json bench.json
  countersign bench --only rotate --sessions 1000000 --seconds 60
  countersign bench --only introspect --rate 5000
  countersign bench --as issuer --dev-json .countersign/dev.json")]
pub(super) struct BenchArgs {
    /// Also write everything as JSON to this file
    #[arg(id = "json", long = "json", value_name = "FILE", value_parser = json_file)]
    #[arg(help_heading = None)]
    _json: Option<Json>,
    /// Access tokens to preload; at least 4096 [default: 4096]
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// Sessions to preload [default: a tenth of --rows, at least 4096]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    sessions: Option<u64>,
    /// The time of each row, over all rounds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = positive)]
    seconds: f64,
    /// Rounds; every row runs once in each
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Callers of each row
    #[arg(long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=100_000))]
    concurrency: usize,
    /// HTTP/2 connections that the callers share, to the server and to the echo alike
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=10_000))]
    connections: usize,
    /// Threads of the load generator [default: as many as there are cores]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    threads: Option<usize>,
    /// Bytes of the echo's message, there and back
    #[arg(long, value_name = "BYTES", default_value_t = 256)]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000))]
    message_bytes: usize,
    /// Only these rows, and what they are compared with
    #[arg(long, value_name = "ROW,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Open loop: this many calls a second are due in each row, whether or not the earlier
    /// ones are answered, and latencies count from when a call was due. Without it callers
    /// wait for each answer before they call again, so a slow answer delays the next calls
    /// and hides what they would have waited (coordinated omission)
    #[arg(long, value_name = "N", value_parser = positive)]
    rate: Option<f64>,
    /// Draw latency against load, open loop, as SVG: echo, introspect, issue and rotate
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Keep the private instance in this directory, and use what was preloaded there
    #[arg(long, value_name = "PATH")]
    home: Option<PathBuf>,
    /// Use this PostgreSQL instead of a private one: the URL of an empty database, with the
    /// rights to migrate. What is written there stays, and the role
    /// `countersign_bench_server`
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// The major version of the private PostgreSQL; by default the newest on the machine
    #[arg(long, value_name = "MAJOR", conflicts_with = "database_url")]
    postgres: Option<u32>,
    /// A setting of the private PostgreSQL, like `shared_buffers=4GB`; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    #[arg(conflicts_with = "database_url")]
    postgres_setting: Vec<(String, String)>,
    /// A setting of the server, like `batch.in_flight=8`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    /// Connections of the baselines' pool [default: as many as the server's]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=190))]
    pg_connections: Option<usize>,
    /// Also measure what a check adds to a request through this Envoy, on the private instance:
    /// at half load, beside an Envoy whose check does nothing and one without a check
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// Make no checkpoint before each row; by default each begins after one, so that none
    /// pays for what another made dirty
    #[arg(long)]
    no_checkpoints: bool,
    /// With --target or --as, the user that sessions are opened for
    /// [default: the one of --dev-json]
    #[arg(long, value_name = "UUID")]
    subject: Option<Uuid>,
}

fn json_file(path: &str) -> Result<Json, String> {
    if path.is_empty() {
        return Err("expected a path".to_owned());
    }
    Ok(Json::File(path.into()))
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if f64::is_finite(number) && number > 0.0 => Ok(number),
        _ => Err("expected a number above 0".to_owned()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs the rows and tells what came of them.
pub(super) async fn run(args: BenchArgs, options: &CallOptions) -> Result<Exit, Failure> {
    let rows = rows::chosen(&args.only).map_err(|name| {
        let names: Vec<_> = rows::ROWS.iter().map(|row| row.name).collect();
        Failure::Input(format!("--only {name}: the rows are {}", names.join(", ")))
    })?;
    let outlets = Outlets::open(&args, options)?;
    let threads = args.threads.unwrap_or_else(cores);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Refused, error))?;
    let target = if options.target.is_some() || options.as_client.is_some() {
        args.fits_a_target()?;
        Some(target::Target::find(options, args.subject)?)
    } else {
        None
    };
    let progress = Progress::new();
    let (own, bar) = (args.clone(), progress.clone());
    let stop = Stop::default();
    let (told, elsewhere) = (stop.clone(), target.is_some());
    let mut work = runtime.spawn(async move {
        match target {
            Some(target) => target.run(&own, &rows, &bar, stop).await,
            None => private(&own, &rows, &bar, stop).await,
        }
    });
    let signals = Signals::listen().ok();
    let done = tokio::select! {
        done = &mut work => done,
        () = heard(signals.as_ref(), 1) => {
            told.ask();
            if !elsewhere {
                // What it had started ends with it.
                work.abort();
            }
            tokio::select! {
                done = &mut work => done,
                // What was opened there stays.
                () = heard(signals.as_ref(), 2) => {
                    work.abort();
                    work.await
                }
            }
        }
    };
    let done = done.unwrap_or_else(|error| {
        Err(if error.is_cancelled() {
            engine::interrupted()
        } else {
            Failure::new(Exit::Refused, error)
        })
    });
    progress.ends();
    runtime.shutdown_background();
    let report = done?;
    tell(outlets, options, &report)
}

async fn heard(signals: Option<&Signals>, count: usize) {
    match signals {
        Some(signals) => signals.heard(count).await,
        None => std::future::pending().await,
    }
}

/// Where the report goes beside the terminal.
struct Outlets {
    json: Option<Outlet>,
    plot: Option<Outlet>,
}

impl Outlets {
    fn open(args: &BenchArgs, options: &CallOptions) -> Result<Self, Failure> {
        let json = match &options.json_to {
            Json::File(path) => Some(path),
            Json::Nowhere | Json::Stdout => None,
        };
        Ok(Self {
            json: json.map(|path| Outlet::open(path)).transpose()?,
            plot: args.plot.as_deref().map(Outlet::open).transpose()?,
        })
    }
}

fn tell(outlets: Outlets, options: &CallOptions, report: &Report) -> Result<Exit, Failure> {
    let json = format!("{:#}\n", report.json());
    // First, and the files although it could not be written: none is lost for another.
    let told = if options.json() {
        output::write(json.as_bytes())
    } else {
        output::write(table::text(report).as_bytes())
    };
    let written = outlets.json.map_or(Ok(()), |file| file.write(&json));
    if let Some(file) = outlets.plot {
        let drawn = chart::draw(&report.points);
        file.write(&drawn.map_err(|error| Failure::new(Exit::Refused, error))?)?;
    }
    let told = written.and(told)?;
    match &report.not_revoked {
        Some(left) => Err(Failure::new(Exit::Refused, left)),
        None => Ok(told),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

impl BenchArgs {
    /// Refuses what would be ignored with --target or --as.
    fn fits_a_target(&self) -> Result<(), Failure> {
        let given = [
            ("--rows", self.rows.is_some()),
            ("--sessions", self.sessions.is_some()),
            ("--home", self.home.is_some()),
            ("--database-url", self.database_url.is_some()),
            ("--postgres", self.postgres.is_some()),
            ("--postgres-setting", !self.postgres_setting.is_empty()),
            ("--set", !self.set.is_empty()),
            ("--pg-connections", self.pg_connections.is_some()),
            ("--envoy", self.envoy.is_some()),
            ("--no-checkpoints", self.no_checkpoints),
        ];
        let given: Vec<_> = given.into_iter().filter(|(_, given)| *given).collect();
        if given.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = given.into_iter().map(|(name, _)| name).collect();
        Err(Failure::Input(format!(
            "of the private instance alone: {}; leave it out, or --target and --as",
            names.join(", ")
        )))
    }

    fn plan(&self) -> Plan {
        Plan {
            rounds: self.rounds,
            time: Duration::from_secs_f64(self.seconds / f64::from(self.rounds)),
            warm_up: Duration::from_secs_f64((self.seconds / 10.0).min(1.0)),
            rate: self.rate,
            checkpoints: !self.no_checkpoints,
        }
    }
}

/// Everything on a private instance.
async fn private(
    args: &BenchArgs,
    rows: &[&'static Row],
    progress: &Progress,
    stop: Stop,
) -> Result<Report, Failure> {
    let instance = instance::Instance::start(args, progress).await?;
    let report = on_instance(args, rows, progress, stop, &instance).await;
    let stopped = instance.stop().await;
    let report = report?;
    stopped?;
    Ok(report)
}

async fn on_instance(
    args: &BenchArgs,
    rows: &[&'static Row],
    progress: &Progress,
    stop: Stop,
    instance: &instance::Instance,
) -> Result<Report, Failure> {
    let idle = instance
        .serve
        .pid()
        .and_then(crate::bench::process::resident);
    let echo = child::Echo::start().await?;
    let field = instance.field(args, &echo.target).await?;
    let engine = Engine {
        plan: args.plan(),
        field: &field,
        instance: Some(instance),
        lease: None,
        echo_pid: echo.pid(),
        progress,
        stop,
    };
    let reports = engine.rounds(rows).await?;
    let alone = if args.only.is_empty() && args.rate.is_none() {
        engine.alone().await?
    } else {
        None
    };
    let points = plotted(args, &engine, &reports).await?;
    let through = match &args.envoy {
        Some(binary) => {
            progress.says("through Envoy");
            let behind = instance.behind(args, binary, &echo.target);
            envoy::through(&behind, &engine.stop).await?
        }
        None => Vec::new(),
    };
    let mut facts = machine::facts(args, &engine.plan);
    facts.extend(machine::database(instance).await?);
    facts.extend(machine::broken(&field));
    Ok(Report {
        facts,
        rows: reports,
        left_out: Vec::new(),
        server: Some(Server {
            ready: instance.serve.ready,
            rss_idle_bytes: idle,
        }),
        alone,
        points,
        open_loop: args.rate.is_some(),
        not_revoked: None,
        through,
    })
}

async fn plotted(
    args: &BenchArgs,
    engine: &Engine<'_>,
    reports: &[RowReport],
) -> Result<Vec<crate::bench::report::Point>, Failure> {
    match &args.plot {
        Some(_) => engine.sweep(reports).await,
        None => Ok(Vec::new()),
    }
}
