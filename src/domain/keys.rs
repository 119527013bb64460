//! The key ring: every secret of the authority comes from it.
//!
//! A key file has one key a line, `<id> <key>`: the id is 8 hexadecimal digits,
//! the key 32 bytes in base64url. `#` starts a comment. The first key mints, all
//! verify. docs/tokens.md describes what is derived from a key.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use std::{fmt, sync::Arc};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The public name of a key, carried by every token minted under it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub u32);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A 32-byte BLAKE3 key derived for one purpose.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(in crate::domain) struct DerivedKey([u8; 32]);

impl DerivedKey {
    fn new(context: &str, key: &[u8; 32]) -> Self {
        Self(blake3::derive_key(context, key))
    }

    /// The keyed hash of the concatenated parts.
    pub(in crate::domain) fn hash(&self, parts: &[&[u8]]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize()
    }
}

/// The two keys of one kind of token: one for its MAC, one for its digest at rest.
#[derive(Clone)]
pub(in crate::domain) struct TokenKeys {
    pub(in crate::domain) mac: DerivedKey,
    pub(in crate::domain) digest: DerivedKey,
}

/// One key of the ring, with everything derived from it.
pub struct Key {
    id: KeyId,
    pub(in crate::domain) access: TokenKeys,
    pub(in crate::domain) refresh: TokenKeys,
    pub(in crate::domain) client_secret: TokenKeys,
    pub(in crate::domain) rotation: DerivedKey,
}

impl Key {
    /// Derives everything from 32 secret bytes (BLAKE3 `derive_key`).
    pub fn new(id: KeyId, secret: &[u8; 32]) -> Self {
        let derive = |context: &str| DerivedKey::new(context, secret);
        Self {
            id,
            access: TokenKeys {
                mac: derive("countersign v1 access token mac"),
                digest: derive("countersign v1 access token digest"),
            },
            refresh: TokenKeys {
                mac: derive("countersign v1 refresh token mac"),
                digest: derive("countersign v1 refresh token digest"),
            },
            client_secret: TokenKeys {
                mac: derive("countersign v1 client secret mac"),
                digest: derive("countersign v1 client secret digest"),
            },
            rotation: derive("countersign v1 rotation"),
        }
    }

    /// Its public name.
    pub fn id(&self) -> KeyId {
        self.id
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// The keys, the minting one first; never empty.
#[derive(Clone, Debug)]
pub struct KeyRing(Vec<Arc<Key>>);

/// Why a key file was refused. Lines count from 1; no key material is told.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyFileError {
    /// There is no key line.
    #[error("it holds no key; `countersign keys generate` makes one")]
    Empty,
    /// A line is not `<id> <key>`.
    #[error("line {line}: expected `<8 hexadecimal digits> <32 bytes in base64url>`")]
    Malformed {
        /// The line.
        line: usize,
    },
    /// Two keys have one id.
    #[error("line {line}: the key id {id} stands twice")]
    Duplicate {
        /// The second line.
        line: usize,
        /// The id.
        id: KeyId,
    },
}

impl KeyRing {
    /// Reads a key file's text.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let mut keys: Vec<Arc<Key>> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let number = number + 1;
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let key = parse_line(line).ok_or(KeyFileError::Malformed { line: number })?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(KeyFileError::Duplicate {
                    line: number,
                    id: key.id,
                });
            }
            keys.push(Arc::new(key));
        }
        if keys.is_empty() {
            return Err(KeyFileError::Empty);
        }
        Ok(Self(keys))
    }

    /// The key that mints.
    pub fn minting(&self) -> &Arc<Key> {
        &self.0[0]
    }

    /// The key of that id, if the ring holds it.
    pub fn get(&self, id: KeyId) -> Option<&Arc<Key>> {
        self.0.iter().find(|key| key.id == id)
    }

    /// Every key's id, the minting one first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + '_ {
        self.0.iter().map(|key| key.id)
    }
}

fn parse_line(line: &str) -> Option<Key> {
    let (id, key) = line.split_once(char::is_whitespace)?;
    if id.len() != 8 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let id = u32::from_str_radix(id, 16).ok()?;
    let mut bytes = BASE64URL.decode(key.trim()).ok()?;
    let secret: Option<[u8; 32]> = bytes.as_slice().try_into().ok();
    bytes.zeroize();
    let mut secret = secret?;
    let key = Key::new(KeyId(id), &secret);
    secret.zeroize();
    Some(key)
}

/// One line of a key file for a new key, from 36 random bytes.
pub fn new_key_line(random: &[u8; 36]) -> String {
    let (id, secret) = random.split_at(4);
    let id = u32::from_be_bytes([id[0], id[1], id[2], id[3]]);
    format!("{id:08x} {}\n", BASE64URL.encode(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: u32, byte: u8) -> String {
        format!("{id:08x} {}\n", BASE64URL.encode([byte; 32]))
    }

    #[test]
    fn the_first_key_mints_and_all_are_found() {
        let ring = KeyRing::parse(&format!("# ours\n{}\n{}", line(7, 1), line(9, 2))).unwrap();
        assert_eq!(ring.minting().id(), KeyId(7));
        assert!(ring.get(KeyId(9)).is_some());
        assert!(ring.get(KeyId(8)).is_none());
    }

    #[test]
    fn a_generated_line_is_read_back() {
        assert!(KeyRing::parse(&new_key_line(&[5; 36])).is_ok());
    }

    #[test]
    fn bad_files_are_refused_by_line() {
        assert_eq!(
            KeyRing::parse("\n# none\n").unwrap_err(),
            KeyFileError::Empty
        );
        for bad in ["deadbeef", "deadbeef AAAA", "xyz AAAA", "+eadbee5 AAAA"] {
            assert_eq!(
                KeyRing::parse(&format!("# c\n{bad}\n")).unwrap_err(),
                KeyFileError::Malformed { line: 2 }
            );
        }
        assert_eq!(
            KeyRing::parse(&format!("{}{}", line(7, 1), line(7, 2))).unwrap_err(),
            KeyFileError::Duplicate {
                line: 2,
                id: KeyId(7)
            }
        );
    }

    #[test]
    fn no_key_material_is_printed() {
        let ring = KeyRing::parse(&line(7, 1)).unwrap();
        assert_eq!(format!("{ring:?}"), "KeyRing([Key(00000007)])");
    }
}
