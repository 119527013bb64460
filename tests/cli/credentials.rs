//! Where the caller's credentials, its target and its tokens come from.

use super::{
    authority::{Authority, CLIENT_ID, SECRET},
    binary::countersign,
};
use countersign::proto::v1;
use serde_json::json;
use std::fs;

#[tokio::test]
async fn the_secret_comes_from_a_file_or_stdin() {
    let authority = Authority::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    fs::write(&file, format!("{SECRET}\n")).unwrap();
    for (path, stdin) in [(file.to_str().unwrap(), ""), ("-", SECRET)] {
        authority.answers(v1::ListClientsResponse::default());
        let words = [
            "--target",
            &authority.target,
            "--client-id",
            CLIENT_ID,
            "client",
            "list",
            "--client-secret-file",
            path,
        ];
        countersign(&words, &[], stdin).await.ok();
    }
    authority.answers(v1::ListClientsResponse::default());
    let environment = [
        ("COUNTERSIGN_TARGET", authority.target.as_str()),
        ("COUNTERSIGN_CLIENT_ID", CLIENT_ID),
        ("COUNTERSIGN_CLIENT_SECRET_FILE", file.to_str().unwrap()),
    ];
    countersign(&["client", "list"], &environment, "")
        .await
        .ok();
}

#[tokio::test]
async fn a_client_of_dev_json_is_called_by_its_name() {
    let authority = Authority::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("dev.json");
    let dev = json!({
        "endpoint": authority.target,
        "clients": [
            { "name": "other", "client_id": CLIENT_ID, "client_secret": "cs_cs_other", "roles": [] },
            { "name": "issuer", "client_id": CLIENT_ID, "client_secret": SECRET, "roles": ["issuer"] },
        ],
        "subject": "0198c0de-0000-7000-8000-000000000001",
    });
    fs::write(&file, dev.to_string()).unwrap();
    let file = file.to_str().unwrap();

    authority.answers(v1::ListClientsResponse::default());
    let words = ["client", "list", "--dev-json", file, "--as", "issuer"];
    countersign(&words, &[], "").await.ok();

    let words = ["client", "list", "--dev-json", file, "--as", "nobody"];
    let run = countersign(&words, &[], "").await;
    assert_eq!(run.code, 64);
    assert!(run.stderr.contains("other, issuer"), "{}", run.stderr);

    fs::write(file, "{\"clients\": \"cs_cs_secret\"}").unwrap();
    let run = countersign(&words, &[], "").await;
    assert_eq!(run.code, 64);
    assert!(!run.stderr.contains("cs_cs_"), "{}", run.stderr);
}

#[tokio::test]
async fn what_contradicts_itself_or_is_missing_is_bad_input() {
    let both = [
        ("COUNTERSIGN_CLIENT_ID", CLIENT_ID),
        ("COUNTERSIGN_CLIENT_SECRET", SECRET),
        ("COUNTERSIGN_CLIENT_SECRET_FILE", "secret"),
    ];
    let id = &both[..1];
    let credentials = &both[..2];
    let list = ["client", "list"];
    let as_and_id = [
        "client",
        "list",
        "--as",
        "a",
        "--dev-json",
        "b",
        "--client-id",
        CLIENT_ID,
    ];
    for (words, environment, said) in [
        (&list[..], &[][..], "--client-id"),
        (&list[..], id, "--client-secret-file"),
        (&list[..], &both[..], "both set"),
        (
            &["client", "list", "--as", "issuer"][..],
            &[("COUNTERSIGN_DEV_JSON", "/nowhere/dev.json")][..],
            "/nowhere/dev.json",
        ),
        (
            &["client", "list", "--target", "https://a"][..],
            credentials,
            "https needs --ca-file",
        ),
        (&as_and_id[..], &[][..], "--as"),
        (
            &["token", "revoke", "--token-file", "/nowhere/t"][..],
            credentials,
            "/nowhere/t",
        ),
        (&["token", "revoke", "-"][..], credentials, "no token"),
        (
            &["token", "introspect", "-", "cs_at_x"][..],
            credentials,
            "alone",
        ),
    ] {
        let run = countersign(words, environment, "").await;
        assert_eq!(run.code, 64, "{words:?}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{words:?}: {}", run.stderr);
        assert!(!run.stderr.contains("cs_"), "{words:?}: {}", run.stderr);
    }
}

#[tokio::test]
async fn stdin_is_read_for_one_purpose_only() {
    let words = ["token", "revoke", "-", "--client-secret-file", "-"];
    let environment = [("COUNTERSIGN_CLIENT_ID", CLIENT_ID)];
    let run = countersign(&words, &environment, "cs_at_x").await;
    assert_eq!(run.code, 64, "{}", run.stderr);
    assert!(
        run.stderr.contains("stdin was read for the token"),
        "{}",
        run.stderr
    );
}
