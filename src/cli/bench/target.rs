//! Against a server that runs already, with credentials as the other commands take them.
//! What is opened there is revoked at the end.

use super::{
    BenchArgs,
    child::Echo,
    engine::Engine,
    field::{Field, Kinds, Sessions},
    machine, plotted,
    progress::Progress,
};
use crate::{
    bench::{
        Caller as _, Stop, Trouble,
        callers::{Tokens, path},
        checks::Checks,
        ends::{self, Thing},
        report::Report,
        rows::{By, Row},
        sessions::{Families, Opened},
        wire::{Line, Wire},
        writers::Subjects,
    },
    cli::{
        connection::{CallOptions, DEFAULT_TARGET},
        credentials::Credentials,
        exit::Exit,
        failure::Failure,
        input::Stdin,
        output,
    },
    domain::keys::KeyId,
    proto::v1::{IssueTokenRequest, IssueTokenResponse, RevokeTokenRequest, RevokeTokenResponse},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL};
use http::{HeaderValue, Uri};
use prost::bytes::Bytes;
use std::{env, sync::Arc, time::Duration};
use uuid::Uuid;

/// Tokens and sessions of each kind that are made before the rows.
const PREPARED: usize = 2048;
/// What a counted token may outlive the run, since nobody ends it.
const SHORT: i64 = 60;
/// How long an answer to a revocation is waited for, at least.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whom to call, as whom.
pub(super) struct Target {
    url: String,
    authorization: HeaderValue,
    subject: Option<Uuid>,
    timeout: Duration,
}

/// What was made, to be ended.
struct Made {
    tokens: Vec<String>,
    sessions: Vec<Uuid>,
    opened: Opened,
}

impl Made {
    /// All of it. The last go first.
    fn things(self) -> Vec<Thing> {
        let tokens = self.tokens.into_iter().map(Thing::Token);
        let sessions = self.sessions.into_iter().chain(self.opened.take_all());
        tokens.chain(sessions.map(Thing::Session)).collect()
    }
}

impl Target {
    /// Finds them.
    pub(super) fn find(options: &CallOptions, subject: Option<Uuid>) -> Result<Self, Failure> {
        let tls = &options.tls;
        if tls.ca_file.is_some() || tls.certificate_file.is_some() {
            let why = "bench speaks no TLS: leave --ca-file, --certificate-file and --key-file \
                       out, and the variables of these names";
            return Err(Failure::Input(why.to_owned()));
        }
        let stdin = &mut Stdin::default();
        let credentials = Credentials::find(options, &|name| env::var_os(name), stdin)?;
        let url = credentials.target.as_deref().unwrap_or(DEFAULT_TARGET);
        plain(url)?;
        let header = credentials
            .header()?
            .ok_or_else(|| Failure::Input("bench calls with a client's secret".into()))?;
        let mut authorization = HeaderValue::from_bytes(header.as_bytes())
            .map_err(|error| Failure::Input(error.to_string()))?;
        // HPACK may remember it, as it does for most clients in the field.
        authorization.set_sensitive(false);
        Ok(Self {
            url: url.to_owned(),
            authorization,
            subject: subject.or(credentials.subject),
            timeout: options.timeout,
        })
    }

    /// Runs the rows that need no database, and ends what they opened.
    pub(super) async fn run(
        &self,
        args: &BenchArgs,
        rows: &[&'static Row],
        progress: &Progress,
        stop: Stop,
    ) -> Result<Report, Failure> {
        let echo = Echo::start().await?;
        let wire = |url: &str| {
            let authorization = Some(self.authorization.clone());
            let (url, connections, timeout) = (url.to_owned(), args.connections, self.timeout);
            async move {
                let wire = Wire::open(&url, connections, authorization, timeout).await;
                wire.map_err(|error| Failure::unreachable(&url, &error))
            }
        };
        let authority = wire(&self.url).await?;
        let mut made = Made {
            tokens: Vec::new(),
            sessions: Vec::new(),
            opened: Opened::default(),
        };
        progress.begins("issuing tokens to ask about", 2 * PREPARED as u64);
        let echoes = wire(&echo.target).await?;
        let prepared = self
            .prepare(args, &authority, echoes, &mut made, progress)
            .await;
        let report = match prepared {
            Ok(field) => self.rows(args, rows, &field, &echo, progress, stop).await,
            Err(failure) => Err(failure),
        };
        progress.says("revoking what was opened");
        let limit = self.timeout.max(PATIENCE);
        let left = ends::end(&authority, args.concurrency, made.things(), limit).await;
        match (report, left) {
            (Ok(report), not_revoked) => Ok(Report {
                not_revoked,
                ..report
            }),
            (Err(failure), None) => Err(failure),
            (Err(failure), Some(left)) => {
                progress.ends();
                output::say(&format!("{left}\n"));
                Err(failure)
            }
        }
    }

    async fn rows(
        &self,
        args: &BenchArgs,
        rows: &[&'static Row],
        field: &Field,
        echo: &Echo,
        progress: &Progress,
        stop: Stop,
    ) -> Result<Report, Failure> {
        let mut left_out = Vec::new();
        let mut kept = Vec::new();
        for row in rows {
            match row.by {
                By::Database => left_out.push((row.name, "needs the database itself".to_owned())),
                By::Checks if field.audience.is_none() => left_out.push((
                    row.name,
                    "needs a client with the role introspector, and tokens with an audience"
                        .to_owned(),
                )),
                By::Sessions if field.sessions.is_none() => left_out.push((
                    row.name,
                    "give --subject, a user that sessions may be opened for".to_owned(),
                )),
                _ => kept.push(*row),
            }
        }
        let engine = Engine {
            plan: args.plan(),
            field,
            instance: None,
            echo_pid: echo.pid(),
            progress,
            stop,
        };
        let reports = engine.rounds(&kept).await?;
        let alone = if args.only.is_empty() && args.rate.is_none() {
            engine.alone().await?
        } else {
            None
        };
        let points = plotted(args, &engine, &reports).await?;
        let mut facts = machine::facts(args, &engine.plan);
        facts.push(("target", self.url.clone().into()));
        facts.extend(machine::broken(field));
        Ok(Report {
            facts,
            rows: reports,
            through: Vec::new(),
            left_out,
            server: None,
            alone,
            points,
            open_loop: args.rate.is_some(),
            not_revoked: None,
        })
    }

    /// Makes the tokens and sessions that the rows ask about.
    async fn prepare(
        &self,
        args: &BenchArgs,
        authority: &Wire,
        echo: Wire,
        made: &mut Made,
        progress: &Progress,
    ) -> Result<Field, Failure> {
        let mut issue = authority.line(0, path::ISSUE);
        let mut own = Vec::with_capacity(PREPARED);
        for _ in 0..PREPARED {
            let issued = issued(&mut issue, &IssueTokenRequest::default()).await?;
            made.tokens.push(issued.access_token.clone());
            own.push(Bytes::from(issued.access_token));
            progress.adds(1);
        }
        let mut of_sessions = Vec::new();
        let mut refresh = Vec::new();
        if let Some(subject) = self.subject {
            let request = IssueTokenRequest {
                subject: subject.to_string(),
                with_refresh_token: true,
                ..IssueTokenRequest::default()
            };
            for _ in 0..PREPARED {
                let issued = issued(&mut issue, &request).await?;
                made.sessions.extend(Uuid::try_parse(&issued.session_id));
                of_sessions.push(Bytes::from(issued.access_token));
                refresh.push(issued.refresh_token);
                progress.adds(1);
            }
        }
        // Authentic, and no more alive than one that never was.
        let ended = issued(&mut issue, &IssueTokenRequest::default()).await?;
        let audience = match ended.audience.first() {
            Some(audience) => may_check(authority, &own[0], audience).await,
            None => None,
        };
        revoke_token(authority, &ended.access_token).await?;
        let forged = Tokens::forged(key_id(&ended.access_token)?);
        let of_clients = Tokens::Listed(own.into());
        Ok(Field {
            echo,
            message_bytes: args.message_bytes,
            authority: authority.clone(),
            tokens: Kinds {
                of_sessions: if of_sessions.is_empty() {
                    of_clients.clone()
                } else {
                    Tokens::Listed(of_sessions.into())
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
                opened: made.opened.clone(),
            }),
            database: None,
            concurrency: args.concurrency,
        })
    }
}

/// Refuses what would have the secret go in the clear where TLS was asked for.
fn plain(url: &str) -> Result<(), Failure> {
    let bad = |why: &str| Err(Failure::Input(format!("the target `{url}`: {why}")));
    match url.parse::<Uri>().ok().as_ref().and_then(Uri::scheme_str) {
        Some("http") => Ok(()),
        Some("https") => bad("bench speaks no TLS: give an http:// address"),
        _ => bad("expected an address like http://127.0.0.1:7300"),
    }
}

/// The audience, if the caller may check requests for it.
async fn may_check(authority: &Wire, token: &Bytes, audience: &str) -> Option<String> {
    let one = Tokens::Listed(Arc::new([token.clone()]));
    let mut check = Checks::new(authority, 0, one, audience);
    check.call().await.ok().map(|()| audience.to_owned())
}

async fn issued(
    line: &mut Line,
    request: &IssueTokenRequest,
) -> Result<IssueTokenResponse, Failure> {
    line.call(request)
        .await
        .map_err(|trouble| refused("IssueToken", &trouble))
}

async fn revoke_token(authority: &Wire, token: &str) -> Result<(), Failure> {
    let request = RevokeTokenRequest {
        token: token.to_owned(),
        ..RevokeTokenRequest::default()
    };
    let answer: Result<RevokeTokenResponse, _> =
        authority.line(0, path::REVOKE_TOKEN).call(&request).await;
    answer
        .map(drop)
        .map_err(|trouble| refused("RevokeToken", &trouble))
}

fn refused(call: &str, trouble: &Trouble) -> Failure {
    let why = match trouble {
        Trouble::Failed(why) => why,
        Trouble::Exhausted => "nothing left",
    };
    Failure::new(Exit::Refused, format!("{call}: {why}"))
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
