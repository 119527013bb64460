//! The callers over gRPC. Each owns its message, and reads of an answer only what says
//! that the call did its work.

use super::{
    Caller, Trouble,
    population::{Population, Random},
    sessions::{Families, Opened},
    wire::{Line, Wire},
};
use crate::domain::{
    clock,
    keys::{Key, KeyId},
    tokens::{AccessToken, Plaintext},
};
use crate::proto::v1;
use prost::bytes::Bytes;
use std::sync::Arc;
use uuid::Uuid;

/// The methods by their paths.
pub mod path {
    /// The bare echo.
    pub const ECHO: &str = "/countersign.bench.Echo/Echo";
    /// `Introspect`.
    pub const INTROSPECT: &str = "/countersign.v1.TokenAuthorityService/Introspect";
    /// `BatchIntrospect`.
    pub const BATCH: &str = "/countersign.v1.TokenAuthorityService/BatchIntrospect";
    /// `IssueToken`.
    pub const ISSUE: &str = "/countersign.v1.TokenAuthorityService/IssueToken";
    /// `RotateRefresh`.
    pub const ROTATE: &str = "/countersign.v1.TokenAuthorityService/RotateRefresh";
    /// `RevokeSession`.
    pub const REVOKE: &str = "/countersign.v1.TokenAuthorityService/RevokeSession";
    /// `RevokeToken`.
    pub const REVOKE_TOKEN: &str = "/countersign.v1.TokenAuthorityService/RevokeToken";
}

/// Tokens in one `BatchIntrospect`.
pub const BATCH: usize = 100;

/// The echo's message, and any message whose first field alone matters.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Payload {
    /// Bytes, or a string.
    #[prost(bytes = "bytes", tag = "1")]
    pub data: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Payloads {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    data: Vec<Bytes>,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Active {
    #[prost(bool, tag = "1")]
    active: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Actives {
    #[prost(message, repeated, tag = "1")]
    results: Vec<Active>,
}

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

/// The bare echo of a message.
pub struct Echoes {
    line: Line,
    message: Payload,
}

impl Echoes {
    /// Caller number `caller`, with a message of this many bytes.
    pub fn new(wire: &Wire, caller: usize, bytes: usize) -> Self {
        // Not all the same, as a token is not.
        let data: Vec<u8> = (b'!'..=b'~').cycle().take(bytes).collect();
        Self {
            line: wire.line(caller, path::ECHO),
            message: Payload { data: data.into() },
        }
    }
}

impl Caller for Echoes {
    async fn call(&mut self) -> Result<(), Trouble> {
        let answer: Payload = self.line.call(&self.message).await?;
        if answer.data.len() == self.message.data.len() {
            Ok(())
        } else {
            Err(Trouble::failed("the echo is not what was said"))
        }
    }
}

/// Where the tokens to ask about come from.
#[derive(Clone)]
pub enum Tokens {
    /// Uniformly from a population's tokens with sessions.
    OfSessions(Arc<Population>),
    /// Uniformly from a population's client-only tokens.
    OfClients(Arc<Population>),
    /// Uniformly from these.
    Listed(Arc<[Bytes]>),
    /// Authentic ones that no table holds.
    Unknown(Arc<Population>),
    /// Well-formed ones under the right key id, with a wrong MAC.
    Forged(Arc<Key>),
}

impl Tokens {
    /// Forged ones under a key's public id.
    pub fn forged(id: KeyId) -> Self {
        Self::Forged(Arc::new(Key::new(id, &clock::random())))
    }

    /// The next one.
    pub fn next(&self, random: &mut Random) -> Bytes {
        match self {
            Self::OfSessions(of) => text(
                &of.session_token(random.below(of.session_tokens()))
                    .plaintext(),
            ),
            Self::OfClients(of) => text(
                &of.client_token(random.below(of.client_tokens()))
                    .plaintext(),
            ),
            Self::Listed(tokens) => {
                let at = random.below(tokens.len() as u64);
                tokens[usize::try_from(at).unwrap_or_default()].clone()
            }
            Self::Unknown(of) => {
                let beyond = of.size().tokens + (random.bits() >> 8);
                text(&of.access(beyond).plaintext())
            }
            Self::Forged(key) => {
                let mut bytes = [0; 24];
                for chunk in bytes.chunks_mut(8) {
                    chunk.copy_from_slice(&random.bits().to_ne_bytes());
                }
                text(&AccessToken::mint(key, 1_800_000_000, &bytes).plaintext())
            }
        }
    }
}

fn text(token: &Plaintext) -> Bytes {
    Bytes::copy_from_slice(token.reveal().as_bytes())
}

/// `Introspect`.
pub struct Introspects {
    line: Line,
    tokens: Tokens,
    active: bool,
    random: Random,
}

impl Introspects {
    /// Caller number `caller`; whether the tokens should be `active`.
    pub fn new(wire: &Wire, caller: usize, tokens: Tokens, active: bool) -> Self {
        Self {
            line: wire.line(caller, path::INTROSPECT),
            tokens,
            active,
            random: Random::new(),
        }
    }
}

impl Caller for Introspects {
    async fn call(&mut self) -> Result<(), Trouble> {
        let message = Payload {
            data: self.tokens.next(&mut self.random),
        };
        let answer: Active = self.line.call(&message).await?;
        expect_active(answer.active, self.active)
    }
}

fn expect_active(found: bool, expected: bool) -> Result<(), Trouble> {
    match (found, expected) {
        (true, false) => Err(Trouble::failed("active, and should not be")),
        (false, true) => Err(Trouble::failed("not active, and should be")),
        _ => Ok(()),
    }
}

/// `BatchIntrospect` of [`BATCH`] tokens.
pub struct Batches {
    line: Line,
    tokens: Tokens,
    random: Random,
}

impl Batches {
    /// Caller number `caller`.
    pub fn new(wire: &Wire, caller: usize, tokens: Tokens) -> Self {
        Self {
            line: wire.line(caller, path::BATCH),
            tokens,
            random: Random::new(),
        }
    }
}

impl Caller for Batches {
    async fn call(&mut self) -> Result<(), Trouble> {
        let data = (0..BATCH).map(|_| self.tokens.next(&mut self.random));
        let message = Payloads {
            data: data.collect(),
        };
        let answer: Actives = self.line.call(&message).await?;
        if answer.results.len() != BATCH {
            return Err(Trouble::failed("answers are missing"));
        }
        let active = answer.results.iter().all(|one| one.active);
        expect_active(active, true)
    }
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
        let answer: Counted = self.line.call(&message).await?;
        if answer.count == 1 {
            Ok(())
        } else {
            Err(Trouble::failed("nothing was revoked"))
        }
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
}
