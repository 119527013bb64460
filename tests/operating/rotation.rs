//! A key is added, rolled out, promoted and retired, under the eyes of two servers.

use crate::{
    cli::binary::{Run, countersign},
    support::{
        process::{Process, write_keys},
        server::{Caller, Deployment, first_key},
    },
};
use countersign::{
    domain::{keys::KeyRing, tokens::Token},
    proto::v1::{self, Role},
};
use std::{
    fs,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_mins(1);

async fn keys(at: &Deployment, server: &Process, words: &[&str]) -> Run {
    let file = server.file("keys");
    let url = at.serving_url();
    let mut all = vec!["keys"];
    all.extend(words);
    all.extend(["--file", file.to_str().unwrap()]);
    countersign(&all, &[("COUNTERSIGN_DATABASE_URL", &url)], "").await
}

/// The whole key file of one server takes the place of another's.
fn roll_out(from: &Process, to: &Process) {
    write_keys(
        &to.file("keys"),
        &fs::read_to_string(from.file("keys")).unwrap(),
    );
}

async fn mint(server: &Process, issuer: &Caller) -> String {
    let request = issuer.request(v1::IssueTokenRequest::default());
    let answer = server.tokens().await.issue_token(request).await.unwrap();
    answer.into_inner().access_token
}

/// Waits until the check has this exit code, and returns what it said.
async fn checked(at: &Deployment, server: &Process, code: i32) -> serde_json::Value {
    let started = Instant::now();
    loop {
        let run = keys(at, server, &["check", "--json"]).await;
        if run.code == code {
            return run.json();
        }
        assert!(
            started.elapsed() < PATIENCE,
            "{} {}",
            run.stdout,
            run.stderr
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_key_mints_when_every_server_has_it_and_leaves_when_nothing_lives_under_it() {
    let mut at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let (one, two) = (
        Process::start(&at, &[("metrics.listen", "\"127.0.0.1:0\"")]).await,
        Process::start(&at, &[]).await,
    );
    let depend = |kind: &str| format!("countersign_key_dependents{{kind=\"{kind}\"}}");
    one.reaches(&depend("session"), 0.0).await;
    let old = KeyRing::parse(&first_key())
        .unwrap()
        .minting()
        .id()
        .to_string();

    let added = keys(&at, &one, &["add"]).await;
    let new = added.stderr.trim().strip_prefix("key ").unwrap().to_owned();
    let listed = keys(&at, &one, &["list", "--json"]).await.ok().json();
    let listed: Vec<_> = listed["keys"].as_array().unwrap().clone();
    let ids: Vec<_> = listed
        .iter()
        .map(|one| one["key"].as_str().unwrap())
        .collect();
    assert_eq!(ids, [old.as_str(), new.as_str()]);
    assert_eq!(listed[0]["mints"], true);

    // Another server lacks it, and so does the one of this process.
    let early = keys(&at, &one, &["promote", &new]).await;
    assert_eq!(early.code, 1, "{}", early.stderr);
    assert!(early.stderr.contains("do not have"), "{}", early.stderr);
    let told = checked(&at, &one, 1).await;
    assert!(!told["troubles"].as_array().unwrap().is_empty(), "{told}");
    at.halt();
    roll_out(&one, &two);
    let told = checked(&at, &one, 0).await;
    assert_eq!(told["replicas"].as_array().unwrap().len(), 2, "{told}");
    assert_eq!(told["keys"][0]["sessions"], 1, "{told}");
    assert_eq!(told["keys"][0]["client_secrets"], 2, "{told}");
    assert_eq!(told["keys"][1]["access_tokens"], 0, "{told}");

    let promoted = keys(&at, &one, &["promote", &new]).await;
    assert_eq!(promoted.code, 0, "{}", promoted.stderr);
    let mints = keys(&at, &one, &["retire", &new]).await;
    assert!(mints.stderr.contains("mints"), "{}", mints.stderr);
    // The other still mints with the old one.
    let early = keys(&at, &one, &["retire", &old, "--yes"]).await;
    assert_eq!(early.code, 1, "{}", early.stderr);
    assert!(early.stderr.contains("still mint"), "{}", early.stderr);
    roll_out(&one, &two);
    let file = fs::read_to_string(one.file("keys")).unwrap();
    let line = file.lines().find(|line| line.starts_with(&new)).unwrap();
    let ring = KeyRing::parse(line).unwrap();
    let started = Instant::now();
    for server in [&one, &two] {
        while Token::parse(&mint(server, &issuer).await, &ring).is_err() {
            assert!(started.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    // What was made under the old key lives, and so it stays.
    one.reaches(&depend("session"), 1.0).await;
    one.reaches(&depend("access_token"), 1.0).await;
    one.reaches(&depend("client_secret"), 2.0).await;
    let started = Instant::now();
    let early = loop {
        let early = keys(&at, &one, &["retire", &old]).await;
        assert_eq!(early.code, 1, "{}", early.stderr);
        if !early.stderr.contains("still mint") {
            break early.stderr;
        }
        assert!(started.elapsed() < PATIENCE, "{}", early.stderr);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(
        early.contains("1 sessions") && early.contains("2 client secrets"),
        "{early}"
    );
    let request = issuer.request(v1::IntrospectRequest {
        token: login.access_token.clone(),
        ..v1::IntrospectRequest::default()
    });
    let alive = two.tokens().await.introspect(request).await.unwrap();
    assert!(alive.into_inner().active);

    let retired = keys(&at, &one, &["retire", &old, "--yes"]).await;
    assert_eq!(retired.code, 0, "{}", retired.stderr);
    let told = checked(&at, &one, 1).await;
    let troubles = told["troubles"].to_string();
    assert!(
        troubles.contains(&format!("what lives under {old} is dead")),
        "{troubles}"
    );
    one.sinks(&depend("client_secret"), 0.0).await;
    // The client's secret was under it, too.
    let started = Instant::now();
    loop {
        let request = issuer.request(v1::IssueTokenRequest::default());
        let answer = one.tokens().await.issue_token(request).await;
        if answer.is_err_and(|status| status.code() == tonic::Code::Unauthenticated) {
            break;
        }
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_by_name_and_leaves_the_file_alone() {
    let at = Deployment::start().await;
    let server = Process::start(&at, &[]).await;
    let text = fs::read_to_string(server.file("keys")).unwrap();
    let old = KeyRing::parse(&text).unwrap().minting().id().to_string();
    for (words, why) in [
        (vec!["promote", "0badf00d"], "no key 0badf00d"),
        (vec!["retire", "0badf00d"], "no key 0badf00d"),
        (vec!["promote", &old], "mints already"),
        (vec!["retire", &old], "promote another key first"),
        (vec!["promote", "xyz"], "8 hexadecimal digits"),
    ] {
        let run = keys(&at, &server, &words).await;
        assert!(
            run.code != 0 && run.stderr.contains(why),
            "{words:?} {}",
            run.stderr
        );
        assert_eq!(fs::read_to_string(server.file("keys")).unwrap(), text);
    }
}
