//! `countersign dev` and `countersign serve`, as processes.

use crate::support::dev::Dev;
use countersign::{
    cli::postgres::{Cluster, ClusterOptions, home_for},
    store::{
        DatabaseUrl,
        connect::connect,
        migrate::{MigrateOptions, migrate, set_password},
    },
};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
    time::{Duration, Instant},
};

fn countersign(words: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(words)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether a PostgreSQL runs on the private home of a data directory.
fn postgres_runs(data_dir: &Path) -> bool {
    let home = home_for(&data_dir.join("postgres")).unwrap();
    let Ok(pid) = fs::read_to_string(home.join("data/postmaster.pid")) else {
        return false;
    };
    let pid = pid.lines().next().unwrap().to_owned();
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // A zombie that nobody has reaped does not run.
    !stat
        .rsplit(')')
        .next()
        .unwrap()
        .trim_start()
        .starts_with('Z')
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn dev_starts_from_nothing_and_again_with_the_same_clients() {
    let place = tempfile::tempdir().unwrap();
    let dev = Dev::start(place.path()).await;
    let first = dev.description();
    let mode = fs::metadata(place.path().join("dev.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let names: Vec<_> = first["clients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["name"])
        .collect();
    assert_eq!(names, ["issuer", "introspector", "revoker", "admin"]);
    assert_eq!(first["public_origin"], first["endpoint"]);
    assert!(postgres_runs(place.path()));
    let stopped = dev.stop().await;
    assert!(stopped.success);
    assert!(
        !postgres_runs(place.path()),
        "Ctrl-C stops what was started"
    );
    for client in first["clients"].as_array().unwrap() {
        let secret = client["client_secret"].as_str().unwrap();
        assert!(
            stopped.stdout.contains(secret),
            "only the transcript shows secrets"
        );
        assert!(!stopped.stderr.contains("cs_"), "{}", stopped.stderr);
    }

    let dev = Dev::start(place.path()).await;
    let second = dev.description();
    let known = |description: &Value| {
        (
            description["clients"].clone(),
            description["subject"].clone(),
        )
    };
    assert_eq!(known(&first), known(&second));
    assert!(dev.stop().await.success);
}

#[tokio::test]
async fn no_postgres_outlives_a_dev_that_was_killed() {
    let place = tempfile::tempdir().unwrap();
    let dev = Dev::start(place.path()).await;
    dev.signal(Signal::SIGKILL);
    until("PostgreSQL ends", || !postgres_runs(place.path())).await;
    let again = Dev::start(place.path()).await;
    assert!(again.stop().await.success);
}

#[test]
fn a_wrong_configuration_is_refused_with_the_exact_key() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("countersign.toml");
    let cases = [
        ("rotation.grase = \"30s\"", "rotation.grase"),
        ("rotation.grace = \"1s\"", "rotation.grace"),
        ("listen = \"here\"", "listen"),
        ("calls.max_message_bytes = -1", "calls.max_message_bytes"),
        ("", "keys.file"),
    ];
    for (line, key) in cases {
        fs::write(
            &file,
            format!("{line}\ndatabase.url = \"postgres://u:hunter2@h/d\"\n"),
        )
        .unwrap();
        let output = countersign(&["serve", "--config", file.to_str().unwrap()], &[]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{line}: {errors}");
        assert!(errors.contains(key), "{line}: {errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
    let missing = countersign(&["serve", "--config", "/nowhere.toml"], &[]);
    assert_eq!(missing.status.code(), Some(64));
    assert!(text(&missing.stderr).contains("/nowhere.toml"));
}

#[test]
fn the_printed_configuration_has_no_secret_and_loads_again() {
    let place = tempfile::tempdir().unwrap();
    let url = [("COUNTERSIGN_DATABASE_URL", "postgres://u:hunter2@h/d")];
    let words = [
        "serve",
        "--keys-file",
        "/k",
        "--rotation-grace",
        "60s",
        "--print-config",
    ];
    let first = countersign(&words, &url);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let printed = text(&first.stdout);
    assert!(
        !printed.contains("hunter2") && printed.contains("\"1m\""),
        "{printed}"
    );
    let file = place.path().join("printed.toml");
    fs::write(&file, &printed).unwrap();
    let words = [
        "serve",
        "--config",
        file.to_str().unwrap(),
        "--print-config",
    ];
    let second = countersign(&words, &url);
    assert_eq!(text(&second.stdout), printed, "{}", text(&second.stderr));
}

#[test]
fn the_example_configuration_is_accepted() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/countersign.example.toml");
    let output = countersign(&["serve", "--config", example, "--print-config"], &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_key_file_that_is_open_to_the_world_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let keys = place.path().join("keys");
    let path = keys.to_str().unwrap();
    assert!(
        countersign(&["keys", "generate", "--file", path], &[])
            .status
            .success()
    );
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    let url = [("COUNTERSIGN_DATABASE_URL", "postgres://u@127.0.0.1:1/d")];
    let output = countersign(
        &["serve", "--keys-file", path, "--listen", "127.0.0.1:0"],
        &url,
    );
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("chmod"),
        "{}",
        text(&output.stderr)
    );
}

#[tokio::test]
async fn dev_on_a_cluster_of_others_leaves_their_servers_their_role() {
    let place = tempfile::tempdir().unwrap();
    let binaries = crate::postgres::binaries().await;
    let home = home_for(&place.path().join("theirs")).unwrap();
    let cluster = Cluster::start(&binaries, ClusterOptions::new(home).setting("fsync", "off"))
        .await
        .unwrap();
    let owner: tokio_postgres::Config = cluster.superuser_url().parse().unwrap();
    let (theirs, password) = ("countersign_server", "only-for-this-test");
    migrate(&owner, &MigrateOptions::default(), |_| {})
        .await
        .unwrap();
    set_password(&owner, theirs, password).await.unwrap();
    let superuser = connect(&DatabaseUrl::parse(&cluster.superuser_url()).unwrap())
        .await
        .unwrap();
    superuser
        .execute("CREATE DATABASE mine", &[])
        .await
        .unwrap();

    let own = cluster.superuser_url();
    let own = format!("{}/mine", own.strip_suffix("/postgres").unwrap());
    let dev = Dev::start_with(&place.path().join("dev"), &["--database-url", &own]).await;
    let used = dev.description()["database_url"].clone();
    assert!(
        used.as_str().unwrap().contains("countersign_dev:"),
        "{used}"
    );
    let url = cluster.url_for(theirs, password, "postgres");
    let let_in = connect(&DatabaseUrl::parse(&url).unwrap()).await;
    assert!(let_in.is_ok(), "{:?}", let_in.err());
    assert!(dev.stop().await.success);
}
