//! What a client demands of those who ask for its tokens.

use super::{Holder, ISSUE, ORIGINS, ROTATE, issue, open, reason, rotate};
use crate::support::server::{Caller, Deployment, settings};
use countersign::proto::v1::{self, Role};

async fn change(at: &Deployment, client: &Caller, path: &str, settings: v1::ClientSettings) {
    let admin = at.admin();
    let request = admin.request(v1::UpdateClientRequest {
        client_id: client.id.clone(),
        settings: Some(settings),
        update_mask: Some(prost_types::FieldMask {
            paths: vec![path.to_owned()],
        }),
    });
    let answer = admin.directory().update_client(request).await.unwrap();
    let told = answer.into_inner().client.unwrap().settings.unwrap();
    assert!(told.bearer_allowed.is_some(), "it is always told");
}

fn none() -> v1::IssueTokenRequest {
    v1::IssueTokenRequest::default()
}

#[tokio::test]
async fn a_client_whose_tokens_are_bound_gets_none_without_a_proof() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let client = at.client(&[Role::Issuer]).await;
    let holder = Holder::new();
    let (bearer, plain) = (
        client.issue(none()).await.unwrap().access_token,
        client.open(&at.user().await).await,
    );
    let bound = open(&at, &client, &holder).await;
    let required = v1::ClientSettings {
        dpop_required: true,
        ..settings()
    };
    change(&at, &client, "dpop_required", required).await;
    assert_eq!(reason(client.issue(none()).await), "DPOP_PROOF_REQUIRED");
    assert_eq!(
        client.refusal(&plain.refresh_token).await,
        "DPOP_PROOF_REQUIRED"
    );
    issue(&client, none(), &holder.call(ISSUE, None))
        .await
        .unwrap();
    let proof = holder.call(ROTATE, None);
    rotate(&client, &bound.refresh_token, &proof).await.unwrap();
    // What was issued before lives out its time.
    assert!(client.active(&bearer).await);
    assert!(client.active(&plain.refresh_token).await);
}

#[tokio::test]
async fn without_bearer_tokens_those_that_are_count_as_dead_until_they_are_allowed_again() {
    let at = Deployment::start_with(2, &[ORIGINS]).await;
    let client = at.client(&[Role::Issuer]).await;
    let holder = Holder::new();
    let bearer = client.issue(none()).await.unwrap().access_token;
    let plain = client.open(&at.user().await).await;
    let bound = open(&at, &client, &holder).await;
    let allowed = |allowed| v1::ClientSettings {
        bearer_allowed: Some(allowed),
        ..settings()
    };
    change(&at, &client, "bearer_allowed", allowed(false)).await;
    for at in [at.at(0, &client), at.at(1, &client)] {
        for token in [&bearer, &plain.access_token, &plain.refresh_token] {
            assert!(!at.active(token).await);
        }
        for token in [&bound.access_token, &bound.refresh_token] {
            assert!(at.active(token).await);
        }
        assert_eq!(reason(at.issue(none()).await), "DPOP_PROOF_REQUIRED");
        assert_eq!(
            at.refusal(&plain.refresh_token).await,
            "DPOP_PROOF_REQUIRED"
        );
    }
    issue(&client, none(), &holder.call(ISSUE, None))
        .await
        .unwrap();
    // Unset is true.
    change(&at, &client, "bearer_allowed", settings()).await;
    assert!(client.active(&bearer).await);
    assert!(client.rotate(&plain.refresh_token).await.is_ok());
}

#[tokio::test]
async fn another_client_hears_nothing_of_what_is_demanded() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let strict = at
        .client_with(v1::ClientSettings {
            roles: vec![Role::Issuer.into()],
            dpop_required: true,
            ..settings()
        })
        .await;
    let session = open(&at, &strict, &Holder::new()).await;
    let other = at.client(&[Role::Issuer]).await;
    assert_eq!(other.refusal(&session.refresh_token).await, "INVALID_GRANT");
}
