//! `countersign bench`, as a process with children of its own.

mod outlets;
mod target;

use countersign::bench::rows::ROWS;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// How long a tiny run may take on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_mins(5);

/// Rows of a tenth of a second, in a temporary place of the test's own.
fn bench(place: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .args(["bench", "--concurrency", "4"])
        .args(words)
        .env("TMPDIR", place)
        .env_remove("COUNTERSIGN_TARGET")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for [option, value] in [["--seconds", "0.2"], ["--rounds", "2"]] {
        if !words.contains(&option) {
            command.args([option, value]);
        }
    }
    if let Ok(major) = std::env::var("COUNTERSIGN_TEST_POSTGRES")
        && !words.contains(&"--target")
    {
        command.args(["--postgres", &major]);
    }
    command
}

async fn run(place: &Path, words: &[&str]) -> Output {
    let ran = tokio::time::timeout(PATIENCE, bench(place, words).output()).await;
    ran.expect("it ends").unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// A place that PostgreSQL's account can reach too.
fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(place.path(), open).unwrap();
    place
}

/// The processes that name the place in their command line or environment.
fn processes(place: &Path) -> Vec<String> {
    let place = place.to_str().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| text(&fs::read(entry.path().join(name)).unwrap_or_default());
        let (line, variables) = (read("cmdline"), read("environ"));
        if line.contains(place) || variables.contains(place) {
            found.push(line.replace('\0', " "));
        }
    }
    found
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn left(place: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(place).unwrap().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn names(report: &Value, of: &str) -> Vec<String> {
    let rows = report[of].as_array().unwrap();
    let name = |row: &Value| row["name"].as_str().unwrap().to_owned();
    rows.iter().map(name).collect()
}

#[tokio::test]
async fn every_row_is_measured_without_an_error_and_nothing_is_left() {
    let (place, results) = (place(), tempfile::tempdir().unwrap());
    let file = |name: &str| results.path().join(name).to_str().unwrap().to_owned();
    let (json, plot) = (file("bench.json"), file("bench.svg"));
    // However slow the machine is, no check is turned away for it.
    let patient = ["--set", "sidecar.deadline=10s"];
    let words = [&["--json", &json, "--plot", &plot], &patient[..]].concat();
    let table = ok(&run(place.path(), &words).await);

    let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let every: Vec<_> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(names(&report, "results"), every);
    for (row, told) in ROWS.iter().zip(report["results"].as_array().unwrap()) {
        let name = row.name;
        assert!(table.contains(&format!("\n{name} ")), "{name}: {table}");
        assert!(told["per_second"].as_f64().unwrap() > 0.0, "{told}");
        assert_eq!(told["errors"], 0, "{told}");
        let (p50, p99) = (&told["p50_us"], &told["p99_us"]);
        assert!(p50.as_f64().unwrap() <= p99.as_f64().unwrap(), "{told}");
        assert_eq!(told["baseline"].as_str(), row.baselines.first().copied());
        assert_eq!(told["ratio"].is_f64(), !row.baselines.is_empty(), "{told}");
        for baseline in row.baselines {
            let ratio = &told["ratios"][baseline];
            assert!(ratio["min"].as_f64() <= ratio["ratio"].as_f64(), "{told}");
            assert!(ratio["ratio"].as_f64() <= ratio["max"].as_f64(), "{told}");
        }
        assert_eq!(told["rounds"].as_array().unwrap().len(), 2);
    }
    for name in [
        "pg-insert",
        "issue",
        "pg-open",
        "pg-open-tx",
        "pg-open-one",
        "open",
        "pg-rotate",
        "pg-rotate-tx",
        "pg-rotate-one",
        "rotate",
    ] {
        let rows = report["results"].as_array().unwrap();
        let told = rows.iter().find(|row| row["name"] == name).unwrap();
        let bare = told["wal_bytes_per_call_without_full_page_images"].as_f64();
        assert!(bare.unwrap() > 100.0, "{told}");
        assert!(told["wal_bytes_per_call"].as_f64() > bare, "{told}");
    }
    let server = &report["server"];
    assert!(server["ready_ms"].as_f64().unwrap() > 0.0, "{server}");
    if cfg!(target_os = "linux") {
        assert!(server["rss_idle_bytes"].as_u64().unwrap() > 1 << 20);
        assert!(server["rss_peak_bytes"].as_u64() >= server["rss_idle_bytes"].as_u64());
    }
    let alone = &report["alone"];
    assert!(
        alone["introspect_p50_us"].as_f64().unwrap() > 0.0,
        "{alone}"
    );
    for ratio in ["ratio", "ratio_of_read"] {
        assert!(alone[ratio].as_f64().unwrap() > 0.0, "{alone}");
    }
    let svg = fs::read_to_string(plot).unwrap();
    for words in ["<svg", "introspect p99", "rotate p50"] {
        assert!(svg.contains(words), "{words}");
    }

    assert!(left(place.path()).is_empty(), "{:?}", left(place.path()));
    assert_eq!(processes(place.path()), [""; 0]);
    assert!(!table.contains("cs_"), "{table}");
}

#[tokio::test]
async fn only_the_rows_asked_for_run_and_what_was_preloaded_is_found_again() {
    let place = place();
    let home = place.path().join("home");
    let home = home.to_str().unwrap();
    let preload = ["--rows", "6000", "--sessions", "1"];
    let words = [&["--home", home, "--only", "rotate"][..], &preload].concat();
    let table = ok(&run(place.path(), &words).await);
    assert!(!table.contains("introspect"), "{table}");

    // The sessions have taken steps since, and go on from there.
    let words = ["--home", home, "--only", "rotate,mix", "--json"];
    let json = place.path().join("again.json");
    // The words that made it find it, though there are more sessions than they say.
    let words = [&words[..], &[json.to_str().unwrap()], &preload].concat();
    ok(&run(place.path(), &words).await);
    let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let rows = names(&report, "results");
    let wanted = [
        "echo",
        "introspect",
        "pg-rotate",
        "pg-rotate-tx",
        "pg-rotate-one",
        "rotate",
        "mix",
    ];
    assert_eq!(rows, wanted);
    for row in report["results"].as_array().unwrap() {
        assert_eq!(row["errors"], 0, "{row}");
    }
    assert_eq!(report["facts"]["rows"], 6000);
    assert_eq!(report["facts"]["sessions"], 4096);

    let other = run(place.path(), &["--home", home, "--rows", "7000"]).await;
    assert_eq!(other.status.code(), Some(64));
    assert!(
        text(&other.stderr).contains("--rows 6000"),
        "{}",
        text(&other.stderr)
    );
}

#[tokio::test]
async fn an_unknown_row_is_named_with_those_that_there_are() {
    let place = place();
    let refused = run(place.path(), &["--only", "echo,rotat"]).await;
    let errors = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(64), "{errors}");
    assert!(
        errors.contains("rotat:") && errors.contains("batch-introspect"),
        "{errors}"
    );
    assert!(left(place.path()).is_empty(), "{:?}", left(place.path()));
}

/// A bench that has started its children and goes on for a long time.
async fn under_way(place: &Path) -> Child {
    let words = ["--only", "echo,introspect", "--seconds", "600"];
    let child = bench(place, &words).spawn().unwrap();
    until("its children run", || {
        let running = processes(place);
        running.iter().any(|line| line.contains("bench-echo"))
    })
    .await;
    child
}

fn signal(child: &Child, signal: Signal) {
    let pid = child.id().unwrap().try_into().unwrap();
    kill(Pid::from_raw(pid), signal).unwrap();
}

#[tokio::test]
async fn an_interrupted_bench_leaves_nothing() {
    let place = place();
    let mut child = under_way(place.path()).await;
    signal(&child, Signal::SIGINT);
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    assert_eq!(ended.expect("it ends").unwrap().code(), Some(1));
    assert!(left(place.path()).is_empty(), "{:?}", left(place.path()));
    until("its children end", || processes(place.path()).is_empty()).await;
}

#[tokio::test]
async fn no_child_outlives_a_bench_that_was_killed() {
    let place = place();
    let child = under_way(place.path()).await;
    let server = || {
        let lines = processes(place.path());
        lines.iter().any(|line| line.contains("countersign serve"))
    };
    assert!(server(), "{:?}", processes(place.path()));
    signal(&child, Signal::SIGKILL);
    until("its children end", || processes(place.path()).is_empty()).await;
}

#[tokio::test]
async fn through_envoy_a_check_is_measured_beside_none_and_one_that_does_nothing() {
    let (place, results) = (place(), tempfile::tempdir().unwrap());
    let json = results.path().join("bench.json");
    let envoy = crate::sidecar::gateway::binary().await;
    let words = [
        "--only",
        "echo",
        "--envoy",
        envoy.to_str().unwrap(),
        "--json",
    ];
    let words = [&words[..], &[json.to_str().unwrap()]].concat();
    let table = ok(&run(place.path(), &words).await);
    assert!(table.contains("Countersign's check"), "{table}");
    let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let through = names(&report, "through_envoy");
    assert_eq!(through, ["envoy", "envoy-nothing", "envoy-check"]);
    for told in report["through_envoy"].as_array().unwrap() {
        assert_eq!(told["errors"], 0, "{told}");
        assert!(told["p50_us"].as_f64().unwrap() > 0.0, "{told}");
    }
}
