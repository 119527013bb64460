//! `countersign token`: issue, rotate, revoke, introspect.

use super::{
    connection::{CallOptions, Connection},
    dpop::CallProofArgs,
    exit::Exit,
    failure::Failure,
    input::{self, OneToken, SomeTokens, Stdin},
    output,
};
use crate::proto::v1;
use clap::{Args, Subcommand};
use std::net::IpAddr;
use uuid::Uuid;

/// The paths of the calls that a proof names.
const ISSUE: &str = "/countersign.v1.TokenAuthorityService/IssueToken";
const ROTATE: &str = "/countersign.v1.TokenAuthorityService/RotateRefresh";

/// What can be done with tokens.
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Mint an access token, and with --with-refresh-token open a session
    ///
    /// The tokens are printed once and nobody can read them again.
    #[command(after_long_help = "\
Examples:
  countersign token issue --scope orders.read --ttl 5m
  countersign token issue --as issuer --dev-json .countersign/dev.json --json
  countersign token issue --subject 0198c0de-0000-7000-8000-000000000001 --with-refresh-token")]
    Issue(Box<IssueArgs>),
    /// Exchange a refresh token for its successor and a new access token
    ///
    /// Safe to repeat within the client's grace window. An older token that comes
    /// back later is taken for stolen, and its session ends.
    #[command(after_long_help = "\
Examples:
  countersign token rotate - < refresh-token
  countersign token rotate --token-file refresh-token --scope orders.read")]
    Rotate(RotateArgs),
    /// Revoke one token; a refresh token ends its session
    ///
    /// An unknown token is answered like a known one (RFC 7009 section 2.2).
    #[command(after_long_help = "\
Examples:
  countersign token revoke - < token
  countersign token revoke --token-file token")]
    Revoke(RevokeArgs),
    /// Say whether tokens are alive and what they grant
    ///
    /// Several tokens are asked about in one call and answered in their order.
    #[command(after_long_help = "\
Examples:
  countersign token introspect - < token
  countersign token introspect --token-file tokens --json
  countersign token introspect --fail-inactive - < token")]
    Introspect(IntrospectArgs),
}

/// The options of `token issue`.
#[derive(Args)]
pub struct IssueArgs {
    /// The client that the token is for [default: the caller]
    #[arg(long, value_name = "UUID")]
    client: Option<Uuid>,
    /// The user on whose behalf it is minted [default: none]
    #[arg(long, value_name = "UUID")]
    subject: Option<Uuid>,
    /// A scope; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Who the token is meant for; may be repeated [default: the client's default audience]
    #[arg(long, value_name = "URI")]
    audience: Vec<String>,
    /// The access token's lifetime, like 5m [default: the client's limit]
    #[arg(long, value_name = "DURATION", value_parser = input::duration)]
    ttl: Option<prost_types::Duration>,
    /// Open a session and print its first refresh token; needs --subject
    #[arg(long)]
    with_refresh_token: bool,
    /// What the user logged in with, kept on the session
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// Where the user logged in from, kept on the session
    #[arg(long, value_name = "ADDRESS")]
    ip_address: Option<IpAddr>,
    /// Makes the opening of a session repeatable; needs --with-refresh-token
    #[arg(long, value_name = "TEXT")]
    request_id: Option<String>,
    /// Create the subject if it is not known yet
    #[arg(long)]
    register_subject: bool,
    #[command(flatten)]
    proof: CallProofArgs,
}

/// The options of `token rotate`.
#[derive(Args)]
pub struct RotateArgs {
    #[command(flatten)]
    token: OneToken,
    /// Narrow the access token to this scope; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Narrow the access token to this audience; may be repeated
    #[arg(long, value_name = "URI")]
    audience: Vec<String>,
    /// Replaces the session's user agent
    #[arg(long, value_name = "TEXT")]
    user_agent: Option<String>,
    /// Replaces the session's address
    #[arg(long, value_name = "ADDRESS")]
    ip_address: Option<IpAddr>,
    #[command(flatten)]
    proof: CallProofArgs,
}

/// The options of `token revoke`.
#[derive(Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    token: OneToken,
}

/// The options of `token introspect`.
#[derive(Args)]
pub struct IntrospectArgs {
    #[command(flatten)]
    tokens: SomeTokens,
    /// Exit with 1 if any of the tokens is not active
    #[arg(long)]
    fail_inactive: bool,
    /// The DPoP proof that came with the token: verify it as well
    #[arg(long, value_name = "PROOF", requires = "method", requires = "uri")]
    dpop_proof: Option<String>,
    /// The method of the request that brought both
    #[arg(long, value_name = "METHOD", requires = "dpop_proof")]
    method: Option<String>,
    /// The URI of the request that brought both
    #[arg(long, value_name = "URI", requires = "dpop_proof")]
    uri: Option<String>,
}

impl IntrospectArgs {
    fn presented(&self) -> Option<v1::DpopPresentation> {
        Some(v1::DpopPresentation {
            proof: self.dpop_proof.clone()?,
            method: self.method.clone().unwrap_or_default(),
            uri: self.uri.clone().unwrap_or_default(),
            nonce_required: false,
        })
    }
}

/// Runs one of them.
pub async fn run(command: TokenCommand, options: &CallOptions) -> Result<Exit, Failure> {
    match command {
        TokenCommand::Issue(args) => {
            let calls = Connection::open(options, &mut Stdin::default()).await?;
            let (proof, request) = issue_request(*args);
            let call = async |request| calls.tokens().issue_token(request).await;
            let answer = proof.call(ISSUE, request, options, &calls, call).await?;
            output::print(answer.into_inner(), options.json())
        }
        TokenCommand::Rotate(args) => {
            let mut stdin = Stdin::default();
            let token = args.token.read(&mut stdin)?;
            let calls = Connection::open(options, &mut stdin).await?;
            let request = v1::RotateRefreshRequest {
                refresh_token: token.reveal().to_owned(),
                scopes: args.scopes,
                audience: args.audience,
                user_agent: args.user_agent.unwrap_or_default(),
                ip_address: text(args.ip_address),
            };
            let call = async |request| calls.tokens().rotate_refresh(request).await;
            let proof = args.proof;
            let answer = proof.call(ROTATE, request, options, &calls, call).await?;
            output::print(answer.into_inner(), options.json())
        }
        TokenCommand::Revoke(args) => {
            let mut stdin = Stdin::default();
            let token = args.token.read(&mut stdin)?;
            let calls = Connection::open(options, &mut stdin).await?;
            let request = v1::RevokeTokenRequest {
                token: token.reveal().to_owned(),
                token_type_hint: String::new(),
            };
            let answer = calls.tokens().revoke_token(request).await?;
            output::print(answer.into_inner(), options.json())
        }
        TokenCommand::Introspect(args) => introspect(args, options).await,
    }
}

async fn introspect(args: IntrospectArgs, options: &CallOptions) -> Result<Exit, Failure> {
    let mut stdin = Stdin::default();
    let tokens = args.tokens.read(&mut stdin)?;
    if args.dpop_proof.is_some() && tokens.len() != 1 {
        let why = "--dpop-proof goes with one token";
        return Err(Failure::Input(why.to_owned()));
    }
    let calls = Connection::open(options, &mut stdin).await?;
    let all_active = if let [token] = tokens.as_slice() {
        let request = v1::IntrospectRequest {
            token: token.reveal().to_owned(),
            token_type_hint: String::new(),
            dpop: args.presented(),
        };
        let answer = calls.tokens().introspect(request).await?.into_inner();
        let active = answer.active;
        output::print(answer, options.json())?;
        active
    } else {
        let tokens = tokens.iter().map(|token| token.reveal().to_owned());
        let request = v1::BatchIntrospectRequest {
            tokens: tokens.collect(),
        };
        let answer = calls.tokens().batch_introspect(request).await?.into_inner();
        let active = answer.results.iter().all(|result| result.active);
        output::print(answer, options.json())?;
        active
    };
    Ok(if args.fail_inactive && !all_active {
        Exit::Refused
    } else {
        Exit::Ok
    })
}

fn issue_request(args: IssueArgs) -> (CallProofArgs, v1::IssueTokenRequest) {
    let request = v1::IssueTokenRequest {
        client_id: text(args.client),
        subject: text(args.subject),
        scopes: args.scopes,
        audience: args.audience,
        access_token_ttl: args.ttl,
        with_refresh_token: args.with_refresh_token,
        user_agent: args.user_agent.unwrap_or_default(),
        ip_address: text(args.ip_address),
        request_id: args.request_id.unwrap_or_default(),
        register_subject: args.register_subject,
    };
    (args.proof, request)
}

/// The proto's form of an optional value: empty where there is none.
fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
