//! Proofs that a resource server received and passes to `Introspect`.

use super::{Holder, ISSUE, ORIGINS, claims, issue, open};
use crate::support::server::{Caller, Deployment, Refused, answer};
use countersign::{
    domain::dpop::token_hash,
    proto::v1::{self, ErrorReason, Role},
};
use serde_json::json;
use tonic::Code;

const URI: &str = "https://api.example.org/orders";
const SHARED: (&str, &str) = ("COUNTERSIGN_DPOP_REPLAY", "shared");

fn presented(token: &str, proof: &str) -> v1::IntrospectRequest {
    v1::IntrospectRequest {
        token: token.into(),
        dpop: Some(v1::DpopPresentation {
            proof: proof.into(),
            method: "GET".into(),
            uri: format!("{URI}?page=2"),
            nonce_required: false,
        }),
        ..v1::IntrospectRequest::default()
    }
}

async fn ask(
    caller: &Caller,
    request: v1::IntrospectRequest,
) -> Result<v1::IntrospectResponse, Refused> {
    answer(caller.tokens().introspect(caller.request(request)).await)
}

/// The reason for which a live token is of no use; it is told nothing else.
async fn failure(caller: &Caller, token: &str, proof: &str) -> ErrorReason {
    let mut found = ask(caller, presented(token, proof)).await.unwrap();
    let failure = found.dpop_failure.take().unwrap();
    assert_eq!(found, v1::IntrospectResponse::default());
    assert!(!failure.detail.is_empty() && !failure.detail.contains(proof));
    failure.reason()
}

fn proof(holder: &Holder, token: &str) -> String {
    holder.proof("GET", URI, Some(token), None)
}

#[tokio::test]
async fn the_binding_of_a_token_is_verified_with_a_reason_where_it_fails() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let (holder, thief) = (Holder::new(), Holder::new());
    let session = open(&at, &issuer, &holder).await;
    let token = session.access_token.as_str();

    let good = proof(&holder, token);
    let found = ask(&issuer, presented(token, &good)).await.unwrap();
    assert!(found.active && found.dpop_failure.is_none());
    assert_eq!(
        failure(&issuer, token, &good).await,
        ErrorReason::DpopProofReplayed
    );
    assert_eq!(
        failure(&issuer, token, &proof(&thief, token)).await,
        ErrorReason::DpopKeyMismatch
    );
    let other = issue(&issuer, Default::default(), &holder.call(ISSUE, None))
        .await
        .unwrap();
    for bad in [
        proof(&holder, &other.access_token),
        holder.proof("GET", URI, None, None),
        holder.proof("POST", URI, Some(token), None),
        holder.proof("GET", "https://api.example.org/", Some(token), None),
        "x".to_owned(),
    ] {
        assert_eq!(
            failure(&issuer, token, &bad).await,
            ErrorReason::InvalidDpopProof
        );
    }
    // No proof belongs to a token without a key, or to a refresh token.
    let bearer = issuer.issue(Default::default()).await.unwrap().access_token;
    for token in [bearer.as_str(), &session.refresh_token] {
        let proof = proof(&holder, token);
        assert_eq!(
            failure(&issuer, token, &proof).await,
            ErrorReason::DpopTokenNotBound
        );
    }
    // Of a token that is dead, or none of the caller's business, nothing is told.
    let stranger = at.client(&[]).await;
    let hidden = ask(&stranger, presented(token, "x")).await.unwrap();
    assert_eq!(hidden, v1::IntrospectResponse::default());
    let unknown = ask(&issuer, presented("cs_at_x", "x")).await.unwrap();
    assert_eq!(unknown, v1::IntrospectResponse::default());
}

#[tokio::test]
async fn a_resource_server_may_demand_a_nonce_of_ours() {
    let at = Deployment::start_with(2, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let holder = Holder::new();
    let token = open(&at, &issuer, &holder).await.access_token;
    let demanding = |proof: &str| {
        let mut request = presented(&token, proof);
        request.dpop.as_mut().unwrap().nonce_required = true;
        request
    };
    let found = ask(&issuer, demanding(&proof(&holder, &token)))
        .await
        .unwrap();
    let failure = found.dpop_failure.unwrap();
    assert_eq!(failure.reason(), ErrorReason::UseDpopNonce);
    let mut claims = claims("");
    claims["htm"] = json!("GET");
    claims["htu"] = json!(URI);
    claims["ath"] = json!(token_hash(&token));
    claims["nonce"] = json!(failure.nonce);
    claims["iat"] = json!(1);
    let fresh = holder.sign(&holder.header(), &claims);
    let elsewhere = at.at(1, &issuer);
    assert!(ask(&elsewhere, demanding(&fresh)).await.unwrap().active);
}

#[tokio::test]
async fn bad_fields_of_a_presentation_are_named() {
    let at = Deployment::start().await;
    let issuer = at.client(&[]).await;
    let mut request = presented("x", "");
    let dpop = request.dpop.as_mut().unwrap();
    dpop.method = "M".repeat(65);
    dpop.uri = "/orders".into();
    let refused = ask(&issuer, request).await.unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument);
    assert_eq!(refused.fields, ["dpop.proof", "dpop.method", "dpop.uri"]);
}

#[tokio::test]
async fn a_replica_remembers_its_own_and_refuses_what_it_has_no_room_for() {
    let room = ("COUNTERSIGN_DPOP_REPLAY_ENTRIES", "2");
    let at = Deployment::start_with(2, &[ORIGINS, room]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let holder = Holder::new();
    let token = open(&at, &issuer, &holder).await.access_token;
    // What fails takes no room.
    let thief = Holder::new();
    for _ in 0..5 {
        let stolen = failure(&issuer, &token, &proof(&thief, &token)).await;
        assert_eq!(stolen, ErrorReason::DpopKeyMismatch);
    }
    let one = proof(&holder, &token);
    assert!(ask(&issuer, presented(&token, &one)).await.unwrap().active);
    let elsewhere = at.at(1, &issuer);
    assert!(
        ask(&elsewhere, presented(&token, &one))
            .await
            .unwrap()
            .active
    );
    let two = proof(&holder, &token);
    assert!(ask(&issuer, presented(&token, &two)).await.unwrap().active);
    let three = ask(&issuer, presented(&token, &proof(&holder, &token))).await;
    let refused = three.unwrap_err();
    assert_eq!(refused.code, Code::ResourceExhausted);
    assert_eq!(
        (refused.reason.as_str(), refused.retry),
        ("OVERLOADED", true)
    );
    let again = failure(&issuer, &token, &one).await;
    assert_eq!(again, ErrorReason::DpopProofReplayed);
    // Without a proof nothing is remembered.
    assert!(issuer.active(&token).await);
    let kept = "SELECT count(*) FROM countersign.dpop_proof";
    let kept: i64 = at.sql.query_one(kept, &[]).await.unwrap().get(0);
    assert_eq!(kept, 0);
}

#[tokio::test]
async fn what_is_remembered_together_is_taken_once_at_all_replicas() {
    let at = Deployment::start_with(2, &[ORIGINS, SHARED]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let holder = Holder::new();
    let token = open(&at, &issuer, &holder).await.access_token;
    for _ in 0..10 {
        let one = proof(&holder, &token);
        let asks = (0..16).map(|n| {
            let (caller, request) = (at.at(n % 2, &issuer), presented(&token, &one));
            async move { ask(&caller, request).await.unwrap() }
        });
        let found = futures_util::future::join_all(asks).await;
        assert_eq!(found.iter().filter(|one| one.active).count(), 1);
        for replayed in found.into_iter().filter_map(|one| one.dpop_failure) {
            assert_eq!(replayed.reason(), ErrorReason::DpopProofReplayed);
        }
    }
    let kept = at
        .sql
        .query_one(
            "SELECT count(*), min(expires_at) > now() + interval '9 minutes', \
             max(expires_at) < now() + interval '11 minutes' FROM countersign.dpop_proof",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(
        (kept.get(0), kept.get(1), kept.get(2)),
        (10_i64, true, true)
    );
}

#[tokio::test]
async fn a_proof_that_cannot_be_remembered_is_not_taken() {
    let at = Deployment::start_with(1, &[ORIGINS, SHARED]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let holder = Holder::new();
    let token = open(&at, &issuer, &holder).await.access_token;
    let role = &at.database.serving_role;
    let take = format!("REVOKE INSERT ON countersign.dpop_proof FROM \"{role}\"");
    at.sql.batch_execute(&take).await.unwrap();
    let refused = ask(&issuer, presented(&token, &proof(&holder, &token))).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(issuer.active(&token).await, "no proof, nothing to remember");
    let give = format!("GRANT INSERT ON countersign.dpop_proof TO \"{role}\"");
    at.sql.batch_execute(&give).await.unwrap();
    let found = ask(&issuer, presented(&token, &proof(&holder, &token))).await;
    assert!(found.unwrap().active);
}
