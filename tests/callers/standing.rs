//! What a proof of a caller was worth a moment ago is worth nothing now: in the calls that only
//! read, and where the server knows the caller from before.

use super::{LOGIN, Mesh, prove_by, proved_by, taken_for};
use crate::{
    sidecar::{
        DEFAULT,
        direct::{about, status},
        envoy,
    },
    support::{
        certificates::uri,
        server::{Caller, Deployment, answer, new_secret},
    },
};
use countersign::proto::v1;

/// The reasons for which both introspections refuse a caller who asks about a token.
async fn refusals(caller: &Caller, token: &str) -> [String; 2] {
    let one = v1::IntrospectRequest {
        token: token.to_owned(),
        ..Default::default()
    };
    let many = v1::BatchIntrospectRequest {
        tokens: vec![token.to_owned()],
    };
    let mut tokens = caller.tokens();
    let one = answer(tokens.introspect(caller.request(one)).await);
    let many = answer(tokens.batch_introspect(caller.request(many)).await);
    [one.unwrap_err().reason, many.unwrap_err().reason]
}

#[tokio::test]
async fn a_retired_secret_reads_nothing_at_any_server() {
    let at = Deployment::start_with(2, &[DEFAULT]).await;
    let old = envoy(&at).await;
    let token = old.issue(Default::default()).await.unwrap().access_token;
    let value = format!("Bearer {token}");
    let check = || about(&[("authorization", &value)]);
    for server in [0, 1] {
        let known = at.at(server, &old);
        assert!(known.active(&token).await);
        assert_eq!(status(&known, check()).await, 200);
    }
    let new = new_secret(&at.admin(), &old.id, true, &old.channel()).await;
    for server in [0, 1] {
        let retired = at.at(server, &old);
        assert_eq!(refusals(&retired, &token).await, ["CREDENTIALS_INVALID"; 2]);
        assert_eq!(status(&retired, check()).await, 503);
        let next = at.at(server, &new);
        assert!(next.active(&token).await);
        assert_eq!(status(&next, check()).await, 200);
    }
}

#[tokio::test]
async fn credentials_of_two_clients_read_nothing() {
    let mesh = Mesh::start(&[]).await;
    let login = mesh.at.client_with(proved_by(&[LOGIN], &[])).await;
    let other = mesh.at.client(&[]).await;
    let holder = mesh.holder(&mesh.authority.sign(&[uri(LOGIN)])).await;
    for (caller, reads) in [(&login, true), (&other, false)] {
        let token = caller.issue(Default::default()).await.unwrap().access_token;
        let both = Deployment::over(caller, holder.channel());
        if reads {
            assert!(both.active(&token).await);
        } else {
            assert_eq!(refusals(&both, &token).await, ["CREDENTIALS_CONFLICT"; 2]);
        }
    }
}

#[tokio::test]
async fn a_known_caller_mints_nothing_once_its_certificate_is_anothers() {
    let mesh = Mesh::start(&[]).await;
    let admin = mesh.at.admin();
    let login = mesh.at.client_with(proved_by(&[LOGIN], &[])).await;
    let other = mesh.at.client(&[]).await;
    let holder = mesh.holder(&mesh.authority.sign(&[uri(LOGIN)])).await;
    let both = Deployment::over(&login, holder.channel());
    for nobodys in [false, true] {
        if nobodys {
            // Beside a secret, a certificate of nobody is none.
            prove_by(&admin, &login.id, &[]).await.unwrap();
        }
        for _ in 0..2 {
            assert_eq!(taken_for(&both).await, Ok(login.id.clone()));
        }
    }
    // This changes nothing of the client that was known.
    prove_by(&admin, &other.id, &[LOGIN]).await.unwrap();
    let before = mesh.at.counts().await;
    for _ in 0..2 {
        let conflict = Err("CREDENTIALS_CONFLICT".to_owned());
        assert_eq!(taken_for(&both).await, conflict);
    }
    assert_eq!(mesh.at.counts().await, before);
}

#[tokio::test]
async fn of_two_secrets_in_one_call_none_is_taken() {
    let at = Deployment::start().await;
    let (one, other) = (at.client(&[]).await, at.client(&[]).await);
    for second in [&one, &other] {
        let mut request = one.request(v1::IssueTokenRequest::default());
        let metadata = request.metadata_mut();
        metadata.append("authorization", second.authorization());
        let refused = answer(one.tokens().issue_token(request).await).unwrap_err();
        assert_eq!(refused.reason, "CREDENTIALS_INVALID");
    }
    one.issue(Default::default()).await.unwrap();
}
