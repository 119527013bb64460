//! The callers over gRPC that write, and the mix.

use super::{
    Caller, Trouble,
    callers::{Introspects, path},
    population::{Population, Random},
    sessions::{Families, Opened},
    wire::{Line, Wire},
};
use crate::{driver::Streams, proto::v1};
use prost::bytes::Bytes;
use std::sync::Arc;
use uuid::Uuid;

#[derive(Clone, PartialEq, prost::Message)]
struct Issued {
    #[prost(bytes = "bytes", tag = "1")]
    access_token: Bytes,
    #[prost(string, tag = "5")]
    session_id: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Rotated {
    #[prost(string, tag = "6")]
    refresh_token: String,
    #[prost(int32, tag = "10")]
    outcome: i32,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Counted {
    #[prost(uint32, tag = "1")]
    count: u32,
}

/// Whom sessions are opened for.
#[derive(Clone)]
pub enum Subjects {
    /// Uniformly a population's users.
    Of(Arc<Population>),
    /// One.
    One(Uuid),
}

/// `IssueToken`, client-only or opening sessions.
pub struct Issues {
    line: Line,
    request: v1::IssueTokenRequest,
    opens: Option<(Subjects, Opened)>,
    random: Random,
}

impl Issues {
    /// Caller number `caller`, of client-only tokens with these terms.
    pub fn new(wire: &Wire, caller: usize, request: v1::IssueTokenRequest) -> Self {
        Self {
            line: wire.line(caller, path::ISSUE),
            request,
            opens: None,
            random: Random::new(),
        }
    }

    /// The same with a session each, noted in `opened`.
    pub fn opening(mut self, subjects: Subjects, opened: Opened) -> Self {
        self.request.with_refresh_token = true;
        self.opens = Some((subjects, opened));
        self
    }
}

impl Caller for Issues {
    async fn call(&mut self) -> Result<(), Trouble> {
        if let Some((subjects, _)) = &self.opens {
            let subject = match subjects {
                Subjects::One(subject) => *subject,
                Subjects::Of(of) => of.subject(self.random.below(of.size().users)),
            };
            let mut text = Uuid::encode_buffer();
            let text = subject.hyphenated().encode_lower(&mut text);
            self.request.subject.clear();
            self.request.subject.push_str(text);
        }
        let answer: Issued = self.line.call(&self.request).await?;
        if answer.access_token.is_empty() {
            return Err(Trouble::failed("no token was issued"));
        }
        if let Some((_, opened)) = &self.opens {
            let session = Uuid::try_parse(&answer.session_id);
            opened.add(session.map_err(|_| Trouble::failed("no session was opened"))?);
        }
        Ok(())
    }

    fn task(&self) -> Option<Streams> {
        Some(self.line.task())
    }
}

/// `RotateRefresh` of one part of the sessions, in turn.
pub struct Rotates {
    line: Line,
    families: Arc<Families>,
    part: usize,
    request: v1::RotateRefreshRequest,
}

impl Rotates {
    /// Caller number `caller`, which owns the part of that number.
    pub fn new(wire: &Wire, caller: usize, families: &Arc<Families>) -> Self {
        Self {
            line: wire.line(caller, path::ROTATE),
            part: caller % families.parts(),
            families: Arc::clone(families),
            request: v1::RotateRefreshRequest::default(),
        }
    }
}

impl Caller for Rotates {
    async fn call(&mut self) -> Result<(), Trouble> {
        let (at, token) = self.families.next(self.part).ok_or(Trouble::Exhausted)?;
        self.request.refresh_token = token;
        let answer: Rotated = self.line.call(&self.request).await?;
        self.families.put(self.part, at, &answer.refresh_token);
        if answer.outcome == v1::RotationOutcome::Rotated as i32 {
            Ok(())
        } else {
            Err(Trouble::failed("replayed, so an answer was lost before"))
        }
    }

    fn task(&self) -> Option<Streams> {
        Some(self.line.task())
    }
}

/// `RevokeSession` by session id.
pub struct Revokes {
    line: Line,
    opened: Opened,
}

impl Revokes {
    /// Caller number `caller`, of sessions that nobody uses.
    pub fn new(wire: &Wire, caller: usize, opened: Opened) -> Self {
        Self {
            line: wire.line(caller, path::REVOKE),
            opened,
        }
    }
}

impl Caller for Revokes {
    async fn call(&mut self) -> Result<(), Trouble> {
        let session = self.opened.take().ok_or(Trouble::Exhausted)?;
        let target = v1::revoke_session_request::Target::SessionId(session.to_string());
        let message = v1::RevokeSessionRequest {
            target: Some(target),
        };
        let answer: Result<Counted, _> = self.line.call(&message).await;
        match answer {
            Ok(Counted { count: 1 }) => Ok(()),
            Ok(_) => Err(Trouble::failed("nothing was revoked")),
            Err(trouble) => {
                // It is to be revoked all the same, at the end.
                self.opened.keep(session);
                Err(trouble)
            }
        }
    }

    fn task(&self) -> Option<Streams> {
        Some(self.line.task())
    }
}

/// Nine introspections of ten calls; the tenth issues (3), opens (2), rotates (3) or
/// revokes what this caller opened (2).
pub struct Mixes {
    /// What it does most.
    pub introspects: Introspects,
    /// Three of a hundred.
    pub issues: Issues,
    /// Two of a hundred.
    pub opens: Issues,
    /// Three of a hundred.
    pub rotates: Rotates,
    /// Two of a hundred.
    pub revokes: Revokes,
}

impl Caller for Mixes {
    async fn call(&mut self) -> Result<(), Trouble> {
        match self.introspects.random.below(100) {
            0..90 => self.introspects.call().await,
            90..93 => self.issues.call().await,
            93..95 => self.opens.call().await,
            95..98 => self.rotates.call().await,
            // Nothing was opened yet: now it is.
            _ => match self.revokes.call().await {
                Err(Trouble::Exhausted) => self.opens.call().await,
                done => done,
            },
        }
    }

    fn task(&self) -> Option<Streams> {
        self.introspects.task()
    }
}
