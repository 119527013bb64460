//! Client secrets: `cs_cs_` and 60 bytes, bound to their client.

use super::form::{self, Malformed, Plaintext};
use crate::domain::keys::{Key, KeyId, KeyRing};
use std::fmt;
use uuid::Uuid;
use zeroize::Zeroize as _;

/// What a client secret starts with.
const PREFIX: &str = "cs_cs_";
/// key id 4, client 16, random 24, tag 16.
const BODY_BYTES: usize = 60;

/// A client secret whose checksum and MAC hold. Whether it is live, only the
/// database knows.
#[derive(Clone)]
pub struct ClientSecret {
    body: [u8; BODY_BYTES],
    digest: SecretDigest,
}

/// What stands in `client_secret.digest`: 32 bytes of keyed hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SecretDigest(pub [u8; 32]);

impl ClientSecret {
    /// Mints a secret for a client.
    pub fn mint(key: &Key, client_id: Uuid, random: &[u8; 24]) -> Self {
        let mut body = [0; BODY_BYTES];
        body[..4].copy_from_slice(&key.id().0.to_be_bytes());
        body[4..20].copy_from_slice(client_id.as_bytes());
        body[20..44].copy_from_slice(random);
        let tag = form::tag(&key.client_secret.mac, &body[..44]);
        body[44..].copy_from_slice(&tag);
        Self {
            body,
            digest: digest(key, &body),
        }
    }

    /// Reads a secret; no query is worth making for one that fails.
    pub fn parse(text: &str, ring: &KeyRing) -> Result<Self, Malformed> {
        let body: [u8; BODY_BYTES] = form::decode(PREFIX, text)?;
        let id = KeyId(u32::from_be_bytes([body[0], body[1], body[2], body[3]]));
        let key = ring.get(id).ok_or(Malformed::UnknownKey)?;
        form::verify(&key.client_secret.mac, &body)?;
        Ok(Self {
            body,
            digest: digest(key, &body),
        })
    }

    /// The secret in the clear, for the one answer that carries it.
    pub fn plaintext(&self) -> Plaintext {
        form::encode(PREFIX, &self.body)
    }

    /// What the database knows it by.
    pub fn digest(&self) -> SecretDigest {
        self.digest
    }

    /// The key that it was minted under.
    pub fn key_id(&self) -> KeyId {
        KeyId(u32::from_be_bytes([
            self.body[0],
            self.body[1],
            self.body[2],
            self.body[3],
        ]))
    }

    /// The client that it was minted for.
    pub fn client_id(&self) -> Uuid {
        let mut id = [0; 16];
        id.copy_from_slice(&self.body[4..20]);
        Uuid::from_bytes(id)
    }
}

impl Drop for ClientSecret {
    fn drop(&mut self) {
        self.body.zeroize();
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret")
    }
}

fn digest(key: &Key, body: &[u8; BODY_BYTES]) -> SecretDigest {
    SecretDigest(*key.client_secret.digest.hash(&[body]).as_bytes())
}
