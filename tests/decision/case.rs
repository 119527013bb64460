//! One case, and the law over cases as ordered rows of conditions.

use countersign::domain::{dpop::Fault, refusal::Refusal, rotation::EndReason};

pub(super) const COUNTER: u32 = 5;

/// What the database knows of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallerIs {
    Known,
    Unknown,
    Disabled,
}

/// The key that the grant is bound to, and the one of the call's proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    UnboundNone,
    UnboundSome,
    /// None, of a client whose tokens are bound by now.
    UnboundForbidden,
    BoundSame,
    /// The grant's key, of a client that demands a nonce.
    BoundWithoutNonce,
    BoundOther,
    BoundMissing,
    /// It does not hold.
    Fails,
}

/// What there is of the family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No grant and no session.
    Nothing,
    /// A grant and no session, though nobody ended it.
    Lost,
    Ended(EndReason),
    Open,
}

/// What may be wrong with an open session's life, each a bit.
pub(super) const EXPIRED: u8 = 1;
pub(super) const IDLE: u8 = 1 << 1;
pub(super) const CLIENT_DISABLED: u8 = 1 << 2;
pub(super) const USER_DISABLED: u8 = 1 << 3;
pub(super) const USER_CUT_OFF: u8 = 1 << 4;
pub(super) const CLIENT_CUT_OFF: u8 = 1 << 5;
pub(super) const FENCED: u8 = 1 << 6;
pub(super) const SCOPE_WITHDRAWN: u8 = 1 << 7;
const CUT_OFF: u8 = USER_CUT_OFF | CLIENT_CUT_OFF | FENCED;

/// One case; times in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) caller: CallerIs,
    pub(super) own_client: bool,
    pub(super) proof: Proof,
    pub(super) state: State,
    pub(super) ill: u8,
    /// Its absolute expiry has passed: it may have been purged.
    pub(super) past: bool,
    /// The session's counter.
    pub(super) version: u32,
    pub(super) grace: i64,
    /// How long the call waited in the server.
    pub(super) waited: i64,
    /// From the session's last step to the call's arrival in the database.
    pub(super) since_step: i64,
    /// From the last write of the presented token's ledger row to that. `None`: no
    /// such row.
    pub(super) since_ledger: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Rotated,
    Replayed,
    EndedAsReused,
    Refused(Refusal),
}

pub(super) struct Row {
    pub(super) when: fn(&Case) -> bool,
    pub(super) then: Outcome,
}

const fn row(when: fn(&Case) -> bool, then: Outcome) -> Row {
    Row { when, then }
}

const fn refused(when: fn(&Case) -> bool, refusal: Refusal) -> Row {
    row(when, Outcome::Refused(refusal))
}

/// The law.
#[rustfmt::skip]
pub(super) const TABLE: &[Row] = &[
    // The caller.
    refused(|c| c.caller == CallerIs::Unknown, Refusal::CredentialsInvalid),
    refused(|c| c.caller == CallerIs::Disabled, Refusal::CallerDisabled),
    // The proof's own validity.
    refused(|c| c.proof == Proof::Fails, Refusal::InvalidDpopProof(Fault::Signature)),
    // Whose it is; without a grant it is nobody's.
    refused(|c| c.state == State::Nothing && c.past, Refusal::SessionExpired),
    refused(|c| c.state == State::Nothing, UNKNOWN),
    refused(|c| !c.own_client, Refusal::InvalidGrant),
    refused(|c| matches!(c.proof, Proof::UnboundSome | Proof::BoundOther | Proof::BoundMissing), Refusal::InvalidGrant),
    // What its client demands.
    refused(|c| c.proof == Proof::UnboundForbidden, Refusal::DpopProofRequired),
    refused(|c| c.proof == Proof::BoundWithoutNonce, Refusal::InvalidDpopProof(Fault::NonceMissing)),
    // What the database lost, or never had.
    refused(|c| c.state == State::Open && c.version < COUNTER, AHEAD),
    refused(|c| c.since_ledger.is_none() && c.past, Refusal::SessionExpired),
    refused(|c| c.since_ledger.is_none(), UNKNOWN),
    // An ended family tells its own reason, whatever was presented.
    refused(|c| c.state == State::Ended(EndReason::Reused), Refusal::RefreshTokenReused),
    refused(|c| matches!(c.state, State::Ended(_)), Refusal::SessionRevoked),
    refused(|c| c.state == State::Lost, Refusal::SessionRevoked),
    // Life.
    refused(|c| c.ill & EXPIRED != 0, Refusal::SessionExpired),
    refused(|c| c.ill & IDLE != 0, Refusal::SessionIdle),
    refused(|c| c.ill & CLIENT_DISABLED != 0, Refusal::SessionClientDisabled),
    refused(|c| c.ill & USER_DISABLED != 0, Refusal::SessionSubjectDisabled),
    refused(|c| c.ill & CUT_OFF != 0, Refusal::SessionCutOff),
    refused(|c| c.ill & SCOPE_WITHDRAWN != 0, Refusal::ScopeWithdrawn),
    // The counter.
    row(|c| c.version == COUNTER, Outcome::Rotated),
    row(|c| c.version == COUNTER + 1 && young(c, c.since_step), Outcome::Replayed),
    refused(|c| c.version > COUNTER + 1 && c.since_ledger.is_some_and(|since| young(c, since)), Refusal::RefreshTokenSuperseded),
    row(|_| true, Outcome::EndedAsReused),
];

const UNKNOWN: Refusal = Refusal::RefreshTokenUnknown { ahead: false };
const AHEAD: Refusal = Refusal::RefreshTokenUnknown { ahead: true };

/// Whether a token that was superseded so long ago may still be a repeat. Strictly
/// within: a grace of zero admits nothing.
fn young(case: &Case, since: i64) -> bool {
    (since - case.waited).max(0) < case.grace
}
