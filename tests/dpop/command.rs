//! `countersign dpop`, and `--dpop-key` of the token commands.

use super::{Holder, ORIGINS};
use crate::{
    cli::binary::{Run, countersign},
    support::{
        dev::Dev,
        server::{Caller, Deployment},
    },
};
use countersign::{
    domain::dpop::{Algorithm, Proof, ProofKey, token_hash},
    proto::v1::Role,
};
use ring::rand::SystemRandom;
use std::{os::unix::fs::PermissionsExt as _, path::Path};

/// A key that the command made, in this directory, and its thumbprint.
async fn key(place: &Path, algorithm: &str) -> (String, String) {
    let file = place.join(format!("{algorithm}.pem"));
    let file = file.to_str().unwrap().to_owned();
    let words = ["dpop", "key", "--algorithm", algorithm, "--file", &file];
    let made = countersign(&words, &[], "").await;
    assert_eq!(
        (made.code, made.stdout.as_str()),
        (0, ""),
        "{}",
        made.stderr
    );
    let thumbprint = made.stderr.trim().strip_prefix("thumbprint ").unwrap();
    (file, thumbprint.to_owned())
}

async fn call(caller: &Caller, target: &str, words: &[&str], stdin: &str) -> Run {
    let environment = [
        ("COUNTERSIGN_TARGET", target),
        ("COUNTERSIGN_CLIENT_ID", caller.id.as_str()),
        ("COUNTERSIGN_CLIENT_SECRET", caller.secret.as_str()),
    ];
    countersign(words, &environment, stdin).await
}

#[tokio::test]
async fn a_key_is_made_for_its_owner_alone_and_never_over_another_file() {
    let place = tempfile::tempdir().unwrap();
    for algorithm in ["ES256", "ES384", "EdDSA"] {
        let (file, thumbprint) = key(place.path(), algorithm).await;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let pem = std::fs::read_to_string(&file).unwrap();
        let read = ProofKey::read(&pem, &SystemRandom::new()).unwrap();
        assert_eq!(read.public().thumbprint(), thumbprint);
        assert_eq!(read.algorithm().name(), algorithm);
        let again = countersign(&["dpop", "key", "--file", &file], &[], "").await;
        assert_eq!(again.code, 64, "{}", again.stderr);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), pem);
    }
    let none = countersign(&["dpop", "key", "--algorithm", "RS256"], &[], "").await;
    assert!(none.code != 0 && none.stdout.is_empty(), "{}", none.stderr);
    assert!(none.stderr.contains("openssl genpkey"), "{}", none.stderr);
}

#[tokio::test]
async fn a_proof_is_made_for_a_request() {
    let place = tempfile::tempdir().unwrap();
    let (file, thumbprint) = key(place.path(), "ES256").await;
    let token = place.path().join("token");
    std::fs::write(&token, "cs_at_x\n").unwrap();
    let words = [
        "dpop",
        "proof",
        "--dpop-key",
        &file,
        "--method",
        "GET",
        "--uri",
        "https://a.example/b",
        "--nonce",
        "n",
        "--access-token-file",
        token.to_str().unwrap(),
    ];
    let made = countersign(&words, &[], "").await.ok();
    let proof = Proof::read(made.stdout.trim(), &Algorithm::ALL).unwrap();
    assert_eq!(proof.jkt, thumbprint);
    assert_eq!(
        (proof.htm.as_str(), proof.htu.as_str()),
        ("GET", "https://a.example/b")
    );
    assert_eq!(proof.nonce.as_deref(), Some("n"));
    assert_eq!(proof.ath, Some(token_hash("cs_at_x")));
    for (bad, what) in [("/b", "--uri"), ("ftp://a/b", "--uri")] {
        let words = [
            "dpop",
            "proof",
            "--dpop-key",
            &file,
            "--method",
            "GET",
            "--uri",
            bad,
        ];
        let refused = countersign(&words, &[], "").await;
        assert!(
            refused.code != 0 && refused.stderr.contains(what),
            "{}",
            refused.stderr
        );
    }
    let words = [
        "dpop",
        "proof",
        "--dpop-key",
        token.to_str().unwrap(),
        "--method",
        "GET",
        "--uri",
        "https://a/b",
    ];
    let refused = countersign(&words, &[], "").await;
    assert!(refused.stderr.contains("PKCS#8"), "{}", refused.stderr);
}

#[tokio::test]
async fn tokens_are_asked_for_with_a_key_and_the_nonce_that_is_demanded() {
    let nonces = ("COUNTERSIGN_DPOP_NONCES", "required");
    let at = Deployment::start_with(1, &[ORIGINS, nonces]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let place = tempfile::tempdir().unwrap();
    let (file, thumbprint) = key(place.path(), "EdDSA").await;
    let (target, subject) = (&at.targets()[0], at.user().await);
    let words = [
        "token",
        "issue",
        "--json",
        "--subject",
        &subject,
        "--with-refresh-token",
        "--dpop-key",
        &file,
        "--dpop-origin",
        "https://tokens.example.org/",
    ];
    let session = call(&issuer, target, &words, "").await.ok().json();
    assert_eq!(session["token_type"], "DPOP");
    let token = session["refresh_token"].as_str().unwrap();
    let words = [
        "token",
        "rotate",
        "-",
        "--json",
        "--dpop-key",
        &file,
        "--dpop-origin",
        "https://tokens.example.org",
    ];
    let rotated = call(&issuer, target, &words, token).await.ok().json();
    let access = rotated["access_token"].as_str().unwrap();
    let words = ["token", "introspect", "-", "--json"];
    let found = call(&issuer, target, &words, access).await.ok().json();
    assert_eq!(found["confirmation"]["jkt"], thumbprint);
    // The target itself is no origin of this authority.
    let words = ["token", "issue", "--json", "--dpop-key", &file];
    let refused = call(&issuer, target, &words, "").await;
    assert!(
        refused.code != 0 && refused.stderr.contains("htu"),
        "{}",
        refused.stderr
    );

    let other = Holder::new().proof("GET", "https://a/b", Some(access), None);
    let words = [
        "token",
        "introspect",
        "-",
        "--dpop-proof",
        &other,
        "--method",
        "GET",
        "--uri",
        "https://a/b",
        "--json",
        "--fail-inactive",
    ];
    let refused = call(&issuer, target, &words, access).await;
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    let found = refused.json();
    assert_eq!(found["active"], false);
    assert_eq!(found["dpop_failure"]["reason"], "USE_DPOP_NONCE");
}

#[tokio::test]
async fn in_dev_the_endpoint_is_the_origin() {
    let place = tempfile::tempdir().unwrap();
    let (file, _) = key(place.path(), "ES256").await;
    let dev = Dev::start(place.path()).await;
    let json = place.path().join("dev.json");
    let words = [
        "token",
        "issue",
        "--as",
        "issuer",
        "--dev-json",
        json.to_str().unwrap(),
        "--json",
        "--dpop-key",
        &file,
    ];
    let issued = countersign(&words, &[], "").await.ok().json();
    assert_eq!(issued["token_type"], "DPOP");
    assert!(dev.stop().await.success);
}
