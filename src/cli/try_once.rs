//! `countersign try`: the four calls, once, through the front door.

use super::{
    connection::{CallOptions, Connection},
    exit::Exit,
    failure::Failure,
    input::Stdin,
    output::{self, Record},
};
use crate::proto::v1::{self, revoke_session_request::Target};
use clap::Args;
use std::time::Instant;
use uuid::{Uuid, uuid};

/// The user behind the session that is opened: the same one in every run.
const SUBJECT: Uuid = uuid!("c0ac0ac0-7279-4000-8000-000000000001");

/// Issues a token and opens a session, introspects, rotates and revokes, and checks each
/// answer: whether a deployment works, as its callers reach it. Takes a second, leaves
/// nothing alive, and asks for no more than the role `issuer`. `verify` proves more, and
/// needs an admin.
///
/// Exit code 1: a call was refused, or its answer was wrong.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  countersign try --as issuer --dev-json .countersign/dev.json
  countersign try --target http://countersign.prod.svc:7300 --scope orders.read --json")]
pub(super) struct TryArgs {
    /// A scope of the tokens; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Who the tokens are meant for; may be repeated [default: the client's default audience]
    #[arg(long, value_name = "URI")]
    audience: Vec<String>,
}

/// Makes the calls, in order.
pub(super) async fn run(args: TryArgs, options: &CallOptions) -> Result<Exit, Failure> {
    let calls = Connection::open(options, &mut Stdin::default()).await?;
    let mut attempt = Attempt {
        calls,
        steps: Vec::new(),
        token: None,
        session: None,
    };
    let done = attempt.all(args).await;
    attempt.end_all().await;
    let steps: Vec<Record> = attempt.steps.into_iter().map(Record::from).collect();
    if !steps.is_empty() {
        output::print(Record::default().rows("calls", steps), options.json())?;
    }
    done.map(|()| Exit::Ok)
}

/// A call that was answered as it should be.
struct Step {
    call: &'static str,
    shown: &'static str,
    micros: u64,
}

impl From<Step> for Record {
    fn from(step: Step) -> Self {
        Self::default()
            .text("call", step.call.to_owned())
            .text("shown", step.shown.to_owned())
            .number("micros", step.micros)
    }
}

struct Attempt {
    calls: Connection,
    steps: Vec<Step>,
    /// The client's own token, for as long as it was not revoked.
    token: Option<String>,
    /// The session, for as long as it is not over.
    session: Option<String>,
}

impl Attempt {
    async fn all(&mut self, args: TryArgs) -> Result<(), Failure> {
        let TryArgs { scopes, audience } = args;
        let alone = self
            .issue(
                v1::IssueTokenRequest {
                    scopes: scopes.clone(),
                    audience: audience.clone(),
                    ..Default::default()
                },
                "a token of the client's own",
            )
            .await?;
        self.token = Some(alone.access_token.clone());
        self.introspect(&alone.access_token, true, "it is active")
            .await?;

        let opened = self
            .issue(
                v1::IssueTokenRequest {
                    scopes,
                    audience,
                    subject: SUBJECT.to_string(),
                    with_refresh_token: true,
                    register_subject: true,
                    ..Default::default()
                },
                "a session",
            )
            .await?;
        self.session = Some(opened.session_id);
        self.introspect(&opened.access_token, true, "its token is active")
            .await?;
        let rotated = self.rotate(opened.refresh_token).await?;
        self.introspect(&rotated.access_token, true, "its next token is active")
            .await?;

        self.end(Target::SessionId(rotated.session_id), "the session is over")
            .await?;
        self.session = None;
        self.introspect(&rotated.access_token, false, "its token is not active")
            .await?;
        let started = Instant::now();
        let request = v1::RevokeTokenRequest {
            token: alone.access_token.clone(),
            ..Default::default()
        };
        self.calls.tokens().revoke_token(request).await?;
        self.token = None;
        self.note("RevokeToken", "the client's own token is revoked", started);
        self.introspect(&alone.access_token, false, "it is not active")
            .await
    }

    /// Ends what a failure has left alive, as far as the authority lets it.
    async fn end_all(&mut self) {
        let mut tokens = self.calls.tokens();
        if let Some(token) = self.token.take() {
            let request = v1::RevokeTokenRequest {
                token,
                ..Default::default()
            };
            let _ = tokens.revoke_token(request).await;
        }
        if let Some(session) = self.session.take() {
            let request = v1::RevokeSessionRequest {
                target: Some(Target::SessionId(session)),
            };
            let _ = tokens.revoke_session(request).await;
        }
    }

    async fn issue(
        &mut self,
        request: v1::IssueTokenRequest,
        shown: &'static str,
    ) -> Result<v1::IssueTokenResponse, Failure> {
        let started = Instant::now();
        let answer = self.calls.tokens().issue_token(request).await?;
        self.note("IssueToken", shown, started);
        Ok(answer.into_inner())
    }

    async fn rotate(
        &mut self,
        refresh_token: String,
    ) -> Result<v1::RotateRefreshResponse, Failure> {
        let started = Instant::now();
        let request = v1::RotateRefreshRequest {
            refresh_token,
            ..Default::default()
        };
        let answer = self.calls.tokens().rotate_refresh(request).await?;
        let answer = answer.into_inner();
        if answer.generation != 1 {
            return Err(wrong(
                "the first rotation did not make the first generation",
            ));
        }
        self.note("RotateRefresh", "the session's next tokens", started);
        Ok(answer)
    }

    async fn end(&mut self, target: Target, shown: &'static str) -> Result<(), Failure> {
        let started = Instant::now();
        let request = v1::RevokeSessionRequest {
            target: Some(target),
        };
        let answer = self.calls.tokens().revoke_session(request).await?;
        if answer.into_inner().revoked_sessions != 1 {
            return Err(wrong("the session was not there to be revoked"));
        }
        self.note("RevokeSession", shown, started);
        Ok(())
    }

    async fn introspect(
        &mut self,
        token: &str,
        active: bool,
        shown: &'static str,
    ) -> Result<(), Failure> {
        let started = Instant::now();
        let request = v1::IntrospectRequest {
            token: token.to_owned(),
            ..Default::default()
        };
        let answer = self.calls.tokens().introspect(request).await?;
        match (answer.into_inner().active, active) {
            (true, false) => return Err(wrong("a token that was revoked is still active")),
            (false, true) => return Err(wrong("a token that was just issued is not active")),
            _ => self.note("Introspect", shown, started),
        }
        Ok(())
    }

    fn note(&mut self, call: &'static str, shown: &'static str, started: Instant) {
        let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.steps.push(Step {
            call,
            shown,
            micros,
        });
    }
}

/// An answer that no working authority gives.
fn wrong(what: &str) -> Failure {
    Failure::new(Exit::Refused, what)
}
