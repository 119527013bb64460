//! The callers over gRPC that read. Each owns its message, and reads of an answer only what says
//! that the call did its work.

use super::{
    Caller, Trouble,
    listed::Listed,
    population::{Population, Random},
    wire::{Line, Wire},
};
use crate::{
    domain::{
        clock,
        keys::{Key, KeyId},
        tokens::{AccessToken, Plaintext},
    },
    driver::Streams,
};
use prost::bytes::Bytes;
use std::sync::Arc;

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

    fn task(&self) -> Option<Streams> {
        Some(self.line.task())
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
    Listed(Listed),
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
    pub fn next(&mut self, random: &mut Random) -> Bytes {
        match self {
            Self::OfSessions(of) => text(
                &of.session_token(random.below(of.session_tokens()))
                    .plaintext(),
            ),
            Self::OfClients(of) => text(
                &of.client_token(random.below(of.client_tokens()))
                    .plaintext(),
            ),
            Self::Listed(tokens) => tokens.next(random),
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
    pub(super) random: Random,
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

    fn task(&self) -> Option<Streams> {
        Some(self.line.task())
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

    fn task(&self) -> Option<Streams> {
        Some(self.line.task())
    }
}
