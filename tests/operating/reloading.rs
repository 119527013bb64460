//! Keys and the log's level are read again without a restart.

use crate::support::{
    process::{Process, write_keys},
    server::{Caller, Deployment, first_key},
};
use countersign::{
    domain::{
        keys::{KeyId, KeyRing, new_key_line},
        tokens::Token,
    },
    proto::v1::{self, Role},
};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::{fs, os::unix::fs::symlink, path::Path};

const CHANGED: &str = "countersign_reloads_total{outcome=\"changed\",what=\"keys\"}";
const FAILED: &str = "countersign_reloads_total{outcome=\"failed\",what=\"keys\"}";

fn second_key() -> String {
    new_key_line(&[8; 36])
}

fn id(line: &str) -> KeyId {
    KeyRing::parse(line).unwrap().minting().id()
}

/// A token that the process mints now.
async fn mint(server: &Process, issuer: &Caller) -> String {
    let request = issuer.request(v1::IssueTokenRequest::default());
    let answer = server.tokens().await.issue_token(request).await.unwrap();
    answer.into_inner().access_token
}

async fn active(server: &Process, caller: &Caller, token: &str) -> bool {
    let request = caller.request(v1::IntrospectRequest {
        token: token.to_owned(),
        ..Default::default()
    });
    let found = server.tokens().await.introspect(request).await.unwrap();
    found.into_inner().active
}

/// Whether a token was minted under the key of this line.
fn is_under(token: &str, line: &str) -> bool {
    Token::parse(token, &KeyRing::parse(line).unwrap()).is_ok()
}

/// The details of the events that a ring has changed.
async fn events(at: &Deployment) -> Vec<Value> {
    let events = "SELECT detail FROM countersign.event WHERE kind = 'key_ring_changed' ORDER BY id";
    let rows = at.sql.query(events, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

/// The changes of a ring that the audit stream tells of: all of them, since the end of the
/// process waits for the stream.
async fn audited(mut server: Process) -> Vec<Value> {
    server.signal(Signal::SIGTERM);
    assert_eq!(server.exit_code().await, 0);
    let text = fs::read_to_string(server.file("audit")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["event"] == "keys")
        .collect()
}

#[tokio::test]
async fn a_promoted_key_mints_after_sighup_and_the_old_one_verifies() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let server = Process::start(&at, &[("metrics.listen", "\"127.0.0.1:0\"")]).await;
    let old = mint(&server, &issuer).await;
    assert!(is_under(&old, &first_key()));

    let keys = server.file("keys");
    write_keys(&keys, &(second_key() + &first_key()));
    server.signal(Signal::SIGHUP);
    let line = server.says("the key ring has changed").await;
    assert!(!line.contains(second_key().split(' ').nth(1).unwrap().trim()));
    let new = mint(&server, &issuer).await;
    assert!(is_under(&new, &second_key()), "the first key mints");
    for token in [&old, &new] {
        assert!(active(&server, &issuer, token).await);
    }
    let (first, second) = (id(&first_key()).to_string(), id(&second_key()).to_string());
    let promoted = json!({
        "keys": [second, first], "promoted": true, "added": [second], "retired": [],
    });
    assert_eq!(events(&at).await, std::slice::from_ref(&promoted));

    // Read again, unchanged: no event. A retired key ends what is under it.
    server.signal(Signal::SIGHUP);
    let unchanged = "countersign_reloads_total{outcome=\"unchanged\",what=\"keys\"}";
    server.reaches(unchanged, 1.0).await;
    assert_eq!(events(&at).await.len(), 1);
    // The caller's own secret is under the first key, so it stays; the second goes.
    write_keys(&keys, &first_key());
    server.reaches(CHANGED, 2.0).await;
    assert!(active(&server, &issuer, &old).await);
    assert!(!active(&server, &issuer, &new).await);
    let retired = json!({
        "keys": [first], "promoted": true, "added": [], "retired": [second],
    });
    assert_eq!(events(&at).await, [promoted, retired]);
    let rings: Vec<_> = audited(server)
        .await
        .into_iter()
        .map(|one| (one["outcome"].clone(), one["keys"].clone()))
        .collect();
    let done = |keys: Value| (json!("done"), keys);
    assert_eq!(rings, [done(json!([second, first])), done(json!([first]))]);
}

#[tokio::test]
async fn a_bad_key_file_changes_nothing_and_is_told() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let server = Process::start(&at, &[("metrics.listen", "\"127.0.0.1:0\"")]).await;
    let old = mint(&server, &issuer).await;
    let keys = server.file("keys");
    let altered = first_key().replacen(' ', " A", 1);
    let altered = format!("{}\n", &altered.trim_end()[..first_key().trim_end().len()]);
    let mut failures = 0.0;
    for (bad, told) in [
        ("nonsense\n".to_owned(), "line 1"),
        (String::new(), "it holds no key"),
        (altered, "has other bytes than the one in use"),
    ] {
        write_keys(&keys, &bad);
        server.signal(Signal::SIGHUP);
        let line = server.says(told).await;
        assert!(line.contains("not reloaded"), "{line}");
        failures += 1.0;
        server.reaches(FAILED, failures).await;
        assert!(active(&server, &issuer, &old).await, "{told}");
        assert!(is_under(&mint(&server, &issuer).await, &first_key()));
    }
    fs::remove_file(&keys).unwrap();
    server.says("cannot be read").await;
    assert!(active(&server, &issuer, &old).await);
    assert!(events(&at).await.is_empty());

    // A good one is taken without being asked.
    write_keys(&keys, &(second_key() + &first_key()));
    server.reaches(CHANGED, 1.0).await;
    assert!(is_under(&mint(&server, &issuer).await, &second_key()));
    server.says("the file can be used again").await;
}

#[tokio::test]
async fn a_ring_whose_event_cannot_be_written_waits_for_the_database() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let server = Process::start(&at, &[("metrics.listen", "\"127.0.0.1:0\"")]).await;
    let role = &at.database.serving_role;
    let revoke = format!("REVOKE INSERT ON countersign.event FROM {role}");
    at.sql.batch_execute(&revoke).await.unwrap();
    write_keys(&server.file("keys"), &(second_key() + &first_key()));
    server
        .says("the event of the change cannot be written")
        .await;
    assert!(is_under(&mint(&server, &issuer).await, &first_key()));
    let grant = format!("GRANT INSERT ON countersign.event TO {role}");
    at.sql.batch_execute(&grant).await.unwrap();
    server.reaches(CHANGED, 1.0).await;
    assert!(is_under(&mint(&server, &issuer).await, &second_key()));
    assert_eq!(events(&at).await.len(), 1);
}

/// A secret as Kubernetes mounts it: `keys` → `..data/keys`, `..data` → a dated directory.
fn mount(place: &Path, date: &str, text: &str) {
    fs::create_dir(place.join(date)).unwrap();
    write_keys(&place.join(date).join("keys"), text);
    symlink(date, place.join("..data_tmp")).unwrap();
    fs::rename(place.join("..data_tmp"), place.join("..data")).unwrap();
}

#[tokio::test]
async fn a_swap_of_symlinks_is_seen_without_a_signal() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_owned();
    mount(&path, "..2026_11_23", &first_key());
    symlink("..data/keys", path.join("keys")).unwrap();
    let settings = [("metrics.listen", "\"127.0.0.1:0\"")];
    let server = Process::start_in(place, &at, &settings).await;
    assert!(is_under(&mint(&server, &issuer).await, &first_key()));
    // Once it was read after the start, only another look can find the swap.
    let read = "countersign_reloads_total{outcome=\"unchanged\",what=\"keys\"}";
    server.reaches(read, 1.0).await;
    mount(&path, "..2026_11_24", &(second_key() + &first_key()));
    server.reaches(CHANGED, 1.0).await;
    assert!(is_under(&mint(&server, &issuer).await, &second_key()));
}

#[tokio::test]
async fn the_log_s_level_follows_the_file() {
    let at = Deployment::start().await;
    let mut server = Process::start(&at, &[("purge.pause", "\"20ms\"")]).await;
    // Purges are told at debug only.
    server.set("log.level", "\"debug\"");
    server.set("calls.deadline", "\"11s\"");
    server.says("the log's level has changed").await;
    server.says("DEBUG countersign::purging: purged").await;
    let before = server.log();
    let (quiet, _) = before.split_once("the log's level has changed").unwrap();
    assert!(!quiet.contains("DEBUG"), "{quiet}");
    // What waits for a restart is named.
    let line = server.says("take a restart").await;
    assert!(line.contains("calls.deadline"), "{line}");

    // A file that makes no sense changes nothing.
    server.set("log.level", "\"loud\"");
    server.signal(Signal::SIGHUP);
    let line = server.says("not reloaded").await;
    assert!(line.contains("what=\"log\""), "{line}");
    let length = server.log().len();
    server.says_after(length, "DEBUG").await;
}
