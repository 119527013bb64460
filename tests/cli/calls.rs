//! `token` and `session`: what is sent and printed.

use super::authority::Authority;
use countersign::proto::v1::{self, revoke_session_request::Target};
use prost_types::{Duration, Timestamp};
use serde_json::json;

const SUBJECT: &str = "0198c0de-0000-7000-8000-000000000001";
const SESSION: &str = "0198c0de-0000-7000-8000-000000000002";

fn issued() -> v1::IssueTokenResponse {
    v1::IssueTokenResponse {
        access_token: "cs_at_new".to_owned(),
        token_type: v1::TokenType::Bearer.into(),
        access_token_expires_at: Some(Timestamp {
            seconds: 1_764_000_000,
            nanos: 0,
        }),
        scopes: vec!["a".to_owned(), "b".to_owned()],
        token_id: "t".to_owned(),
        ..v1::IssueTokenResponse::default()
    }
}

#[tokio::test]
async fn issue_sends_every_option_and_prints_aligned_text() {
    let authority = Authority::start().await;
    authority.answers(issued());
    let words = "token issue --subject 0198c0de-0000-7000-8000-000000000001 --client \
        0198c0de-0000-7000-8000-000000000002 --scope a --scope b --audience https://a --ttl 5m \
        --with-refresh-token --user-agent curl --ip-address ::1 --request-id r1 --register-subject";
    let words: Vec<&str> = words.split_whitespace().collect();
    let run = authority.run(&words, "").await.ok();
    assert_eq!(
        run.stdout,
        "access token             cs_at_new\n\
         token type               BEARER\n\
         access token expires at  2025-11-24T16:00:00Z\n\
         scopes                   a b\n\
         token id                 t\n"
    );
    assert_eq!(
        authority.asked::<v1::IssueTokenRequest>(),
        v1::IssueTokenRequest {
            client_id: SESSION.to_owned(),
            subject: SUBJECT.to_owned(),
            scopes: vec!["a".to_owned(), "b".to_owned()],
            audience: vec!["https://a".to_owned()],
            access_token_ttl: Some(Duration {
                seconds: 300,
                nanos: 0
            }),
            with_refresh_token: true,
            user_agent: "curl".to_owned(),
            ip_address: "::1".to_owned(),
            request_id: "r1".to_owned(),
            register_subject: true,
        }
    );
}

#[tokio::test]
async fn issue_prints_json_under_the_proto_s_names() {
    let authority = Authority::start().await;
    authority.answers(issued());
    let run = authority.run(&["token", "issue", "--json"], "").await.ok();
    assert_eq!(
        run.json(),
        json!({
            "access_token": "cs_at_new",
            "token_type": "BEARER",
            "access_token_expires_at": "2025-11-24T16:00:00Z",
            "scopes": ["a", "b"],
            "token_id": "t",
        })
    );
    let request = authority.asked::<v1::IssueTokenRequest>();
    assert_eq!(request, v1::IssueTokenRequest::default());
}

#[tokio::test]
async fn rotate_reads_the_token_from_an_argument_stdin_or_a_file() {
    let authority = Authority::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "cs_rt_file\n").unwrap();
    for (words, expected) in [
        (vec!["cs_rt_argument"], "cs_rt_argument"),
        (vec!["-"], "cs_rt_stdin"),
        (vec!["--token-file", file.to_str().unwrap()], "cs_rt_file"),
    ] {
        authority.answers(v1::RotateRefreshResponse {
            outcome: v1::RotationOutcome::Replayed.into(),
            generation: 3,
            ..v1::RotateRefreshResponse::default()
        });
        let words = [vec!["token", "rotate", "--scope", "a", "--json"], words].concat();
        let run = authority.run(&words, "cs_rt_stdin\n").await.ok();
        assert_eq!(
            run.json(),
            json!({ "outcome": "REPLAYED", "generation": 3 })
        );
        let request = authority.asked::<v1::RotateRefreshRequest>();
        assert_eq!(request.refresh_token, expected);
        assert_eq!(request.scopes, ["a"]);
    }
}

#[tokio::test]
async fn revoke_has_nothing_to_say() {
    let authority = Authority::start().await;
    for (json, expected) in [(false, ""), (true, "{}\n")] {
        authority.answers(v1::RevokeTokenResponse {});
        let mut words = vec!["token", "revoke", "-"];
        words.extend(json.then_some("--json"));
        let run = authority.run(&words, "cs_at_old").await.ok();
        assert_eq!(run.stdout, expected);
        assert_eq!(
            authority.asked::<v1::RevokeTokenRequest>().token,
            "cs_at_old"
        );
    }
}

#[tokio::test]
async fn one_token_is_introspected_alone_and_several_in_one_call() {
    let authority = Authority::start().await;
    let active = v1::IntrospectResponse {
        active: true,
        client_only: true,
        ..v1::IntrospectResponse::default()
    };
    authority.answers(active.clone());
    let words = ["token", "introspect", "-", "--fail-inactive"];
    let run = authority.run(&words, "cs_at_a").await.ok();
    assert_eq!(run.stdout, "active       yes\nclient only  yes\n");
    assert_eq!(authority.asked::<v1::IntrospectRequest>().token, "cs_at_a");

    let results = vec![active, v1::IntrospectResponse::default()];
    authority.answers(v1::BatchIntrospectResponse { results });
    let words = ["token", "introspect", "cs_at_a", "cs_at_b", "--json"];
    let run = authority.run(&words, "").await.ok();
    assert_eq!(
        run.json(),
        json!({ "results": [{ "active": true, "client_only": true }, { "active": false }] })
    );
    let request = authority.asked::<v1::BatchIntrospectRequest>();
    assert_eq!(request.tokens, ["cs_at_a", "cs_at_b"]);
}

#[tokio::test]
async fn an_inactive_token_fails_only_where_that_was_asked_for() {
    let authority = Authority::start().await;
    let inactive = v1::IntrospectResponse::default;
    for (words, code) in [
        (vec!["token", "introspect", "-"], 0),
        (vec!["token", "introspect", "-", "--fail-inactive"], 1),
    ] {
        authority.answers(inactive());
        let run = authority.run(&words, "cs_at_a").await;
        assert_eq!((run.code, run.stdout.as_str()), (code, "active  no\n"));
        assert_eq!(run.stderr, "");
    }
    let results = vec![inactive(), inactive()];
    authority.answers(v1::BatchIntrospectResponse { results });
    let words = ["token", "introspect", "--fail-inactive", "-"];
    let run = authority.run(&words, "cs_at_a\ncs_at_b\n").await;
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (1, "active  no\n\nactive  no\n")
    );
}

#[tokio::test]
async fn sessions_are_listed_a_page_or_to_the_end() {
    let authority = Authority::start().await;
    let page = |id: &str, next: &str| v1::ListSessionsResponse {
        sessions: vec![v1::Session {
            session_id: id.to_owned(),
            user_agent: "\u{1b}[31mred".to_owned(),
            ..v1::Session::default()
        }],
        next_page_token: next.to_owned(),
    };
    let words = ["session", "list", "--subject", SUBJECT, "--page-size", "1"];

    authority.answers(page("one", "p2"));
    let run = authority.run(&words, "").await.ok();
    assert_eq!(
        run.stdout,
        "session id  one\ngeneration  0\nuser agent  \\u{1b}[31mred\n\nnext page token  p2\n"
    );
    let request = authority.asked::<v1::ListSessionsRequest>();
    assert_eq!((&*request.subject, request.page_size), (SUBJECT, 1));

    authority
        .answers(page("one", "p2"))
        .answers(page("two", ""));
    let words = [&words[..], &["--all", "--json"]].concat();
    let run = authority.run(&words, "").await.ok();
    let ids = &run.json()["sessions"];
    assert_eq!(
        (&ids[0]["session_id"], &ids[1]["session_id"]),
        (&json!("one"), &json!("two"))
    );
    assert_eq!(authority.asked::<v1::ListSessionsRequest>().page_token, "");
    assert_eq!(
        authority.asked::<v1::ListSessionsRequest>().page_token,
        "p2"
    );

    authority.answers(v1::ListSessionsResponse::default());
    let run = authority
        .run(&["session", "list", "--subject", SUBJECT], "")
        .await
        .ok();
    assert_eq!(run.stdout, "none\n");
}

#[tokio::test]
async fn a_session_is_revoked_by_id_by_token_or_by_user() {
    let authority = Authority::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "cs_at_file").unwrap();
    let user = |except: &str| {
        Target::User(v1::UserSessions {
            subject: SUBJECT.to_owned(),
            except_session_id: except.to_owned(),
        })
    };
    for (words, target) in [
        (
            vec!["--session-id", SESSION],
            Target::SessionId(SESSION.to_owned()),
        ),
        (
            vec!["--refresh-token", "-"],
            Target::RefreshToken("cs_rt_stdin".to_owned()),
        ),
        (
            vec!["--access-token", "cs_at_x"],
            Target::AccessToken("cs_at_x".to_owned()),
        ),
        (
            vec!["--token-file", file.to_str().unwrap()],
            Target::AccessToken("cs_at_file".to_owned()),
        ),
        (vec!["--subject", SUBJECT], user("")),
        (
            vec!["--subject", SUBJECT, "--except", SESSION],
            user(SESSION),
        ),
    ] {
        authority.answers(v1::RevokeSessionResponse {
            revoked_sessions: 0,
        });
        let words = [vec!["session", "revoke"], words].concat();
        let run = authority.run(&words, "cs_rt_stdin\n").await.ok();
        assert_eq!(run.stdout, "revoked sessions  0\n");
        assert_eq!(
            authority.asked::<v1::RevokeSessionRequest>().target,
            Some(target)
        );
    }
}
