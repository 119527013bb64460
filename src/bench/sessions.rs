//! The sessions that callers rotate, each caller a part of its own, and those that are
//! there to be revoked.

use super::population::Population;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Sessions and the newest refresh token of each.
pub struct Families {
    // A lock a part, which is only ever taken by its caller.
    parts: Vec<Mutex<Part>>,
    derived: Option<Arc<Population>>,
}

/// Every n-th session, from one on.
struct Part {
    /// What the server gave out last; none: the session's first token.
    newest: Vec<Option<Box<str>>>,
    next: usize,
}

impl Families {
    /// The sessions of a population, in `parts`; `steps` are those of each session that
    /// has taken some.
    pub fn derived(
        population: &Arc<Population>,
        parts: usize,
        steps: impl IntoIterator<Item = (u64, u32)>,
    ) -> Arc<Self> {
        let sessions = usize::try_from(population.size().sessions).unwrap_or(usize::MAX);
        let mut families = Self::empty(sessions, parts);
        for (number, steps) in steps {
            let token = population.refresh_after(number, steps);
            families.set(number, token.plaintext().reveal());
        }
        families.derived = Some(Arc::clone(population));
        Arc::new(families)
    }

    /// Sessions by their refresh tokens, in `parts`.
    pub fn listed(tokens: &[String], parts: usize) -> Arc<Self> {
        let mut families = Self::empty(tokens.len(), parts);
        for (number, token) in tokens.iter().enumerate() {
            families.set(number as u64, token);
        }
        Arc::new(families)
    }

    fn empty(sessions: usize, parts: usize) -> Self {
        let part = |part: usize| {
            Mutex::new(Part {
                newest: vec![None; sessions.saturating_sub(part).div_ceil(parts)],
                next: 0,
            })
        };
        Self {
            parts: (0..parts).map(part).collect(),
            derived: None,
        }
    }

    fn set(&mut self, number: u64, token: &str) {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let parts = self.parts.len();
        let part = self.parts[number % parts].get_mut();
        let part = part.unwrap_or_else(PoisonError::into_inner);
        part.newest[number / parts] = Some(token.into());
    }

    /// How many parts there are.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// The next session of a part, as its number there, and its newest token. Goes round
    /// through all of them in an order that neighbours in the tables do not share.
    pub fn next(&self, part: usize) -> Option<(usize, String)> {
        let mut own = self.lock(part);
        let count = own.newest.len();
        if count == 0 {
            return None;
        }
        let at = own.next;
        own.next = (at + stride(count)) % count;
        let token = match (&own.newest[at], &self.derived) {
            (Some(token), _) => token.to_string(),
            (None, Some(population)) => {
                let number = self.number(part, at);
                population.refresh(number).plaintext().reveal().to_owned()
            }
            (None, None) => return None,
        };
        Some((at, token))
    }

    /// The number in the population of a part's session.
    pub fn number(&self, part: usize, at: usize) -> u64 {
        (at * self.parts.len() + part) as u64
    }

    /// Notes the successor.
    pub fn put(&self, part: usize, at: usize, token: &str) {
        self.lock(part).newest[at] = Some(token.into());
    }

    fn lock(&self, part: usize) -> MutexGuard<'_, Part> {
        let part = self.parts[part].lock();
        part.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step of about the golden section of `count` that visits every place before any twice.
fn stride(count: usize) -> usize {
    let mut step = (count * 618 / 1000).max(1);
    while gcd(step, count) != 1 {
        step += 1;
    }
    step
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Sessions that nobody uses again: opened by a row, there to be revoked.
#[derive(Debug, Clone, Default)]
pub struct Opened(Arc<Lists>);

#[derive(Debug, Default)]
struct Lists {
    opened: Mutex<Vec<Uuid>>,
    /// Those whose revocation failed.
    kept: Mutex<Vec<Uuid>>,
}

impl Opened {
    /// Adds one.
    pub fn add(&self, session: Uuid) {
        lock(&self.0.opened).push(session);
    }

    /// Takes one, to revoke it.
    pub fn take(&self) -> Option<Uuid> {
        lock(&self.0.opened).pop()
    }

    /// Gives one back that could not be revoked. No row takes it again.
    pub fn keep(&self, session: Uuid) {
        lock(&self.0.kept).push(session);
    }

    /// How many there are to be revoked.
    pub fn count(&self) -> usize {
        lock(&self.0.opened).len()
    }

    /// Takes all, also those that were given back.
    pub fn take_all(&self) -> Vec<Uuid> {
        let mut all = std::mem::take(&mut *lock(&self.0.opened));
        all.append(&mut lock(&self.0.kept));
        all
    }
}

fn lock(list: &Mutex<Vec<Uuid>>) -> MutexGuard<'_, Vec<Uuid>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_session_is_visited_before_any_comes_again() {
        for count in [1, 2, 7, 30, 100, 1024] {
            let tokens: Vec<_> = (0..count).map(|n| format!("t{n}")).collect();
            let families = Families::listed(&tokens, 3);
            let mut seen = HashSet::new();
            for part in 0..3 {
                let own = (count + 2 - part) / 3;
                for _ in 0..own {
                    let (at, token) = families.next(part).unwrap();
                    assert_eq!(token, format!("t{}", families.number(part, at)));
                    assert!(seen.insert(token));
                }
                assert_eq!(families.next(part).is_none(), own == 0);
            }
            assert_eq!(seen.len(), count);
        }
    }

    #[test]
    fn the_newest_token_is_the_one_that_comes_next() {
        let families = Families::listed(&["a".to_owned()], 1);
        let (at, _) = families.next(0).unwrap();
        families.put(0, at, "b");
        assert_eq!(families.next(0).unwrap().1, "b");
    }
}
