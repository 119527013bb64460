//! What must never be seen.

use crate::verify::history::{History, SessionId};
use std::fmt;

/// A history's proof that a promise was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The promise.
    pub kind: ViolationKind,
    /// The session that it is about. `None`: a token without a session.
    pub session: Option<SessionId>,
    /// The operations that prove it, the one that shows it last.
    pub operations: Vec<usize>,
}

/// The promises, each by how it is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ViolationKind {
    /// Two live successors of one refresh token.
    TwoSuccessors,
    /// Two steps from one generation, both acknowledged.
    TwoSteps,
    /// A superseded refresh token was active, or a newer one was not known.
    StaleActive,
    /// A step over a generation, or backwards.
    GenerationGap,
    /// REPLAYED, though nobody else had presented the token.
    ReplayWithoutStep,
    /// Alive in an answer that began after an ending was acknowledged.
    ActiveAfterRevocation,
    /// Alive again after an answer had shown it dead.
    CameBack,
    /// Acknowledged, and gone without a cause.
    Lost,
    /// Ended as reused, though no token older than the grace window was presented.
    RevokedWithoutReuse,
    /// Ended, and only those who may not had asked for it.
    EndedByStranger,
    /// One who may not was served.
    ServedStranger,
    /// More endings were counted than there was to end.
    EndedTwice,
    /// Refused for a reason that nothing in the history gives.
    UnexplainedRefusal,
    /// INTERNAL, or an answer that the proto does not document.
    Defect,
}

impl ViolationKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::TwoSuccessors,
        Self::TwoSteps,
        Self::StaleActive,
        Self::GenerationGap,
        Self::ReplayWithoutStep,
        Self::ActiveAfterRevocation,
        Self::CameBack,
        Self::Lost,
        Self::RevokedWithoutReuse,
        Self::EndedByStranger,
        Self::ServedStranger,
        Self::EndedTwice,
        Self::UnexplainedRefusal,
        Self::Defect,
    ];
}

impl fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TwoSuccessors => "one refresh token has two different successors",
            Self::TwoSteps => "two steps from one generation were acknowledged",
            Self::StaleActive => "a superseded refresh token was active",
            Self::GenerationGap => "a generation was skipped or taken back",
            Self::ReplayWithoutStep => "a token that nobody else presented was answered REPLAYED",
            Self::ActiveAfterRevocation => "alive after its ending was acknowledged",
            Self::CameBack => "alive again after it was seen dead",
            Self::Lost => "acknowledged, and then gone without a cause",
            Self::RevokedWithoutReuse => {
                "ended as reused, though no token older than the grace window was presented"
            }
            Self::EndedByStranger => "ended, though only those who may not had asked for it",
            Self::ServedStranger => "one who may not was served",
            Self::EndedTwice => "one session was counted as ended twice",
            Self::UnexplainedRefusal => "refused for a reason that nothing had given",
            Self::Defect => "an answer that the contract does not document",
        })
    }
}

impl Violation {
    /// The promise and the history that breaks it, for people.
    pub fn explain(&self, history: &History) -> String {
        let about = match self.session {
            Some(session) => format!("session {session}"),
            None => "a token without a session".to_owned(),
        };
        let excerpt = history.excerpt(self.session, &self.operations);
        format!("VIOLATION: {} ({about})\n{excerpt}", self.kind)
    }
}
