//! What is made on a server that runs already, for the rows to ask about.

use super::{
    BenchArgs,
    engine::interrupted,
    field::{Field, Kinds, Sessions},
    progress::Progress,
};
use crate::{
    bench::{
        Caller as _, Stop, Trouble,
        callers::{Tokens, path},
        checks::Checks,
        ends::Thing,
        sessions::{Families, Opened},
        wire::Wire,
        writers::Subjects,
    },
    cli::{exit::Exit, failure::Failure},
    domain::keys::KeyId,
    proto::v1::{IssueTokenRequest, IssueTokenResponse, RevokeTokenRequest, RevokeTokenResponse},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use futures_util::future::join_all;
use prost::bytes::Bytes;
use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

/// Tokens and sessions of each kind that are made before the rows.
const PREPARED: usize = 2048;
/// Calls for them that are under way at once.
const AT_ONCE: usize = 16;
/// What a counted token may outlive the run, since nobody ends it.
const SHORT: i64 = 60;

/// Makes what the rows ask about. Nothing is measured here, so each call has a time of its own.
pub(super) struct Preparation {
    /// The server.
    pub(super) authority: Wire,
    /// Whom sessions are opened for.
    pub(super) subject: Option<Uuid>,
    /// How long an answer is waited for.
    pub(super) limit: Duration,
    /// Ends it between two calls.
    pub(super) stop: Stop,
    /// Counts them.
    pub(super) progress: Progress,
    /// What was made so far.
    pub(super) made: Made,
}

/// What was made, to be ended.
#[derive(Default)]
pub(super) struct Made {
    tokens: Mutex<Vec<String>>,
    /// Those whose tokens are asked about, or rotated.
    sessions: Opened,
    /// Those that the rows open.
    opened: Opened,
}

impl Made {
    fn add(&self, issued: &IssueTokenResponse) {
        // A session's token ends with it.
        if let Ok(session) = Uuid::try_parse(&issued.session_id) {
            self.sessions.add(session);
        } else {
            let tokens = self.tokens.lock();
            let mut tokens = tokens.unwrap_or_else(PoisonError::into_inner);
            tokens.push(issued.access_token.clone());
        }
    }

    /// Takes all of it. The last go first.
    pub(super) fn things(&self) -> Vec<Thing> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = std::mem::take(&mut *tokens).into_iter().map(Thing::Token);
        let sessions = [&self.sessions, &self.opened].map(Opened::take_all);
        let sessions = sessions.into_iter().flatten().map(Thing::Session);
        tokens.chain(sessions).collect()
    }
}

impl Preparation {
    /// What the rows call, and the tokens and sessions for it.
    pub(super) async fn field(&self, args: &BenchArgs, echo: Wire) -> Result<Field, Failure> {
        let kinds = 1 + u64::from(self.subject.is_some());
        self.progress
            .begins("issuing tokens to ask about", kinds * PREPARED as u64);
        let own = texts(&self.many(&IssueTokenRequest::default()).await?);
        let sessions = match self.subject {
            Some(subject) => {
                let request = IssueTokenRequest {
                    subject: subject.to_string(),
                    with_refresh_token: true,
                    ..IssueTokenRequest::default()
                };
                self.many(&request).await?
            }
            None => Vec::new(),
        };
        // Authentic, and no more alive than one that never was.
        let ended = self.one(&IssueTokenRequest::default()).await?;
        let audience = match ended.audience.first() {
            Some(audience) => self.may_check(&own[0], audience).await,
            None => None,
        };
        self.revoke(&ended.access_token).await?;
        let forged = Tokens::forged(key_id(&ended.access_token)?);
        let of_clients = Tokens::Listed(own.into());
        let refresh: Vec<_> = sessions.iter().map(|of| of.refresh_token.clone()).collect();
        Ok(Field {
            echo,
            message_bytes: args.message_bytes,
            authority: self.authority.clone(),
            tokens: Kinds {
                of_sessions: if sessions.is_empty() {
                    of_clients.clone()
                } else {
                    Tokens::Listed(texts(&sessions).into())
                },
                of_clients,
                unknown: Tokens::Listed(Arc::new([Bytes::from(ended.access_token)])),
                forged,
            },
            audience,
            issue: IssueTokenRequest {
                access_token_ttl: Some(prost_types::Duration {
                    seconds: SHORT,
                    nanos: 0,
                }),
                ..IssueTokenRequest::default()
            },
            sessions: self.subject.map(|subject| Sessions {
                subjects: Subjects::One(subject),
                families: Families::listed(&refresh, args.concurrency),
                opened: self.made.opened.clone(),
            }),
            database: None,
            concurrency: args.concurrency,
        })
    }

    /// As many of these as are asked about. What was begun is finished and noted, also where
    /// another fails.
    async fn many(&self, request: &IssueTokenRequest) -> Result<Vec<IssueTokenResponse>, Failure> {
        let begun = AtomicUsize::new(0);
        let worker = async |caller: usize| {
            let mut line = self.authority.line(caller, path::ISSUE);
            let mut own = Vec::new();
            while !self.stop.asked() && begun.fetch_add(1, Ordering::Relaxed) < PREPARED {
                let answer = self.bounded("IssueToken", line.call(request)).await;
                let issued: IssueTokenResponse = answer.inspect_err(|_| {
                    begun.store(PREPARED, Ordering::Relaxed);
                })?;
                self.made.add(&issued);
                self.progress.adds(1);
                own.push(issued);
            }
            Ok(own)
        };
        let done = join_all((0..AT_ONCE).map(worker)).await;
        let done: Result<Vec<Vec<IssueTokenResponse>>, Failure> = done.into_iter().collect();
        let all = done?.into_iter().flatten().collect();
        if self.stop.asked() {
            return Err(interrupted());
        }
        Ok(all)
    }

    async fn one(&self, request: &IssueTokenRequest) -> Result<IssueTokenResponse, Failure> {
        let mut line = self.authority.line(0, path::ISSUE);
        let issued = self.bounded("IssueToken", line.call(request)).await?;
        self.made.add(&issued);
        Ok(issued)
    }

    async fn revoke(&self, token: &str) -> Result<(), Failure> {
        let request = RevokeTokenRequest {
            token: token.to_owned(),
            ..RevokeTokenRequest::default()
        };
        let mut line = self.authority.line(0, path::REVOKE_TOKEN);
        let answer = self.bounded("RevokeToken", line.call(&request)).await;
        answer.map(|RevokeTokenResponse {}| ())
    }

    /// The audience, if the caller may check requests for it.
    async fn may_check(&self, token: &Bytes, audience: &str) -> Option<String> {
        let one = Tokens::Listed(Arc::new([token.clone()]));
        let mut check = Checks::new(&self.authority, 0, one, audience);
        let checked = self.bounded("Check", check.call()).await;
        checked.ok().map(|()| audience.to_owned())
    }

    async fn bounded<T>(
        &self,
        call: &str,
        answer: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Failure> {
        let Ok(answer) = tokio::time::timeout(self.limit, answer).await else {
            let why = format!("{call}: no answer within --timeout");
            return Err(Failure::new(Exit::Unreachable, why));
        };
        answer.map_err(|trouble| {
            let why = match trouble {
                Trouble::Failed(why) => why,
                Trouble::Exhausted => "nothing left".to_owned(),
            };
            Failure::new(Exit::Refused, format!("{call}: {why}"))
        })
    }
}

fn texts(of: &[IssueTokenResponse]) -> Vec<Bytes> {
    let tokens = of.iter().map(|issued| issued.access_token.clone());
    tokens.map(Bytes::from).collect()
}

/// The public id of the key that minted a token: its first four bytes (docs/tokens.md).
fn key_id(token: &str) -> Result<KeyId, Failure> {
    let body = token
        .get(6..14)
        .and_then(|text| BASE64URL.decode(text).ok());
    let id = body.and_then(|body| body.first_chunk::<4>().copied());
    id.map(|id| KeyId(u32::from_be_bytes(id)))
        .ok_or_else(|| Failure::new(Exit::Refused, "the target issues tokens of another form"))
}
