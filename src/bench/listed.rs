//! Tokens that are asked about, and that are replaced before they expire.

use super::population::Random;
use prost::bytes::Bytes;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

/// One caller's view of them: it looks at each call whether they were replaced.
#[derive(Clone)]
pub struct Listed {
    shared: Arc<Shared>,
    seen: u64,
    tokens: Arc<[Bytes]>,
}

struct Shared {
    tokens: Mutex<Arc<[Bytes]>>,
    replaced: AtomicU64,
}

impl Listed {
    /// These, of which there is at least one.
    pub fn new(tokens: impl Into<Arc<[Bytes]>>) -> Self {
        let tokens = tokens.into();
        Self {
            shared: Arc::new(Shared {
                tokens: Mutex::new(Arc::clone(&tokens)),
                replaced: AtomicU64::new(0),
            }),
            seen: 0,
            tokens,
        }
    }

    /// Others in their place, for everybody who has them.
    pub fn replace(&self, tokens: impl Into<Arc<[Bytes]>>) {
        let own = self.shared.tokens.lock();
        *own.unwrap_or_else(PoisonError::into_inner) = tokens.into();
        self.shared.replaced.fetch_add(1, Ordering::Release);
    }

    /// One of them.
    pub fn next(&mut self, random: &mut Random) -> Bytes {
        let replaced = self.shared.replaced.load(Ordering::Acquire);
        if replaced != self.seen {
            let tokens = self.shared.tokens.lock();
            self.tokens = Arc::clone(&tokens.unwrap_or_else(PoisonError::into_inner));
            self.seen = replaced;
        }
        let at = random.below(self.tokens.len() as u64);
        self.tokens[usize::try_from(at).unwrap_or_default()].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_tokens_has_those_that_replace_them() {
        let list = |of: &'static [&str]| -> Vec<Bytes> {
            of.iter()
                .map(|text| Bytes::from_static(text.as_bytes()))
                .collect()
        };
        let mut random = Random::new();
        let first = Listed::new(list(&["a", "b"]));
        let mut other = first.clone();
        assert!(list(&["a", "b"]).contains(&other.next(&mut random)));
        first.replace(list(&["c"]));
        assert_eq!(other.next(&mut random), "c");
        assert_eq!(first.clone().next(&mut random), "c");
    }
}
