//! Refusals and exit codes.

use super::{
    authority::{Authority, CLIENT_ID, SECRET, refusal},
    binary::countersign,
};
use countersign::proto::ERROR_DOMAIN;
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

#[tokio::test]
async fn a_refusal_is_one_line_and_a_line_for_each_bad_field() {
    let authority = Authority::start().await;
    let mut details =
        ErrorDetails::with_error_info("INVALID_REQUEST", ERROR_DOMAIN, HashMap::new());
    details.add_bad_request_violation("subject", "not a UUID");
    details.add_bad_request_violation("scopes[0]", "empty");
    let status = Status::with_error_details(Code::InvalidArgument, "2 bad fields", details);

    authority.refuses(status.clone());
    let run = authority.run(&["token", "issue"], "").await;
    assert_eq!(run.code, 1);
    assert_eq!(run.stdout, "");
    assert_eq!(
        run.stderr,
        "error: INVALID_ARGUMENT INVALID_REQUEST: 2 bad fields\n  \
         subject: not a UUID\n  scopes[0]: empty\n"
    );

    authority.refuses(status);
    let run = authority.run(&["token", "issue", "--json"], "").await;
    let error: Value = serde_json::from_str(&run.stderr).unwrap();
    assert_eq!(
        error,
        json!({ "error": {
            "code": "INVALID_ARGUMENT",
            "reason": "INVALID_REQUEST",
            "message": "2 bad fields",
            "field_violations": [
                { "field": "subject", "description": "not a UUID" },
                { "field": "scopes[0]", "description": "empty" },
            ],
        } })
    );
}

#[tokio::test]
async fn an_authority_without_its_database_is_unreachable_and_says_when_to_retry() {
    let authority = Authority::start().await;
    let mut details =
        ErrorDetails::with_error_info("DATABASE_UNAVAILABLE", ERROR_DOMAIN, HashMap::new());
    details.set_retry_info(Some(Duration::from_secs(1)));
    authority.refuses(Status::with_error_details(
        Code::Unavailable,
        "away",
        details,
    ));
    let run = authority.run(&["client", "list"], "").await;
    assert_eq!(run.code, 69);
    assert_eq!(
        run.stderr,
        "error: UNAVAILABLE DATABASE_UNAVAILABLE: away\n  retry after 1s\n"
    );
}

#[tokio::test]
async fn nobody_at_the_target_is_unreachable() {
    // The first of the reserved ports.
    let target = "http://127.0.0.1:1";
    let environment = [
        ("COUNTERSIGN_CLIENT_ID", CLIENT_ID),
        ("COUNTERSIGN_CLIENT_SECRET", SECRET),
    ];
    let words = ["user", "register", "--target", target];
    let run = countersign(&words, &environment, "").await;
    assert_eq!(run.code, 69, "{}", run.stderr);
    assert!(run.stderr.contains(target), "{}", run.stderr);
}

#[tokio::test]
async fn wrong_credentials_and_missing_rights_are_told_apart_from_dead_tokens() {
    let authority = Authority::start().await;
    let environment = [("COUNTERSIGN_CLIENT_SECRET", "cs_cs_wrong")];
    let words = [
        "token",
        "issue",
        "--target",
        &authority.target,
        "--client-id",
        CLIENT_ID,
    ];
    let run = countersign(&words, &environment, "").await;
    assert_eq!(run.code, 77);
    assert!(run.stderr.contains("CREDENTIALS_INVALID"), "{}", run.stderr);
    assert!(!run.stderr.contains("cs_cs_wrong"), "{}", run.stderr);

    for (code, reason, exit) in [
        (Code::PermissionDenied, "PERMISSION_DENIED", 77),
        (Code::Unauthenticated, "CLIENT_DISABLED", 77),
        (Code::Unauthenticated, "REFRESH_TOKEN_REUSED", 1),
    ] {
        authority.refuses(refusal(code, reason, "no"));
        let run = authority.run(&["token", "rotate", "-"], "cs_rt_x").await;
        assert_eq!(run.code, exit, "{reason}");
    }
}

#[tokio::test]
async fn a_usage_error_names_the_option_and_repeats_no_token() {
    let run = countersign(&["token", "issue", "--ttl", "soon"], &[], "").await;
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("--ttl"), "{}", run.stderr);

    for words in [
        ["session", "revoke", "--session-id", "cs_at_secret"],
        ["token", "revoke", "cs_at_secret", "cs_at_secret"],
    ] {
        let run = countersign(&words, &[], "").await;
        assert_eq!(run.code, 2);
        assert!(!run.stderr.contains("secret'"), "{}", run.stderr);
        assert!(run.stderr.contains("cs_at_…"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn an_authority_that_never_answers_is_not_waited_for() {
    // Connections are taken by the system, and nobody ever reads them.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let environment = [
        ("COUNTERSIGN_TARGET", target.as_str()),
        ("COUNTERSIGN_CLIENT_ID", CLIENT_ID),
        ("COUNTERSIGN_CLIENT_SECRET", SECRET),
    ];
    let words = ["client", "list", "--timeout", "300ms"];
    let run = countersign(&words, &environment, "").await;
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("DEADLINE_EXCEEDED"), "{}", run.stderr);
}
