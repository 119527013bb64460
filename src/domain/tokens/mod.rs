//! The three token forms: access token, refresh token, client secret.
//!
//! Text form: a prefix, the body in base64url without padding, and six base62
//! digits of the CRC-32 of all before them. The last 16 bytes of a body are a
//! MAC under the key that the body names first. So a scanner can find and check a
//! token without any key, and the authority refuses a mistyped or forged one
//! without any query. docs/tokens.md has the forms byte by byte.

mod access;
mod client_secret;
mod form;
mod refresh;

pub use access::{AccessDigest, AccessToken};
pub use client_secret::{ClientSecret, SecretDigest};
pub use form::{Malformed, Plaintext};
pub use refresh::{LedgerDigest, RefreshToken, SALT_BYTES};

use super::keys::KeyRing;

/// Any token that introspection or revocation may be asked about.
#[derive(Debug, Clone)]
pub enum Token {
    /// An access token.
    Access(AccessToken),
    /// A refresh token.
    Refresh(Box<RefreshToken>),
}

impl Token {
    /// Reads a token of either kind, by what its own prefix says.
    pub fn parse(text: &str, ring: &KeyRing) -> Result<Self, Malformed> {
        if text.starts_with(refresh::PREFIX) {
            RefreshToken::parse(text, ring).map(|token| Self::Refresh(Box::new(token)))
        } else {
            AccessToken::parse(text, ring).map(Self::Access)
        }
    }
}
