//! The key ring: every secret of the authority comes from it.
//!
//! A key file has one key a line, `<id> <key>`: the id is 8 hexadecimal digits,
//! the key 32 bytes in base64url. `#` starts a comment; `# made <RFC 3339>` behind a
//! key tells how old it is. The first key mints, all verify. docs/tokens.md describes what is derived from a key.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use chrono::{DateTime, Utc};
use std::{collections::BTreeSet, fmt, sync::Arc};
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
    made: Option<DateTime<Utc>>,
    pub(in crate::domain) access: TokenKeys,
    pub(in crate::domain) refresh: TokenKeys,
    pub(in crate::domain) client_secret: TokenKeys,
    pub(in crate::domain) rotation: DerivedKey,
    pub(in crate::domain) nonce: DerivedKey,
}

impl Key {
    /// Derives everything from 32 secret bytes (BLAKE3 `derive_key`).
    pub fn new(id: KeyId, secret: &[u8; 32]) -> Self {
        let derive = |context: &str| DerivedKey::new(context, secret);
        Self {
            id,
            made: None,
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
            nonce: derive("countersign v1 dpop nonce"),
        }
    }

    /// Its public name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// When it was made, if its line says so.
    pub fn made(&self) -> Option<DateTime<Utc>> {
        self.made
    }
}

impl Key {
    /// Whether two keys are made of the same bytes. Both are ours: nothing is presented.
    fn is_same(&self, other: &Self) -> bool {
        self.rotation.0 == other.rotation.0
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

/// How one ring differs from the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingChange {
    /// The ids of the new ring, the minting one first.
    pub keys: Vec<KeyId>,
    /// Another key mints.
    pub promoted: bool,
    /// Keys that were not there before.
    pub added: Vec<KeyId>,
    /// Keys that are there no more: everything under them is over.
    pub retired: Vec<KeyId>,
}

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
    #[error("line {line}: the key id {id} appears twice")]
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
            let (line, comment) = line.split_once('#').unwrap_or((line, ""));
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let mut key = parse_line(line).ok_or(KeyFileError::Malformed { line: number })?;
            key.made = made(comment);
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

    /// When the oldest key was made whose line says so.
    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        self.0.iter().filter_map(|key| key.made).min()
    }

    /// What would change if `next` took this ring's place; `None`: nothing.
    ///
    /// # Errors
    /// An id that names another key in `next`.
    pub fn change_to(&self, next: &Self) -> Result<Option<RingChange>, KeyId> {
        for key in &next.0 {
            if self.get(key.id).is_some_and(|own| !own.is_same(key)) {
                return Err(key.id);
            }
        }
        let (old, new): (Vec<_>, Vec<_>) = (self.ids().collect(), next.ids().collect());
        if old == new {
            return Ok(None);
        }
        let set = |ids: &[KeyId]| ids.iter().copied().collect::<BTreeSet<_>>();
        let (before, after) = (set(&old), set(&new));
        Ok(Some(RingChange {
            promoted: old[0] != new[0],
            added: after.difference(&before).copied().collect(),
            retired: before.difference(&after).copied().collect(),
            keys: new,
        }))
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

/// When a key was made, by the comment behind it.
fn made(comment: &str) -> Option<DateTime<Utc>> {
    let time = comment.trim().strip_prefix("made ")?;
    let time = DateTime::parse_from_rfc3339(time.trim()).ok()?;
    Some(time.to_utc())
}

/// One line of a key file for a new key, from 36 random bytes, with the moment at which it was
/// made.
pub fn dated_key_line(random: &[u8; 36], now: DateTime<Utc>) -> String {
    let line = new_key_line(random);
    let now = now.format("%Y-%m-%dT%H:%M:%SZ");
    format!("{} # made {now}\n", line.trim_end())
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
    fn a_dated_line_tells_its_age_and_any_other_comment_does_not() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let text = dated_key_line(&[5; 36], now) + &line(7, 1) + "\n# made yesterday\n";
        let ring = KeyRing::parse(&text).unwrap();
        assert_eq!(ring.minting().made(), Some(now));
        assert_eq!(ring.get(KeyId(7)).unwrap().made(), None);
        assert_eq!(ring.oldest(), Some(now));
    }

    #[test]
    fn a_change_names_what_came_went_and_mints() {
        let ring = |lines: &[(u32, u8)]| {
            let lines: String = lines.iter().map(|(id, byte)| line(*id, *byte)).collect();
            KeyRing::parse(&lines).unwrap()
        };
        let old = ring(&[(7, 1), (8, 2)]);
        assert_eq!(old.change_to(&ring(&[(7, 1), (8, 2)])), Ok(None));
        let change = old.change_to(&ring(&[(9, 3), (7, 1)])).unwrap().unwrap();
        assert_eq!(change.keys, [KeyId(9), KeyId(7)]);
        assert!(change.promoted);
        assert_eq!(change.added, [KeyId(9)]);
        assert_eq!(change.retired, [KeyId(8)]);
        let order = old.change_to(&ring(&[(8, 2), (7, 1)])).unwrap().unwrap();
        assert!(order.promoted && order.added.is_empty() && order.retired.is_empty());
        assert_eq!(old.change_to(&ring(&[(7, 1), (8, 3)])), Err(KeyId(8)));
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
