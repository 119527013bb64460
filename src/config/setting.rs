//! What a row of the table of settings says.

use std::{ops::RangeInclusive, time::Duration};

/// One setting: a row of the table.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its dotted key in the file, `rotation.grace`.
    pub(super) key: &'static str,
    /// What its value may be.
    pub(super) kind: Kind,
    /// What holds where nobody sets it.
    pub(super) need: Need,
    /// One or two plain sentences, by lines.
    pub(super) doc: &'static [&'static str],
}

/// What the value of a setting may be. Bounds are inclusive.
#[derive(Debug)]
pub(super) enum Kind {
    /// An IP address and a port.
    Socket,
    /// A text of so many characters, none of them a control character.
    Text(RangeInclusive<usize>),
    /// A text that is never shown and has no flag.
    Secret,
    /// A path, as the operating system reads it.
    Path,
    /// A duration with its unit, `30s`.
    Duration(RangeInclusive<Duration>),
    /// A whole number.
    Integer(RangeInclusive<u64>),
    /// A number of bytes, `4MiB` or a whole number.
    Bytes(RangeInclusive<u64>),
    /// `true` or `false`.
    Bool,
    /// A share, from 0 to 1.
    Ratio,
    /// One of these words.
    Words(&'static [&'static str]),
    /// One of these words, or a path with a `/` in it, so that a misspelt word is
    /// not a file.
    WordsOrPath(&'static [&'static str]),
    /// So many texts: a TOML array, or separated by commas elsewhere.
    List(RangeInclusive<usize>),
}

/// What holds where nobody sets a setting.
#[derive(Debug)]
pub(super) enum Need {
    /// This value, written as in an environment variable.
    Default(&'static str),
    /// Nothing: it must be set. The example file shows this value.
    Required(&'static str),
    /// It must be set, unless the setting of the first key names a file that holds
    /// it. The example file shows the second.
    RequiredUnless(&'static str, &'static str),
    /// Nothing, and that is fine. The example file shows this value.
    Optional(&'static str),
}

impl Setting {
    /// The environment variable, `COUNTERSIGN_ROTATION_GRACE`.
    pub(super) fn variable(&self) -> String {
        format!("COUNTERSIGN_{}", self.key.to_uppercase().replace('.', "_"))
    }

    /// The flag without its dashes, `rotation-grace`. A secret has none, because
    /// every user of the machine can read a command line.
    pub(super) fn flag(&self) -> Option<String> {
        (!self.is_secret()).then(|| self.key.replace(['.', '_'], "-"))
    }

    /// The section of the file, `rotation`; none for a key that stands alone.
    pub(super) fn section(&self) -> Option<&'static str> {
        self.key.split_once('.').map(|(section, _)| section)
    }

    /// The key within its section, `grace`.
    pub(super) fn name(&self) -> &'static str {
        self.key.split_once('.').map_or(self.key, |(_, name)| name)
    }

    /// Its documentation on one line.
    pub(super) fn documentation(&self) -> String {
        join(self.doc)
    }

    /// Whether its value must never be shown.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }
}

/// Joins the lines of a doc comment.
pub(super) fn join(lines: &[&str]) -> String {
    let trimmed: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    trimmed.join(" ")
}
