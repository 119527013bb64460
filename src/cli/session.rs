//! `countersign session`.

use super::{connection::CallArgs, failure::Failure, output, terms::token_text};
use crate::proto::v1::{self, revoke_session_request::Target};
use clap::{Args, Subcommand};

/// List and revoke sessions.
#[derive(Debug, Subcommand)]
pub(super) enum SessionCommand {
    /// List a user's live sessions, the most recently used first
    ///
    /// Example: countersign --as revoker session list --subject UUID
    List(ListArgs),
    /// End one session, or a user's
    ///
    /// Example: countersign --as revoker session revoke --subject UUID --except SESSION
    Revoke(RevokeArgs),
}

/// Whose sessions.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// The user
    #[arg(long, value_name = "UUID")]
    subject: String,
    /// Sessions of one page
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        hide_default_value = true
    )]
    page_size: u32,
    /// Print every page
    #[arg(long)]
    all: bool,
}

/// What to end.
#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    target: RevokeTarget,
    /// A session of that user that stays
    #[arg(long, value_name = "UUID", requires = "subject", default_value = "")]
    except: String,
}

/// Exactly one.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct RevokeTarget {
    /// One session
    #[arg(long, value_name = "UUID")]
    session_id: Option<String>,
    /// The session of this refresh token; `-` is stdin
    #[arg(long, value_name = "TOKEN")]
    refresh_token: Option<String>,
    /// The session of this access token; `-` is stdin
    #[arg(long, value_name = "TOKEN")]
    access_token: Option<String>,
    /// Every session of this user
    #[arg(long, value_name = "UUID")]
    subject: Option<String>,
}

/// Runs the command.
pub(super) async fn run(call: CallArgs, command: SessionCommand) -> Result<(), Failure> {
    match command {
        SessionCommand::List(args) => list(&call, args).await,
        SessionCommand::Revoke(args) => revoke(&call, args).await,
    }
}

async fn list(call: &CallArgs, args: ListArgs) -> Result<(), Failure> {
    let mut client = call.tokens().await?;
    let mut whole = v1::ListSessionsResponse::default();
    loop {
        let request = v1::ListSessionsRequest {
            subject: args.subject.clone(),
            page_size: args.page_size,
            page_token: whole.next_page_token.clone(),
        };
        let page = client.list_sessions(request).await?.into_inner();
        whole.sessions.extend(page.sessions);
        whole.next_page_token = page.next_page_token;
        if !args.all || whole.next_page_token.is_empty() {
            break;
        }
    }
    output::print(&whole, "countersign.v1.ListSessionsResponse", call.json)
}

async fn revoke(call: &CallArgs, args: RevokeArgs) -> Result<(), Failure> {
    let RevokeTarget {
        session_id,
        refresh_token,
        access_token,
        subject,
    } = args.target;
    let target = match (session_id, refresh_token, access_token, subject) {
        (Some(id), _, _, _) => Target::SessionId(id),
        (_, Some(token), _, _) => Target::RefreshToken(token_text(token)?.to_string()),
        (_, _, Some(token), _) => Target::AccessToken(token_text(token)?.to_string()),
        (_, _, _, subject) => Target::User(v1::UserSessions {
            subject: subject.unwrap_or_default(),
            except_session_id: args.except,
        }),
    };
    let request = v1::RevokeSessionRequest {
        target: Some(target),
    };
    let answer = call
        .tokens()
        .await?
        .revoke_session(request)
        .await?
        .into_inner();
    output::print(&answer, "countersign.v1.RevokeSessionResponse", call.json)
}
