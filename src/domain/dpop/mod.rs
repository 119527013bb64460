//! Proofs of possession (RFC 9449): who holds the key that a token is bound to.
//!
//! A proof is a JWT that its sender made for one call. [`Proof::read`] checks what it is by
//! itself (RFC 9449 section 4.3, checks 2 to 7), [`Rules::judge`] whether it was made for this
//! call (checks 8 to 12). Nothing here asks anybody.

mod fault;
mod jwk;
mod maker;
mod nonce;
mod proof;
mod replay;
mod rules;
mod uri;

pub use fault::{BindingFailure, Fault};
pub use jwk::{Algorithm, PublicKey, thumbprint_of};
pub use maker::{InvalidKey, ProofKey, Statement, new_key};
pub use nonce::NONCE_CHARS;
pub use proof::Proof;
pub use replay::{Remembered, Replays, Use};
pub use rules::{Expected, Judged, NoncePolicy, Rules};
pub use uri::{InvalidOrigin, Origin, TargetUri};

use super::refusal::Refusal;

/// A key that the sender of a call holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Its JWK SHA-256 thumbprint in base64url (RFC 7638, RFC 9449 section 6.1).
    pub jkt: String,
    /// The proof carries a nonce of this authority that is still good.
    pub nonce: bool,
}

/// What became of the proof that a call carries.
pub type Verdict = Result<Proven, Fault>;

/// What a client demands of those who ask for its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demands {
    /// Every token is bound to a key.
    pub proof: bool,
    /// Every proof carries a nonce.
    pub nonce: bool,
}

impl Demands {
    /// The key that a new token is bound to (RFC 9449 section 5); `None`: it is a bearer token.
    ///
    /// # Errors
    /// `InvalidDpopProof`: the proof fails, or lacks a nonce that is demanded;
    /// `DpopProofRequired`: there is none, and one is demanded.
    pub fn key(self, proof: Option<&Verdict>) -> Result<Option<&str>, Refusal> {
        let proven = proven(proof)?;
        self.meet(proven)?;
        Ok(proven.map(|proven| proven.jkt.as_str()))
    }

    /// Whether what was proven is enough.
    ///
    /// # Errors
    /// `DpopProofRequired`: nothing was, and a proof is demanded; `InvalidDpopProof`: without a
    /// nonce, and one is demanded.
    pub fn meet(self, proven: Option<&Proven>) -> Result<(), Refusal> {
        match proven {
            None if self.proof => Err(Refusal::DpopProofRequired),
            Some(proven) if self.nonce && !proven.nonce => {
                Err(Refusal::InvalidDpopProof(Fault::NonceMissing))
            }
            _ => Ok(()),
        }
    }
}

/// What the proof of a call proves. A proof that fails is no proof, and no reason to go on
/// without one.
///
/// # Errors
/// `InvalidDpopProof`: it fails.
pub fn proven(proof: Option<&Verdict>) -> Result<Option<&Proven>, Refusal> {
    proof
        .map(Result::as_ref)
        .transpose()
        .map_err(|fault| Refusal::InvalidDpopProof(*fault))
}

/// `ath` of an access token: the SHA-256 of its text, in base64url (RFC 9449 section 4.2).
pub fn token_hash(access_token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(ring::digest::digest(
        &ring::digest::SHA256,
        access_token.as_bytes(),
    ))
}

#[cfg(test)]
mod tests;
