//! `IssueToken`.

use super::{UUIDS, huge, named, seconds};
use crate::support::server::Deployment;
use countersign::proto::v1::{self, Role};
use prost_types::Duration;

/// The requests of `IssueToken` that must be refused, each with the field to name.
fn issues(subject: &str) -> Vec<(v1::IssueTokenRequest, &'static str)> {
    let base = || v1::IssueTokenRequest {
        subject: subject.into(),
        with_refresh_token: true,
        ..Default::default()
    };
    let mut cases: Vec<(v1::IssueTokenRequest, &'static str)> = Vec::new();
    for bad in UUIDS
        .into_iter()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .chain([huge()])
    {
        cases.push((
            v1::IssueTokenRequest {
                client_id: bad.clone(),
                ..base()
            },
            "client_id",
        ));
        cases.push((
            v1::IssueTokenRequest {
                subject: bad,
                ..base()
            },
            "subject",
        ));
    }
    let lists: [(&str, usize); 2] = [("a b", 65), ("no uri", 17)];
    for bad in ["", "a b", "a\0", "é", "\"", "unknown"]
        .map(str::to_owned)
        .into_iter()
        .chain([huge()])
    {
        cases.push((
            v1::IssueTokenRequest {
                scopes: vec![bad.clone()],
                ..base()
            },
            "scopes",
        ));
        cases.push((
            v1::IssueTokenRequest {
                audience: vec![bad],
                ..base()
            },
            "audience",
        ));
    }
    let twice = vec!["a".to_owned(), "a".to_owned()];
    cases.push((
        v1::IssueTokenRequest {
            scopes: twice,
            ..base()
        },
        "scopes",
    ));
    let many = |count: usize| (0..count).map(|n| format!("urn:{n}")).collect::<Vec<_>>();
    cases.push((
        v1::IssueTokenRequest {
            scopes: many(lists[0].1),
            ..base()
        },
        "scopes",
    ));
    cases.push((
        v1::IssueTokenRequest {
            audience: many(lists[1].1),
            ..base()
        },
        "audience",
    ));
    for bad in [
        Some(seconds(-1)),
        Some(seconds(0)),
        Some(seconds(i64::MAX)),
        Some(Duration {
            seconds: 1,
            nanos: 1,
        }),
    ] {
        cases.push((
            v1::IssueTokenRequest {
                access_token_ttl: bad,
                ..base()
            },
            "access_token_ttl",
        ));
    }
    for bad in ["a\0b".to_owned(), huge()] {
        cases.push((
            v1::IssueTokenRequest {
                user_agent: bad,
                ..base()
            },
            "user_agent",
        ));
    }
    for bad in ["here", "1.2.3", "::g", "\0"]
        .map(str::to_owned)
        .into_iter()
        .chain([huge()])
    {
        cases.push((
            v1::IssueTokenRequest {
                ip_address: bad,
                ..base()
            },
            "ip_address",
        ));
    }
    for bad in [
        "a b".to_owned(),
        "é".to_owned(),
        "\0".to_owned(),
        "x".repeat(129),
    ] {
        cases.push((
            v1::IssueTokenRequest {
                request_id: bad,
                ..base()
            },
            "request_id",
        ));
    }
    let no_user = v1::IssueTokenRequest {
        with_refresh_token: true,
        ..Default::default()
    };
    cases.push((no_user, "with_refresh_token"));
    let no_user = v1::IssueTokenRequest {
        register_subject: true,
        ..Default::default()
    };
    cases.push((no_user, "register_subject"));
    let no_session = v1::IssueTokenRequest {
        request_id: "r".into(),
        ..Default::default()
    };
    cases.push((no_session, "request_id"));
    cases
}

#[tokio::test]
async fn every_bad_field_of_issue_token_is_named_and_nothing_is_written() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let before = at.counts().await;
    for (request, field) in issues(&subject) {
        let refused = issuer.issue(request).await.unwrap_err();
        named(&refused, field);
    }
    let all = v1::IssueTokenRequest {
        client_id: "x".into(),
        subject: "y".into(),
        scopes: vec![String::new()],
        audience: vec![String::new()],
        access_token_ttl: Some(seconds(-1)),
        ip_address: "z".into(),
        ..Default::default()
    };
    let refused = issuer.issue(all).await.unwrap_err();
    for field in [
        "client_id",
        "subject",
        "scopes",
        "audience",
        "access_token_ttl",
        "ip_address",
    ] {
        named(&refused, field);
    }
    assert_eq!(refused.reason, "INVALID_REQUEST", "all at once");
    assert_eq!(at.counts().await, before);
}
