//! `countersign serve` against databases that are not ready, or never will be.

use crate::support::{TestDatabase, fresh_database};
use countersign::store::{
    DatabaseUrl,
    migrate::{MigrateOptions, migrate, set_password},
};
use std::{fs, path::Path, process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
};
use tonic::transport::Channel;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

const PASSWORD: &str = "only-for-this-test";

/// A running `countersign serve`.
struct Serve {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    /// Where it listens, once it has said so.
    port: Option<u16>,
    _place: tempfile::TempDir,
}

impl Serve {
    fn start(url: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let keys = place.path().join("keys");
        make_keys(&keys);
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["serve", "--keys-file", keys.to_str().unwrap()])
            .args(["--listen", "127.0.0.1:0", "--audit-output", "/dev/null"])
            .env_clear()
            .env("COUNTERSIGN_DATABASE_URL", url)
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self {
            child,
            log,
            port: None,
            _place: place,
        }
    }

    /// Reads the log until a line has these words.
    async fn says(&mut self, words: &str) {
        let read = async {
            while let Some(line) = self.log.next_line().await.unwrap() {
                assert!(!line.contains(PASSWORD), "{line}");
                if let Some((_, rest)) = line.split_once("127.0.0.1:")
                    && line.contains("listening")
                {
                    let end = rest.find(|c: char| !c.is_ascii_digit());
                    let digits = &rest[..end.unwrap_or(rest.len())];
                    self.port = Some(digits.parse().unwrap());
                }
                if line.contains(words) {
                    return;
                }
            }
            panic!("the log ended before it said `{words}`");
        };
        tokio::time::timeout(Duration::from_secs(30), read)
            .await
            .expect(words);
    }

    async fn health(&self) -> ServingStatus {
        let port = self.port.expect("it said where it listens");
        let endpoint = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let mut client = HealthClient::new(endpoint.connect().await.unwrap());
        client
            .check(HealthCheckRequest::default())
            .await
            .unwrap()
            .into_inner()
            .status()
    }

    async fn exit_code(&mut self) -> i32 {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        ended.expect("it ends").unwrap().code().unwrap()
    }
}

fn make_keys(path: &Path) {
    let line = countersign::domain::keys::new_key_line(&[7; 36]);
    fs::write(path, line).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(path, mode).unwrap();
}

async fn migrated(database: &TestDatabase) -> String {
    let options = MigrateOptions {
        serving_role: database.serving_role.clone(),
        ..MigrateOptions::default()
    };
    migrate(&database.config(), &options, |_| {}).await.unwrap();
    set_password(&database.config(), &database.serving_role, PASSWORD)
        .await
        .unwrap();
    as_serving(database)
}

fn as_serving(database: &TestDatabase) -> String {
    let url = DatabaseUrl::parse(&database.url()).unwrap();
    url.as_role(&database.serving_role, PASSWORD)
        .to_url()
        .to_string()
}

#[tokio::test]
async fn a_database_that_is_not_migrated_is_waited_for() {
    let database = fresh_database().await;
    let mut serve = Serve::start(&database.url());
    serve.says("the database is not migrated yet").await;
    assert_eq!(serve.health().await, ServingStatus::NotServing);
    migrated(&database).await;
    serve.says("ready").await;
    assert_eq!(serve.health().await, ServingStatus::Serving);
    let pid = nix::unistd::Pid::from_raw(serve.child.id().unwrap().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(serve.exit_code().await, 0);
}

#[tokio::test]
async fn a_database_that_is_not_there_is_waited_for() {
    // Nobody listens on the first of the reserved ports.
    let mut serve = Serve::start(&format!("postgres://u:{PASSWORD}@127.0.0.1:1/d"));
    serve.says("the database cannot be reached").await;
    assert_eq!(serve.health().await, ServingStatus::NotServing);
}

#[tokio::test]
async fn what_waiting_would_not_mend_ends_with_a_sentence_and_its_code() {
    let database = fresh_database().await;
    let url = migrated(&database).await;
    let mut serve = Serve::start(&url.replace(PASSWORD, "wrong"));
    serve
        .says("the database refuses the role or its password")
        .await;
    assert_eq!(serve.exit_code().await, 77);

    let client = database.client().await;
    let cases = [
        (
            "ALTER TABLE auth.refresh_tokens ALTER COLUMN parent TYPE bytea USING NULL",
            "auth.refresh_tokens.parent",
            65,
        ),
        (
            "UPDATE countersign.authority SET schema_version = 99",
            "the database has schema 99",
            76,
        ),
    ];
    for (statement, words, code) in cases {
        client.batch_execute(statement).await.unwrap();
        let mut serve = Serve::start(&url);
        serve.says(words).await;
        assert_eq!(serve.exit_code().await, code);
    }
}

#[tokio::test]
async fn a_database_that_does_not_wait_for_its_disk_is_refused() {
    let database = fresh_database().await;
    let url = migrated(&database).await;
    let role = &database.serving_role;
    let off = format!("ALTER ROLE {role} SET synchronous_commit = off");
    database.client().await.batch_execute(&off).await.unwrap();
    let mut serve = Serve::start(&url);
    serve.says("synchronous_commit is off").await;
    assert_eq!(serve.exit_code().await, 65);
}
