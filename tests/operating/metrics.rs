//! The page of metrics is the table of instruments, and no label of it can grow.

use crate::support::{
    certificates::{Authority, dns},
    process::{Process, get, write_keys},
    server::{Deployment, settings},
};
use countersign::{
    domain::{
        clock,
        instruments::{CERTIFICATE_LEFT, Instrument, InstrumentKind, TABLE},
        keys::dated_key_line,
    },
    grpc::methods,
    proto::v1::{self, Role},
};
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest,
    attribute_context::{self, HttpRequest},
    authorization_client::AuthorizationClient,
};
use std::collections::{BTreeMap, BTreeSet};
use tonic::{Request, codegen::http::uri::PathAndQuery, transport::Channel};

/// A family of the page: its kind, and the labels and their values.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// Reads a page in the text format of Prometheus.
fn families(page: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut name = String::new();
    for line in page.lines() {
        if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (family, kind) = typed.split_once(' ').unwrap();
            family.clone_into(&mut name);
            kind.clone_into(&mut families.entry(name.clone()).or_default().kind);
        }
        let Some((_, labels)) = line.split_once('{').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let (labels, _) = labels.rsplit_once('}').unwrap();
        for label in labels.split("\",").filter(|label| !label.is_empty()) {
            let (key, value) = label.split_once("=\"").unwrap();
            if key != "le" {
                let values = &mut families.get_mut(&name).unwrap().labels;
                let value = value.trim_end_matches('"').to_owned();
                values.entry(key.to_owned()).or_default().insert(value);
            }
        }
    }
    families
}

/// Calls a method that may not exist, with metadata that nobody asked for.
async fn wild(channel: &Channel, path: &str, value: &str) {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let mut request = Request::new(());
    for key in ["authorization", "x-reason", "user-agent", "traceparent"] {
        request.metadata_mut().insert(key, value.parse().unwrap());
    }
    let path: PathAndQuery = path.parse().unwrap();
    let answer = grpc
        .unary(request, path, tonic_prost::ProstCodec::<(), ()>::default())
        .await;
    assert!(answer.is_err());
}

#[tokio::test]
async fn the_page_is_the_table_and_hostile_calls_add_nothing_to_it() {
    let at = Deployment::start().await;
    let issuer = at
        .client_with(v1::ClientSettings {
            roles: vec![
                Role::Issuer.into(),
                Role::Introspector.into(),
                Role::Revoker.into(),
            ],
            rotation_grace: Some(prost_types::Duration::default()),
            ..settings()
        })
        .await;
    at.sql.batch_execute("ANALYZE").await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let dated = dated_key_line(&[7; 36], clock::now() - chrono::TimeDelta::days(3));
    write_keys(&place.path().join("keys"), &dated);
    let settings = [
        ("metrics.listen", "\"127.0.0.1:0\""),
        ("purge.pause", "\"50ms\""),
        // A crowd of strangers comes.
        ("limits.failed_authentications", "0"),
    ];
    let server = Process::start_in(place, &at, &settings).await;
    let channel = server.channel().await;
    let mut tokens = server.tokens().await;

    // One of everything.
    let subject = at.user().await;
    let open = v1::IssueTokenRequest {
        subject: subject.clone(),
        with_refresh_token: true,
        ..Default::default()
    };
    let login = tokens.issue_token(issuer.request(open)).await.unwrap();
    let login = login.into_inner();
    let plain = v1::IssueTokenRequest::default();
    tokens.issue_token(issuer.request(plain)).await.unwrap();
    let question = v1::IntrospectRequest {
        token: login.access_token.clone(),
        ..Default::default()
    };
    tokens.introspect(issuer.request(question)).await.unwrap();
    let forged = v1::IntrospectRequest {
        token: "cs_at_nonsense".into(),
        ..Default::default()
    };
    let mut forged = issuer.request(forged);
    let word = "URI=spiffe://example.org/admin".parse().unwrap();
    forged
        .metadata_mut()
        .insert("x-forwarded-client-cert", word);
    tokens.introspect(forged).await.unwrap();
    let rotate = || v1::RotateRefreshRequest {
        refresh_token: login.refresh_token.clone(),
        ..Default::default()
    };
    tokens
        .rotate_refresh(issuer.request(rotate()))
        .await
        .unwrap();
    // Without a grace, a second time is reuse.
    let reused = tokens.rotate_refresh(issuer.request(rotate())).await;
    assert_eq!(reused.unwrap_err().code(), tonic::Code::Unauthenticated);
    let revoke = v1::RevokeSessionRequest {
        target: Some(v1::revoke_session_request::Target::SessionId(
            login.session_id.clone(),
        )),
    };
    tokens.revoke_session(issuer.request(revoke)).await.unwrap();
    let http = HttpRequest::default();
    let about = attribute_context::Request {
        http: Some(http),
        ..Default::default()
    };
    let attributes = AttributeContext {
        request: Some(about),
        ..Default::default()
    };
    let tokenless = CheckRequest {
        attributes: Some(attributes),
    };
    let mut envoy = AuthorizationClient::new(channel.clone());
    envoy
        .check(issuer.request(tokenless))
        .await
        .expect("a denial is an answer");
    wild(&channel, "/no.such.Service/Method", "1").await;

    // The file of the keys is looked at within moments, and so is what expired.
    let read = "countersign_reloads_total{outcome=\"unchanged\",what=\"keys\"}";
    server.reaches(read, 1.0).await;
    server
        .reaches(
            "countersign_database_duration_seconds_count{statement=\"purge/look_at_families\"}",
            1.0,
        )
        .await;
    let page = server.metrics().await;
    let found = families(&page);
    let names: BTreeSet<_> = found.keys().cloned().collect();
    let without_tls = || TABLE.iter().filter(|row| row.name != CERTIFICATE_LEFT.name);
    let documented: BTreeSet<_> = without_tls().map(Instrument::prometheus).collect();
    assert_eq!(names, documented, "the page, and the table");
    for row in without_tls() {
        let family = &found[&row.prometheus()];
        assert_eq!(family.kind, row.kind.name(), "{}", row.name);
        let labels: BTreeSet<_> = family.labels.keys().map(String::as_str).collect();
        let documented: BTreeSet<_> = row.attributes.iter().map(|(name, _)| *name).collect();
        assert_eq!(labels, documented, "the labels of {}", row.name);
        assert_eq!(
            row.kind == InstrumentKind::Histogram,
            !row.bounds.is_empty()
        );
    }
    for (series, value) in [
        ("countersign_ready", 1.0),
        ("countersign_keys", 1.0),
        ("countersign_rotations_total{outcome=\"reused\"}", 1.0),
        ("countersign_rotations_total{outcome=\"rotated\"}", 1.0),
        ("countersign_audit_dropped_total", 0.0),
        ("countersign_build{version=\"0.1.0\"}", 1.0),
    ] {
        assert!(
            (server.metric(series).await - value).abs() < 0.5,
            "{series}"
        );
    }
    let age = server
        .metric("countersign_key_age_seconds{key=\"minting\"}")
        .await;
    assert!((259_000.0..300_000.0).contains(&age), "three days: {age}");
    let reason = "code=\"UNAUTHENTICATED\",method=\"/countersign.v1.TokenAuthorityService/\
                  RotateRefresh\",reason=\"REFRESH_TOKEN_REUSED\"";
    assert!(page.contains(reason), "{page}");
    assert!(!page.contains("cs_"), "no token and no secret");
    for id in [&subject, &login.session_id, &issuer.id] {
        assert!(!page.contains(id.as_str()), "nobody is named");
    }

    // However many wild calls there are, they are one series.
    let series = |page: &str| {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.rsplit_once(' ').unwrap().0.to_owned())
            .filter(|line| line.starts_with("countersign_call"))
            .collect::<BTreeSet<_>>()
    };
    let known = ["/countersign.v1.TokenAuthorityService/Introspect", "/x.Y/Z"];
    for path in known {
        wild(&channel, path, "0").await;
    }
    let before = series(&server.metrics().await);
    for n in 0..100 {
        let value = format!("a\"}}{{{n}=");
        wild(&channel, &format!("/x{n}.Y/Z{n}"), &value).await;
        for path in known {
            wild(&channel, path, &value).await;
        }
    }
    let page = server.metrics().await;
    assert_eq!(series(&page), before);
    let found = families(&page);
    let methods: BTreeSet<_> = methods::TABLE
        .iter()
        .map(|method| method.path)
        .chain([methods::OTHER])
        .collect();
    for method in &found["countersign_calls_total"].labels["method"] {
        assert!(methods.contains(method.as_str()), "{method}");
    }
    for reason in &found["countersign_calls_total"].labels["reason"] {
        let name = format!("ERROR_REASON_{reason}");
        let known = v1::ErrorReason::from_str_name(&name).is_some();
        assert!(known || reason.is_empty(), "{reason}");
    }
}

#[tokio::test]
async fn the_page_is_one_path_and_read_only() {
    let at = Deployment::start().await;
    let server = Process::start(&at, &[("metrics.listen", "\"127.0.0.1:0\"")]).await;
    let address = server.address_of("metrics");
    assert!(get(address, "/").await.0.starts_with("HTTP/1.1 404"));
    let (head, _) = get(address, "/metrics").await;
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert_ne!(address, server.address, "a port of its own");
}

#[tokio::test]
async fn the_certificate_says_how_long_it_is_good_for() {
    let at = Deployment::start().await;
    let place = tempfile::tempdir().unwrap();
    let pair = Authority::new("spiffe://example.org").sign_with(&[dns("localhost")], |params| {
        params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    });
    let file = |name: &str, text: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("{:?}", path.display().to_string())
    };
    let (certificate, key) = (file("crt", &pair.certificate), file("key", &pair.key));
    let settings = [
        ("metrics.listen", "\"127.0.0.1:0\""),
        ("tls.certificate_file", &certificate),
        ("tls.key_file", &key),
    ];
    let server = Process::start_in(place, &at, &settings).await;
    let left = server.metric("countersign_certificate_left_seconds").await;
    let now = f64::from(i32::try_from(clock::now().timestamp()).unwrap());
    let expires_at = left + now;
    assert!((expires_at - 2_082_758_400.0).abs() < 60.0, "{left}");
}
