//! Searches a history for a violation. Pure: it knows only what callers saw.
//!
//! A call takes effect at one moment between its beginning and its return; one without
//! an answer may take effect until it has settled, or never. The checker accuses only
//! where no such choice of moments keeps every promise, so whatever it finds is a bug.

mod endings;
mod rotations;
mod violation;

pub use violation::{Violation, ViolationKind};

use super::history::{Actor, Answer, Call, History, Operation, TokenKind};
use endings::Endings;

/// Every violation that a history proves, in the order in which they are looked for.
pub fn check(history: &History) -> Vec<Violation> {
    let endings = Endings::of(history);
    let mut found = Vec::new();
    defects(history, &mut found);
    strangers(history, &mut found);
    rotations::check(history, &endings, &mut found);
    endings.check(&mut found);
    found
}

fn defects(history: &History, found: &mut Vec<Violation>) {
    for (at, operation) in history.operations.iter().enumerate() {
        if matches!(operation.answer, Answer::Defect(_)) {
            found.push(Violation {
                kind: ViolationKind::Defect,
                session: subject(history, operation),
                operations: vec![at],
            });
        }
    }
}

/// One who may not is never served, and refused for no other reason than that.
fn strangers(history: &History, found: &mut Vec<Violation>) {
    for (at, operation) in history.operations.iter().enumerate() {
        let served = match (&operation.answer, operation.call) {
            (Answer::Rotated { .. }, _) => !may_rotate(operation.by),
            (Answer::Active, Call::Introspect(token)) => {
                !may_see(operation.by, history.tokens[token].kind)
            }
            (Answer::Revoked(count), _) => *count > 0 && !may_end(operation.by),
            (Answer::Refused(reason), Call::Rotate(_)) => {
                !may_rotate(operation.by) && reason != "INVALID_GRANT"
            }
            _ => false,
        };
        if served {
            found.push(Violation {
                kind: ViolationKind::ServedStranger,
                session: subject(history, operation),
                operations: vec![at],
            });
        }
    }
}

fn may_rotate(actor: Actor) -> bool {
    actor == Actor::Owner
}

fn may_end(actor: Actor) -> bool {
    matches!(actor, Actor::Owner | Actor::Revoker | Actor::Admin)
}

/// A refresh token is active only to its own client; an access token to its client and
/// to whoever may introspect its audience.
fn may_see(actor: Actor, kind: TokenKind) -> bool {
    match kind {
        TokenKind::Refresh { .. } => actor == Actor::Owner,
        _ => matches!(actor, Actor::Owner | Actor::Introspector | Actor::Admin),
    }
}

/// The session that an operation names.
fn subject(history: &History, operation: &Operation) -> Option<usize> {
    match operation.call {
        Call::Rotate(token)
        | Call::Introspect(token)
        | Call::RevokeByToken(token)
        | Call::RevokeToken(token) => history.session_of(token),
        Call::RevokeSession(session) => Some(session),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
