//! Every way in which a proof can fail, each with its check of RFC 9449 section 4.3.

use thiserror::Error;

/// Why a proof was refused. Nothing of the proof is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum Fault {
    /// RFC 9449 section 4.3, check 1.
    #[error("the call carries more than one `dpop`")]
    Several,
    /// Check 2: not a single well-formed JWT (RFC 7515 section 7.1).
    #[error("the DPoP proof is not a well-formed JWT: {0}")]
    Malformed(&'static str),
    /// Check 3.
    #[error("the DPoP proof lacks the required `{0}`")]
    Missing(&'static str),
    /// Check 4.
    #[error("the DPoP proof's `typ` is not `dpop+jwt`")]
    Type,
    /// Check 5: unknown, symmetric, `none`, or not among the algorithms of this authority.
    #[error("the DPoP proof's `alg` is not one that this authority accepts")]
    Algorithm,
    /// RFC 7515 section 4.1.11: an extension that must be understood.
    #[error("the DPoP proof's `crit` names what this authority does not understand")]
    Critical,
    /// The key does not have the form of its kind (RFC 7517, RFC 7518 section 6, RFC 8037).
    #[error("the DPoP proof's `jwk` is no public key for its `alg`")]
    Key,
    /// Check 6.
    #[error("the DPoP proof's signature does not verify under its `jwk`")]
    Signature,
    /// Check 7.
    #[error("the DPoP proof's `jwk` holds a private or symmetric key")]
    PrivateKey,
    /// Check 8.
    #[error("the DPoP proof's `htm` is not the method of this call")]
    Method,
    /// Check 9.
    #[error("the DPoP proof's `htu` is not the URI of this call")]
    Uri,
    /// Check 10: this authority demands a nonce (RFC 9449 section 8).
    #[error("the DPoP proof needs a nonce; `dpop-nonce` is one")]
    NonceMissing,
    /// Check 10: a nonce that is not, or no longer, of this authority.
    #[error("the DPoP proof's `nonce` is no longer valid; use the one in `dpop-nonce`")]
    Nonce,
    /// Check 11.
    #[error("the DPoP proof's `iat` is too old")]
    Stale,
    /// Check 11.
    #[error("the DPoP proof's `iat` lies in the future")]
    Future,
    /// Check 12, first half.
    #[error("the DPoP proof's `ath` is not of this access token")]
    AccessToken,
}

impl Fault {
    /// What of the proof is wrong: a header parameter, a claim, `dpop` as a whole, or
    /// `signature`.
    pub fn check(self) -> &'static str {
        match self {
            Self::Several | Self::Malformed(_) => "dpop",
            Self::Missing(what) => what,
            Self::Type => "typ",
            Self::Algorithm => "alg",
            Self::Critical => "crit",
            Self::Key | Self::PrivateKey => "jwk",
            Self::Signature => "signature",
            Self::Method => "htm",
            Self::Uri => "htu",
            Self::NonceMissing | Self::Nonce => "nonce",
            Self::Stale | Self::Future => "iat",
            Self::AccessToken => "ath",
        }
    }

    /// Whether another proof with a fresh nonce would do.
    pub fn wants_nonce(self) -> bool {
        matches!(self, Self::NonceMissing | Self::Nonce)
    }

    /// Its reason on the wire: a name of `ErrorReason` without the prefix.
    pub fn reason(self) -> &'static str {
        if self.wants_nonce() {
            "USE_DPOP_NONCE"
        } else {
            "INVALID_DPOP_PROOF"
        }
    }
}

/// Why a live token that came to a resource server is of no use to its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BindingFailure {
    /// The proof itself fails.
    #[error(transparent)]
    Proof(#[from] Fault),
    /// RFC 9449 section 4.3, check 12, second half: another key's proof.
    #[error("the access token is bound to another key")]
    OtherKey,
    /// A proof came with a token that is bound to no key (RFC 9449 section 7.2), or with a
    /// refresh token.
    #[error("the token is bound to no key, so no proof can belong to it")]
    NotBound,
    /// RFC 9449 section 11.1.
    #[error("the DPoP proof was used before")]
    Replayed,
}

impl BindingFailure {
    /// Its reason on the wire: a name of `ErrorReason` without the prefix.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Proof(fault) => fault.reason(),
            Self::OtherKey => "DPOP_KEY_MISMATCH",
            Self::NotBound => "DPOP_TOKEN_NOT_BOUND",
            Self::Replayed => "DPOP_PROOF_REPLAYED",
        }
    }
}
