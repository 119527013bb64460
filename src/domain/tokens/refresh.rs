//! Refresh tokens: `cs_rt_` and 60 bytes; each derives its only successor.

use super::form::{self, Malformed, Plaintext};
use crate::domain::keys::{Key, KeyId, KeyRing};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use std::{fmt, sync::Arc};
use uuid::Uuid;
use zeroize::Zeroize;

/// What a refresh token starts with.
pub(super) const PREFIX: &str = "cs_rt_";
/// key id 4, session 16, counter 4, secret 20, tag 16.
const BODY_BYTES: usize = 60;
const SECRET_BYTES: usize = 20;
/// Bytes of a grant's salt.
pub const SALT_BYTES: usize = 16;

/// A refresh token whose checksum and MAC hold, with the key of its family.
#[derive(Clone)]
pub struct RefreshToken {
    key: Arc<Key>,
    session: Uuid,
    counter: u32,
    secret: [u8; SECRET_BYTES],
}

/// What stands in `refresh_tokens.token` and `.parent`: 32 bytes of keyed hash in
/// base64url, 43 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LedgerDigest(pub String);

impl RefreshToken {
    /// The first token of a family, counter 0.
    pub fn first(key: &Arc<Key>, session: Uuid, secret: [u8; SECRET_BYTES]) -> Self {
        Self {
            key: Arc::clone(key),
            session,
            counter: 0,
            secret,
        }
    }

    /// Reads a token; no query is worth making for one that fails.
    pub fn parse(text: &str, ring: &KeyRing) -> Result<Self, Malformed> {
        let mut body: [u8; BODY_BYTES] = form::decode(PREFIX, text)?;
        let (id, rest) = split::<4>(&body);
        let key = ring
            .get(KeyId(u32::from_be_bytes(id)))
            .ok_or(Malformed::UnknownKey)?;
        form::verify(&key.refresh.mac, &body)?;
        let (session, rest) = split::<16>(rest);
        let (counter, rest) = split::<4>(rest);
        let (secret, _tag) = split::<SECRET_BYTES>(rest);
        let token = Self {
            key: Arc::clone(key),
            session: Uuid::from_bytes(session),
            counter: u32::from_be_bytes(counter),
            secret,
        };
        body.zeroize();
        Ok(token)
    }

    /// The one successor: derived, so that a repeated rotation gives the same one
    /// though nothing is stored in the clear.
    pub fn successor(&self, salt: &[u8; SALT_BYTES]) -> Self {
        let counter = self.counter.wrapping_add(1);
        let hash = self.key.rotation.hash(&[
            &self.secret,
            salt,
            self.session.as_bytes(),
            &counter.to_be_bytes(),
        ]);
        let mut secret = [0; SECRET_BYTES];
        secret.copy_from_slice(&hash.as_bytes()[..SECRET_BYTES]);
        Self {
            key: Arc::clone(&self.key),
            session: self.session,
            counter,
            secret,
        }
    }

    /// The token in the clear, for the one answer that carries it.
    pub fn plaintext(&self) -> Plaintext {
        let mut body = self.body();
        let text = form::encode(PREFIX, &body);
        body.zeroize();
        text
    }

    /// What the ledger knows it by.
    pub fn digest(&self) -> LedgerDigest {
        let mut body = self.body();
        let hash = self.key.refresh.digest.hash(&[&body]);
        body.zeroize();
        LedgerDigest(BASE64URL.encode(hash.as_bytes()))
    }

    /// The session, which is the family.
    pub fn session(&self) -> Uuid {
        self.session
    }

    /// The number of steps before it.
    pub fn counter(&self) -> u32 {
        self.counter
    }

    /// The key that its family keeps for life.
    pub fn key(&self) -> &Arc<Key> {
        &self.key
    }

    fn body(&self) -> [u8; BODY_BYTES] {
        let mut body = [0; BODY_BYTES];
        body[..4].copy_from_slice(&self.key.id().0.to_be_bytes());
        body[4..20].copy_from_slice(self.session.as_bytes());
        body[20..24].copy_from_slice(&self.counter.to_be_bytes());
        body[24..44].copy_from_slice(&self.secret);
        let tag = form::tag(&self.key.refresh.mac, &body[..44]);
        body[44..].copy_from_slice(&tag);
        body
    }
}

impl Drop for RefreshToken {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RefreshToken(session {}, counter {})",
            self.session, self.counter
        )
    }
}

fn split<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (head, rest) = bytes.split_at(N);
    let mut array = [0; N];
    array.copy_from_slice(head);
    (array, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> KeyRing {
        KeyRing::parse("00000007 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\n").unwrap()
    }

    #[test]
    fn a_retry_derives_the_same_successor_and_a_wrong_salt_another() {
        let ring = ring();
        let first = RefreshToken::first(ring.minting(), Uuid::from_u128(5), [9; 20]);
        let again = RefreshToken::parse(first.plaintext().reveal(), &ring).unwrap();
        let salt = [1; SALT_BYTES];
        assert_eq!(
            first.successor(&salt).digest(),
            again.successor(&salt).digest()
        );
        assert_ne!(
            first.successor(&salt).digest(),
            first.successor(&[2; SALT_BYTES]).digest()
        );
        assert_eq!(first.successor(&salt).counter(), 1);
        assert_ne!(first.digest(), first.successor(&salt).digest());
        assert_eq!(first.plaintext().reveal().len(), 92);
        assert_eq!(first.digest().0.len(), 43);
    }
}
