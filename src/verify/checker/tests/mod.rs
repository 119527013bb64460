//! Histories written by hand: for every violation one that must be seen, and beside it
//! one as like as can be that must not.

mod endings;
mod steps;

use super::{Violation, ViolationKind, check};
use crate::verify::history::{
    Actor, Answer, Call, History, Operation, Session, SessionId, Token, TokenId, TokenKind,
};
use ViolationKind as V;
use std::time::Duration;

/// Builds a history; moments are milliseconds.
struct Story(History);

impl Story {
    fn new() -> Self {
        Self(History {
            grace: Duration::from_secs(30),
            settle: Duration::from_secs(10),
            access_ttl: Duration::from_hours(1),
            sessions: Vec::new(),
            tokens: Vec::new(),
            operations: Vec::new(),
        })
    }

    /// Opens a session between 0 and 1: session 0, refresh token 0, access token 1.
    fn opened() -> Self {
        let mut story = Self::new();
        story.open(0, 1, None);
        story
    }

    fn strict() -> Self {
        let mut story = Self::opened();
        story.0.grace = Duration::ZERO;
        story
    }

    fn open(&mut self, began: u64, ended: u64, request: Option<usize>) -> SessionId {
        let at = self.0.operations.len();
        let session = self.0.sessions.len();
        self.0.sessions.push(Session {
            opened: at,
            request,
        });
        let refresh = self.token(TokenKind::Refresh {
            session,
            generation: 0,
        });
        let access = self.token(TokenKind::Access { session });
        let answer = Answer::Opened {
            session,
            refresh,
            access,
        };
        self.call(Actor::Owner, Call::Open { request }, began, ended, answer);
        session
    }

    fn issue(&mut self, user: bool, began: u64, ended: u64) -> TokenId {
        let access = self.token(if user {
            TokenKind::UserAccess
        } else {
            TokenKind::ClientAccess
        });
        let answer = Answer::Issued { access };
        self.call(Actor::Owner, Call::Issue { user }, began, ended, answer);
        access
    }

    /// A token that the next operation is answered with.
    fn token(&mut self, kind: TokenKind) -> TokenId {
        self.0.tokens.push(Token {
            kind,
            born: self.0.operations.len(),
        });
        self.0.tokens.len() - 1
    }

    fn call(&mut self, by: Actor, call: Call, began: u64, ended: u64, answer: Answer) {
        self.0.operations.push(Operation {
            by,
            call,
            began: Duration::from_millis(began),
            ended: Duration::from_millis(ended),
            answer,
        });
    }

    fn owner(&mut self, call: Call, began: u64, ended: u64, answer: Answer) -> &mut Self {
        self.call(Actor::Owner, call, began, ended, answer);
        self
    }

    fn by(&mut self, by: Actor, call: Call, began: u64, ended: u64, answer: Answer) -> &mut Self {
        self.call(by, call, began, ended, answer);
        self
    }

    /// The owner rotates `token`; a new successor, or the one given.
    fn rotate(
        &mut self,
        token: TokenId,
        (began, ended): (u64, u64),
        replayed: bool,
        successor: Option<TokenId>,
    ) -> TokenId {
        let TokenKind::Refresh {
            session,
            generation,
        } = self.0.tokens[token].kind
        else {
            panic!("not a refresh token")
        };
        let generation = generation + 1;
        let refresh = successor.unwrap_or_else(|| {
            self.token(TokenKind::Refresh {
                session,
                generation,
            })
        });
        let access = self.token(TokenKind::Access { session });
        let answer = Answer::Rotated {
            replayed,
            generation,
            refresh,
            access,
        };
        self.owner(Call::Rotate(token), began, ended, answer);
        refresh
    }

    fn kinds(&self) -> Vec<V> {
        let mut kinds: Vec<_> = check(&self.0).iter().map(|found| found.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

fn refused(reason: &str) -> Answer {
    Answer::Refused(reason.into())
}

fn lost() -> Answer {
    Answer::Lost("UNAVAILABLE".into())
}

const REFRESH: TokenId = 0;
const ACCESS: TokenId = 1;
