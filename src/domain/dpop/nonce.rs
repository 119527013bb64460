//! Nonces (RFC 9449 section 8): a MAC of the time slot, so that every replica under one key
//! ring takes what any of them gave out, and remembers nothing.

use crate::domain::keys::{Key, KeyId, KeyRing};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use chrono::{DateTime, Utc};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

/// Characters of a nonce.
pub const NONCE_CHARS: usize = 32;
const KEY_BYTES: usize = 4;
const SLOT_BYTES: usize = 4;
const TAG_BYTES: usize = 16;

/// The nonce of this slot: key id, slot and tag in base64url.
pub(super) fn mint(ring: &KeyRing, now: DateTime<Utc>, slot: Duration) -> String {
    let key = ring.minting();
    let slot = number(now, slot).to_be_bytes();
    BASE64URL.encode([&key.id().0.to_be_bytes()[..], &slot, &tag(key, slot)].concat())
}

/// Whether it is of this slot or the last, under a key of the ring.
pub(super) fn is_good(nonce: &str, ring: &KeyRing, now: DateTime<Utc>, slot: Duration) -> bool {
    let mut body = [0; KEY_BYTES + SLOT_BYTES + TAG_BYTES];
    if nonce.len() != NONCE_CHARS || BASE64URL.decode_slice(nonce, &mut body) != Ok(body.len()) {
        return false;
    }
    let word = |at: usize| u32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
    let (id, of) = (KeyId(word(0)), word(KEY_BYTES));
    let Some(key) = ring.get(id) else {
        return false;
    };
    let genuine = tag(key, of.to_be_bytes()).ct_eq(&body[KEY_BYTES + SLOT_BYTES..]);
    let this = number(now, slot);
    bool::from(genuine) && (of == this || of == this.wrapping_sub(1))
}

fn tag(key: &Key, slot: [u8; SLOT_BYTES]) -> [u8; TAG_BYTES] {
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&key.nonce.hash(&[&slot]).as_bytes()[..TAG_BYTES]);
    tag
}

/// The slot that a moment lies in.
fn number(now: DateTime<Utc>, slot: Duration) -> u32 {
    let slot = i64::try_from(slot.as_millis()).unwrap_or(i64::MAX).max(1);
    // It wraps after 136 years of slots of a second.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let number = now.timestamp_millis().div_euclid(slot) as u32;
    number
}
