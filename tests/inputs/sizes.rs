//! However much is wrong with a call, its error fits into what every client takes.

use super::{huge, seconds};
use crate::support::server::{AUDIENCE, Caller, Deployment, settings};
use countersign::proto::v1::{self, Role};
use http_body_util::Full;
use prost::{Message, bytes::Bytes};
use tonic::{Code, Status, body::Body};
use tonic_types::StatusExt as _;
use tower::{Service as _, ServiceExt as _};

/// grpc-java takes 8,192 bytes of headers, others more; counted as HPACK counts them (RFC 7541
/// section 4.1).
const MOST: usize = 8_000;

/// A call's refusal, with no more headers than every client takes.
async fn refused(caller: &Caller, method: &str, message: impl Message) -> Status {
    let message = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&message);
    let request = http::Request::post(format!("http://localhost/countersign.v1.{method}"))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("authorization", caller.authorization().as_encoded_bytes())
        .body(Body::new(Full::new(Bytes::from(frame))))
        .unwrap();
    let mut channel = caller.channel();
    let answer = channel.ready().await.unwrap().call(request).await;
    let answer = answer.unwrap_or_else(|error| panic!("{method}: {error:?}"));
    let status = Status::from_header_map(answer.headers()).expect(method);
    let headers = answer.headers().iter();
    let size: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum();
    assert!(size <= MOST, "{method}: {size} bytes of headers");
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    status
}

/// What the details name, each with why, and how many more the message counts.
fn named(status: &Status) -> (Vec<(String, String)>, usize) {
    let bad = status.get_details_bad_request().unwrap();
    let named: Vec<_> = bad
        .field_violations
        .into_iter()
        .map(|one| (one.field, one.description))
        .collect();
    let texts: Vec<_> = named
        .iter()
        .map(|(field, why)| format!("{field}: {why}"))
        .collect();
    let rest = status.message().strip_prefix(&texts.join("; "));
    let rest = rest.expect("the message says what the details do");
    let more = rest.strip_prefix("; and ").map_or(0, |more| {
        more.strip_suffix(" more").unwrap().parse().unwrap()
    });
    (named, more)
}

/// The terms that an error names, and how many more it counts.
fn terms(status: &Status, field: &str) -> (Vec<String>, usize) {
    let bad = status.get_details_bad_request().unwrap();
    let [one] = bad.field_violations.as_slice() else {
        panic!("{bad:?}")
    };
    assert_eq!(one.field, field);
    assert!(status.message().ends_with(&one.description), "{status:?}");
    let (_, list) = one.description.split_once(": ").unwrap();
    let (list, more) = list.split_once(" and ").unwrap();
    let more = more.strip_suffix(" more").unwrap().parse().unwrap();
    (list.split(' ').map(str::to_owned).collect(), more)
}

#[tokio::test]
async fn an_error_names_some_of_many_bad_fields_and_counts_the_rest() {
    let at = Deployment::start().await;
    let caller = at.client(&[Role::Issuer]).await;
    let before = at.counts().await;
    let tokens = vec![String::new(); 1_000];
    let method = "TokenAuthorityService/BatchIntrospect";
    let status = refused(&caller, method, v1::BatchIntrospectRequest { tokens }).await;
    let (fields, more) = named(&status);
    assert_eq!((fields.len(), more), (20, 980));
    for (at, (field, why)) in fields.iter().enumerate() {
        assert_eq!(field, &format!("tokens[{at}]"));
        assert_eq!(why, "is required");
    }

    // More roles than there are, and more paths than settings, are one mistake each.
    let roles = v1::CreateClientRequest {
        client_id: String::new(),
        settings: Some(v1::ClientSettings {
            roles: vec![0; 2 << 20],
            ..settings()
        }),
    };
    let admin = at.admin();
    let status = refused(&admin, "DirectoryService/CreateClient", roles).await;
    let (fields, more) = named(&status);
    assert_eq!((fields[0].0.as_str(), more), ("settings.roles", 0));
    let paths = v1::UpdateClientRequest {
        client_id: caller.id.clone(),
        settings: Some(settings()),
        update_mask: Some(prost_types::FieldMask {
            paths: vec![String::new(); 1 << 20],
        }),
    };
    let status = refused(&admin, "DirectoryService/UpdateClient", paths).await;
    let (fields, more) = named(&status);
    assert_eq!((fields[0].0.as_str(), more), ("update_mask", 0));

    // Everything at once, as long as it can be.
    let uris = |count: usize| (0..count).map(|n| format!("urn:{n:02}:{}", "%41".repeat(168)));
    let all = v1::ClientSettings {
        name: huge(),
        roles: vec![-1; 4],
        spiffe_ids: vec![String::new(); 16],
        dns_names: vec![String::new(); 16],
        default_audience: uris(64).collect(),
        access_token_ttl: Some(seconds(-1)),
        session_ttl: Some(seconds(-1)),
        idle_timeout: Some(seconds(-1)),
        rotation_grace: Some(seconds(-1)),
        sessions_per_user: u32::MAX,
        session_limit_policy: -1,
        ..settings()
    };
    let all = v1::CreateClientRequest {
        client_id: "x".into(),
        settings: Some(all),
    };
    let status = refused(&admin, "DirectoryService/CreateClient", all).await;
    let (fields, more) = named(&status);
    assert_eq!(fields[0].0, "client_id");
    assert!(fields.len() <= 20 && fields.len() + more == 45, "{more}");
    let alone = v1::CreateClientRequest {
        client_id: String::new(),
        settings: Some(v1::ClientSettings {
            default_audience: uris(64).collect(),
            ..settings()
        }),
    };
    let status = refused(&admin, "DirectoryService/CreateClient", alone).await;
    let (told, more) = terms(&status, "settings.default_audience");
    assert!(uris(64).take(told.len()).eq(told.iter().cloned()));
    assert_eq!(told.len() + more, 64);
    assert_eq!(at.counts().await, before);
}

#[tokio::test]
async fn an_error_names_some_of_many_terms_and_counts_the_rest() {
    let at = Deployment::start().await;
    let caller = at.client(&[Role::Issuer]).await;
    let before = at.counts().await;
    // Of three bytes each in a header.
    let scopes: Vec<_> = (0..64)
        .map(|n| format!("{n:02}{}", "%".repeat(126)))
        .collect();
    let request = v1::IssueTokenRequest {
        scopes: scopes.clone(),
        ..Default::default()
    };
    let method = "TokenAuthorityService/IssueToken";
    let status = refused(&caller, method, request).await;
    let (told, more) = terms(&status, "scopes");
    assert!(!told.is_empty() && scopes.starts_with(&told), "{told:?}");
    assert_eq!(told.len() + more, 64);

    let uri = |n: usize| format!("urn:{n:02}:{}", "%41".repeat(168));
    let audience: Vec<_> = (0..16).map(uri).collect();
    let request = v1::IssueTokenRequest {
        audience: audience.clone(),
        ..Default::default()
    };
    let status = refused(&caller, method, request).await;
    let (told, more) = terms(&status, "audience");
    assert!(!told.is_empty() && audience.starts_with(&told), "{told:?}");
    assert_eq!(told.len() + more, 16);

    // Few are all told.
    let request = v1::IssueTokenRequest {
        audience: vec![AUDIENCE.into(), "urn:strange".into()],
        ..Default::default()
    };
    let status = refused(&caller, method, request).await;
    let why = "audience that is not allowed: urn:strange";
    assert_eq!(status.message(), why);
    assert_eq!(at.counts().await, before);
}
