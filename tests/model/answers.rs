//! What an operation is answered, in words that the model and the server share.

use super::terms::{Audience, Scopes};
use std::fmt;

/// Seconds of real time that one case may take; what is expected within them of an edge
/// is not asked.
pub const SLACK: u64 = 9;

/// An answer. Things are named by their numbers, tokens never by their text.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Code and reason.
    Refused(String, String),
    Issued(Issued),
    Rotated(Rotated),
    /// How many sessions ended.
    Revoked(u32),
    /// An empty answer.
    Done,
    /// One for each token, `None`: inactive, and nothing else.
    Described(Vec<Option<Description>>),
    Listed(Vec<Listed>),
}

impl Answer {
    /// What kind of answer it is, for the tally.
    pub fn kind(&self) -> &str {
        match self {
            Self::Refused(_, reason) => reason,
            Self::Issued(issued) if issued.session_expires_at.is_some() => "opened",
            Self::Issued(_) => "issued",
            Self::Rotated(rotated) => rotated.outcome,
            Self::Revoked(0) => "revoked none",
            Self::Revoked(1) => "revoked one",
            Self::Revoked(_) => "revoked several",
            Self::Done => "done",
            Self::Described(found) if found.iter().any(Option::is_some) => "active",
            Self::Described(_) => "inactive",
            Self::Listed(listed) if listed.is_empty() => "listed none",
            Self::Listed(_) => "listed",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Issued {
    pub scopes: Scopes,
    pub audience: Audience,
    pub expires_at: When,
    /// The end of the session, if one was opened.
    pub session_expires_at: Option<When>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Rotated {
    /// `ROTATED` or `REPLAYED`.
    pub outcome: &'static str,
    pub generation: usize,
    /// The refresh token is the one that was handed out for this generation before.
    pub known: bool,
    pub session: String,
    pub scopes: Scopes,
    pub audience: Audience,
    pub expires_at: When,
    pub session_expires_at: When,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Description {
    /// `access 3`, or `refresh`.
    pub token: String,
    pub client: String,
    /// Empty: client-only.
    pub user: String,
    /// Empty: none.
    pub session: String,
    pub scopes: Scopes,
    pub audience: Audience,
    pub issued_at: When,
    pub expires_at: When,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub session: String,
    pub client: String,
    pub user: String,
    pub scopes: Scopes,
    pub audience: Audience,
    pub generation: usize,
    pub agent: String,
    pub created_at: When,
    pub last_used_at: When,
    pub expires_at: When,
}

/// A moment, in seconds since the case began, with all the time that was made to pass.
#[derive(Clone, Copy)]
pub struct When(pub f64);

impl PartialEq for When {
    /// Within the time that a case may take.
    #[expect(clippy::cast_precision_loss, reason = "a handful of seconds is exact")]
    fn eq(&self, other: &Self) -> bool {
        (self.0 - other.0).abs() < SLACK as f64
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} s", self.0)
    }
}

/// The name of a client, user, session or access token.
pub fn named(kind: &str, number: usize) -> String {
    format!("{kind} {number}")
}
