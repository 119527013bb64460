//! What gets through a real Envoy, and what does not.

use super::{
    DEFAULT, bearer, envoy,
    gateway::{Answer, Gateway, change},
};
use crate::{
    dpop::Holder,
    support::server::{AUDIENCE, Caller, Deployment},
};
use countersign::{
    domain::{
        clock,
        dpop::{Algorithm, ProofKey, Statement, new_key},
    },
    proto::v1::{self, Role, revoke_session_request::Target},
};
use ring::rand::SystemRandom;
use tonic::{Code, Request};

pub(super) const ORIGIN: &str = "https://app.example";
pub(super) const ISSUE: &str =
    "https://tokens.example.org/countersign.v1.TokenAuthorityService/IssueToken";

/// A server, an issuer and an Envoy before an application.
pub(super) async fn scene(settings: &[(&str, &str)]) -> (Deployment, Caller, Gateway) {
    let origins = format!("{AUDIENCE}={ORIGIN}");
    let mut all = vec![
        DEFAULT,
        ("COUNTERSIGN_DPOP_ORIGINS", "https://tokens.example.org"),
        ("COUNTERSIGN_SIDECAR_ORIGINS", &origins),
        // Slow machines are no subject here.
        ("COUNTERSIGN_SIDECAR_DEADLINE", "5s"),
    ];
    all.extend(settings);
    let at = Deployment::start_with(1, &all).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let patient = change("  timeout: 0.2s", "  timeout: 10s");
    let gateway = Gateway::start(&at.targets()[0], &envoy(&at).await, &[patient]).await;
    (at, issuer, gateway)
}

/// A token for a new user of these scopes and this audience.
async fn token(at: &Deployment, issuer: &Caller, scopes: &[&str], audience: &str) -> String {
    let request = v1::IssueTokenRequest {
        subject: at.user().await,
        scopes: scopes.iter().map(ToString::to_string).collect(),
        audience: vec![audience.to_owned()],
        ..v1::IssueTokenRequest::default()
    };
    issuer.issue(request).await.unwrap().access_token
}

fn challenge(answer: &Answer, status: u16, words: &[&str]) {
    assert_eq!(answer.status, status, "{answer:?}");
    let challenges = answer.all("www-authenticate").join("\n");
    for word in words {
        assert!(challenges.contains(word), "no {word} in {answer:?}");
    }
    assert_eq!(answer.all("cache-control"), ["no-store"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_token_gets_through_and_tells_the_application_whose_it_is() {
    let (at, issuer, gateway) = scene(&[]).await;
    let login = issuer.open(&at.user().await).await;
    let found = issuer.introspect(&login.access_token).await;
    let sent = bearer(&login.access_token);
    let answer = gateway.get("/orders?page=2", &[&sent]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for (name, value) in [
        ("x-countersign-subject", found.subject.clone()),
        ("x-countersign-client-id", found.client_id.clone()),
        ("x-countersign-scopes", "a b".to_owned()),
        ("x-countersign-session-id", found.session_id.clone()),
        ("x-countersign-token-id", found.token_id.clone()),
        (
            "x-countersign-expires-at",
            found.expires_at.unwrap().seconds.to_string(),
        ),
    ] {
        assert_eq!(answer.received(name), [value.as_str()], "{name}");
    }
    assert!(
        answer.received("authorization").is_empty(),
        "the token went on"
    );
    // Whatever the scheme's case.
    let sent = sent.replace("Bearer", "bEARER");
    assert_eq!(gateway.get("/", &[&sent]).await.status, 200);

    // Its session is revoked a moment later: the next request is turned away.
    let session = Target::SessionId(login.session_id.clone());
    assert_eq!(issuer.revoke(session).await, 1);
    let answer = gateway.get("/", &[&sent]).await;
    challenge(
        &answer,
        401,
        &["Bearer realm=\"countersign\"", "error=\"invalid_token\""],
    );
    assert_eq!(answer.body, "{\"error\":\"invalid_token\"}\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_to_be_turned_away_has_its_status_and_challenge() {
    let (at, issuer, gateway) = scene(&[]).await;
    let good = token(&at, &issuer, &["a"], AUDIENCE).await;
    let expired = token(&at, &issuer, &["a"], AUDIENCE).await;
    let id = issuer.introspect(&expired).await.token_id;
    let expire = format!(
        "UPDATE public.oauth_access_tokens SET expires_at = now() - interval '1 s' WHERE jti = '{id}'"
    );
    at.sql.batch_execute(&expire).await.unwrap();
    let other = token(&at, &issuer, &["a"], "urn:other").await;
    let session = issuer.open(&at.user().await).await;
    let own = issuer.issue(v1::IssueTokenRequest {
        scopes: vec!["a".into(), "b".into()],
        ..v1::IssueTokenRequest::default()
    });
    let own = own.await.unwrap().access_token;
    let twice = [bearer(&good), bearer(&good)];
    let huge = bearer(&"x".repeat(64 * 1024));

    let both = gateway.get("/", &[]).await;
    challenge(
        &both,
        401,
        &["Bearer realm=", "DPoP realm=", "algs=\"ES256 ES384"],
    );
    assert!(!both.head.contains("error="), "{both:?}");
    for (path, headers, status, words) in [
        (
            "/",
            vec![bearer(&expired)],
            401,
            vec!["error=\"invalid_token\""],
        ),
        (
            "/",
            vec![bearer("cs_at_forged")],
            401,
            vec!["error=\"invalid_token\""],
        ),
        (
            "/",
            vec![bearer(&session.refresh_token)],
            401,
            vec!["error=\"invalid_token\""],
        ),
        (
            "/",
            vec![bearer(&other)],
            403,
            vec!["error=\"insufficient_scope\""],
        ),
        (
            "/orders/mine",
            vec![bearer(&good)],
            403,
            vec!["insufficient_scope", "scope=\"a b\""],
        ),
        (
            "/orders/mine",
            vec![bearer(&own)],
            403,
            vec!["insufficient_scope"],
        ),
        (
            "/orders/bound",
            vec![bearer(&good)],
            401,
            vec!["DPoP realm=", "invalid_token"],
        ),
        ("/", twice.to_vec(), 401, vec!["invalid_request"]),
        (
            "/",
            vec!["authorization: Basic eDp5".into()],
            401,
            vec!["invalid_request"],
        ),
        ("/", vec![huge], 401, vec!["invalid_request"]),
        (
            "/",
            vec![format!("authorization: DPoP {good}")],
            401,
            vec!["invalid_dpop_proof"],
        ),
        (
            "/public",
            vec![bearer("cs_at_forged")],
            401,
            vec!["invalid_token"],
        ),
    ] {
        let headers: Vec<_> = headers.iter().map(String::as_str).collect();
        challenge(&gateway.get(path, &headers).await, status, &words);
    }
    let query = format!("/?access_token={good}");
    challenge(&gateway.get(&query, &[]).await, 401, &["invalid_request"]);
    challenge(
        &gateway.get(&query, &[&bearer(&good)]).await,
        401,
        &["invalid_request"],
    );

    // And what its route lets through.
    for (path, token) in [
        ("/", &good),
        ("/other", &other),
        ("/orders/mine", &session.access_token),
    ] {
        assert_eq!(
            gateway.get(path, &[&bearer(token)]).await.status,
            200,
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_header_of_ours_comes_from_outside() {
    let lax = change("headers_with_underscores_action: DROP_HEADER", "{}");
    let (at, issuer, _) = scene(&[]).await;
    let gateway = Gateway::start(&at.targets()[0], &envoy(&at).await, &[lax]).await;
    let spoofed = [
        "x-countersign-subject: admin",
        "X-Countersign-Subject: admin",
        "x_countersign_subject: admin",
        "X-COUNTERSIGN_CLIENT-ID: admin",
        "x-countersign-scopes: everything",
        "x-countersign-session-id: mine",
    ];
    let login = issuer.open(&at.user().await).await;
    let mine = bearer(&login.access_token);
    let own = issuer
        .issue(v1::IssueTokenRequest::default())
        .await
        .unwrap();
    let own = bearer(&own.access_token);
    let subject = issuer.introspect(&login.access_token).await.subject;
    for (path, token, subject) in [
        ("/", Some(&mine), Some(subject.as_str())),
        // A client's own token has no user, no session and here no scope.
        ("/", Some(&own), None),
        ("/public/page", None, None),
    ] {
        let mut headers = spoofed.to_vec();
        headers.extend(token.map(String::as_str));
        let answer = gateway.get(path, &headers).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.received("x-countersign-subject"), subject.as_slice());
        for (other, _) in spoofed.iter().filter_map(|line| line.split_once(':')) {
            assert!(!answer.body.contains(": admin"), "{answer:?}");
            assert!(!answer.body.contains("everything") && !answer.body.contains(": mine"));
            assert!(answer.received(other).len() <= 1, "{answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_token_needs_a_proof_of_its_key_for_this_request_each_time() {
    let (_at, issuer, gateway) = scene(&[]).await;
    let (holder, thief) = (Holder::new(), Holder::new());
    let prove = |holder: &Holder, method: &str, uri: &str, token: Option<&str>| {
        holder.proof(method, uri, token, None)
    };
    let mut request = issuer.request(v1::IssueTokenRequest::default());
    let proof = prove(&holder, "POST", ISSUE, None);
    request
        .metadata_mut()
        .insert("dpop", proof.parse().unwrap());
    let token = issuer.tokens().issue_token(request).await.unwrap();
    let token = token.into_inner().access_token;
    let sent = format!("authorization: DPoP {token}");
    let uri = format!("{ORIGIN}/orders/bound");
    let dpop = |proof: &str| format!("dpop: {proof}");

    let good = dpop(&prove(&holder, "GET", &uri, Some(&token)));
    let answer = gateway.get("/orders/bound?page=2", &[&sent, &good]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.received("dpop").is_empty(), "the proof went on");
    let again = gateway.get("/orders/bound?page=2", &[&sent, &good]).await;
    challenge(&again, 401, &["DPoP realm=", "invalid_dpop_proof", "algs="]);
    // What Envoy makes of the path is what the proof names, however either is spelt.
    let spelt = dpop(&prove(
        &holder,
        "GET",
        &uri.replace("bound", "%62ound"),
        Some(&token),
    ));
    let answer = gateway.get("/x/../orders//bound", &[&sent, &spelt]).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    for bad in [
        dpop(&prove(&thief, "GET", &uri, Some(&token))),
        dpop(&prove(&holder, "POST", &uri, Some(&token))),
        dpop(&prove(&holder, "GET", ORIGIN, Some(&token))),
        dpop(&prove(
            &holder,
            "GET",
            "https://else.example/orders/bound",
            Some(&token),
        )),
        dpop(&prove(&holder, "GET", &uri, None)),
        dpop(&prove(&holder, "GET", &uri, Some("cs_at_other"))),
        dpop("x"),
    ] {
        let answer = gateway.get("/orders/bound", &[&sent, &bad]).await;
        challenge(&answer, 401, &["invalid_dpop_proof"]);
    }
    let (one, two) = (
        dpop(&prove(&holder, "GET", &uri, Some(&token))),
        dpop(&prove(&holder, "GET", &uri, Some(&token))),
    );
    let answer = gateway.get("/orders/bound", &[&sent, &one, &two]).await;
    challenge(&answer, 401, &["invalid_dpop_proof"]);
    // Without its scheme it is no bearer token.
    let answer = gateway.get("/orders/bound", &[&bearer(&token), &one]).await;
    challenge(&answer, 401, &["invalid_token"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_is_asked_for_and_handed_on() {
    let (_at, issuer, gateway) = scene(&[("COUNTERSIGN_DPOP_NONCES", "required")]).await;
    let rng = SystemRandom::new();
    let holder = ProofKey::read(&new_key(Algorithm::EdDsa, &rng).unwrap(), &rng).unwrap();
    let prove = |method: &str, uri: &str, token: Option<&str>, nonce: Option<&str>| {
        let says = Statement {
            method,
            uri,
            access_token: token,
            nonce,
            at: clock::now(),
            id: clock::uuid(),
        };
        holder.prove(says, &rng)
    };
    let ask = async |nonce: Option<&str>| {
        let mut request = issuer.request(v1::IssueTokenRequest::default());
        let proof = prove("POST", ISSUE, None, nonce);
        request
            .metadata_mut()
            .insert("dpop", proof.parse().unwrap());
        issuer.tokens().issue_token(request).await
    };
    let refused = ask(None).await.unwrap_err();
    let nonce = refused
        .metadata()
        .get("dpop-nonce")
        .unwrap()
        .to_str()
        .unwrap();
    let token = ask(Some(nonce)).await.unwrap().into_inner().access_token;
    let sent = format!("authorization: DPoP {token}");
    let uri = format!("{ORIGIN}/orders");
    let without = format!("dpop: {}", prove("GET", &uri, Some(&token), None));
    let answer = gateway.get("/orders", &[&sent, &without]).await;
    challenge(&answer, 401, &["DPoP realm=", "error=\"use_dpop_nonce\""]);
    let nonce = answer.all("dpop-nonce")[0].to_owned();
    let with = format!("dpop: {}", prove("GET", &uri, Some(&token), Some(&nonce)));
    let answer = gateway.get("/orders", &[&sent, &with]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.all("dpop-nonce").len(), 1, "the next one is offered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_of_grpc_is_turned_away_with_its_own_status() {
    let (at, issuer, gateway) = scene(&[]).await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", gateway.address));
    let channel = channel.unwrap().connect().await.unwrap();
    let call = async |token: Option<String>| {
        let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
        let mut request = Request::new(tonic_health::pb::HealthCheckRequest::default());
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        health
            .check(request)
            .await
            .map(drop)
            .map_err(|status| status.code())
    };
    assert_eq!(call(None).await, Err(Code::Unauthenticated));
    assert_eq!(
        call(Some("cs_at_x".into())).await,
        Err(Code::Unauthenticated)
    );
    let b = token(&at, &issuer, &["b"], AUDIENCE).await;
    assert_eq!(call(Some(b)).await, Err(Code::PermissionDenied));
    let a = token(&at, &issuer, &["a"], AUDIENCE).await;
    assert_eq!(call(Some(a)).await, Ok(()));
}
