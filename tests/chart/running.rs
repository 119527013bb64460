//! What the chart renders, run: the server with exactly its configuration, environment and
//! arguments, the migration's command, the command of NOTES.txt, and that of `helm test`, with
//! the mounted files laid out under a temporary root.

use super::{
    cluster::{Cluster, Files, done, started},
    configuration, helm, only, rendered, text,
};
use crate::support::{
    TestDatabase,
    certificates::{Authority, dns},
    fresh_database,
    process::{connect, get},
    server::first_key,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{collections::BTreeMap, time::Duration};
use tokio::process::Command;
use tonic_health::pb::health_check_response::ServingStatus;

/// The command that NOTES.txt gives for the first admin.
fn bootstrap_of_notes() -> Vec<String> {
    let words = "install test helm/countersign --namespace prod --dry-run=client";
    let run = helm(&words.split(' ').collect::<Vec<_>>());
    let told = String::from_utf8(run.stdout).unwrap();
    let line = told
        .lines()
        .find(|it| it.contains("client bootstrap"))
        .expect("the command");
    assert!(line.contains("exec deployment/test-countersign"), "{line}");
    let (_, command) = line.split_once(" -- /countersign ").expect("the command");
    command.split(' ').map(str::to_owned).collect()
}

/// A database's URL as a role with a password of its own.
pub fn url_as(database: &TestDatabase, role: &str, password: &str) -> String {
    let url = database.url();
    let (_, place) = url.split_once('@').unwrap();
    format!("postgres://{role}:{password}@{place}")
}

/// The roles that the chart's README has users make, and the Secrets with their URLs.
pub async fn secrets_of_readme(database: &TestDatabase) -> BTreeMap<&'static str, Files> {
    let readme = super::file("README.md");
    let (_, rest) = readme.split_once("```sql\n").expect("the SQL");
    let (statements, _) = rest.split_once("```").expect("the SQL");
    let server = &database.serving_role;
    let owner = format!("{server}_owner");
    let statements = statements
        .replace('…', "secret")
        .replace("countersign_owner", &owner)
        .replace("countersign_server", server)
        .replace(
            "CREATE DATABASE tokens OWNER",
            &format!("ALTER DATABASE {} OWNER TO", database.name),
        );
    database
        .client()
        .await
        .batch_execute(&statements)
        .await
        .unwrap();
    let mut secrets = secrets(database);
    let serving = url_as(database, server, "secret").replace(":secret@", "@");
    let apart = [("url", serving), ("password", "secret".to_owned())];
    secrets.insert("countersign-database", Files::from(apart));
    let migrating = url_as(database, &owner, "secret");
    secrets.insert(
        "countersign-database-migrate",
        Files::from([("url", migrating)]),
    );
    secrets
}

/// The Secrets, with roles that a superuser becomes.
fn secrets(database: &TestDatabase) -> BTreeMap<&'static str, Files> {
    let serving = format!(
        "{}?options=-c%20role%3D{}",
        database.url(),
        database.serving_role
    );
    BTreeMap::from([
        ("countersign-keys", Files::from([("keys", first_key())])),
        ("countersign-database", Files::from([("url", serving)])),
        (
            "countersign-database-migrate",
            Files::from([("url", database.url())]),
        ),
    ])
}

/// The client that a command makes, and its secret.
async fn made(mut command: Command) -> (String, String) {
    command.arg("--json");
    let done = done(command).await;
    assert_eq!(done.code, Some(0), "{}", done.err);
    let made: Value = serde_json::from_str(&done.out).unwrap();
    let id = made
        .pointer("/client/client_id")
        .or_else(|| made.get("client_id"));
    let id = text(id.unwrap_or_else(|| panic!("{made}"))).to_owned();
    (id, text(&made["client_secret"]).to_owned())
}

/// Makes the first admin as NOTES.txt says, and as the admin the client of `helm test`.
pub async fn make_test_client(cluster: &mut Cluster, more: &[&str]) {
    let notes = bootstrap_of_notes();
    let bootstrap = cluster.exec(notes.iter().map(String::as_str));
    let (id, secret) = made(bootstrap).await;
    let scheme = if more.is_empty() { "http" } else { "https" };
    let target = format!("{scheme}://localhost:{}", cluster.ports[&7300]);
    let words = "client create --name helm-test --role issuer --scope orders.read --audience urn:t";
    let words = words
        .split(' ')
        .chain(["--target", &target])
        .chain(more.iter().copied());
    let mut create = cluster.exec(words);
    create
        .env("COUNTERSIGN_CLIENT_ID", id)
        .env("COUNTERSIGN_CLIENT_SECRET", secret);
    let (id, secret) = made(create).await;
    let files = Files::from([("client-id", id), ("client-secret", secret)]);
    cluster.secrets.insert("countersign-test", files);
}

#[tokio::test]
async fn the_default_runs_from_the_job_to_the_test() {
    let database = fresh_database().await;
    let role = format!("migrations.servingRole={}", database.serving_role);
    let password = "database.passwordKey=password";
    assert!(super::file("README.md").contains(&format!("--set {password}\n")));
    let objects = rendered("default", &["--set", &role, "--set", password]);
    let mut cluster = Cluster::new(objects, secrets_of_readme(&database).await);

    // Servers and Job start together, and the servers wait.
    let mut server = started(cluster.server_command());
    cluster.until("startupProbe", ServingStatus::Serving).await;
    cluster.until("livenessProbe", ServingStatus::Serving).await;
    cluster
        .until("readinessProbe", ServingStatus::NotServing)
        .await;
    let migrated = cluster.migrate().await;
    assert_eq!(migrated.code, Some(0), "{}", migrated.err);
    cluster
        .until("readinessProbe", ServingStatus::Serving)
        .await;
    let again = cluster.migrate().await;
    assert_eq!(
        (again.code, again.out.as_str()),
        (Some(0), "nothing to do\n")
    );

    make_test_client(&mut cluster, &[]).await;
    let tried = cluster.test().await;
    assert_eq!(tried.code, Some(0), "{}", tried.err);
    for call in [
        "IssueToken",
        "Introspect",
        "RotateRefresh",
        "RevokeSession",
        "RevokeToken",
    ] {
        assert!(tried.out.contains(call), "{call}: {}", tried.out);
    }

    let (head, body) = get(cluster.address(9464), "/metrics").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(body.contains("countersign_ready"), "{body}");

    // What it needs to end is within what the kubelet grants.
    let id = Pid::from_raw(i32::try_from(server.id().unwrap()).unwrap());
    let _open = connect(cluster.address(7300)).await;
    kill(id, Signal::SIGTERM).unwrap();
    let pod = only(&cluster.objects, "Deployment", "server");
    let grace = pod["spec"]["template"]["spec"]["terminationGracePeriodSeconds"].as_u64();
    let grace = Duration::from_secs(grace.unwrap());
    let ended = tokio::time::timeout(grace, server.wait())
        .await
        .expect("it ends in time");
    assert!(ended.unwrap().success());
}

#[tokio::test]
async fn helm_test_fails_when_the_calls_do() {
    let database = fresh_database().await;
    let role = format!("migrations.servingRole={}", database.serving_role);
    let objects = rendered("default", &["--set", &role]);
    let mut cluster = Cluster::new(objects, secrets(&database));
    let files = [
        ("client-id", countersign::domain::clock::uuid().to_string()),
        ("client-secret", "cs_cs_none".to_owned()),
    ];
    cluster
        .secrets
        .insert("countersign-test", Files::from(files));
    let alone = cluster.test().await;
    assert_eq!(alone.code, Some(69), "{}", alone.err);

    assert_eq!(cluster.migrate().await.code, Some(0));
    let _server = started(cluster.server_command());
    cluster
        .until("readinessProbe", ServingStatus::Serving)
        .await;
    let refused = cluster.test().await;
    assert_eq!(refused.code, Some(77), "{}", refused.err);
    assert!(!refused.err.contains("cs_cs_none"), "{}", refused.err);
}

#[tokio::test]
async fn with_tls_and_passwords_apart_it_runs_too() {
    let database = fresh_database().await;
    let pki = Authority::new("spiffe://example.org");
    let pair = pki.sign(&[dns("localhost")]);
    let role = format!("migrations.servingRole={}", database.serving_role);
    // A URL that is no secret, and the password from the Secret.
    let url = database.url();
    let (user, rest) = url
        .strip_prefix("postgres://")
        .unwrap()
        .split_once(':')
        .unwrap();
    let (password, at) = rest.split_once('@').unwrap();
    let open = format!("postgres://{user}@{at}");
    let serving = format!(
        "database.url={open}?options=-c%20role%3D{}",
        database.serving_role
    );
    let owner = format!("migrations.url={open}");
    let words = [
        &role,
        &serving,
        &owner,
        "tls.mode=secret,tls.clientCertificates=optional",
        "database.passwordKey=password,migrations.passwordKey=password",
        "tests.scope=orders.read",
    ];
    let words: Vec<_> = words.iter().flat_map(|it| ["--set", *it]).collect();
    let objects = rendered("default", &words);
    let with_password = Files::from([("password", password.to_owned())]);
    let certificate = Files::from([
        ("tls.crt", pair.certificate.clone()),
        ("tls.key", pair.key.clone()),
        ("ca.crt", pki.pem.clone()),
    ]);
    let mut secrets = secrets(&database);
    secrets.insert("countersign-database", with_password.clone());
    secrets.insert("countersign-database-migrate", with_password);
    secrets.insert("countersign-tls", certificate);
    let mut cluster = Cluster::new(objects, secrets);
    assert!(
        !configuration(&cluster.objects)
            .to_string()
            .contains(password)
    );

    let migrated = cluster.migrate().await;
    assert_eq!(migrated.code, Some(0), "{}", migrated.err);
    let _server = started(cluster.server_command());
    cluster
        .until("readinessProbe", ServingStatus::Serving)
        .await;
    let ca = "/etc/countersign/tls/ca.crt";
    make_test_client(&mut cluster, &["--ca-file", ca]).await;
    let tried = cluster.test().await;
    assert_eq!(tried.code, Some(0), "{}", tried.err);
}

#[test]
fn notes_give_the_next_commands_and_warn_of_what_is_unsafe() {
    let notes = |more: &str| {
        let mut words = vec!["install", "test", "helm/countersign", "--dry-run=client"];
        words.extend(more.split(' ').filter(|it| !it.is_empty()));
        let run = helm(&words);
        let told = String::from_utf8(run.stdout).unwrap();
        told.split_once("NOTES:").expect("notes").1.to_owned()
    };
    let plain = notes("");
    for words in [
        "rollout status",
        "client bootstrap",
        "helm test test",
        "WARNING: no TLS",
    ] {
        assert!(plain.contains(words), "{words}: {plain}");
    }
    assert_eq!(plain.matches("WARNING").count(), 1, "{plain}");
    let minimal = notes("--values helm/countersign/ci/minimal-values.yaml");
    for words in [
        "WARNING: 1 replica.",
        "no TLS",
        "no NetworkPolicy",
        "no PodDisruptionBudget",
    ] {
        assert!(minimal.contains(words), "{words}: {minimal}");
    }
    let safe = notes("--values helm/countersign/ci/production-values.yaml");
    assert!(!safe.contains("WARNING"), "{safe}");
    let own = notes("--values helm/countersign/ci/init-container-values.yaml");
    assert!(
        own.contains("WARNING: migrations.mode is initContainer"),
        "{own}"
    );
}
