//! What is known of one user while they are being tried: the history, and the plaintext
//! of its tokens beside it.

use super::{
    calls::Unanswered,
    history::{
        Actor, Answer, Call, History, Operation, Session, SessionId, Token, TokenId, TokenKind,
    },
};
use crate::proto::v1;
use std::{collections::HashMap, time::Duration};

/// The history of one user, and what it takes to go on with it.
pub(super) struct Book {
    pub(super) history: History,
    secrets: Vec<String>,
    tokens: HashMap<String, TokenId>,
    session_ids: Vec<String>,
    sessions: HashMap<String, SessionId>,
    /// The newest refresh and access token of each session.
    newest: Vec<(TokenId, TokenId)>,
    /// Sessions that some answer has shown to be over.
    over: Vec<bool>,
    requests: usize,
}

/// A call's answer before its tokens have numbers.
pub(super) enum Raw {
    Issued(v1::IssueTokenResponse),
    Rotated(v1::RotateRefreshResponse),
    Active(bool),
    Revoked(u32),
    Done,
    Listed(Vec<v1::Session>),
}

/// When a call began and returned.
pub(super) type Span = (Duration, Duration);

impl Book {
    pub(super) fn new(history: History) -> Self {
        Self {
            history,
            secrets: Vec::new(),
            tokens: HashMap::new(),
            session_ids: Vec::new(),
            sessions: HashMap::new(),
            newest: Vec::new(),
            over: Vec::new(),
            requests: 0,
        }
    }

    /// A token's plaintext.
    pub(super) fn secret(&self, token: TokenId) -> String {
        self.secrets[token].clone()
    }

    /// A session's id on the wire.
    pub(super) fn session_id(&self, session: SessionId) -> String {
        self.session_ids[session].clone()
    }

    /// The newest refresh and access token of a session.
    pub(super) fn newest(&self, session: SessionId) -> (TokenId, TokenId) {
        self.newest[session]
    }

    /// Every session.
    pub(super) fn sessions(&self) -> std::ops::Range<SessionId> {
        0..self.newest.len()
    }

    /// The sessions that nothing has shown to be over.
    pub(super) fn live(&self) -> Vec<SessionId> {
        self.sessions().filter(|id| !self.over[*id]).collect()
    }

    /// A number for a new request id.
    pub(super) fn new_request(&mut self) -> usize {
        self.requests += 1;
        self.requests - 1
    }

    /// Writes an operation down; what it was answered with gets its numbers.
    pub(super) fn record(
        &mut self,
        by: Actor,
        call: Call,
        (began, ended): Span,
        result: Result<Raw, Unanswered>,
    ) -> &Operation {
        let answer = match result {
            Ok(raw) => self.number(call, raw),
            Err(Unanswered::Refused(reason)) => Answer::Refused(reason),
            Err(Unanswered::Lost(why)) => Answer::Lost(why),
            Err(Unanswered::Defect(what)) => Answer::Defect(what),
        };
        self.note_ending(by, call, &answer);
        let at = self.history.operations.len();
        self.history.operations.push(Operation {
            by,
            call,
            began,
            ended,
            answer,
        });
        &self.history.operations[at]
    }

    fn number(&mut self, call: Call, raw: Raw) -> Answer {
        match raw {
            Raw::Issued(issued) => match call {
                Call::Open { request } => {
                    let session = self.session(issued.session_id, request);
                    let kind = TokenKind::Refresh {
                        session,
                        generation: 0,
                    };
                    let refresh = self.token(issued.refresh_token, kind);
                    let access = self.token(issued.access_token, TokenKind::Access { session });
                    self.newest[session] = (refresh, access);
                    Answer::Opened {
                        session,
                        refresh,
                        access,
                    }
                }
                Call::Issue { user: true } => Answer::Issued {
                    access: self.token(issued.access_token, TokenKind::UserAccess),
                },
                _ => Answer::Issued {
                    access: self.token(issued.access_token, TokenKind::ClientAccess),
                },
            },
            Raw::Rotated(rotated) => self.rotated(call, rotated),
            Raw::Active(true) => Answer::Active,
            Raw::Active(false) => Answer::Inactive,
            Raw::Revoked(count) => Answer::Revoked(count),
            Raw::Done => Answer::Done,
            Raw::Listed(listed) => Answer::Listed(
                listed
                    .into_iter()
                    // Sessions whose opening was never answered have no number.
                    .filter_map(|one| {
                        let session = self.sessions.get(&one.session_id)?;
                        Some((*session, one.generation))
                    })
                    .collect(),
            ),
        }
    }

    fn rotated(&mut self, call: Call, rotated: v1::RotateRefreshResponse) -> Answer {
        let Some(&session) = self.sessions.get(&rotated.session_id) else {
            return Answer::Defect(format!("{call:?} was answered with another session"));
        };
        let generation = rotated.generation;
        let outcome = rotated.outcome();
        let kind = TokenKind::Refresh {
            session,
            generation,
        };
        let refresh = self.token(rotated.refresh_token, kind);
        let access = self.token(rotated.access_token, TokenKind::Access { session });
        let (newest, _) = self.newest[session];
        let behind = matches!(self.history.tokens[newest].kind,
            TokenKind::Refresh { generation: own, .. } if own > generation);
        self.newest[session] = (if behind { newest } else { refresh }, access);
        match outcome {
            v1::RotationOutcome::Unspecified => {
                Answer::Defect("a rotation without an outcome".to_owned())
            }
            v1::RotationOutcome::Rotated | v1::RotationOutcome::Replayed => Answer::Rotated {
                replayed: outcome == v1::RotationOutcome::Replayed,
                generation,
                refresh,
                access,
            },
        }
    }

    fn token(&mut self, secret: String, kind: TokenKind) -> TokenId {
        if let Some(&known) = self.tokens.get(&secret) {
            return known;
        }
        let id = self.secrets.len();
        self.secrets.push(secret.clone());
        self.tokens.insert(secret, id);
        self.history.tokens.push(Token {
            kind,
            born: self.history.operations.len(),
        });
        id
    }

    fn session(&mut self, session_id: String, request: Option<usize>) -> SessionId {
        let id = self.session_ids.len();
        self.session_ids.push(session_id.clone());
        self.sessions.insert(session_id, id);
        self.history.sessions.push(Session {
            opened: self.history.operations.len(),
            request,
        });
        // Its tokens follow at once.
        self.newest.push((0, 0));
        self.over.push(false);
        id
    }

    /// Only a hint for whoever chooses the next call; the checker judges by itself.
    fn note_ending(&mut self, by: Actor, call: Call, answer: &Answer) {
        match (answer, call) {
            (Answer::Revoked(_), Call::RevokeSession(session)) if by != Actor::Stranger => {
                self.over[session] = true;
            }
            (Answer::Revoked(_), Call::RevokeByToken(token)) if by != Actor::Stranger => {
                if let Some(session) = self.history.session_of(token) {
                    self.over[session] = true;
                }
            }
            (Answer::Refused(reason), Call::Rotate(token))
                if by == Actor::Owner && reason != "REFRESH_TOKEN_SUPERSEDED" =>
            {
                if let Some(session) = self.history.session_of(token) {
                    self.over[session] = true;
                }
            }
            (Answer::Listed(sessions), _) => {
                for session in self.sessions() {
                    self.over[session] |= sessions.iter().all(|(listed, _)| *listed != session);
                }
            }
            _ => {}
        }
    }
}
