//! What the live catalogue has otherwise than described, and what would repair it.

use std::fmt;

use super::describe::{Column, Constraint, Index, Table, Trigger};

/// One difference between the live catalogue and what has to stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object, such as `index auth.refresh_tokens_parent_idx`.
    pub object: String,
    /// What is different about it, as a phrase.
    pub what: String,
    /// What follows from it.
    pub severity: Severity,
}

/// What follows from a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Not there; migrating adds it.
    Missing,
    /// There beyond what is described; harmless, so it stays and is only told.
    Tolerated,
    /// In the way; neither migrating nor serving goes on.
    Refused,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Tolerated => "tolerated",
            Self::Refused => "refused",
        })
    }
}

impl fmt::Display for Difference {
    /// One line: `refused: column auth.refresh_session.jti: its type is text, not uuid`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity, self.object, self.what)
    }
}

/// A difference with what repairs it, where anything does.
#[derive(Debug)]
pub struct Finding {
    /// The difference.
    pub difference: Difference,
    /// What repairs it; always `None` unless it is missing.
    pub repair: Option<Repair>,
}

/// A repair of one documented object. Their order is the order of repairing.
#[derive(Debug, Clone, Copy)]
pub enum Repair {
    /// Types, functions and tables: the first migration once more, which makes what is missing.
    Base,
    /// Add the column.
    Column(&'static Table, &'static Column),
    /// Make the index, or what of it is missing.
    Index(&'static Table, &'static Index, IndexLack),
    /// Add the constraint; `true`: it stands and was only never validated.
    Constraint(&'static Table, &'static Constraint, bool),
    /// Create the trigger.
    Trigger(&'static Trigger),
    /// Comment the table.
    TableComment(&'static Table),
    /// Comment the column.
    ColumnComment(&'static Table, &'static Column),
    /// Comment the index.
    IndexComment(&'static Table, &'static Index),
}

/// What is missing of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexLack {
    /// All of it.
    Whole,
    /// An interrupted build left it invalid: it has to be dropped and built again.
    Valid,
    /// The constraint above it.
    Constraint,
}

impl Repair {
    /// The place in the order of repairing: what others stand on comes first.
    pub fn order(&self) -> u8 {
        match self {
            Self::Base => 0,
            Self::Column(..) => 1,
            Self::Index(..) => 2,
            Self::Constraint(..) => 3,
            Self::Trigger(..) => 4,
            Self::TableComment(..) => 5,
            Self::ColumnComment(..) => 6,
            Self::IndexComment(..) => 7,
        }
    }
}

impl Finding {
    /// Something described that is not there.
    pub fn missing(object: String, what: impl Into<String>, repair: Option<Repair>) -> Self {
        Self::new(object, what, Severity::Missing, repair)
    }

    /// Something harmless beyond what is described.
    pub fn tolerated(object: String, what: impl Into<String>) -> Self {
        Self::new(object, what, Severity::Tolerated, None)
    }

    /// Something in the way.
    pub fn refused(object: String, what: impl Into<String>) -> Self {
        Self::new(object, what, Severity::Refused, None)
    }

    fn new(
        object: String,
        what: impl Into<String>,
        severity: Severity,
        repair: Option<Repair>,
    ) -> Self {
        Self {
            difference: Difference {
                object,
                what: what.into(),
                severity,
            },
            repair,
        }
    }
}
