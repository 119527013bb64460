//! Scopes and audience as sets of bits, so that they shrink to nothing.

/// Of `a`, `b` and `c`, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(pub u8);

/// Of three URIs, one bit each. Empty: not constrained, or the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Audience(pub u8);

const SCOPES: [&str; 3] = ["a", "b", "c"];
const AUDIENCE: [&str; 3] = ["urn:test", "urn:other", "urn:foreign"];

impl Scopes {
    /// As requests name them.
    pub fn words(self) -> Vec<String> {
        words(self.0, SCOPES)
    }

    /// As answers name them, in any order.
    pub fn of(words: &[String]) -> Self {
        Self(bits(words, SCOPES))
    }

    pub fn within(self, whole: Self) -> bool {
        self.0 & !whole.0 == 0
    }
}

impl Audience {
    /// As requests name it.
    pub fn words(self) -> Vec<String> {
        words(self.0, AUDIENCE)
    }

    /// As answers name it, in any order.
    pub fn of(words: &[String]) -> Self {
        Self(bits(words, AUDIENCE))
    }

    pub fn within(self, whole: Self) -> bool {
        self.0 & !whole.0 == 0
    }

    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

fn words(bits: u8, names: [&str; 3]) -> Vec<String> {
    (0..3)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(|bit| names[bit].to_owned())
        .collect()
}

fn bits(words: &[String], names: [&str; 3]) -> u8 {
    words.iter().fold(0, |bits, word| {
        let bit = names.iter().position(|name| name == word);
        let bit = 1 << bit.unwrap_or_else(|| panic!("nobody asked for {word}"));
        assert!(bits & bit == 0, "{word} stands twice");
        bits | bit
    })
}
