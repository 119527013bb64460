//! What one replica remembers of the proofs that resource servers showed it (RFC 9449
//! section 11.1).

use super::Judged;
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

/// The proofs of late, in two generations: each is kept for its whole life, and at most for
/// twice as long.
#[derive(Debug)]
pub struct Replays {
    life: Duration,
    most: usize,
    turned_at: Option<DateTime<Utc>>,
    young: HashSet<Use>,
    old: HashSet<Use>,
}

impl Replays {
    /// For proofs of that life, and so many of them at most.
    pub fn new(life: Duration, most: usize) -> Self {
        Self {
            life,
            most,
            turned_at: None,
            young: HashSet::new(),
            old: HashSet::new(),
        }
    }

    /// Remembers a proof.
    pub fn remember(&mut self, proof: &Judged, now: DateTime<Utc>) -> Remembered {
        self.turn(now);
        let used = proof.used();
        if self.young.contains(&used) || self.old.contains(&used) {
            return Remembered::Replayed;
        }
        if self.len() >= self.most {
            return Remembered::Full;
        }
        self.young.insert(used);
        Remembered::First
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
