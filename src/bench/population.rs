//! The rows that a preload writes, each derived from its number, so that the load
//! generator knows the secrets of millions of tokens and keeps none.

use crate::domain::{
    clock,
    keys::{Key, KeyId, KeyRing},
    tokens::{AccessToken, RefreshToken, SALT_BYTES},
};
use std::sync::Arc;
use uuid::{Builder, Uuid};

/// Microseconds over which the rows' birth is spread, twice: sessions, then tokens.
const HOUR_US: u64 = 3_600_000_000;
/// The number of a session in its id (RFC 9562 `rand_b`).
const NUMBER_BITS: u32 = 40;

/// A fast generator for choices, not for secrets (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// One that the operating system's generator started.
    pub fn new() -> Self {
        Self(u64::from_ne_bytes(clock::random()))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The bias is end / 2^64.
        u64::try_from((u128::from(self.bits()) * u128::from(end)) >> 64).unwrap_or_default()
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What of a row is derived.
#[derive(Clone, Copy)]
enum Part {
    Access = 1,
    TokenId,
    Session,
    Refresh,
    Salt,
    Subject,
}

/// How many there are of what, and when they were born.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Size {
    /// Where the derivation starts.
    pub seed: u64,
    /// When the first session was opened, in seconds since the Unix epoch.
    pub born: u32,
    /// Access tokens: the even ones of sessions, in turn, the odd ones client-only.
    pub tokens: u64,
    /// Sessions.
    pub sessions: u64,
    /// Users, each with as many sessions as the next.
    pub users: u64,
}

/// The rows of a preload under one key.
#[derive(Debug)]
pub struct Population {
    ring: Arc<KeyRing>,
    size: Size,
}

impl Population {
    /// The rows of this size under the ring's minting key.
    pub fn new(ring: Arc<KeyRing>, size: Size) -> Self {
        Self { ring, size }
    }

    /// How many there are.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The ring, to read answers with.
    pub fn ring(&self) -> &Arc<KeyRing> {
        &self.ring
    }

    /// The key that minted everything.
    pub fn key_id(&self) -> KeyId {
        self.key().id()
    }

    fn key(&self) -> &Arc<Key> {
        self.ring.minting()
    }

    /// Access token number `number`; one beyond the size is authentic and unknown.
    pub fn access(&self, number: u64) -> AccessToken {
        let at = self.token_at_us(number) / 1_000_000;
        AccessToken::mint(
            self.key(),
            u32::try_from(at).unwrap_or(u32::MAX),
            &self.bytes(Part::Access, number),
        )
    }

    /// Its public id.
    pub fn token_id(&self, number: u64) -> Uuid {
        Builder::from_unix_timestamp_millis(
            self.token_at_us(number) / 1000,
            &self.bytes(Part::TokenId, number),
        )
        .into_uuid()
    }

    /// When it was minted, in microseconds since the Unix epoch.
    pub fn token_at_us(&self, number: u64) -> u64 {
        self.spread(number, self.size.tokens) + HOUR_US
    }

    /// The number of its session; none: it is client-only.
    pub fn session_of(&self, token: u64) -> Option<u64> {
        token
            .is_multiple_of(2)
            .then(|| (token / 2) % self.size.sessions)
    }

    /// A token of a session, by a number below [`Self::session_tokens`].
    pub fn session_token(&self, number: u64) -> AccessToken {
        self.access(number * 2)
    }

    /// A client-only token, by a number below [`Self::client_tokens`].
    pub fn client_token(&self, number: u64) -> AccessToken {
        self.access(number * 2 + 1)
    }

    /// How many tokens belong to sessions.
    pub fn session_tokens(&self) -> u64 {
        self.size.tokens.div_ceil(2)
    }

    /// How many tokens are client-only.
    pub fn client_tokens(&self) -> u64 {
        self.size.tokens / 2
    }

    /// The id of session number `number`.
    pub fn session_id(&self, number: u64) -> Uuid {
        let mut random: [u8; 10] = self.bytes(Part::Session, number);
        // The last 40 bits are its number, so that an id leads back to it.
        random[5..].copy_from_slice(&number.to_be_bytes()[3..]);
        Builder::from_unix_timestamp_millis(self.session_at_us(number) / 1000, &random).into_uuid()
    }

    /// The number of a session by its id; none: it is not of this population.
    pub fn session_number(&self, id: Uuid) -> Option<u64> {
        let number = id.as_u64_pair().1 & ((1 << NUMBER_BITS) - 1);
        (number < self.size.sessions && self.session_id(number) == id).then_some(number)
    }

    /// When it was opened, in microseconds since the Unix epoch.
    pub fn session_at_us(&self, number: u64) -> u64 {
        self.spread(number, self.size.sessions)
    }

    /// Its first refresh token.
    pub fn refresh(&self, number: u64) -> RefreshToken {
        let secret = self.bytes(Part::Refresh, number);
        RefreshToken::first(self.key(), self.session_id(number), secret)
    }

    /// Its refresh token after some steps.
    pub fn refresh_after(&self, number: u64, steps: u32) -> RefreshToken {
        let salt = self.salt(number);
        (0..steps).fold(self.refresh(number), |token, _| token.successor(&salt))
    }

    /// The salt of its grant.
    pub fn salt(&self, number: u64) -> [u8; SALT_BYTES] {
        self.bytes(Part::Salt, number)
    }

    /// The number of its user.
    pub fn user_of(&self, session: u64) -> u64 {
        session % self.size.users
    }

    /// The id of user number `number`.
    pub fn subject(&self, number: u64) -> Uuid {
        let random = self.bytes(Part::Subject, number);
        Builder::from_unix_timestamp_millis(u64::from(self.size.born) * 1000, &random).into_uuid()
    }

    fn spread(&self, number: u64, of: u64) -> u64 {
        let part = u128::from(number.min(of)) * u128::from(HOUR_US) / u128::from(of.max(1));
        u64::from(self.size.born) * 1_000_000 + u64::try_from(part).unwrap_or(HOUR_US)
    }

    fn bytes<const N: usize>(&self, part: Part, number: u64) -> [u8; N] {
        let mut state = Random(mixed(self.size.seed ^ mixed(number)) ^ ((part as u64) << 56));
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&state.bits().to_ne_bytes()[..chunk.len()]);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::keys::new_key_line;
    use std::collections::HashSet;

    fn population() -> Population {
        let ring = KeyRing::parse(&new_key_line(&[7; 36])).unwrap();
        let size = Size {
            seed: 5,
            born: 1_700_000_000,
            tokens: 1000,
            sessions: 100,
            users: 10,
        };
        Population::new(Arc::new(ring), size)
    }

    #[test]
    fn every_row_is_another_and_always_the_same() {
        let (one, two) = (population(), population());
        let mut seen = HashSet::new();
        for number in 0..1000 {
            assert_eq!(one.access(number).digest(), two.access(number).digest());
            assert!(seen.insert(one.access(number).digest().0.to_vec()));
            assert!(seen.insert(one.token_id(number).as_bytes().to_vec()));
        }
        for number in 0..100 {
            assert!(seen.insert(one.session_id(number).as_bytes().to_vec()));
            assert!(seen.insert(one.subject(number).as_bytes().to_vec()));
            assert!(seen.insert(one.salt(number).to_vec()));
            assert_eq!(one.refresh(number).digest(), two.refresh(number).digest());
        }
    }

    #[test]
    fn a_session_s_id_leads_back_to_it_and_no_other_id_does() {
        let population = population();
        for number in 0..100 {
            let id = population.session_id(number);
            assert_eq!(population.session_number(id), Some(number));
            assert_eq!(id.get_version_num(), 7);
        }
        assert_eq!(population.session_number(population.session_id(100)), None);
        assert_eq!(population.session_number(clock::uuid()), None);
    }

    #[test]
    fn a_family_goes_on_where_its_counter_stands() {
        let population = population();
        let third = population.refresh_after(4, 3);
        let second = population.refresh_after(4, 2);
        assert_eq!(third.counter(), 3);
        assert_eq!(
            second.successor(&population.salt(4)).digest(),
            third.digest()
        );
        let read = RefreshToken::parse(third.plaintext().reveal(), population.ring()).unwrap();
        assert_eq!(read.digest(), third.digest());
    }
}
