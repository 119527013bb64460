//! What breaks around a server, under a load of the four calls, as callers see it: no wrong
//! answer, codes that say what to do, and recovery alone.

mod clock;
mod failover;
pub mod load;
mod overload;
mod taking_over;

use crate::{
    faults::site::Site,
    support::{collector::Collector, figures, process::get},
};
use load::{Caller, Load, Seen};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// A database that is known to be away costs a call this long at most, on a machine that
/// others use too. What it took is printed.
const AT_ONCE: Duration = Duration::from_millis(100);

/// Within this a call is refused when the database falls silent. The design says 2 s.
const SILENCE: Duration = Duration::from_secs(3);

/// Memory may grow by this much under everything.
const GROWTH: u64 = 96 << 20;

async fn pause(wait: Duration) {
    tokio::time::sleep(wait).await;
}

/// PostgreSQL and all its processes.
fn processes(postmaster: i32) -> Vec<i32> {
    let mut found = vec![postmaster];
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        // `pid (name) state parent …`
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split(' ').nth(2));
        if parent == Some(&postmaster.to_string()) {
            found.extend(entry.file_name().to_string_lossy().parse::<i32>());
        }
    }
    found
}

fn signal(site: &Site, signal: Signal) {
    // A process that is born meanwhile is found by the second look.
    for _ in 0..2 {
        for process in processes(site.postgres.pid().unwrap()) {
            let _ = kill(Pid::from_raw(process), signal);
        }
    }
}

/// Resident bytes of the server.
fn memory(site: &Site) -> u64 {
    let status = format!("/proc/{}/status", site.servers[0].pid());
    let status = fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib << 10
}

fn longest<'a>(seen: impl Iterator<Item = &'a Seen>) -> Duration {
    seen.map(|one| one.took).max().unwrap_or_default()
}

fn median(seen: &[Seen]) -> Duration {
    let mut took: Vec<_> = seen.iter().map(|one| one.took).collect();
    took.sort_unstable();
    took[took.len() / 2]
}

/// For so long, calls that need no database: what they take at most, and as a rule, on this
/// machine and just now.
async fn echoes(site: &Site, time: Duration) -> (Duration, Duration) {
    let mut health = HealthClient::new(site.channels().remove(0));
    let (began, mut took) = (Instant::now(), Vec::new());
    while began.elapsed() < time {
        let asked = Instant::now();
        let request = HealthCheckRequest::default();
        health.check(request).await.unwrap();
        took.push(asked.elapsed());
        pause(Duration::from_millis(20)).await;
    }
    took.sort_unstable();
    (took[took.len() - 1], took[took.len() / 2])
}

/// While the database is silent: who asked before is told in time, and who asks later at once.
async fn silence(site: &Site, load: &Load, told: &mut String, what: &str) {
    let began = Instant::now();
    let (stall, echo) = echoes(site, SILENCE + Duration::from_secs(1)).await;
    let seen = load.since(began);
    assert!(
        seen.iter().any(|one| one.code == Code::Unavailable),
        "{what}"
    );
    // Those too who had asked just before.
    let before = began.checked_sub(Duration::from_secs(1)).unwrap();
    let slowest = longest(load.since(before).iter()).max(load.longest_wait());
    assert!(
        slowest < SILENCE + stall * 2,
        "{what}: a call took {slowest:?}, beside stalls of {stall:?}"
    );
    let known: Vec<_> = seen
        .into_iter()
        .filter(|one| one.began > began + SILENCE)
        .collect();
    assert!(!known.is_empty(), "{what}");
    let refused = known.iter().all(|one| one.code == Code::Unavailable);
    assert!(refused, "{what}: {:?}", load.outcomes(began + SILENCE));
    let at_once = median(&known);
    assert!(
        at_once < AT_ONCE + echo * 4,
        "{what}: refused after {at_once:?}, beside echoes of {echo:?}"
    );
    writeln!(
        told,
        "{what:<28} refused within {slowest:?}, then {at_once:?}"
    )
    .unwrap();
}

async fn recovery(load: &Load, told: &mut String, what: &str) {
    let took = load.recovers(Instant::now()).await;
    writeln!(told, "{what:<28} recovered after {took:?}").unwrap();
    pause(Duration::from_millis(500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_four_calls_come_through_every_fault_of_the_database() {
    let collector = Collector::that_hangs().await;
    // The disk of the audit stream is full all the time, and nobody takes the telemetry.
    let settings = [
        ("COUNTERSIGN_AUDIT_OUTPUT", "/dev/full"),
        ("COUNTERSIGN_METRICS_LISTEN", "127.0.0.1:0"),
        (
            "COUNTERSIGN_TELEMETRY_ENDPOINT",
            collector.endpoint.as_str(),
        ),
        ("COUNTERSIGN_TELEMETRY_SAMPLING", "1"),
        ("COUNTERSIGN_TELEMETRY_INTERVAL", "1s"),
    ];
    let mut site = Site::start(&[&settings], 0).await;
    let admin = site.admin().await;
    until_ready(&site).await;
    let caller = Caller::new(site.channels(), &admin).await;
    let load = Load::start(&caller, 16);
    let mut told = String::new();
    let began = Instant::now();
    recovery(&load, &mut told, "at first").await;
    pause(Duration::from_secs(1)).await;
    assert!(
        load.since(began).iter().all(|one| one.code == Code::Ok),
        "{:?}",
        load.outcomes(began)
    );
    let at_rest = memory(&site);

    signal(&site, Signal::SIGSTOP);
    silence(&site, &load, &mut told, "PostgreSQL frozen").await;
    signal(&site, Signal::SIGCONT);
    recovery(&load, &mut told, "PostgreSQL frozen").await;

    site.postgres.stop_immediately().await.unwrap();
    pause(Duration::from_secs(1)).await;
    site.postgres.start_again().await.unwrap();
    recovery(&load, &mut told, "PostgreSQL killed").await;

    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE usename = 'countersign_faults'";
    let sql = site.sql().await.unwrap();
    sql.query_one(terminate, &[]).await.unwrap();
    recovery(&load, &mut told, "connections terminated").await;

    read_only(&site, true).await;
    pause(Duration::from_secs(2)).await;
    let late = Instant::now();
    pause(Duration::from_secs(1)).await;
    let seen = load.since(late);
    // Reading too: what a server that takes no writes answers may be of yesterday.
    let refused = seen.iter().all(|one| one.code == Code::Unavailable);
    assert!(refused && !seen.is_empty(), "{:?}", load.outcomes(late));
    read_only(&site, false).await;
    recovery(&load, &mut told, "made read-only").await;

    // What was open when it began leads nowhere for ever.
    site.servers[0].database.hold();
    silence(&site, &load, &mut told, "a black hole").await;
    site.servers[0].database.release();
    recovery(&load, &mut told, "a black hole").await;

    site.servers[0].database.slow(Duration::from_millis(200));
    pause(Duration::from_millis(300)).await;
    let slow = Instant::now();
    let took = load.recovers(slow).await;
    pause(Duration::from_secs(2)).await;
    let outcomes = load.outcomes(slow);
    assert!(
        outcomes.keys().all(|(_, code)| code == "Ok"),
        "slow is not away: {outcomes:?}"
    );
    writeln!(
        told,
        "{:<28} all four calls after {took:?}",
        "200 ms of delay"
    )
    .unwrap();
    site.servers[0].database.slow(Duration::ZERO);

    let metrics = metrics(&site).await;
    for (series, least) in [
        ("countersign_breaker_outages_total", 4.0),
        ("countersign_audit_dropped_total", 100.0),
    ] {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series));
        let value: f64 = line.unwrap().trim().parse().unwrap();
        assert!(value >= least, "{series} is {value}");
    }
    assert!(metrics.contains("countersign_breaker_open 0"), "{metrics}");
    let (now, seen) = (memory(&site), load.since(began).len());
    let held = load.end().await;
    writeln!(
        told,
        "{seen} calls, {held} tokens as acknowledged; memory {} MiB, then {} MiB",
        at_rest >> 20,
        now >> 20
    )
    .unwrap();
    figures::write("resilience", &told);
    println!("{told}");
    assert!(now < at_rest + GROWTH, "{told}");
    let log = site.servers[0].log();
    assert!(
        log.contains("the database is away") && log.contains("the database is back"),
        "{log}"
    );
    assert!(log.contains("the audit stream cannot be written"));
    assert!(!log.contains("panicked"), "{log}");
}

/// What a primary is that has become a standby: its connections stand, and take no writes.
async fn read_only(site: &Site, on: bool) {
    let sql = site.sql().await.unwrap();
    for statement in [
        "SET default_transaction_read_only = off",
        &format!("ALTER SYSTEM SET default_transaction_read_only = {on}"),
        "SELECT pg_reload_conf()",
    ] {
        sql.batch_execute(statement).await.unwrap();
    }
}

/// Waits until the first server is ready.
async fn until_ready(site: &Site) {
    let began = Instant::now();
    while !site.servers[0].log().contains(" ready") {
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "{}",
            site.servers[0].log()
        );
        pause(Duration::from_millis(10)).await;
    }
}

async fn metrics(site: &Site) -> String {
    let log = site.servers[0].log();
    let line = log
        .lines()
        .find(|line| line.contains(" metrics address="))
        .unwrap();
    let (_, port) = line.rsplit_once(':').unwrap();
    let address = format!("127.0.0.1:{}", port.trim()).parse().unwrap();
    get(address, "/metrics").await.1
}
