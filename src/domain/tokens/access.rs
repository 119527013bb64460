//! Access tokens: `cs_at_` and 48 bytes.

use super::form::{self, Malformed, Plaintext};
use crate::domain::keys::{Key, KeyId, KeyRing};
use std::fmt;
use zeroize::Zeroize as _;

/// What an access token starts with.
const PREFIX: &str = "cs_at_";
/// key id 4, mint time 4, random 24, tag 16.
const BODY_BYTES: usize = 48;

/// An access token whose checksum and MAC hold. Whether it is alive, only the
/// database knows.
#[derive(Clone)]
pub struct AccessToken {
    body: [u8; BODY_BYTES],
    digest: AccessDigest,
}

/// What stands in `oauth_access_tokens.digest`: the mint time in 4 big-endian
/// bytes, so that inserts stay at the index's right edge, and 28 bytes of keyed
/// hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AccessDigest(pub [u8; 32]);

impl AccessToken {
    /// Mints a token; `minted_at` is in seconds since the Unix epoch.
    pub fn mint(key: &Key, minted_at: u32, random: &[u8; 24]) -> Self {
        let mut body = [0; BODY_BYTES];
        body[..4].copy_from_slice(&key.id().0.to_be_bytes());
        body[4..8].copy_from_slice(&minted_at.to_be_bytes());
        body[8..32].copy_from_slice(random);
        let tag = form::tag(&key.access.mac, &body[..32]);
        body[32..].copy_from_slice(&tag);
        Self {
            body,
            digest: digest(key, &body),
        }
    }

    /// Reads a token; no query is worth making for one that fails.
    pub fn parse(text: &str, ring: &KeyRing) -> Result<Self, Malformed> {
        let body: [u8; BODY_BYTES] = form::decode(PREFIX, text)?;
        let key = ring.get(key_id(&body)).ok_or(Malformed::UnknownKey)?;
        form::verify(&key.access.mac, &body)?;
        Ok(Self {
            body,
            digest: digest(key, &body),
        })
    }

    /// The token in the clear, for the one answer that carries it.
    pub fn plaintext(&self) -> Plaintext {
        form::encode(PREFIX, &self.body)
    }

    /// What the database knows it by.
    pub fn digest(&self) -> AccessDigest {
        self.digest
    }

    /// The key that it was minted under.
    pub fn key_id(&self) -> KeyId {
        key_id(&self.body)
    }
}

impl Drop for AccessToken {
    fn drop(&mut self) {
        self.body.zeroize();
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken")
    }
}

fn key_id(body: &[u8; BODY_BYTES]) -> KeyId {
    KeyId(u32::from_be_bytes([body[0], body[1], body[2], body[3]]))
}

fn digest(key: &Key, body: &[u8; BODY_BYTES]) -> AccessDigest {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&body[4..8]);
    digest[4..].copy_from_slice(&key.access.digest.hash(&[body]).as_bytes()[..28]);
    AccessDigest(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> KeyRing {
        KeyRing::parse("00000007 AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\n").unwrap()
    }

    #[test]
    fn a_minted_token_is_read_back_and_only_that_one() {
        let ring = ring();
        let token = AccessToken::mint(ring.minting(), 1_700_000_000, &[3; 24]);
        let text = token.plaintext().reveal().to_owned();
        assert_eq!(text.len(), 76);
        assert_eq!(
            AccessToken::parse(&text, &ring).unwrap().digest(),
            token.digest()
        );
        assert_eq!(token.digest().0[..4], 1_700_000_000_u32.to_be_bytes());

        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(
                AccessToken::parse(&changed, &ring).is_err(),
                "character {at}"
            );
        }
    }

    #[test]
    fn a_forged_body_with_a_right_checksum_fails_its_mac() {
        let ring = ring();
        let mut body = AccessToken::mint(ring.minting(), 1, &[3; 24]).body;
        body[20] ^= 1;
        let text = form::encode(PREFIX, &body);
        assert_eq!(
            AccessToken::parse(text.reveal(), &ring).unwrap_err(),
            Malformed::Mac
        );
        body[0] ^= 1;
        let text = form::encode(PREFIX, &body);
        assert_eq!(
            AccessToken::parse(text.reveal(), &ring).unwrap_err(),
            Malformed::UnknownKey
        );
    }
}
