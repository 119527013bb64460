//! Check by itself: whatever is asked, and by whom, the call is OK and the answer is sure.

use super::{DEFAULT, envoy};
use crate::support::{
    audit::AuditFile,
    meters::Meters,
    process::Process,
    server::{AUDIENCE, Caller, Deployment},
};
use countersign::{
    proto::v1::{self, Role},
    sidecar,
};
use envoy_types::pb::{
    envoy::{
        config::core::v3::{HeaderMap, HeaderValue, Metadata},
        service::auth::v3::{
            AttributeContext, CheckRequest, CheckResponse, OkHttpResponse,
            attribute_context::{HttpRequest, Peer, Request as AboutRequest},
            authorization_client::AuthorizationClient,
            check_response::HttpResponse,
        },
    },
    google::protobuf::{Struct, Value, value::Kind},
};
use http::uri::PathAndQuery;
use std::{borrow::Cow, collections::HashMap};
use tonic::{Code, Request, client::Grpc};
use tonic_prost::ProstCodec;

/// What Envoy asks of a request with these headers.
pub fn about(headers: &[(&str, &str)]) -> AttributeContext {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let http = HttpRequest {
        method: "GET".into(),
        path: "/orders".into(),
        headers: headers.iter().map(pair).collect(),
        ..HttpRequest::default()
    };
    AttributeContext {
        request: Some(AboutRequest {
            http: Some(http),
            ..AboutRequest::default()
        }),
        ..AttributeContext::default()
    }
}

/// The status of an answer, and itself if it lets the request through.
pub(super) fn read(answer: CheckResponse) -> (i32, Option<OkHttpResponse>) {
    let code = Code::from(answer.status.unwrap().code);
    match answer.http_response.unwrap() {
        HttpResponse::OkResponse(ok) => {
            assert_eq!(code, Code::Ok);
            (200, Some(ok))
        }
        HttpResponse::DeniedResponse(denied) => {
            assert_ne!(code, Code::Ok);
            (denied.status.unwrap().code, None)
        }
        HttpResponse::ErrorResponse(_) => panic!("an error"),
    }
}

async fn ask(caller: &Caller, attributes: Option<AttributeContext>) -> CheckResponse {
    let request = caller.request(CheckRequest { attributes });
    let answer = AuthorizationClient::new(caller.channel())
        .check(request)
        .await;
    answer.expect("never an error").into_inner()
}

pub async fn status(caller: &Caller, attributes: AttributeContext) -> i32 {
    read(ask(caller, Some(attributes)).await).0
}

pub(super) async fn token(at: &Deployment) -> String {
    let issuer = at.client(&[Role::Issuer]).await;
    let token = issuer
        .issue(v1::IssueTokenRequest::default())
        .await
        .unwrap();
    token.access_token
}

#[tokio::test]
async fn both_encodings_of_headers_are_read_and_two_are_never_one() {
    let at = Deployment::start_with(1, &[DEFAULT]).await;
    let (asks, token) = (envoy(&at).await, token(&at).await);
    let value = format!("Bearer {token}");
    assert_eq!(
        status(&asks, about(&[("authorization", &value)])).await,
        200
    );
    let joined = format!("{value},{value}");
    assert_eq!(
        status(&asks, about(&[("authorization", &joined)])).await,
        401
    );

    let list = |values: &[&str]| {
        let mut asked = about(&[]);
        let header = |value: &&str| HeaderValue {
            key: "authorization".into(),
            raw_value: value.as_bytes().to_vec(),
            ..HeaderValue::default()
        };
        let http = asked.request.as_mut().unwrap().http.as_mut().unwrap();
        http.header_map = Some(HeaderMap {
            headers: values.iter().map(header).collect(),
        });
        asked
    };
    assert_eq!(status(&asks, list(&[&value])).await, 200);
    assert_eq!(status(&asks, list(&[&value, &value])).await, 401);
    assert_eq!(status(&asks, list(&[])).await, 401);
}

#[tokio::test]
async fn a_check_costs_the_database_what_an_introspection_does() {
    let at = Deployment::start().await;
    let (asks, token) = (envoy(&at).await, token(&at).await);
    let audience = format!("\"{AUDIENCE}\"");
    let settings = [
        ("metrics.listen", "\"127.0.0.1:0\""),
        ("purge.enabled", "false"),
        ("sidecar.audience", &audience),
    ];
    let server = Process::start(&at, &settings).await;
    let value = format!("Bearer {token}");
    let mut envoy = AuthorizationClient::new(server.channel().await);
    let statements = async |name: &str| {
        let series = format!("countersign_database_duration_seconds_count{{statement=\"{name}\"}}");
        server.metric(&series).await
    };
    let mut before = Vec::new();
    // The first prepares the statements, on each connection.
    for asked in 0..=20 {
        let attributes = Some(about(&[("authorization", &value)]));
        let answer = envoy.check(asks.request(CheckRequest { attributes })).await;
        assert_eq!(read(answer.unwrap().into_inner()).0, 200);
        if asked == 0 {
            for name in ["tokens/read", "callers/standing", "transactions/begin"] {
                before.push((name, statements(name).await));
            }
        }
    }
    for ((name, before), more) in before.into_iter().zip([20.0, 0.0, 0.0]) {
        let after = statements(name).await;
        // On another connection they are prepared once more.
        let most = more * 1.5;
        assert!(
            (more..=most).contains(&(after - before)),
            "{name}: {before} to {after}"
        );
    }
}

#[tokio::test]
async fn a_route_that_makes_no_sense_lets_nothing_through() {
    let at = Deployment::start_with(1, &[DEFAULT]).await;
    let (asks, token) = (envoy(&at).await, token(&at).await);
    let value = format!("Bearer {token}");
    let good = || about(&[("authorization", &value)]);
    let extended = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        AttributeContext {
            context_extensions: pairs.collect(),
            ..good()
        }
    };
    let stated = |key: &str, kind: Kind| {
        let fields = HashMap::from([(key.to_owned(), Value { kind: Some(kind) })]);
        Metadata {
            filter_metadata: HashMap::from([("countersign".to_owned(), Struct { fields })]),
            ..Metadata::default()
        }
    };
    for (pairs, expected) in [
        (vec![], 200),
        (vec![("audience", AUDIENCE)], 200),
        (vec![("scope", "a")], 503),
        (vec![("Scopes", "a")], 503),
        (vec![("dpop_required", "yes")], 503),
        (vec![("anonymous_allowed", "")], 503),
        (vec![("audience", "")], 503),
        (vec![("scopes", "a")], 403),
        (vec![("subject_required", "true")], 403),
        (vec![("dpop_required", "true")], 401),
    ] {
        assert_eq!(status(&asks, extended(&pairs)).await, expected, "{pairs:?}");
    }
    let route = AttributeContext {
        route_metadata_context: Some(stated("scopes", Kind::StringValue("a".into()))),
        ..good()
    };
    assert_eq!(status(&asks, route).await, 403);
    let dynamic = AttributeContext {
        metadata_context: Some(stated("dpop_required", Kind::BoolValue(true))),
        ..good()
    };
    assert_eq!(status(&asks, dynamic).await, 401);
    let number = AttributeContext {
        metadata_context: Some(stated("scopes", Kind::NumberValue(7.0))),
        ..good()
    };
    assert_eq!(status(&asks, number).await, 503);
    let both = AttributeContext {
        route_metadata_context: Some(stated("scopes", Kind::StringValue("b".into()))),
        ..extended(&[("scopes", "a")])
    };
    assert_eq!(status(&asks, both).await, 503);
    // Whatever the route says, no audience is no audience.
    let bare = Deployment::start().await;
    let asks = envoy(&bare).await;
    let anonymous = AttributeContext {
        context_extensions: HashMap::from([("anonymous_allowed".into(), "true".into())]),
        ..about(&[])
    };
    assert_eq!(status(&asks, anonymous).await, 503);
}

#[tokio::test]
async fn who_may_not_ask_gets_a_denial_and_never_an_error() {
    let meters = Meters::of_this_thread();
    let limit = ("COUNTERSIGN_LIMITS_INTROSPECT", "1");
    let at = Deployment::start_with(1, &[DEFAULT, limit]).await;
    let token = token(&at).await;
    let value = format!("Bearer {token}");
    let good = || about(&[("authorization", &value)]);
    let asks = envoy(&at).await;
    let plain = at.client(&[Role::Issuer]).await;
    let anonymous = || AttributeContext {
        context_extensions: HashMap::from([("anonymous_allowed".into(), "true".into())]),
        ..about(&[])
    };
    for stranger in [at.nobody(), at.caller(&asks.id, "cs_cs_x"), plain] {
        assert_eq!(status(&stranger, good()).await, 503);
    }
    let disabled = envoy(&at).await;
    let admin = at.admin();
    let disable = admin.request(v1::DisableClientRequest {
        client_id: disabled.id.clone(),
    });
    admin.directory().disable_client(disable).await.unwrap();
    assert_eq!(status(&disabled, anonymous()).await, 503);
    // Over its limit, too.
    let mut refused = 0;
    for _ in 0..50 {
        match status(&asks, good()).await {
            200 => {}
            503 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(refused > 0);
    let counted = meters.sums("countersign.calls");
    let limited = counted
        .iter()
        .any(|(series, _)| series.contains("RATE_LIMITED"));
    assert!(limited, "{counted:?}");
}

#[tokio::test]
async fn what_is_no_request_is_denied() {
    let at = Deployment::start_with(1, &[DEFAULT]).await;
    let asks = envoy(&at).await;
    for nothing in [
        None,
        Some(AttributeContext::default()),
        Some(AttributeContext {
            request: Some(AboutRequest::default()),
            ..AttributeContext::default()
        }),
    ] {
        assert_eq!(read(ask(&asks, nothing).await).0, 503);
    }
    // Bytes that are no message of this method: a field of another type.
    let mut grpc = Grpc::new(asks.channel());
    grpc.ready().await.unwrap();
    let codec: ProstCodec<prost_types::Duration, CheckResponse> = ProstCodec::default();
    let wrong = asks.request(prost_types::Duration {
        seconds: 7,
        nanos: 7,
    });
    let path = PathAndQuery::from_static(sidecar::PATH);
    let answer = grpc
        .unary(wrong, path, codec)
        .await
        .expect("never an error");
    assert_eq!(read(answer.into_inner()).0, 503);
    // A deadline that has passed before anything could be asked.
    let mut hurried: Request<_> = asks.request(CheckRequest {
        attributes: Some(about(&[("authorization", "Bearer cs_at_x")])),
    });
    hurried
        .metadata_mut()
        .insert("grpc-timeout", "1n".parse().unwrap());
    let answer = AuthorizationClient::new(asks.channel())
        .check(hurried)
        .await;
    if let Ok(answer) = answer {
        assert_ne!(read(answer.into_inner()).0, 200);
    }
}

#[tokio::test]
async fn the_workload_behind_envoy_can_be_demanded_and_is_told_to_the_audit_stream() {
    let audit = AuditFile::new();
    let output = audit.path();
    let keep = ("COUNTERSIGN_SIDECAR_KEEP_TOKEN", "true");
    let name = ("COUNTERSIGN_SIDECAR_CLIENT_ID_HEADER", "x-who");
    let output = ("COUNTERSIGN_AUDIT_OUTPUT", output.as_str());
    let at = Deployment::start_with(1, &[DEFAULT, keep, name, output]).await;
    let (asks, token) = (envoy(&at).await, token(&at).await);
    let value = format!("Bearer {token}");
    audit.news(&at).await;
    let from = |principal: &str| AttributeContext {
        context_extensions: HashMap::from([(
            "principals".into(),
            "spiffe://example.org/a spiffe://example.org/b".into(),
        )]),
        source: Some(Peer {
            principal: principal.into(),
            ..Peer::default()
        }),
        ..about(&[("authorization", &value)])
    };
    let answer = ask(&asks, Some(from("spiffe://example.org/b"))).await;
    let metadata = answer.dynamic_metadata.clone().unwrap();
    let (_, ok) = read(answer);
    let ok = ok.unwrap();
    let set: Vec<_> = ok
        .headers
        .iter()
        .map(|one| one.header.clone().unwrap().key)
        .collect();
    assert!(set.contains(&"x-who".to_owned()), "{set:?}");
    assert!(
        !ok.headers_to_remove
            .iter()
            .any(|name| name == "authorization" || set.contains(name))
    );
    assert!(metadata.fields.contains_key("client_id") && metadata.fields.contains_key("scopes"));
    assert!(
        audit.news(&at).await.is_empty(),
        "what is let through is no news"
    );

    for other in ["", "spiffe://example.org/c"] {
        assert_eq!(status(&asks, from(other)).await, 403);
        let news = audit.news(&at).await;
        let [record] = news.as_slice() else {
            panic!("{news:?}")
        };
        assert_eq!(
            (&record["event"], &record["reason"]),
            (&"check".into(), &"WRONG_PRINCIPAL".into())
        );
        assert_eq!(record["caller"], asks.id);
        let told = record["workload"].as_str().unwrap_or_default();
        assert_eq!(told, other);
    }
}

/// The example for Envoy Gateway says only what there is to say.
#[test]
fn the_keys_of_the_examples_are_keys() {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |file: &str| std::fs::read_to_string(format!("{root}/examples/{file}")).unwrap();
    let policy = read("envoy-gateway/security-policy.yaml");
    let said: Vec<(&str, Cow<'_, str>)> = policy
        .split("- name: ")
        .filter(|entry| entry.contains("type: Value"))
        .map(|entry| {
            let value = entry.split("value: ").nth(1).unwrap();
            (
                entry.lines().next().unwrap(),
                value.lines().next().unwrap().into(),
            )
        })
        .collect();
    assert_eq!(said.len(), 2, "{said:?}");
    let requirement = sidecar::Requirement::default().of_route(&said).unwrap();
    assert!(requirement.audience.is_some() && !requirement.scopes.is_empty());
    for open in [
        policy,
        read("istio/ext-authz.yaml"),
        read("envoy/envoy.yaml"),
    ] {
        for line in open.lines().map(|line| line.trim_start_matches(['#', ' '])) {
            assert!(!line.starts_with("failOpen: true"), "{line}");
            assert!(!line.starts_with("failure_mode_allow: true"), "{line}");
        }
    }
}
