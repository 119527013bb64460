//! Scopes (RFC 6749 section 3.3) and audience (RFC 8707 section 2): two sets of
//! terms that a client is allowed, a session grants and a token narrows.

use super::limits;
use fluent_uri::Uri;
use std::{fmt, sync::Arc};
use thiserror::Error;

/// Why a list of terms was refused; `at` counts from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TermError {
    /// Not a term of the kind.
    #[error("element {at} is not {expected}")]
    Malformed {
        /// Its place.
        at: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// Stands twice.
    #[error("element {at} repeats an earlier one")]
    Duplicate {
        /// The second place.
        at: usize,
    },
    /// Too many terms.
    #[error("{found} elements, at most {most} are allowed")]
    TooMany {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
}

/// The terms are of a kind that says what a valid one is.
pub trait TermKind {
    /// In words, for an error.
    const EXPECTED: &'static str;
    /// The reason of a refusal: a name of `ErrorReason`.
    const REASON: &'static str;
    /// Whether the text is one.
    fn is_valid(term: &str) -> bool;
}

/// A set of terms in the order in which they were given, none twice. Clones share it.
pub struct Terms<K> {
    terms: Arc<[String]>,
    kind: std::marker::PhantomData<fn() -> K>,
}

/// Marks scopes.
#[derive(Debug)]
pub enum Scope {}
/// Marks audience members.
#[derive(Debug)]
pub enum Target {}

/// The scopes of a client, a session or a token.
pub type Scopes = Terms<Scope>;
/// The audience of a client, a session or a token; empty: not constrained.
pub type Audience = Terms<Target>;

impl TermKind for Scope {
    const EXPECTED: &'static str =
        "a scope: 1 to 128 visible ASCII characters other than \" and \\ (RFC 6749 section 3.3)";
    const REASON: &'static str = "INVALID_SCOPE";

    fn is_valid(term: &str) -> bool {
        (1..=limits::SCOPE_CHARS).contains(&term.len())
            && term
                .bytes()
                .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
    }
}

impl TermKind for Target {
    const EXPECTED: &'static str =
        "an absolute URI without fragment, of at most 512 characters (RFC 8707 section 2)";
    const REASON: &'static str = "INVALID_TARGET";

    fn is_valid(term: &str) -> bool {
        (1..=limits::AUDIENCE_CHARS).contains(&term.len())
            && Uri::parse(term).is_ok_and(|uri| {
                !uri.has_fragment() && (uri.has_authority() || !uri.path().as_str().is_empty())
            })
    }
}

impl<K: TermKind> Terms<K> {
    /// Reads a list that came from outside.
    pub fn parse(terms: Vec<String>, most: usize) -> Result<Self, TermError> {
        if terms.len() > most {
            return Err(TermError::TooMany {
                found: terms.len(),
                most,
            });
        }
        for (at, term) in terms.iter().enumerate() {
            if !K::is_valid(term) {
                return Err(TermError::Malformed {
                    at,
                    expected: K::EXPECTED,
                });
            }
            if terms[..at].contains(term) {
                return Err(TermError::Duplicate { at });
            }
        }
        Ok(Self::trusted(terms))
    }

    /// Takes a list that the database holds.
    pub fn trusted(terms: Vec<String>) -> Self {
        Self {
            terms: terms.into(),
            kind: std::marker::PhantomData,
        }
    }

    /// The terms, in order.
    pub fn as_slice(&self) -> &[String] {
        &self.terms
    }

    /// The terms, in order.
    pub fn to_vec(&self) -> Vec<String> {
        self.terms.to_vec()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether the term is among them.
    pub fn contains(&self, term: &str) -> bool {
        self.terms.iter().any(|own| own == term)
    }

    /// The terms of `self` that `whole` lacks.
    pub fn beyond(&self, whole: &Self) -> Vec<String> {
        self.terms
            .iter()
            .filter(|term| !whole.contains(term))
            .cloned()
            .collect()
    }

    /// Whether every term is in `whole`.
    pub fn within(&self, whole: &Self) -> bool {
        self.terms.iter().all(|term| whole.contains(term))
    }

    /// Whether any term is in `other`.
    pub fn meets(&self, other: &Self) -> bool {
        self.terms.iter().any(|term| other.contains(term))
    }

    /// The terms joined by a space, which no valid term contains (RFC 6749 section
    /// 3.3); arrays of arrays do not travel to PostgreSQL.
    pub fn joined(&self) -> String {
        self.terms.join(" ")
    }
}

impl<K> Clone for Terms<K> {
    fn clone(&self) -> Self {
        Self {
            terms: Arc::clone(&self.terms),
            kind: std::marker::PhantomData,
        }
    }
}

impl<K> Default for Terms<K> {
    fn default() -> Self {
        Self {
            terms: Arc::default(),
            kind: std::marker::PhantomData,
        }
    }
}

impl<K> PartialEq for Terms<K> {
    fn eq(&self, other: &Self) -> bool {
        self.terms == other.terms
    }
}

impl<K> Eq for Terms<K> {}

impl<K> fmt::Debug for Terms<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.terms.fmt(f)
    }
}

/// The terms that one error names, at most, and how long they may be together: errors travel
/// in headers, of which some clients take 8 KiB in all.
const TOLD: usize = 10;
const TOLD_BYTES: usize = 1_024;

/// A list as an error names it: whole terms, as many as it has room for, and how many more
/// there are.
pub fn told(terms: &[String]) -> String {
    let mut room = TOLD_BYTES;
    let fits = |term: &&String| {
        let left = room.checked_sub(term.len() + 1);
        room = left.unwrap_or_default();
        left.is_some()
    };
    let named = terms.iter().take(TOLD).take_while(fits).count();
    let text = terms[..named].join(" ");
    match terms.len() - named {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(terms: &[&str]) -> Vec<String> {
        terms.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn scopes_follow_rfc_6749_section_3_3() {
        assert!(Scopes::parse(list(&["read", "a:b/c", "!#[]~"]), 3).is_ok());
        for bad in ["", "a b", "a\"", "a\\", "é", "a\0", &"x".repeat(129)] {
            assert!(Scopes::parse(list(&[bad]), 1).is_err(), "{bad:?}");
        }
        assert_eq!(
            Scopes::parse(list(&["a", "b", "a"]), 3).unwrap_err(),
            TermError::Duplicate { at: 2 }
        );
        assert!(matches!(
            Scopes::parse(list(&["a", "b"]), 1),
            Err(TermError::TooMany { .. })
        ));
    }

    #[test]
    fn audience_follows_rfc_8707_section_2() {
        assert!(
            Audience::parse(
                list(&["https://api.example/v1?x=1", "urn:orders", "spiffe://a/b"]),
                9
            )
            .is_ok()
        );
        for bad in [
            "",
            "orders",
            "https://a/#f",
            "https://a b/",
            "/path",
            "https:",
            "//host",
        ] {
            assert!(Audience::parse(list(&[bad]), 9).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_names_whole_terms_and_counts_the_rest() {
        let many = |count: usize, length: usize| vec!["x".repeat(length); count];
        assert_eq!(told(&list(&["a", "b"])), "a b");
        assert_eq!(told(&many(10, 1)), ["x"; 10].join(" "));
        assert_eq!(told(&many(12, 1)), "x x x x x x x x x x and 2 more");
        let long = "x".repeat(limits::SCOPE_CHARS);
        let named = [long.as_str(); 7].join(" ");
        assert_eq!(
            told(&many(64, limits::SCOPE_CHARS)),
            format!("{named} and 57 more")
        );
        // The longest of all has room, so that one is always named.
        let long = "x".repeat(limits::AUDIENCE_CHARS);
        assert_eq!(
            told(&many(3, limits::AUDIENCE_CHARS)),
            format!("{long} and 2 more")
        );
    }

    #[test]
    fn sets_know_what_lies_beyond_them() {
        let whole = Scopes::trusted(list(&["a", "b"]));
        let part = Scopes::trusted(list(&["b", "c"]));
        assert_eq!(part.beyond(&whole), ["c"]);
        assert!(!part.within(&whole) && part.meets(&whole));
        assert_eq!(whole.joined(), "a b");
    }
}
