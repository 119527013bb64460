//! Proofs that come with a request, before and beside what they prove.

use super::{
    DEFAULT,
    direct::{about, status, token},
    envoy,
    requests::{ISSUE, ORIGIN, scene},
};
use crate::{dpop::Holder, support::server::Deployment};
use countersign::proto::v1;

#[tokio::test]
async fn a_strangers_proof_is_not_looked_at_before_the_token() {
    // An audience without an origin, so that no proof can be made for it.
    let at = Deployment::start_with(1, &[DEFAULT]).await;
    let (asks, token) = (envoy(&at).await, token(&at).await);
    let sent = |token: &str| about(&[("authorization", &format!("DPoP {token}")), ("dpop", "y")]);
    assert_eq!(status(&asks, sent("x")).await, 401);
    assert_eq!(status(&asks, sent(&token[1..])).await, 401);
    // A token of ours finds out that the route makes no sense.
    assert_eq!(status(&asks, sent(&token)).await, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_names_its_path_as_browsers_do_or_as_the_rfc_has_it() {
    let (_at, issuer, gateway) = scene(&[]).await;
    let holder = Holder::new();
    let mut request = issuer.request(v1::IssueTokenRequest::default());
    let proof = holder.proof("POST", ISSUE, None, None);
    let metadata = request.metadata_mut();
    metadata.insert("dpop", proof.parse().unwrap());
    let token = issuer.tokens().issue_token(request).await.unwrap();
    let token = token.into_inner().access_token;
    let sent = format!("authorization: DPoP {token}");
    for (path, named) in [
        ("/items[1]", "/items[1]"),
        ("/items[1]", "/items%5B1%5D"),
        ("/x|y", "/x|y"),
        ("/x|y", "/x%7Cy"),
        ("/q^w", "/q%5ew"),
    ] {
        let proof = holder.proof("GET", &format!("{ORIGIN}{named}"), Some(&token), None);
        let proof = format!("dpop: {proof}");
        let answer = gateway.get(path, &[&sent, &proof]).await;
        assert_eq!(answer.status, 200, "{path} {named} {answer:?}");
    }
    let other = holder.proof("GET", &format!("{ORIGIN}/items%5B2%5D"), Some(&token), None);
    let other = format!("dpop: {other}");
    let answer = gateway.get("/items[1]", &[&sent, &other]).await;
    assert_eq!(answer.status, 401, "{answer:?}");
}
