//! Whether a proof was made for this call: RFC 9449 section 4.3, checks 8 to 12.

use super::{
    Proven, Verdict,
    fault::Fault,
    jwk::Algorithm,
    nonce,
    proof::Proof,
    replay::Use,
    uri::{Origin, TargetUri},
};
use crate::domain::keys::KeyRing;
use chrono::{DateTime, Utc};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// Whether proofs carry nonces of this authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NoncePolicy {
    /// None is offered; only clients that must have one are asked for it.
    #[default]
    Off,
    /// Each answer offers one, and a proof that carries one needs no fresh `iat`.
    Offered,
    /// No proof is taken without one.
    Required,
}

/// What this authority asks of proofs.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The algorithms that it takes.
    pub algorithms: Vec<Algorithm>,
    /// Under which names callers know it; none: it verifies no proof of a call.
    pub origins: Vec<Origin>,
    /// How old a proof may be.
    pub lifetime: Duration,
    /// How far a sender's clock may be off.
    pub skew: Duration,
    /// Whether proofs carry nonces.
    pub nonces: NoncePolicy,
    /// How long a nonce is good for at least; at most it is twice as long.
    pub nonce_lifetime: Duration,
}

/// What a proof must have been made for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The method; of a gRPC call `POST`.
    pub method: &'a str,
    /// The URIs, one of which the proof must name.
    pub uris: &'a [TargetUri],
    /// `ath` of the access token that it came with; `None`: it came with none.
    pub token_hash: Option<&'a str>,
    /// Whether a nonce is demanded whatever the rules say.
    pub nonce: bool,
}

/// A proof that holds in every respect, but for whether it came before.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The key, and whether there was a nonce.
    pub proven: Proven,
    uri: TargetUri,
    jti: String,
    has_nonce: bool,
}

impl Judged {
    /// Whether it carries a nonce, good or not: it may be taken for as long as one is good.
    pub(super) fn has_nonce(&self) -> bool {
        self.has_nonce
    }

    /// What is remembered of it.
    pub fn used(&self) -> Use {
        let mut hasher = blake3::Hasher::new_derive_key("countersign v1 dpop proof");
        for part in [&self.proven.jkt, self.uri.as_str(), &self.jti] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut used = Use::default();
        hasher.finalize_xof().fill(&mut used);
        used
    }
}

impl Rules {
    /// The URIs of a call by its path, `/package.Service/Method`.
    pub fn uris(&self, path: &str) -> Vec<TargetUri> {
        let origins = self.origins.iter();
        origins.filter_map(|origin| origin.call(path)).collect()
    }

    /// Judges the proof of a call.
    pub fn verdict(
        &self,
        proof: &str,
        expected: Expected<'_>,
        ring: &KeyRing,
        now: DateTime<Utc>,
    ) -> Verdict {
        self.judge(proof, expected, ring, now)
            .map(|judged| judged.proven)
    }

    /// Judges a proof.
    pub fn judge(
        &self,
        proof: &str,
        expected: Expected<'_>,
        ring: &KeyRing,
        now: DateTime<Utc>,
    ) -> Result<Judged, Fault> {
        let proof = Proof::read(proof, &self.algorithms)?;
        if proof.htm != expected.method {
            return Err(Fault::Method);
        }
        let uri = TargetUri::parse(&proof.htu)
            .filter(|uri| expected.uris.contains(uri))
            .ok_or(Fault::Uri)?;
        let nonce = self.nonce(&proof, expected.nonce, ring, now)?;
        if !nonce {
            self.fresh(proof.iat, now)?;
        }
        if let Some(expected) = expected.token_hash {
            let found = proof.ath.as_deref().ok_or(Fault::Missing("ath"))?;
            if !bool::from(found.as_bytes().ct_eq(expected.as_bytes())) {
                return Err(Fault::AccessToken);
            }
        }
        Ok(Judged {
            proven: Proven {
                jkt: proof.jkt,
                nonce,
            },
            uri,
            has_nonce: proof.nonce.is_some(),
            jti: proof.jti,
        })
    }

    /// A nonce to put into the next proof.
    pub fn fresh_nonce(&self, ring: &KeyRing, now: DateTime<Utc>) -> String {
        nonce::mint(ring, now, self.nonce_lifetime)
    }

    /// How long a proof without a nonce can be used, from the first to the last moment at
    /// which it is taken.
    pub fn life_without_nonce(&self) -> Duration {
        self.lifetime + self.skew * 2
    }

    /// The same of any proof: a good nonce stands in for a fresh `iat`.
    pub fn life(&self) -> Duration {
        self.life_without_nonce().max(self.nonce_lifetime * 2)
    }

    /// Check 10: whether the proof carries a nonce that is good, and so needs no fresh `iat`.
    fn nonce(
        &self,
        proof: &Proof,
        demanded: bool,
        ring: &KeyRing,
        now: DateTime<Utc>,
    ) -> Result<bool, Fault> {
        let demanded = demanded || self.nonces == NoncePolicy::Required;
        let Some(nonce) = &proof.nonce else {
            return if demanded {
                Err(Fault::NonceMissing)
            } else {
                Ok(false)
            };
        };
        if nonce::is_good(nonce, ring, now, self.nonce_lifetime) {
            Ok(true)
        } else if demanded || self.nonces == NoncePolicy::Offered {
            Err(Fault::Nonce)
        } else {
            // Nobody gave one out, so it is some other server's, and says nothing here.
            Ok(false)
        }
    }

    /// Check 11.
    fn fresh(&self, iat: f64, now: DateTime<Utc>) -> Result<(), Fault> {
        #[expect(clippy::cast_precision_loss, reason = "exact until the year 287396")]
        let age = now.timestamp_millis() as f64 / 1000.0 - iat;
        let skew = self.skew.as_secs_f64();
        if age > self.lifetime.as_secs_f64() + skew {
            Err(Fault::Stale)
        } else if age < -skew {
            Err(Fault::Future)
        } else {
            Ok(())
        }
    }
}
