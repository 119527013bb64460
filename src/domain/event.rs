//! What `countersign.event` records: every ending and every administrative
//! change, written in the same transaction as what it tells of.

use super::rotation::EndReason;
use uuid::Uuid;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A session ended; the reason says why.
    SessionEnded(EndReason),
    /// A single access token was revoked.
    TokenRevoked,
    /// A user's tokens and sessions were cut off.
    SubjectCutOff,
    /// A user's tokens without a session were deleted.
    SubjectTokensRevoked,
    /// A user was registered.
    SubjectRegistered,
    /// A user was disabled.
    SubjectDisabled,
    /// A user was enabled.
    SubjectEnabled,
    /// A client was registered.
    ClientCreated,
    /// A client's settings changed.
    ClientUpdated,
    /// A client was disabled.
    ClientDisabled,
    /// A client was enabled.
    ClientEnabled,
    /// A client's tokens and sessions were cut off.
    ClientCutOff,
    /// Everything that existed was cut off.
    AuthorityFenced,
    /// A client got a secret.
    SecretCreated,
    /// A client's secret was retired.
    SecretRetired,
    /// A server uses another key ring than before.
    KeyRingChanged,
}

impl EventKind {
    /// Its name in `countersign.event.kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::SessionEnded(_) => "session_ended",
            Self::TokenRevoked => "token_revoked",
            Self::SubjectCutOff => "subject_cut_off",
            Self::SubjectTokensRevoked => "subject_tokens_revoked",
            Self::SubjectRegistered => "subject_registered",
            Self::SubjectDisabled => "subject_disabled",
            Self::SubjectEnabled => "subject_enabled",
            Self::ClientCreated => "client_created",
            Self::ClientUpdated => "client_updated",
            Self::ClientDisabled => "client_disabled",
            Self::ClientEnabled => "client_enabled",
            Self::ClientCutOff => "client_cut_off",
            Self::AuthorityFenced => "authority_fenced",
            Self::SecretCreated => "secret_created",
            Self::SecretRetired => "secret_retired",
            Self::KeyRingChanged => "key_ring_changed",
        }
    }

    /// Its reason, where a kind has several.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::SessionEnded(reason) => Some(reason.name()),
            _ => None,
        }
    }
}

/// One row of `countersign.event`: what, whom, by whom, and in which call.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The session that it happened to.
    pub session_id: Option<Uuid>,
    /// The access token, or the client secret.
    pub token_id: Option<Uuid>,
    /// The client that it happened to.
    pub client_id: Option<Uuid>,
    /// The user that it happened to.
    pub subject: Option<Uuid>,
    /// What else there is to know, an object. Nothing secret.
    pub detail: Option<serde_json::Value>,
    /// Who did it.
    pub origin: Origin,
}

/// Who did something, and in which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The client. `None`: an operator with database rights.
    pub actor: Option<Uuid>,
    /// The call's id. `None`: not a call.
    pub call: Option<Uuid>,
}

impl Event {
    /// An event of this kind, about nobody yet.
    pub fn new(kind: EventKind, origin: Origin) -> Self {
        Self {
            kind,
            session_id: None,
            token_id: None,
            client_id: None,
            subject: None,
            detail: None,
            origin,
        }
    }
}
