//! DPoP (RFC 9449): who holds the key that a token is bound to.

mod binding;
mod command;
mod demands;
mod foreign;
mod nonces;
mod presented;
mod proofs;
mod properties;

use crate::support::server::{Caller, Deployment, Refused, answer};
use countersign::{
    domain::{
        clock,
        dpop::{Algorithm, ProofKey, Statement, new_key},
    },
    proto::v1,
};
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use tonic::Request;

const ORIGIN: &str = "https://tokens.example.org";
const ORIGINS: (&str, &str) = ("COUNTERSIGN_DPOP_ORIGINS", ORIGIN);
const ISSUE: &str = "/countersign.v1.TokenAuthorityService/IssueToken";
const ROTATE: &str = "/countersign.v1.TokenAuthorityService/RotateRefresh";

/// Who holds a key.
pub struct Holder {
    key: ProofKey,
}

impl Holder {
    pub fn new() -> Self {
        Self::with(Algorithm::Es256)
    }

    fn with(algorithm: Algorithm) -> Self {
        let rng = SystemRandom::new();
        let key = new_key(algorithm, &rng).unwrap();
        Self {
            key: ProofKey::read(&key, &rng).unwrap(),
        }
    }

    fn jkt(&self) -> String {
        self.key.public().thumbprint()
    }

    /// A proof for a call.
    fn call(&self, path: &str, nonce: Option<&str>) -> String {
        self.proof("POST", &format!("{ORIGIN}{path}"), None, nonce)
    }

    pub fn proof(
        &self,
        method: &str,
        uri: &str,
        token: Option<&str>,
        nonce: Option<&str>,
    ) -> String {
        let says = Statement {
            method,
            uri,
            access_token: token,
            nonce,
            at: clock::now(),
            id: clock::uuid(),
        };
        self.key.prove(says, &SystemRandom::new())
    }

    fn jwk(&self) -> Value {
        serde_json::from_str(&self.key.public().canonical()).unwrap()
    }

    fn header(&self) -> Value {
        json!({ "typ": "dpop+jwt", "alg": self.key.algorithm().name(), "jwk": self.jwk() })
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let rng = SystemRandom::new();
        self.key
            .sign(&header.to_string(), &claims.to_string(), &rng)
    }
}

/// The claims of a proof for a call.
fn claims(path: &str) -> Value {
    json!({
        "jti": clock::uuid(),
        "htm": "POST",
        "htu": format!("{ORIGIN}{path}"),
        "iat": clock::now().timestamp(),
    })
}

/// A request with these proofs.
fn proved<T>(caller: &Caller, message: T, proofs: &[&str]) -> Request<T> {
    let mut request = caller.request(message);
    for proof in proofs {
        let proof = proof.parse().unwrap();
        request.metadata_mut().append("dpop", proof);
    }
    request
}

fn login(subject: &str) -> v1::IssueTokenRequest {
    v1::IssueTokenRequest {
        subject: subject.into(),
        scopes: vec!["a".into()],
        with_refresh_token: true,
        ..v1::IssueTokenRequest::default()
    }
}

fn step(token: &str) -> v1::RotateRefreshRequest {
    v1::RotateRefreshRequest {
        refresh_token: token.into(),
        ..v1::RotateRefreshRequest::default()
    }
}

/// `IssueToken` with this proof.
async fn issue(
    caller: &Caller,
    request: v1::IssueTokenRequest,
    proof: &str,
) -> Result<v1::IssueTokenResponse, Refused> {
    let request = proved(caller, request, &[proof]);
    answer(caller.tokens().issue_token(request).await)
}

/// `RotateRefresh` with this proof.
async fn rotate(
    caller: &Caller,
    token: &str,
    proof: &str,
) -> Result<v1::RotateRefreshResponse, Refused> {
    let request = proved(caller, step(token), &[proof]);
    answer(caller.tokens().rotate_refresh(request).await)
}

/// A session of a new user that is bound to this holder's key.
async fn open(at: &Deployment, caller: &Caller, holder: &Holder) -> v1::IssueTokenResponse {
    let subject = at.user().await;
    let proof = holder.call(ISSUE, None);
    issue(caller, login(&subject), &proof).await.unwrap()
}

/// The reason of a refusal, which is UNAUTHENTICATED.
fn why(refused: Result<impl std::fmt::Debug, Refused>) -> (String, String) {
    let refused = refused.unwrap_err();
    assert_eq!(
        refused.code,
        tonic::Code::Unauthenticated,
        "{refused:?} is UNAUTHENTICATED"
    );
    (refused.reason, refused.check)
}

fn reason(refused: Result<impl std::fmt::Debug, Refused>) -> String {
    why(refused).0
}
