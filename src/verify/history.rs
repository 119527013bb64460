//! What happened to one user of one client: every call of it, by whom, when it began
//! and returned, and what it answered. No token stands in a history; each has a number.

use std::{fmt, time::Duration};

/// A session's number in its history.
pub type SessionId = usize;
/// A token's number in its history. Equal plaintexts have equal numbers.
pub type TokenId = usize;

/// The calls about one user of one client, in the order in which they returned.
#[derive(Debug, Clone)]
pub struct History {
    /// How long the client may present a superseded refresh token again.
    pub grace: Duration,
    /// How long a call without an answer may at most go on in the server.
    pub settle: Duration,
    /// How long an access token lives at least.
    pub access_ttl: Duration,
    /// The sessions, in the order in which they became known.
    pub sessions: Vec<Session>,
    /// The tokens, in the order in which they became known.
    pub tokens: Vec<Token>,
    /// The calls.
    pub operations: Vec<Operation>,
}

/// A session that a call was answered with.
#[derive(Debug, Clone)]
pub struct Session {
    /// The operation that opened it.
    pub opened: usize,
    /// The number of its opening's request id.
    pub request: Option<usize>,
}

/// A token that a call was answered with.
#[derive(Debug, Clone)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// The first operation that was answered with it.
    pub born: usize,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A refresh token of a session, of this generation.
    Refresh {
        /// The session.
        session: SessionId,
        /// How many rotations led to it.
        generation: u32,
    },
    /// An access token of a session.
    Access {
        /// The session.
        session: SessionId,
    },
    /// An access token of the user without a session.
    UserAccess,
    /// An access token of the client itself.
    ClientAccess,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Who called.
    pub by: Actor,
    /// What was called.
    pub call: Call,
    /// When it was sent, counted from the run's beginning.
    pub began: Duration,
    /// When it was answered, or given up.
    pub ended: Duration,
    /// What came back.
    pub answer: Answer,
}

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The client that the sessions belong to; it may issue.
    Owner,
    /// Another client, without any role.
    Stranger,
    /// Another client, with the role `revoker`.
    Revoker,
    /// Another client, with the role `introspector` for the audience.
    Introspector,
    /// An admin.
    Admin,
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `IssueToken` with a refresh token, under the request id of this number.
    Open {
        /// Equal numbers are equal request ids.
        request: Option<usize>,
    },
    /// `IssueToken` without a refresh token, for the user or for the client itself.
    Issue {
        /// Whether it is for the user.
        user: bool,
    },
    /// `RotateRefresh`.
    Rotate(TokenId),
    /// `Introspect`.
    Introspect(TokenId),
    /// `RevokeSession` by session id.
    RevokeSession(SessionId),
    /// `RevokeSession` by either kind of token.
    RevokeByToken(TokenId),
    /// `RevokeSession` of the user, but for one session where there is one.
    RevokeUser {
        /// The session that stays.
        except: Option<SessionId>,
    },
    /// `RevokeToken`.
    RevokeToken(TokenId),
    /// `ListSessions` of the user.
    ListSessions,
    /// `DisableUser`.
    DisableUser,
    /// `EnableUser`.
    EnableUser,
    /// `DisableClient` of the owner.
    DisableClient,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A new session.
    Opened {
        /// The session.
        session: SessionId,
        /// Its first refresh token.
        refresh: TokenId,
        /// Its first access token.
        access: TokenId,
    },
    /// An access token without a session.
    Issued {
        /// The token.
        access: TokenId,
    },
    /// The successor.
    Rotated {
        /// Whether it was handed out before: REPLAYED.
        replayed: bool,
        /// The generation of the successor.
        generation: u32,
        /// The successor.
        refresh: TokenId,
        /// A new access token.
        access: TokenId,
    },
    /// The token is active.
    Active,
    /// The token is not active.
    Inactive,
    /// So many sessions ended.
    Revoked(u32),
    /// Done, with nothing to tell.
    Done,
    /// The user's live sessions with their generations.
    Listed(Vec<(SessionId, u32)>),
    /// Refused for this reason of the proto, without its prefix.
    Refused(String),
    /// Nothing came back, or a failure that may be tried again: it may have been done or not.
    Lost(String),
    /// An answer that the proto does not document, or INTERNAL.
    Defect(String),
}

impl Operation {
    /// The latest moment at which the call could still have done something.
    pub fn settled(&self, settle: Duration) -> Duration {
        match self.answer {
            Answer::Lost(_) => self.began.max(self.ended) + settle,
            _ => self.ended,
        }
    }

    /// Whether it certainly did what it asks.
    pub fn is_acknowledged(&self) -> bool {
        !matches!(
            self.answer,
            Answer::Refused(_) | Answer::Lost(_) | Answer::Defect(_)
        )
    }
}

impl History {
    /// The session that a token belongs to.
    pub fn session_of(&self, token: TokenId) -> Option<SessionId> {
        match self.tokens.get(token)?.kind {
            TokenKind::Refresh { session, .. } | TokenKind::Access { session } => Some(session),
            TokenKind::UserAccess | TokenKind::ClientAccess => None,
        }
    }

    /// Whether an operation bears on a session, or on a token without one.
    fn concerns(&self, operation: &Operation, session: Option<SessionId>) -> bool {
        match operation.call {
            Call::Rotate(token)
            | Call::Introspect(token)
            | Call::RevokeByToken(token)
            | Call::RevokeToken(token) => self.session_of(token) == session,
            Call::RevokeSession(id) => Some(id) == session,
            Call::Open { request } => {
                matches!(operation.answer, Answer::Opened { session: id, .. } if Some(id) == session)
                    || session
                        .is_some_and(|id| request.is_some() && self.sessions[id].request == request)
            }
            Call::Issue { .. } => session.is_none(),
            Call::ListSessions => session.is_some(),
            Call::RevokeUser { .. }
            | Call::DisableUser
            | Call::EnableUser
            | Call::DisableClient => true,
        }
    }

    /// What happened to a session (`None`: to the tokens without one) up to and with the
    /// operations `marked`, which bear an arrow; a line each, in the order of their beginnings.
    pub fn excerpt(&self, session: Option<SessionId>, marked: &[usize]) -> String {
        let end = marked.iter().map(|&at| self.operations[at].ended).max();
        let mut lines: Vec<_> = self
            .operations
            .iter()
            .enumerate()
            .filter(|(at, operation)| {
                marked.contains(at)
                    || (self.concerns(operation, session)
                        && end.is_none_or(|end| operation.began <= end))
            })
            .collect();
        lines.sort_by_key(|(_, operation)| operation.began);
        let mut text = String::from("     began ms    ended ms  who           call\n");
        for (at, operation) in lines {
            let arrow = if marked.contains(&at) { "->" } else { "  " };
            let row = format!(
                "{arrow} {:>10.3}  {:>10.3}  {:<12}  {} = {}\n",
                operation.began.as_secs_f64() * 1e3,
                operation.ended.as_secs_f64() * 1e3,
                format!("{:?}", operation.by).to_lowercase(),
                Named(self, &operation.call),
                Named(self, &operation.answer),
            );
            text.push_str(&row);
        }
        text
    }
}

/// Something with the numbers of its history spelt out.
struct Named<'a, T>(&'a History, &'a T);

impl Named<'_, Call> {
    fn token(&self, token: TokenId) -> String {
        name_token(self.0, token)
    }
}

fn name_token(history: &History, token: TokenId) -> String {
    match history.tokens.get(token).map(|token| token.kind) {
        Some(TokenKind::Refresh {
            session,
            generation,
        }) => format!("refresh#{token}(session {session}, generation {generation})"),
        Some(TokenKind::Access { session }) => format!("access#{token}(session {session})"),
        Some(TokenKind::UserAccess) => format!("access#{token}(user)"),
        Some(TokenKind::ClientAccess) => format!("access#{token}(client)"),
        None => format!("token#{token}"),
    }
}

impl fmt::Display for Named<'_, Call> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Call::Open { request: None } => f.write_str("open"),
            Call::Open { request: Some(id) } => write!(f, "open(request {id})"),
            Call::Issue { user: true } => f.write_str("issue(user)"),
            Call::Issue { user: false } => f.write_str("issue(client)"),
            Call::Rotate(token) => write!(f, "rotate {}", self.token(*token)),
            Call::Introspect(token) => write!(f, "introspect {}", self.token(*token)),
            Call::RevokeSession(session) => write!(f, "revoke session {session}"),
            Call::RevokeByToken(token) => write!(f, "revoke session of {}", self.token(*token)),
            Call::RevokeUser { except: None } => f.write_str("revoke user"),
            Call::RevokeUser {
                except: Some(session),
            } => write!(f, "revoke user but session {session}"),
            Call::RevokeToken(token) => write!(f, "revoke token {}", self.token(*token)),
            Call::ListSessions => f.write_str("list sessions"),
            Call::DisableUser => f.write_str("disable user"),
            Call::EnableUser => f.write_str("enable user"),
            Call::DisableClient => f.write_str("disable client"),
        }
    }
}

impl fmt::Display for Named<'_, Answer> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |token: &TokenId| name_token(self.0, *token);
        match self.1 {
            Answer::Opened {
                refresh, access, ..
            } => write!(f, "{} {}", name(refresh), name(access)),
            Answer::Issued { access } => f.write_str(&name(access)),
            Answer::Rotated {
                replayed,
                refresh,
                access,
                generation,
            } => {
                let outcome = if *replayed { "REPLAYED" } else { "ROTATED" };
                let (refresh, access) = (name(refresh), name(access));
                write!(f, "{outcome} to {generation}: {refresh} {access}")
            }
            Answer::Active => f.write_str("active"),
            Answer::Inactive => f.write_str("inactive"),
            Answer::Revoked(count) => write!(f, "{count} ended"),
            Answer::Done => f.write_str("done"),
            Answer::Listed(sessions) => {
                f.write_str("sessions")?;
                for (session, generation) in sessions {
                    write!(f, " {session}@{generation}")?;
                }
                Ok(())
            }
            Answer::Refused(reason) => write!(f, "refused, {reason}"),
            Answer::Lost(why) => write!(f, "no answer, {why}"),
            Answer::Defect(what) => write!(f, "DEFECT, {what}"),
        }
    }
}
