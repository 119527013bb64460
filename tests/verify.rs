//! `countersign verify` against a deployment of two servers.

use crate::support::server::{Caller, Deployment};
use countersign::proto::v1;
use serde_json::Value;
use std::process::{Output, Stdio};
use tokio::process::Command;

/// Runs it for a second, as the client whose secret is given.
async fn verify(targets: &[String], caller: &Caller, secret: &str, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command
        .args(["verify", "--seconds", "1", "--concurrency", "8"])
        .args(["--target", &targets[0]]);
    for replica in &targets[1..] {
        command.args(["--replica", replica]);
    }
    command
        .args(more)
        .env_clear()
        .env("COUNTERSIGN_CLIENT_ID", &caller.id)
        .env("COUNTERSIGN_CLIENT_SECRET", secret)
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_is_proved_and_left_as_it_was() {
    let deployment = Deployment::start_with(2, &[]).await;
    let (admin, secret) = deployment.admin_secret();
    let before = deployment.counts().await;

    let ran = verify(&deployment.targets(), &admin, &secret, &["--json"]).await;
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert!(ran.status.success(), "{told:#}");
    assert_eq!(told["clean"], true);
    assert_eq!(told["first_violation"], Value::Null);
    assert!(told["operations"].as_u64().unwrap() > 100, "{told:#}");
    assert!(told["outcomes"]["RotateRefresh"]["ROTATED"].as_u64() > Some(0));

    // Nothing of it lives on.
    assert_ne!(deployment.counts().await, before);
    let listed = admin
        .directory()
        .list_clients(admin.request(v1::ListClientsRequest::default()))
        .await
        .unwrap()
        .into_inner();
    let mut own = 0;
    for client in listed.clients {
        let name = client.settings.unwrap().name;
        if name.starts_with("countersign verify: ") {
            own += 1;
            assert!(client.disabled_at.is_some(), "{name} is enabled");
        }
    }
    assert!(own >= 5, "{own}");
    let living = "SELECT count(*) FROM countersign.account WHERE disabled_at IS NULL";
    let living: i64 = deployment.sql.query_one(living, &[]).await.unwrap().get(0);
    assert_eq!(living, 0);
}

#[tokio::test]
async fn it_says_why_it_cannot_begin() {
    let deployment = Deployment::start().await;
    let (_, secret) = deployment.admin_secret();
    let revoker = deployment.client(&[v1::Role::Revoker]).await;
    let ran = verify(&deployment.targets(), &revoker, &secret, &[]).await;
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(77), "{said}");
    assert!(said.contains("CREDENTIALS_INVALID"), "{said}");
    assert!(!said.contains(&secret));

    let gone = ["http://127.0.0.1:9".to_owned()];
    let ran = verify(&gone, &revoker, &secret, &[]).await;
    assert_eq!(ran.status.code(), Some(69));
}
