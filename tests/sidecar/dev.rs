//! Envoy before `countersign dev`, with nothing configured: by the printed secret, and by the
//! certificate; and `countersign check`.

use super::gateway::{Gateway, change, secured};
use crate::{
    cli::binary::{Run, countersign},
    support::{dev::Dev, server::Caller},
};
use serde_json::Value;
use tonic::transport::Channel;

const PATIENT: (&str, &str) = ("  timeout: 0.2s", "  timeout: 10s");

/// `countersign` as this client of `dev.json`.
async fn run(json: &str, name: &str, words: &[&str], stdin: &str) -> Run {
    let mut all = vec!["--as", name, "--dev-json", json, "--json"];
    all.extend(words);
    countersign(&all, &[], stdin).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_needs_nothing_but_the_printed_client_or_its_certificate() {
    let place = tempfile::tempdir().unwrap();
    let dev = Dev::start(place.path()).await;
    let told: Value = dev.description();
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    let clients = told["clients"].as_array().unwrap();
    let client = clients
        .iter()
        .find(|one| one["name"] == "introspector")
        .unwrap();
    let channel = Channel::from_shared(text("endpoint"))
        .unwrap()
        .connect_lazy();
    let of = |name: &str| client[name].as_str().unwrap();
    let caller = Caller::known(of("client_id"), of("client_secret"), channel);
    let file = place.path().join("dev.json");
    let json = file.to_str().unwrap();
    let subject = text("subject");
    let words = ["token", "issue", "--subject", &subject, "--scope", "read"];
    let issued = run(json, "issuer", &words, "").await.ok().json();
    let token = issued["access_token"].as_str().unwrap();
    let sent = format!("authorization: Bearer {token}");

    let patient = change(PATIENT.0, PATIENT.1);
    let by_secret = Gateway::start(&text("endpoint"), &caller, &[patient]).await;
    let directory = text("tls_directory");
    let mut changes = secured(
        &format!("{directory}/introspector.crt"),
        &format!("{directory}/introspector.key"),
        &format!("{directory}/ca.crt"),
    );
    changes.push(change(PATIENT.0, PATIENT.1));
    let nobody = Caller::known("", "", caller.channel());
    let by_certificate = Gateway::start(&text("tls_endpoint"), &nobody, &changes).await;
    for gateway in [&by_secret, &by_certificate] {
        let answer = gateway.get("/", &[&sent]).await;
        assert_eq!(answer.status, 200, "{answer:?} {}", gateway.log());
        assert_eq!(answer.received("x-countersign-subject"), [subject.as_str()]);
        assert_eq!(gateway.get("/", &[]).await.status, 401);
    }

    // The same from the command line.
    let ask = async |more: &[&str]| {
        let mut words = vec!["check", "--token", "-"];
        words.extend(more);
        let run = run(json, "introspector", &words, token).await;
        let status = run.json()["status"].as_u64().unwrap_or(200);
        assert_eq!(run.json()["allowed"], status == 200);
        assert_eq!(run.code, i32::from(status != 200), "{}", run.stderr);
        status
    };
    assert_eq!(ask(&[]).await, 200);
    assert_eq!(
        ask(&["--audience", "urn:countersign:dev", "--scope", "read"]).await,
        200
    );
    assert_eq!(ask(&["--scope", "write"]).await, 403);
    assert_eq!(ask(&["--audience", "urn:other"]).await, 403);
    assert_eq!(ask(&["--dpop-required"]).await, 401);
    let none = run(json, "introspector", &["check"], "").await;
    assert_eq!((none.code, none.json()["status"].as_u64()), (1, Some(401)));
    let anybody = ["check", "--anonymous-allowed"];
    assert_eq!(run(json, "introspector", &anybody, "").await.code, 0);
    // Who may not ask hears no yes.
    let wrong = run(json, "issuer", &["check", "--token", "-"], token).await;
    assert_eq!(
        (wrong.code, wrong.json()["status"].as_u64()),
        (1, Some(503))
    );
    assert!(dev.stop().await.success);
}
