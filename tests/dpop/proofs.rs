//! The proofs of calls: each check through the door, and the order of all checks.

use super::{
    Holder, ISSUE, ORIGIN, ORIGINS, ROTATE, claims, issue, open, proved, rotate, step, why,
};
use crate::support::server::{Deployment, answer};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use countersign::{domain::clock, proto::v1};
use serde_json::{Value, json};
use tonic::Code;
use v1::Role;

/// Twenty-odd ways to spoil a proof for a path, each with what is said to be wrong.
fn spoiled(holder: &Holder, path: &str) -> Vec<(String, &'static str)> {
    let header = |name: &str, value: Value| {
        let mut header = holder.header();
        header[name] = value;
        holder.sign(&header, &claims(path))
    };
    let claim = |name: &str, value: Value| {
        let mut claims = claims(path);
        claims[name] = value;
        holder.sign(&holder.header(), &claims)
    };
    let without = |name: &str| {
        let mut claims = claims(path);
        claims.as_object_mut().unwrap().remove(name);
        holder.sign(&holder.header(), &claims)
    };
    let mut private = holder.jwk();
    private["d"] = json!("AAAA");
    let good = holder.call(path, None);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let unsigned = |alg: &str| {
        let header = json!({ "typ": "dpop+jwt", "alg": alg, "jwk": holder.jwk() });
        let text = |value: Value| BASE64URL.encode(value.to_string());
        format!("{}.{}.", text(header), text(claims(path)))
    };
    let now = clock::now().timestamp();
    vec![
        ("x".into(), "dpop"),
        (format!("{good}.{good}"), "dpop"),
        (format!("{good}, {good}"), "dpop"),
        ("y".repeat(60_000), "dpop"),
        (header("typ", json!("JWT")), "typ"),
        (header("alg", json!("none")), "alg"),
        (unsigned("none"), "alg"),
        (header("alg", json!("HS256")), "alg"),
        (header("alg", json!("ES384")), "jwk"),
        (header("jwk", private), "jwk"),
        (header("jwk", json!({ "kty": "oct", "k": "AAAA" })), "jwk"),
        (header("jwk", Holder::new().jwk()), "signature"),
        (header("crit", json!(["exp"])), "crit"),
        (format!("{signed}.AAAA"), "signature"),
        (claim("htm", json!("GET")), "htm"),
        (claim("htu", json!(ORIGIN)), "htu"),
        (
            claim("htu", json!(format!("https://evil.example{path}"))),
            "htu",
        ),
        (claim("iat", json!(now - 3600)), "iat"),
        (claim("iat", json!(now + 3600)), "iat"),
        (claim("jti", json!("")), "jti"),
        (claim("jti", json!(7)), "dpop"),
        (without("jti"), "jti"),
        (without("htm"), "htm"),
        (without("htu"), "htu"),
        (without("iat"), "iat"),
    ]
}

#[tokio::test]
async fn a_proof_that_fails_is_refused_by_name_and_consumes_nothing() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let holder = Holder::new();
    let session = open(&at, &issuer, &holder).await;
    let before = at.counts().await;
    for (proof, check) in spoiled(&holder, ISSUE) {
        let refused = issue(&issuer, v1::IssueTokenRequest::default(), &proof).await;
        assert_eq!(why(refused), ("INVALID_DPOP_PROOF".into(), check.into()));
    }
    for (proof, check) in spoiled(&holder, ROTATE) {
        let refused = rotate(&issuer, &session.refresh_token, &proof).await;
        assert_eq!(why(refused), ("INVALID_DPOP_PROOF".into(), check.into()));
    }
    assert_eq!(at.counts().await, before);
    let good = holder.call(ROTATE, None);
    let both = proved(&issuer, step(&session.refresh_token), &[&good, &good]);
    let refused = answer(issuer.tokens().rotate_refresh(both).await);
    assert_eq!(why(refused), ("INVALID_DPOP_PROOF".into(), "dpop".into()));
    rotate(&issuer, &session.refresh_token, &good)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_the_call_says_of_its_own_host_contributes_nothing() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let holder = Holder::new();
    // The very address that was called, and what a proxy would say, are no origins.
    for origin in [at.targets()[0].as_str(), "https://proxy.example"] {
        let proof = holder.proof("POST", &format!("{origin}{ISSUE}"), None, None);
        let mut request = proved(&issuer, v1::IssueTokenRequest::default(), &[&proof]);
        for (name, value) in [
            ("x-forwarded-host", "proxy.example"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "host=proxy.example;proto=https"),
        ] {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        let refused = answer(issuer.tokens().issue_token(request).await);
        assert_eq!(why(refused).1, "htu");
    }
}

#[tokio::test]
async fn any_other_call_wants_its_proof_to_hold_and_needs_none() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let path = "/countersign.v1.TokenAuthorityService/Introspect";
    let question = || v1::IntrospectRequest {
        token: "x".into(),
        ..v1::IntrospectRequest::default()
    };
    let proof = Holder::new().call(path, None);
    let asked = proved(&issuer, question(), &[&proof]);
    assert!(answer(issuer.tokens().introspect(asked).await).is_ok());
    let proof = Holder::new().call(ISSUE, None);
    let asked = proved(&issuer, question(), &[&proof]);
    let refused = answer(issuer.tokens().introspect(asked).await);
    assert_eq!(why(refused), ("INVALID_DPOP_PROOF".into(), "htu".into()));
}

#[tokio::test]
async fn caller_and_token_are_judged_before_the_proof() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let mut stranger = issuer.clone();
    let holder = Holder::new();
    let session = open(&at, &issuer, &holder).await;
    // Not of the form of a token, and not of a proof.
    let refused = rotate(&issuer, "cs_rt_x", "x").await;
    assert_eq!(why(refused).0, "REFRESH_TOKEN_INVALID");
    stranger = at.caller(&stranger.id, "cs_cs_x");
    let refused = rotate(&stranger, &session.refresh_token, "x").await;
    assert_eq!(why(refused).0, "CREDENTIALS_INVALID");
    let admin = at.admin();
    let disable = admin.request(v1::DisableClientRequest {
        client_id: issuer.id.clone(),
    });
    admin.directory().disable_client(disable).await.unwrap();
    let refused = rotate(&issuer, &session.refresh_token, "x").await;
    assert_eq!(why(refused).0, "CLIENT_DISABLED");
    // And the proof before the token's own fate.
    let other = at.client(&[Role::Issuer]).await;
    let refused = rotate(&other, &session.refresh_token, "x").await;
    assert_eq!(why(refused).0, "INVALID_DPOP_PROOF");
}

#[tokio::test]
async fn a_proof_where_no_origin_is_configured_is_refused_as_such() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let proof = Holder::new().call(ISSUE, None);
    let refused = issue(&issuer, v1::IssueTokenRequest::default(), &proof).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument);
    assert_eq!(refused.reason, "DPOP_NOT_CONFIGURED");
}

#[tokio::test]
async fn any_of_several_origins_will_do_and_only_the_algorithms_that_are_taken() {
    let origins = (
        "COUNTERSIGN_DPOP_ORIGINS",
        "https://tokens.example.org,http://[::1]:0",
    );
    let taken = ("COUNTERSIGN_DPOP_ALGORITHMS", "ES256,EdDSA");
    let at = Deployment::start_with(1, &[origins, taken]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let port = at.targets()[0].rsplit_once(':').unwrap().1.to_owned();
    let own = || v1::IssueTokenRequest::default();
    for origin in [ORIGIN.to_owned(), format!("http://[::1]:{port}")] {
        for algorithm in ["ES256", "EdDSA"] {
            let algorithm = countersign::domain::dpop::Algorithm::from_name(algorithm);
            let holder = Holder::with(algorithm.unwrap());
            let proof = holder.proof("POST", &format!("{origin}{ISSUE}"), None, None);
            issue(&issuer, own(), &proof).await.unwrap();
        }
    }
    let es384 = Holder::with(countersign::domain::dpop::Algorithm::Es384);
    let refused = issue(&issuer, own(), &es384.call(ISSUE, None)).await;
    assert_eq!(why(refused).1, "alg");
}

#[tokio::test]
async fn metadata_of_64_kib_is_read_and_refused_by_name_on_a_connection_that_lives() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let most = 64 * 1024 - 2048;
    let refused = issue(&issuer, v1::IssueTokenRequest::default(), &"z".repeat(most)).await;
    assert_eq!(why(refused), ("INVALID_DPOP_PROOF".into(), "dpop".into()));
    assert!(issuer.issue(v1::IssueTokenRequest::default()).await.is_ok());
}
