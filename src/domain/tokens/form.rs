//! What the three forms share: text, checksum, MAC.

use crate::domain::keys::DerivedKey;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use std::fmt;
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a MAC tag, at the end of every body.
pub(super) const TAG_BYTES: usize = 16;
/// Base62 digits of the checksum, at the end of every token.
const CHECKSUM_CHARS: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Why a text is no token of ours. Which of them it was is for tests and
/// counters; a caller is told only that the token is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Wrong prefix, length or alphabet.
    #[error("not of the form of a token")]
    Form,
    /// The checksum does not match: mistyped or cut.
    #[error("the checksum does not match")]
    Checksum,
    /// The key that it names is not in the ring.
    #[error("minted under a key that is not in the ring")]
    UnknownKey,
    /// The MAC does not match: forged.
    #[error("the MAC does not match")]
    Mac,
}

/// A token in the clear, on its way to the one answer that carries it. It never
/// prints, and its memory is wiped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Plaintext(String);

impl Plaintext {
    /// Takes the text that a caller presented, whatever it is.
    pub fn presented(text: String) -> Self {
        Self(text)
    }

    /// The token itself. Only an answer to its owner may call this.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Plaintext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plaintext(…)")
    }
}

/// Writes `prefix`, `body` and the checksum.
pub(super) fn encode(prefix: &str, body: &[u8]) -> Plaintext {
    let mut text = String::with_capacity(prefix.len() + body.len() * 4 / 3 + 8);
    text.push_str(prefix);
    BASE64URL.encode_string(body, &mut text);
    let checksum = checksum(text.as_bytes());
    text.extend(checksum.iter().map(|&digit| char::from(digit)));
    Plaintext(text)
}

/// Reads a body of exactly `N` bytes.
pub(super) fn decode<const N: usize>(prefix: &str, text: &str) -> Result<[u8; N], Malformed> {
    let rest = text.strip_prefix(prefix).ok_or(Malformed::Form)?;
    if rest.len() != N / 3 * 4 + CHECKSUM_CHARS || !rest.is_ascii() {
        return Err(Malformed::Form);
    }
    let (encoded, sum) = rest.split_at(rest.len() - CHECKSUM_CHARS);
    if checksum(&text.as_bytes()[..text.len() - CHECKSUM_CHARS]) != sum.as_bytes() {
        return Err(Malformed::Checksum);
    }
    let mut body = [0; N];
    match BASE64URL.decode_slice(encoded, &mut body) {
        Ok(length) if length == N => Ok(body),
        _ => Err(Malformed::Form),
    }
}

/// The tag over the parts of a body before it.
pub(super) fn tag(key: &DerivedKey, body: &[u8]) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&key.hash(&[body]).as_bytes()[..TAG_BYTES]);
    tag
}

/// Checks the tag at the end of a body, in constant time.
pub(super) fn verify(key: &DerivedKey, body: &[u8]) -> Result<(), Malformed> {
    let (signed, found) = body.split_at(body.len() - TAG_BYTES);
    if bool::from(tag(key, signed).ct_eq(found)) {
        Ok(())
    } else {
        Err(Malformed::Mac)
    }
}

fn checksum(text: &[u8]) -> [u8; CHECKSUM_CHARS] {
    let mut rest = crc32fast::hash(text) as usize;
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[rest % 62];
        rest /= 62;
    }
    digits
}
