//! What the figures hold for.

use super::{BenchArgs, cores, engine::Plan, field::Field, instance::Instance};
use crate::{bench::process, cli::failure::Failure, store::bench::Observer};
use serde_json::{Value, json};

type Facts = Vec<(&'static str, Value)>;

/// The machine and the load.
pub(super) fn facts(args: &BenchArgs, plan: &Plan) -> Facts {
    let mut facts = vec![
        ("countersign", json!(env!("CARGO_PKG_VERSION"))),
        (
            "system",
            json!(format!(
                "{} {}",
                std::env::consts::OS,
                std::env::consts::ARCH
            )),
        ),
        ("cores", json!(cores())),
    ];
    facts.extend(process::processor().map(|name| ("processor", json!(name))));
    facts.extend(process::memory().map(|bytes| ("memory_bytes", json!(bytes))));
    facts.extend([
        ("concurrency", json!(args.concurrency)),
        ("connections", json!(args.connections)),
        (
            "generator_threads",
            json!(args.threads.unwrap_or_else(cores)),
        ),
        ("message_bytes", json!(args.message_bytes)),
        ("rounds", json!(plan.rounds)),
        ("seconds_a_row_and_round", json!(plan.time.as_secs_f64())),
        (
            "loop",
            match plan.rate {
                Some(rate) => json!(format!(
                    "open, {rate} calls a second due; latency from when a call was due"
                )),
                None => json!(
                    "closed; a slow answer delays the caller's next call (coordinated omission)"
                ),
            },
        ),
    ]);
    facts
}

/// How often a connection ended meanwhile, if one did: it was opened again, and the calls that
/// fell into that are among the errors.
pub(super) fn broken(field: &Field) -> Option<(&'static str, Value)> {
    let times = field.authority.broken() + field.echo.broken();
    (times > 0).then(|| ("broken_connections", json!(times)))
}

/// The database, what it holds, and the server on it.
pub(super) async fn database(instance: &Instance) -> Result<Facts, Failure> {
    let observer: &Observer = &instance.observer;
    let mut postgres = serde_json::Map::new();
    for (name, value) in observer.settings().await? {
        postgres.insert(name, value.into());
    }
    let settings: serde_json::Map<String, Value> = instance
        .settings
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let size = instance.population.size();
    Ok(vec![
        ("rows", json!(size.tokens)),
        ("sessions", json!(size.sessions)),
        ("users", json!(size.users)),
        ("postgres", postgres.into()),
        ("server_settings", settings.into()),
        ("baseline_connections", json!(instance.baseline_connections)),
        (
            "checkpoint_before_each_row",
            json!(instance.ours && instance.checkpoints),
        ),
    ])
}
