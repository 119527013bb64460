//! Dead stays dead, and nothing dies without a cause.

use super::{Violation, ViolationKind, may_end};
use crate::verify::history::{
    Actor, Answer, Call, History, Operation, SessionId, TokenId, TokenKind,
};
use std::time::Duration;

/// What can end: a session with all its tokens, or one access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Session(SessionId),
    Token(TokenId),
}

/// How surely an operation that was acknowledged ended a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It names it, or covers all that existed before it began.
    Surely,
    /// The thing came to be while it went on.
    Perhaps,
}

/// An answer that shows a thing dead.
struct Death<'a> {
    at: usize,
    operation: &'a Operation,
    /// The reason that the answer gave.
    reason: Option<&'a str>,
}

/// The causes of every ending in a history.
pub(super) struct Endings<'h> {
    history: &'h History,
}

impl<'h> Endings<'h> {
    pub(super) fn of(history: &'h History) -> Self {
        Self { history }
    }

    /// Whether a refusal's reason says that the session has ended.
    #[expect(clippy::unused_self, reason = "it is the endings' vocabulary")]
    pub(super) fn is_ending(&self, reason: &str) -> bool {
        matches!(
            reason,
            "REFRESH_TOKEN_REUSED"
                | "SESSION_REVOKED"
                | "SESSION_CUT_OFF"
                | "SUBJECT_DISABLED"
                | "CLIENT_DISABLED"
        )
    }

    pub(super) fn check(&self, found: &mut Vec<Violation>) {
        for session in 0..self.history.sessions.len() {
            self.judge(Thing::Session(session), found);
            self.counted_once(session, found);
        }
        for (token, known) in self.history.tokens.iter().enumerate() {
            if !matches!(known.kind, TokenKind::Refresh { .. }) {
                self.judge(Thing::Token(token), found);
            }
        }
    }

    fn judge(&self, thing: Thing, found: &mut Vec<Violation>) {
        let session = self.session(thing);
        let deaths = self.deaths(thing);
        for (at, operation) in self.lives(thing) {
            let acknowledged = self.operations().find(|(_, cause)| {
                cause.is_acknowledged()
                    && cause.ended <= operation.began
                    && self.reach(cause, thing) == Some(Reach::Surely)
            });
            let seen = deaths
                .iter()
                .find(|death| death.operation.ended <= operation.began);
            let violation = match (acknowledged, seen) {
                (Some((cause, _)), _) => (ViolationKind::ActiveAfterRevocation, vec![cause, at]),
                (None, Some(death)) => (ViolationKind::CameBack, vec![death.at, at]),
                (None, None) => continue,
            };
            found.push(Violation {
                kind: violation.0,
                session,
                operations: violation.1,
            });
        }
        for death in deaths {
            if self.explained(&death, thing) {
                continue;
            }
            let stranger = self.operations().find(|(_, other)| {
                other.by == Actor::Stranger
                    && other.began < death.operation.ended
                    && self.names(other, thing)
            });
            let (kind, operations) = match stranger {
                Some((other, _)) => (ViolationKind::EndedByStranger, vec![other, death.at]),
                None if death.reason == Some("REFRESH_TOKEN_REUSED") => {
                    (ViolationKind::RevokedWithoutReuse, vec![death.at])
                }
                None => (ViolationKind::Lost, vec![death.at]),
            };
            found.push(Violation {
                kind,
                session,
                operations,
            });
        }
    }

    fn counted_once(&self, session: SessionId, found: &mut Vec<Violation>) {
        let mut ended = 0;
        let mut operations = Vec::new();
        for (at, operation) in self.operations() {
            let named = match operation.call {
                Call::RevokeSession(id) => id == session,
                Call::RevokeByToken(token) => self.history.session_of(token) == Some(session),
                _ => false,
            };
            if let (true, Answer::Revoked(count @ 1..)) = (named, &operation.answer) {
                ended += count;
                operations.push(at);
            }
        }
        if ended > 1 {
            found.push(Violation {
                kind: ViolationKind::EndedTwice,
                session: Some(session),
                operations,
            });
        }
    }

    fn operations(&self) -> impl Iterator<Item = (usize, &'h Operation)> + use<'h> {
        self.history.operations.iter().enumerate()
    }

    fn session(&self, thing: Thing) -> Option<SessionId> {
        match thing {
            Thing::Session(session) => Some(session),
            Thing::Token(token) => self.history.session_of(token),
        }
    }

    /// The operation that brought a thing forth.
    fn birth(&self, thing: Thing) -> &'h Operation {
        let at = match thing {
            Thing::Session(session) => self.history.sessions[session].opened,
            Thing::Token(token) => self.history.tokens[token].born,
        };
        &self.history.operations[at]
    }

    /// The answers that show a thing alive.
    fn lives(&self, thing: Thing) -> Vec<(usize, &'h Operation)> {
        self.operations()
            .filter(
                |(_, operation)| match (&operation.answer, operation.call, thing) {
                    (Answer::Active, Call::Introspect(token), Thing::Token(own)) => token == own,
                    (Answer::Active, Call::Introspect(token), Thing::Session(own))
                    | (Answer::Rotated { .. }, Call::Rotate(token), Thing::Session(own)) => {
                        self.history.session_of(token) == Some(own)
                    }
                    (Answer::Listed(sessions), _, Thing::Session(own)) => {
                        sessions.iter().any(|(session, _)| *session == own)
                    }
                    _ => false,
                },
            )
            .collect()
    }

    /// The answers that show a thing dead, if nothing else explains them.
    fn deaths(&self, thing: Thing) -> Vec<Death<'h>> {
        self.operations()
            .filter_map(|(at, operation)| self.death(at, operation, thing))
            .collect()
    }

    fn death(&self, at: usize, operation: &'h Operation, thing: Thing) -> Option<Death<'h>> {
        let history = self.history;
        let death = |reason| Death {
            at,
            operation,
            reason,
        };
        let before = |other: &Operation| other.began < operation.ended;
        match (&operation.answer, operation.call, thing) {
            (Answer::Refused(reason), Call::Rotate(token), Thing::Session(own)) => {
                let told = operation.by == Actor::Owner
                    && history.session_of(token) == Some(own)
                    && self.is_ending(reason);
                told.then(|| death(Some(reason)))
            }
            (Answer::Inactive, Call::Introspect(token), Thing::Token(own)) if token == own => {
                let lived = operation.ended.saturating_sub(self.birth(thing).began);
                let seen = matches!(operation.by, Actor::Owner | Actor::Introspector)
                    && lived < history.access_ttl;
                seen.then(|| death(None))
            }
            // Of a refresh token, where no step may have superseded it.
            (Answer::Inactive, Call::Introspect(token), Thing::Session(own))
                if history.session_of(token) == Some(own)
                    && matches!(history.tokens[token].kind, TokenKind::Refresh { .. }) =>
            {
                let superseded = history.operations.iter().any(|other| {
                    other.call == Call::Rotate(token) && other.by == Actor::Owner && before(other)
                });
                (operation.by == Actor::Owner && !superseded).then(|| death(None))
            }
            // Of an access token, where nobody may have ended it alone.
            (Answer::Inactive, Call::Introspect(token), Thing::Session(own))
                if history.session_of(token) == Some(own) =>
            {
                let alone = history.operations.iter().any(|other| {
                    other.call == Call::RevokeToken(token) && may_end(other.by) && before(other)
                });
                let dead = self.death(at, operation, Thing::Token(token));
                dead.filter(|_| !alone)
            }
            // Others list only what is their own.
            (Answer::Listed(sessions), _, Thing::Session(own))
                if matches!(operation.by, Actor::Owner | Actor::Revoker) =>
            {
                let missing = self.birth(thing).ended <= operation.began
                    && sessions.iter().all(|(session, _)| *session != own);
                missing.then(|| death(None))
            }
            _ => None,
        }
    }

    /// Whether some operation that may end the thing began before its death was told.
    fn explained(&self, death: &Death<'_>, thing: Thing) -> bool {
        let by_call = self.operations().any(|(at, cause)| {
            cause.began < death.operation.ended
                && at != death.at
                && !matches!(cause.answer, Answer::Refused(_) | Answer::Defect(_))
                && self.reach(cause, thing).is_some()
                && gives(cause.call, death.reason)
        });
        let may_be_reuse = matches!(death.reason, None | Some("REFRESH_TOKEN_REUSED"));
        by_call
            || (may_be_reuse
                && self
                    .session(thing)
                    .is_some_and(|session| self.reused(session, death.operation.ended)))
    }

    /// How an operation reaches a thing, if its caller may end it.
    fn reach(&self, operation: &Operation, thing: Thing) -> Option<Reach> {
        if !may_end(operation.by) {
            return None;
        }
        if self.names(operation, thing) {
            return Some(Reach::Surely);
        }
        let birth = self.birth(thing);
        let wide = match (operation.call, thing) {
            (Call::DisableClient, _) => true,
            (Call::RevokeUser { except }, _) if self.session(thing).is_some() => {
                except != self.session(thing)
            }
            (Call::DisableUser, _) if self.session(thing).is_some() => true,
            (Call::RevokeUser { .. } | Call::DisableUser, Thing::Token(token)) => {
                self.history.tokens[token].kind == TokenKind::UserAccess
            }
            // A repeat of the opening ends the session that the earlier one opened.
            (Call::Open { request }, _) => self.session(thing).is_some_and(|session| {
                let opened = &self.history.sessions[session];
                request.is_some()
                    && opened.request == request
                    && !std::ptr::eq(&raw const self.history.operations[opened.opened], operation)
            }),
            _ => false,
        };
        let settled = operation.settled(self.history.settle);
        match wide {
            true if self.origin(thing).ended <= operation.began => Some(Reach::Surely),
            true if birth.began < settled => Some(Reach::Perhaps),
            _ => None,
        }
    }

    /// The operation before which an ending has to begin to cover the thing for sure: for a
    /// token of a session, the session's.
    fn origin(&self, thing: Thing) -> &'h Operation {
        match self.session(thing) {
            Some(session) => self.birth(Thing::Session(session)),
            None => self.birth(thing),
        }
    }

    /// Whether an operation asks, by name, for the end of a thing.
    fn names(&self, operation: &Operation, thing: Thing) -> bool {
        let session = self.session(thing);
        let of_session =
            |token: TokenId| session.is_some() && self.history.session_of(token) == session;
        match operation.call {
            Call::RevokeSession(id) => Some(id) == session,
            Call::RevokeByToken(token) => of_session(token),
            Call::RevokeToken(token) => match self.history.tokens[token].kind {
                TokenKind::Refresh { .. } => of_session(token),
                _ => thing == Thing::Token(token),
            },
            // Only to see what a stranger asked for; an owner's reuse is judged apart.
            Call::Rotate(token) => operation.by == Actor::Stranger && of_session(token),
            Call::RevokeUser { .. } => operation.by == Actor::Stranger,
            _ => false,
        }
    }

    /// Whether a token of the family may have been older than the grace window when it was
    /// presented by a call that began before `until`.
    fn reused(&self, session: SessionId, until: Duration) -> bool {
        let history = self.history;
        let presented: Vec<_> = self
            .operations()
            .filter_map(|(at, operation)| match operation.call {
                Call::Rotate(token)
                    if operation.by == Actor::Owner
                        && history.session_of(token) == Some(session) =>
                {
                    Some((at, token, operation))
                }
                _ => None,
            })
            .collect();
        presented.iter().any(|(at, token, late)| {
            late.began < until
                && presented.iter().any(|(other, own, first)| {
                    own == token
                        && other != at
                        && late
                            .settled(history.settle)
                            .checked_sub(first.began)
                            .is_some_and(|age| age > history.grace)
                })
        })
    }
}

/// Whether a call that ended a session can be what a refusal gives as its reason.
fn gives(call: Call, reason: Option<&str>) -> bool {
    match reason {
        None => true,
        Some("SESSION_REVOKED") => matches!(
            call,
            Call::RevokeSession(_)
                | Call::RevokeByToken(_)
                | Call::RevokeToken(_)
                | Call::RevokeUser { .. }
                | Call::Open { .. }
        ),
        Some("SESSION_CUT_OFF") => matches!(
            call,
            Call::RevokeUser { except: None } | Call::DisableUser | Call::DisableClient
        ),
        Some("SUBJECT_DISABLED") => call == Call::DisableUser,
        Some("CLIENT_DISABLED") => call == Call::DisableClient,
        Some(_) => false,
    }
}
