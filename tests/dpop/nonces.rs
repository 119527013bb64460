//! Nonces (RFC 9449 section 8).

use super::{Holder, ISSUE, ORIGINS, ROTATE, claims, issue, login, proved, reason, rotate, why};
use crate::support::server::{Deployment, settings};
use countersign::proto::v1::{self, Role};
use serde_json::json;

fn nonces(how: &'static str) -> (&'static str, &'static str) {
    ("COUNTERSIGN_DPOP_NONCES", how)
}

/// The nonce that an answer offers.
async fn offered(caller: &crate::support::server::Caller, proof: &str) -> Option<String> {
    let request = proved(caller, v1::IssueTokenRequest::default(), &[proof]);
    let answer = caller.tokens().issue_token(request).await.unwrap();
    let nonce = answer.metadata().get("dpop-nonce")?;
    Some(nonce.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_required_nonce_is_asked_for_and_good_at_every_replica() {
    let at = Deployment::start_with(2, &[ORIGINS, nonces("required")]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let elsewhere = at.at(1, &issuer);
    let (holder, subject) = (Holder::new(), at.user().await);
    let before = at.counts().await;
    let refused = issue(&issuer, login(&subject), &holder.call(ISSUE, None)).await;
    let refused = refused.unwrap_err();
    assert_eq!(
        (refused.reason.as_str(), refused.check.as_str()),
        ("USE_DPOP_NONCE", "nonce")
    );
    assert_eq!(at.counts().await, before);
    let nonce = refused.nonce.unwrap();

    let proof = holder.call(ISSUE, Some(&nonce));
    let session = issue(&elsewhere, login(&subject), &proof).await.unwrap();
    let token = session.refresh_token.as_str();
    let refused = rotate(&issuer, token, &holder.call(ROTATE, None)).await;
    assert_eq!(reason(refused), "USE_DPOP_NONCE");
    let forged = "A".repeat(nonce.len());
    let refused = rotate(&issuer, token, &holder.call(ROTATE, Some(&forged))).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.reason, "USE_DPOP_NONCE");
    let proof = holder.call(ROTATE, refused.nonce.as_deref());
    rotate(&issuer, token, &proof).await.unwrap();
    // A call without a proof is asked for none.
    let plain = issuer.issue(v1::IssueTokenRequest::default()).await;
    assert!(plain.is_ok());
}

#[tokio::test]
async fn an_offered_nonce_stands_in_for_the_time_and_is_not_demanded() {
    let at = Deployment::start_with(1, &[ORIGINS, nonces("on")]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let holder = Holder::new();
    let nonce = offered(&issuer, &holder.call(ISSUE, None)).await.unwrap();
    let mut old = claims(ISSUE);
    old["iat"] = json!(1);
    let refused = issue(
        &issuer,
        Default::default(),
        &holder.sign(&holder.header(), &old),
    )
    .await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.check, "iat");
    assert!(refused.nonce.is_some(), "no nonce to try again with");
    old["nonce"] = json!(nonce);
    let proof = holder.sign(&holder.header(), &old);
    issue(&issuer, Default::default(), &proof).await.unwrap();
}

#[tokio::test]
async fn without_nonces_none_is_offered_unless_a_client_must_have_one() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let holder = Holder::new();
    let plain = at.client(&[Role::Issuer]).await;
    assert_eq!(offered(&plain, &holder.call(ISSUE, None)).await, None);
    // Some other server's nonce says nothing here.
    assert_eq!(
        offered(&plain, &holder.call(ISSUE, Some("theirs"))).await,
        None
    );

    let strict = at
        .client_with(v1::ClientSettings {
            roles: vec![Role::Issuer.into()],
            dpop_nonce_required: true,
            ..settings()
        })
        .await;
    let subject = at.user().await;
    let refused = issue(&strict, login(&subject), &holder.call(ISSUE, None)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.reason, "USE_DPOP_NONCE");
    let nonce = refused.nonce.unwrap();
    let proof = holder.call(ISSUE, Some(&nonce));
    let session = issue(&strict, login(&subject), &proof).await.unwrap();
    let token = session.refresh_token.as_str();
    let refused = rotate(&strict, token, &holder.call(ROTATE, None)).await;
    assert_eq!(why(refused), ("USE_DPOP_NONCE".into(), "nonce".into()));
    let proof = holder.call(ROTATE, Some(&nonce));
    rotate(&strict, token, &proof).await.unwrap();
}
