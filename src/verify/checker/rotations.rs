//! One live successor, no gaps, and no refusal without a reason.

use super::{Violation, ViolationKind, endings::Endings};
use crate::verify::history::{Actor, Answer, Call, History, Operation, TokenId, TokenKind};
use std::time::Duration;

/// A rotation that the owner asked for.
#[derive(Clone, Copy)]
struct Step<'a> {
    at: usize,
    operation: &'a Operation,
}

pub(super) fn check(history: &History, endings: &Endings<'_>, found: &mut Vec<Violation>) {
    for token in 0..history.tokens.len() {
        let TokenKind::Refresh {
            session,
            generation,
        } = history.tokens[token].kind
        else {
            continue;
        };
        let mut report = |kind, operations: Vec<usize>| {
            found.push(Violation {
                kind,
                session: Some(session),
                operations,
            });
        };
        let steps: Vec<_> = steps(history, token).collect();
        one_successor(&steps, &mut report);
        if let Some(twin) = twin(history, token) {
            let operations = vec![history.tokens[twin].born, history.tokens[token].born];
            report(ViolationKind::TwoSuccessors, operations);
        }
        for step in &steps {
            answered(history, &steps, *step, (session, generation), &mut report);
        }
        for (at, operation) in history.operations.iter().enumerate() {
            let seen_active = operation.call == Call::Introspect(token)
                && operation.answer == Answer::Active
                && operation.by == Actor::Owner;
            if !seen_active {
                continue;
            }
            let superseded = steps
                .iter()
                .find(|step| is_success(step.operation) && step.operation.ended <= operation.began);
            if let Some(step) = superseded {
                report(ViolationKind::StaleActive, vec![step.at, at]);
            }
        }
    }
    generations(history, found);
    refusals(history, endings, found);
}

/// The rotations of a token that its owner asked for.
fn steps(history: &History, token: TokenId) -> impl Iterator<Item = Step<'_>> {
    history
        .operations
        .iter()
        .enumerate()
        .filter(move |(_, operation)| {
            operation.call == Call::Rotate(token) && operation.by == Actor::Owner
        })
        .map(|(at, operation)| Step { at, operation })
}

fn is_success(operation: &Operation) -> bool {
    matches!(operation.answer, Answer::Rotated { .. })
}

fn one_successor(steps: &[Step<'_>], report: &mut impl FnMut(ViolationKind, Vec<usize>)) {
    let mut first: Option<(usize, TokenId)> = None;
    let mut stepped: Option<usize> = None;
    for Step { at, operation } in steps {
        let Answer::Rotated {
            replayed, refresh, ..
        } = operation.answer
        else {
            continue;
        };
        match first {
            None => first = Some((*at, refresh)),
            Some((earlier, successor)) if successor != refresh => {
                report(ViolationKind::TwoSuccessors, vec![earlier, *at]);
            }
            Some(_) => {}
        }
        if !replayed && let Some(earlier) = stepped.replace(*at) {
            report(ViolationKind::TwoSteps, vec![earlier, *at]);
        }
    }
}

/// An earlier token of the same session and generation.
fn twin(history: &History, token: TokenId) -> Option<TokenId> {
    (0..token).find(|&other| history.tokens[other].kind == history.tokens[token].kind)
}

fn answered(
    history: &History,
    steps: &[Step<'_>],
    step: Step<'_>,
    (session, presented): (usize, u32),
    report: &mut impl FnMut(ViolationKind, Vec<usize>),
) {
    let Step { at, operation } = step;
    let Answer::Rotated {
        replayed,
        generation,
        refresh,
        ..
    } = operation.answer
    else {
        return;
    };
    let expected = TokenKind::Refresh {
        session,
        generation: presented + 1,
    };
    if generation != presented + 1 || history.tokens[refresh].kind != expected {
        report(ViolationKind::GenerationGap, vec![at]);
    }
    let others = || steps.iter().filter(|other| other.at != at);
    if replayed && !others().any(|other| other.operation.began < operation.ended) {
        report(ViolationKind::ReplayWithoutStep, vec![at]);
    }
    // Superseded for longer than the window when this call began.
    let out_of_window = others().find(|other| {
        is_success(other.operation)
            && operation
                .began
                .checked_sub(other.operation.ended)
                .is_some_and(|age| age > history.grace)
    });
    if let Some(other) = out_of_window {
        report(ViolationKind::StaleActive, vec![other.at, at]);
    } else if replayed && history.grace == Duration::ZERO {
        report(ViolationKind::StaleActive, vec![at]);
    }
    // Two behind when this call began.
    let overtaken = (history.operations.iter().enumerate()).find(|(_, other)| {
        matches!(other.call, Call::Rotate(token)
            if history.session_of(token) == Some(session))
            && matches!(other.answer, Answer::Rotated { generation, .. }
                if generation > presented + 1)
            && other.ended <= operation.began
    });
    if let Some((other, _)) = overtaken {
        report(ViolationKind::StaleActive, vec![other, at]);
    }
}

/// A listed session is never behind an acknowledged step, nor ahead of every step that
/// was asked for.
fn generations(history: &History, found: &mut Vec<Violation>) {
    for (at, operation) in history.operations.iter().enumerate() {
        let Answer::Listed(sessions) = &operation.answer else {
            continue;
        };
        for &(session, listed) in sessions {
            let mut least = 0;
            let mut most = 0;
            for other in &history.operations {
                let Call::Rotate(token) = other.call else {
                    continue;
                };
                let TokenKind::Refresh {
                    session: own,
                    generation,
                } = history.tokens[token].kind
                else {
                    continue;
                };
                if own != session || other.by != Actor::Owner {
                    continue;
                }
                if other.began < operation.ended {
                    most = most.max(generation + 1);
                }
                if is_success(other) && other.ended <= operation.began {
                    least = least.max(generation + 1);
                }
            }
            if listed < least || listed > most {
                found.push(Violation {
                    kind: ViolationKind::GenerationGap,
                    session: Some(session),
                    operations: vec![at],
                });
            }
        }
    }
}

/// Refusals that say nothing of an ending, each with what must have come before it.
fn refusals(history: &History, endings: &Endings<'_>, found: &mut Vec<Violation>) {
    for (at, operation) in history.operations.iter().enumerate() {
        let Answer::Refused(reason) = &operation.answer else {
            continue;
        };
        let before = |other: &Operation| other.began < operation.ended;
        let happened = |call: Call| {
            let mut all = history.operations.iter();
            all.any(|other| other.call == call && before(other))
        };
        let (session, kind) = match operation.call {
            Call::Rotate(_) if operation.by != Actor::Owner => continue,
            Call::Rotate(token) => {
                let session = history.session_of(token);
                let kind = match reason.as_str() {
                    "REFRESH_TOKEN_SUPERSEDED" => (!overtaken(history, token, at))
                        .then_some(ViolationKind::UnexplainedRefusal),
                    "REFRESH_TOKEN_UNKNOWN" | "REFRESH_TOKEN_INVALID" => Some(ViolationKind::Lost),
                    reason if endings.is_ending(reason) => None,
                    _ => Some(ViolationKind::UnexplainedRefusal),
                };
                (session, kind)
            }
            _ => {
                let explained = match (reason.as_str(), operation.call) {
                    ("SUBJECT_DISABLED", Call::Open { .. } | Call::Issue { user: true }) => {
                        happened(Call::DisableUser)
                    }
                    ("CLIENT_DISABLED", _) => {
                        operation.by == Actor::Owner && happened(Call::DisableClient)
                    }
                    _ => false,
                };
                (
                    super::subject(history, operation),
                    (!explained).then_some(ViolationKind::UnexplainedRefusal),
                )
            }
        };
        if let Some(kind) = kind {
            found.push(Violation {
                kind,
                session,
                operations: vec![at],
            });
        }
    }
}

/// Whether a token may have been two behind when an operation that presented it returned.
fn overtaken(history: &History, token: TokenId, at: usize) -> bool {
    let TokenKind::Refresh {
        session,
        generation,
    } = history.tokens[token].kind
    else {
        return false;
    };
    let presented = |newer: bool| {
        (history.operations.iter().enumerate()).any(|(other, operation)| {
            other != at
                && operation.by == Actor::Owner
                && operation.began < history.operations[at].ended
                && matches!(operation.call, Call::Rotate(other) if matches!(
                    history.tokens[other].kind,
                    TokenKind::Refresh { session: own, generation: theirs }
                        if own == session
                            && if newer { theirs > generation } else { theirs == generation }
                ))
        })
    };
    presented(false) && presented(true)
}
