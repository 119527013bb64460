//! What one replica remembers of the proofs that resource servers showed it (RFC 9449
//! section 11.1).

use super::{Judged, Rules};
use chrono::{DateTime, Utc};
use std::{collections::HashSet, time::Duration};

/// A proof that was used: a hash of key, URI and `jti`.
pub type Use = [u8; 16];

/// How a proof stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// It is the first of its kind, and from now on remembered.
    First,
    /// It was used before.
    Replayed,
    /// It is not remembered, for there is no room: it must not be taken.
    Full,
}

/// The proofs of late.
#[derive(Debug)]
pub struct Replays {
    most: usize,
    without_nonce: Generations,
    with_nonce: Generations,
}

impl Replays {
    /// For the proofs that these rules take, and so many of them at most.
    pub fn new(rules: &Rules, most: usize) -> Self {
        Self {
            most,
            without_nonce: Generations::new(rules.life_without_nonce()),
            with_nonce: Generations::new(rules.life()),
        }
    }

    /// Remembers a proof.
    pub fn remember(&mut self, proof: &Judged, now: DateTime<Utc>) -> Remembered {
        let used = proof.used();
        // A `jti` is used up, whatever else stands in the proof.
        if self.without_nonce.holds(&used, now) | self.with_nonce.holds(&used, now) {
            return Remembered::Replayed;
        }
        if self.len() >= self.most {
            return Remembered::Full;
        }
        let kind = if proof.has_nonce() {
            &mut self.with_nonce
        } else {
            &mut self.without_nonce
        };
        kind.young.insert(used);
        Remembered::First
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.without_nonce.len() + self.with_nonce.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Proofs of one length of life, in two generations: each is kept for its whole life, and at
/// most for twice as long.
#[derive(Debug)]
struct Generations {
    life: Duration,
    turned_at: Option<DateTime<Utc>>,
    young: HashSet<Use>,
    old: HashSet<Use>,
}

impl Generations {
    fn new(life: Duration) -> Self {
        Self {
            life,
            turned_at: None,
            young: HashSet::new(),
            old: HashSet::new(),
        }
    }

    fn holds(&mut self, used: &Use, now: DateTime<Utc>) -> bool {
        self.turn(now);
        self.young.contains(used) || self.old.contains(used)
    }

    fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Lets the old go when the young are old enough. A clock that was set back keeps them all
    /// the longer.
    fn turn(&mut self, now: DateTime<Utc>) {
        let since = *self.turned_at.get_or_insert(now);
        let passed = (now - since).to_std().unwrap_or_default();
        if passed < self.life {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if passed >= self.life * 2 {
            self.old = HashSet::new();
        }
        self.turned_at = Some(now);
    }
}
