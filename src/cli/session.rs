//! `countersign session`: list, revoke.

use super::{
    connection::{CallOptions, Connection},
    exit::Exit,
    failure::Failure,
    input::{self, Stdin, Token},
    output,
    paging::Paging,
};
use crate::proto::v1::{self, revoke_session_request::Target};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use uuid::Uuid;

/// What can be done with sessions.
#[derive(Subcommand)]
pub enum SessionCommand {
    /// List a user's live sessions, the most recently used first
    #[command(after_long_help = "\
Examples:
  countersign session list --subject 0198c0de-0000-7000-8000-000000000001
  countersign session list --subject 0198c0de-0000-7000-8000-000000000001 --all --json")]
    List(ListArgs),
    /// End a session, or a user's sessions, with every token of theirs
    ///
    /// Prints how many live sessions ended; ending what is gone is no error.
    #[command(after_long_help = "\
Examples:
  countersign session revoke --session-id 0198c0de-0000-7000-8000-000000000002
  countersign session revoke --refresh-token - < refresh-token
  countersign session revoke --subject 0198c0de-0000-7000-8000-000000000001 \\\n    --except 0198c0de-0000-7000-8000-000000000002")]
    Revoke(RevokeArgs),
}

/// The options of `session list`.
#[derive(Args)]
pub struct ListArgs {
    /// The user
    #[arg(long, value_name = "UUID")]
    subject: Uuid,
    #[command(flatten)]
    paging: Paging,
}

/// The options of `session revoke`.
#[derive(Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// With --subject: a session that stays
    // Not `requires`, which clap drops where another of the group is given.
    #[arg(long, value_name = "UUID", conflicts_with_all = ["session_id", "refresh_token", "access_token", "token_file"])]
    except: Option<Uuid>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct TargetArgs {
    /// This session
    #[arg(long, value_name = "UUID")]
    session_id: Option<Uuid>,
    /// The session of this refresh token, also a stale one; `-` reads it from
    /// stdin, where other users of this machine cannot see it
    #[arg(long, value_name = "TOKEN")]
    refresh_token: Option<Token>,
    /// The session of this access token, also an expired one; `-` reads it from
    /// stdin
    #[arg(long, value_name = "TOKEN")]
    access_token: Option<Token>,
    /// The session of the access or refresh token in this file
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
    /// Every session of this user
    #[arg(long, value_name = "UUID")]
    subject: Option<Uuid>,
}

/// Runs one of them.
pub async fn run(command: SessionCommand, options: &CallOptions) -> Result<Exit, Failure> {
    match command {
        SessionCommand::List(args) => list(args, options).await,
        SessionCommand::Revoke(args) => {
            let mut stdin = Stdin::default();
            let request = v1::RevokeSessionRequest {
                target: Some(args.target.read(args.except, &mut stdin)?),
            };
            let calls = Connection::open(options, &mut stdin).await?;
            let answer = calls.tokens().revoke_session(request).await?;
            output::print(answer.into_inner(), options.json())
        }
    }
}

async fn list(args: ListArgs, options: &CallOptions) -> Result<Exit, Failure> {
    let calls = Connection::open(options, &mut Stdin::default()).await?;
    let mut sessions = Vec::new();
    let mut page_token = args.paging.page_token.clone().unwrap_or_default();
    loop {
        let request = v1::ListSessionsRequest {
            subject: args.subject.to_string(),
            page_size: args.paging.page_size.unwrap_or_default(),
            page_token,
        };
        let page = calls.tokens().list_sessions(request).await?.into_inner();
        sessions.extend(page.sessions);
        page_token = page.next_page_token;
        if !args.paging.goes_on(&page_token) {
            break;
        }
    }
    let answer = v1::ListSessionsResponse {
        sessions,
        next_page_token: page_token,
    };
    output::print(answer, options.json())
}

impl TargetArgs {
    fn read(self, except: Option<Uuid>, stdin: &mut Stdin) -> Result<Target, Failure> {
        if let Some(id) = self.session_id {
            return Ok(Target::SessionId(id.to_string()));
        }
        if let Some(token) = self.refresh_token {
            let token = stdin.resolve(&token)?;
            return Ok(Target::RefreshToken(token.reveal().to_owned()));
        }
        if let Some(token) = self.access_token {
            let token = stdin.resolve(&token)?;
            return Ok(Target::AccessToken(token.reveal().to_owned()));
        }
        if let Some(path) = self.token_file {
            return of_either_kind(&input::read_token_file(&path)?);
        }
        if let Some(subject) = self.subject {
            return Ok(Target::User(v1::UserSessions {
                subject: subject.to_string(),
                except_session_id: except.map(|id| id.to_string()).unwrap_or_default(),
            }));
        }
        Err(Failure::Input("which session?".to_owned()))
    }
}

/// Tokens say themselves what they are.
fn of_either_kind(token: &Token) -> Result<Target, Failure> {
    let text = token.reveal().to_owned();
    if text.starts_with("cs_rt_") {
        Ok(Target::RefreshToken(text))
    } else if text.starts_with("cs_at_") {
        Ok(Target::AccessToken(text))
    } else {
        Err(Failure::Input(
            "the file holds neither an access token nor a refresh token".to_owned(),
        ))
    }
}
