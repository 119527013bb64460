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
        listed::Listed,
        sessions::{Families, Opened},
        wire::{Line, Wire},
        writers::Subjects,
    },
    cli::{exit::Exit, failure::Failure},
    domain::{clock, keys::KeyId},
    proto::v1::{IssueTokenRequest, IssueTokenResponse, RevokeTokenRequest, RevokeTokenResponse},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use futures_util::future::join_all;
use prost::{Message, bytes::Bytes};
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// Tokens and sessions of each kind that are made before the rows.
const PREPARED: usize = 2048;
/// Calls for them that are under way at once.
const AT_ONCE: usize = 16;
/// Before a call is made again whose connection ended.
const PAUSE: Duration = Duration::from_millis(20);
/// What a row may take beyond its time, and the clocks differ by.
const MARGIN: Duration = Duration::from_secs(5);
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
    /// What the rows call, the tokens and sessions for it, and what keeps the tokens alive.
    pub(super) async fn field(
        &self,
        args: &BenchArgs,
        echo: Wire,
    ) -> Result<(Field, Lease<'_>), Failure> {
        let kinds = 1 + u64::from(self.subject.is_some());
        self.progress
            .begins("issuing tokens to ask about", kinds * PREPARED as u64);
        let (own, sessions) = self.tokens(Some(&self.progress)).await?;
        // Authentic, and no more alive than one that never was.
        let ended = self.one(&IssueTokenRequest::default()).await?;
        let audience = match ended.audience.first() {
            Some(audience) => self.may_check(&own[0].access_token, audience).await,
            None => None,
        };
        self.revoke(&ended.access_token).await?;
        let forged = Tokens::forged(key_id(&ended.access_token)?);
        let expiry = earliest(own.iter().chain(&sessions));
        let of_clients = Listed::new(texts(&own));
        let of_sessions = (!sessions.is_empty()).then(|| Listed::new(texts(&sessions)));
        let refresh: Vec<_> = sessions.iter().map(|of| of.refresh_token.clone()).collect();
        let field = Field {
            echo,
            message_bytes: args.message_bytes,
            authority: self.authority.clone(),
            tokens: Kinds {
                of_sessions: Tokens::Listed(of_sessions.as_ref().unwrap_or(&of_clients).clone()),
                of_clients: Tokens::Listed(of_clients.clone()),
                unknown: Tokens::Listed(Listed::new([Bytes::from(ended.access_token)])),
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
        };
        let lease = Lease {
            of: self,
            of_clients,
            of_sessions,
            expiry: Mutex::new(expiry),
        };
        Ok((field, lease))
    }

    /// Client-only tokens, and sessions where there is a user for them.
    async fn tokens(&self, counted: Option<&Progress>) -> Result<(Issued, Issued), Failure> {
        let own = self.many(&IssueTokenRequest::default(), counted).await?;
        let Some(subject) = self.subject else {
            return Ok((own, Vec::new()));
        };
        let request = IssueTokenRequest {
            subject: subject.to_string(),
            with_refresh_token: true,
            ..IssueTokenRequest::default()
        };
        Ok((own, self.many(&request, counted).await?))
    }

    /// As many of these as are asked about. What was begun is finished and noted, also where
    /// another fails.
    async fn many(
        &self,
        request: &IssueTokenRequest,
        counted: Option<&Progress>,
    ) -> Result<Issued, Failure> {
        let begun = &AtomicUsize::new(0);
        let worker = |caller| async move {
            let mut line = self.authority.line(caller, path::ISSUE);
            let mut own = Vec::new();
            while !self.stop.asked() && begun.fetch_add(1, Ordering::Relaxed) < PREPARED {
                let answer = self.call("IssueToken", &mut line, request).await;
                let issued: IssueTokenResponse = answer.inspect_err(|_| {
                    begun.store(PREPARED, Ordering::Relaxed);
                })?;
                self.made.add(&issued);
                if let Some(progress) = counted {
                    progress.adds(1);
                }
                own.push(issued);
            }
            Ok(own)
        };
        let done = join_all((0..AT_ONCE).map(worker)).await;
        let done: Result<Vec<Issued>, Failure> = done.into_iter().collect();
        let all = done?.into_iter().flatten().collect();
        if self.stop.asked() {
            return Err(interrupted());
        }
        Ok(all)
    }

    async fn one(&self, request: &IssueTokenRequest) -> Result<IssueTokenResponse, Failure> {
        let mut line = self.authority.line(0, path::ISSUE);
        let issued = self.call("IssueToken", &mut line, request).await?;
        self.made.add(&issued);
        Ok(issued)
    }

    async fn revoke(&self, token: &str) -> Result<(), Failure> {
        let request = RevokeTokenRequest {
            token: token.to_owned(),
            ..RevokeTokenRequest::default()
        };
        let mut line = self.authority.line(0, path::REVOKE_TOKEN);
        let answer = self.call("RevokeToken", &mut line, &request).await;
        answer.map(|RevokeTokenResponse {}| ())
    }

    /// The audience, if the caller may check requests for it.
    async fn may_check(&self, token: &str, audience: &str) -> Option<String> {
        let one = Tokens::Listed(Listed::new([Bytes::copy_from_slice(token.as_bytes())]));
        let mut check = Checks::new(&self.authority, 0, one, audience);
        let checked = timeout(self.limit, check.call()).await;
        matches!(checked, Ok(Ok(()))).then(|| audience.to_owned())
    }

    /// One call, and again where its connection ended meanwhile, as a server's do in time.
    async fn call<Q: Message, A: Message + Default>(
        &self,
        name: &str,
        line: &mut Line,
        request: &Q,
    ) -> Result<A, Failure> {
        let until = Instant::now() + self.limit;
        loop {
            let why = match timeout(self.limit, line.call(request)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Trouble::Lost(_))) if Instant::now() < until => {
                    sleep(PAUSE).await;
                    continue;
                }
                Ok(Err(Trouble::Failed(why) | Trouble::Lost(why))) => why,
                Ok(Err(Trouble::Exhausted)) => "nothing left".to_owned(),
                Err(_) => {
                    let why = format!("{name}: no answer within --timeout");
                    return Err(Failure::new(Exit::Unreachable, why));
                }
            };
            return Err(Failure::new(Exit::Refused, format!("{name}: {why}")));
        }
    }
}

type Issued = Vec<IssueTokenResponse>;

/// Keeps the tokens that are asked about alive from row to row.
pub(super) struct Lease<'a> {
    of: &'a Preparation,
    of_clients: Listed,
    of_sessions: Option<Listed>,
    /// When the first of them dies, by the server's clock; none: it does not say.
    expiry: Mutex<Option<SystemTime>>,
}

impl Lease<'_> {
    /// Replaces them where one would die in the next row, which lasts so long.
    pub(super) async fn lasts(&self, time: Duration) -> Result<(), Failure> {
        let expiry = *self.expiry();
        if expiry.is_none_or(|expiry| SystemTime::from(clock::now()) + time + MARGIN < expiry) {
            return Ok(());
        }
        self.of
            .progress
            .says("issuing the tokens to ask about anew");
        let (own, sessions) = self.of.tokens(None).await?;
        *self.expiry() = earliest(own.iter().chain(&sessions));
        self.of_clients.replace(texts(&own));
        if let Some(listed) = &self.of_sessions {
            listed.replace(texts(&sessions));
        }
        Ok(())
    }

    fn expiry(&self) -> MutexGuard<'_, Option<SystemTime>> {
        self.expiry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn earliest<'a>(issued: impl Iterator<Item = &'a IssueTokenResponse>) -> Option<SystemTime> {
    issued
        .filter_map(|one| SystemTime::try_from(one.access_token_expires_at?).ok())
        .min()
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
