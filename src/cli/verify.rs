//! `countersign verify`.

use super::{
    connection::{CallOptions, Connection, connect},
    exit::Exit,
    failure::Failure,
    input::Stdin,
    output,
};
use crate::verify::{self, Plan, Progress, Report, Unanswered};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The longest that the server may keep at a call whose caller has heard nothing.
const SETTLE: Duration = Duration::from_secs(10);
/// How long a caller repeats a call whose answer was lost: well within the grace window.
const PATIENCE: Duration = Duration::from_secs(10);
/// The grace window of the client whose losses are repeated.
const GRACE: Duration = Duration::from_secs(30);

/// Registers clients and users of its own, lets many callers at once issue, rotate,
/// introspect, revoke and disable, and checks what each of them saw: one live successor of a
/// refresh token, nothing active after its ending was acknowledged, nothing acknowledged ever
/// lost, nothing ended without a cause or by one who may not, no gap between generations.
/// Whatever breaks meanwhile, servers, database or network, the promises hold.
///
/// The caller needs the role `admin`. At the end its clients and users are disabled; they are
/// not deleted, since nothing is. Exit code 1: a promise was broken, and the history that
/// proves it is printed.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  countersign verify --as admin --seconds 60
  countersign verify --as admin --target http://10.0.0.1:7300 --replica http://10.0.0.2:7300")]
pub(super) struct VerifyArgs {
    /// How long to go on
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Callers at once
    #[arg(long, value_name = "CALLERS", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(4..=1024))]
    concurrency: u16,
    /// Another server of the same deployment; each call goes to one of them, chosen at random
    #[arg(long, value_name = "URL")]
    replica: Vec<String>,
}

/// Runs it, and prints the figures and the verdict.
pub(super) async fn run(args: VerifyArgs, options: &CallOptions) -> Result<Exit, Failure> {
    let calls = Connection::open(options, &mut Stdin::default()).await?;
    let mut servers = vec![calls.channel()];
    for replica in &args.replica {
        servers.push(connect(replica, options).await?);
    }
    let admin = calls.authorization().ok_or_else(|| {
        Failure::Input("verify calls with the secret of an admin, not with a certificate".into())
    })?;
    let duration = Duration::from_secs(args.seconds);
    let plan = Plan {
        servers,
        admin,
        concurrency: args.concurrency.into(),
        duration,
        operations: u64::MAX,
        timeout: options.timeout,
        patience: PATIENCE,
        grace: GRACE,
        settle: SETTLE + options.timeout,
    };
    let progress = Arc::new(Progress::default());
    let shown = tokio::spawn(show(Arc::clone(&progress), duration));
    let stopping = Arc::clone(&progress);
    let stop = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopping.stop();
        }
    });
    let report = verify::run(plan, progress).await;
    shown.abort();
    stop.abort();
    let report = report.map_err(failure)?;
    if options.json() {
        output::write(format!("{:#}\n", to_json(&report)).as_bytes())?;
    } else {
        output::write(report.to_string().as_bytes())?;
    }
    Ok(if report.is_clean() {
        Exit::Ok
    } else {
        Exit::Refused
    })
}

/// Shows on a terminal how far the run is.
async fn show(progress: Arc<Progress>, duration: Duration) {
    let bar = ProgressBar::new(duration.as_secs());
    if let Ok(style) = ProgressStyle::with_template("{elapsed}/{len}s  {wide_bar}  {msg}") {
        bar.set_style(style);
    }
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    loop {
        tick.tick().await;
        bar.set_position(bar.elapsed().as_secs());
        bar.set_message(format!("{} calls checked", progress.operations()));
    }
}

/// Why a run could not be: its own clients were refused.
fn failure(why: Unanswered) -> Failure {
    match why {
        Unanswered::Refused(reason) => {
            let exit = match reason.as_str() {
                "PERMISSION_DENIED" | "CREDENTIALS_INVALID" | "CLIENT_DISABLED" => {
                    Exit::Credentials
                }
                _ => Exit::Refused,
            };
            let message = format!("the clients of the run cannot be registered: {reason}");
            Failure::new(exit, message)
        }
        Unanswered::Lost(why) => Failure::new(
            Exit::Unreachable,
            format!("the clients of the run cannot be registered: {why}"),
        ),
        Unanswered::Defect(what) => Failure::new(Exit::Refused, what),
    }
}

fn to_json(report: &Report) -> serde_json::Value {
    let mut outcomes: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for ((call, outcome), count) in &report.outcomes {
        outcomes.entry(call).or_default().insert(outcome, *count);
    }
    let violations: BTreeMap<String, u64> = report
        .violations
        .iter()
        .map(|(kind, count)| (kind.to_string(), *count))
        .collect();
    json!({
        "clean": report.is_clean(),
        "operations": report.operations,
        "users": report.users,
        "sessions": report.sessions,
        "elapsed_s": report.elapsed.as_secs_f64(),
        "outcomes": outcomes,
        "violations": violations,
        "first_violation": report.first,
    })
}
