//! `countersign token`.

use super::{
    connection::CallArgs,
    failure::{Exit, Failure},
    output,
    terms::{TokenArg, duration, token_text},
};
use crate::proto::v1;
use clap::{Args, Subcommand};

/// Issue, rotate, revoke and introspect tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Issue an access token, for a client or a user, with or without a session
    ///
    /// Example: countersign --as issuer token issue --subject UUID --with-refresh-token
    Issue(IssueArgs),
    /// Exchange a refresh token for its successor and a new access token
    ///
    /// Example: countersign --as issuer token rotate -
    Rotate(RotateArgs),
    /// Revoke one token; a refresh token ends its session
    Revoke(TokenArg),
    /// Say what tokens are, and whether they are alive
    Introspect(IntrospectArgs),
}

/// What to issue.
#[derive(Debug, Args)]
pub(super) struct IssueArgs {
    /// The client that the token is for; by default the caller itself
    #[arg(long, value_name = "UUID")]
    client: Option<String>,
    /// The user; without it, a client-only token
    #[arg(long, value_name = "UUID")]
    subject: Option<String>,
    /// A scope; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// An audience member; may be repeated; by default the client's default audience
    #[arg(long, value_name = "URI")]
    audience: Vec<String>,
    /// The lifetime of the access token
    #[arg(long, value_name = "TIME")]
    ttl: Option<humantime::Duration>,
    /// Open a session
    #[arg(long)]
    with_refresh_token: bool,
    /// What the user logged in with
    #[arg(long, value_name = "TEXT", default_value = "")]
    user_agent: String,
    /// Where the user logged in from
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    ip_address: String,
    /// Makes the opening of the session repeatable
    #[arg(long, value_name = "TEXT", default_value = "")]
    request_id: String,
    /// Register the user if it is not known
    #[arg(long)]
    register_subject: bool,
}

/// What to rotate.
#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    #[command(flatten)]
    token: TokenArg,
    /// Narrow the access token to this scope; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Narrow the access token to this audience member; may be repeated
    #[arg(long, value_name = "URI")]
    audience: Vec<String>,
    /// Replaces the session's user agent
    #[arg(long, value_name = "TEXT", default_value = "")]
    user_agent: String,
    /// Replaces the session's address
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    ip_address: String,
}

/// What to introspect.
#[derive(Debug, Args)]
pub(super) struct IntrospectArgs {
    /// The tokens; `-` reads one from stdin
    #[arg(required = true, value_name = "TOKEN")]
    tokens: Vec<String>,
    /// Exit with 1 unless every token is active
    #[arg(long)]
    fail_inactive: bool,
}

/// Runs the command.
pub(super) async fn run(call: CallArgs, command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Issue(args) => issue(&call, args).await,
        TokenCommand::Rotate(args) => rotate(&call, args).await,
        TokenCommand::Revoke(token) => {
            let token = token.read()?.to_string();
            let request = v1::RevokeTokenRequest {
                token,
                token_type_hint: String::new(),
            };
            let answer = call
                .tokens()
                .await?
                .revoke_token(request)
                .await?
                .into_inner();
            output::print(&answer, "countersign.v1.RevokeTokenResponse", call.json)
        }
        TokenCommand::Introspect(args) => introspect(&call, args).await,
    }
}

async fn issue(call: &CallArgs, args: IssueArgs) -> Result<(), Failure> {
    let request = v1::IssueTokenRequest {
        client_id: args.client.unwrap_or_default(),
        subject: args.subject.unwrap_or_default(),
        scopes: args.scopes,
        audience: args.audience,
        access_token_ttl: args.ttl.map(duration).transpose()?,
        with_refresh_token: args.with_refresh_token,
        user_agent: args.user_agent,
        ip_address: args.ip_address,
        request_id: args.request_id,
        register_subject: args.register_subject,
    };
    let answer = call
        .tokens()
        .await?
        .issue_token(request)
        .await?
        .into_inner();
    output::print(&answer, "countersign.v1.IssueTokenResponse", call.json)
}

async fn rotate(call: &CallArgs, args: RotateArgs) -> Result<(), Failure> {
    let request = v1::RotateRefreshRequest {
        refresh_token: args.token.read()?.to_string(),
        scopes: args.scopes,
        audience: args.audience,
        user_agent: args.user_agent,
        ip_address: args.ip_address,
    };
    let answer = call
        .tokens()
        .await?
        .rotate_refresh(request)
        .await?
        .into_inner();
    output::print(&answer, "countersign.v1.RotateRefreshResponse", call.json)
}

async fn introspect(call: &CallArgs, args: IntrospectArgs) -> Result<(), Failure> {
    let tokens: Vec<String> = args
        .tokens
        .into_iter()
        .map(|token| token_text(token).map(|token| token.to_string()))
        .collect::<Result<_, _>>()?;
    let mut client = call.tokens().await?;
    let all_active = if let [token] = tokens.as_slice() {
        let request = v1::IntrospectRequest {
            token: token.clone(),
            token_type_hint: String::new(),
        };
        let answer = client.introspect(request).await?.into_inner();
        output::print(&answer, "countersign.v1.IntrospectResponse", call.json)?;
        answer.active
    } else {
        let request = v1::BatchIntrospectRequest { tokens };
        let answer = client.batch_introspect(request).await?.into_inner();
        output::print(&answer, "countersign.v1.BatchIntrospectResponse", call.json)?;
        answer.results.iter().all(|result| result.active)
    };
    if args.fail_inactive && !all_active {
        return Err(Failure::new(Exit::Failed, "not active"));
    }
    Ok(())
}
