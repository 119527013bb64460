//! `countersign check`: what a request through Envoy would get.

use super::{
    connection::{CallOptions, Connection},
    dpop::read_key,
    exit::Exit,
    failure::Failure,
    input::{self, Stdin, Token},
    output::{self, Record},
};
use crate::domain::{clock, dpop::Statement};
use clap::Args;
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse,
    attribute_context::{HttpRequest, Peer, Request},
    check_response::HttpResponse,
};
use ring::rand::SystemRandom;
use std::{collections::HashMap, path::PathBuf};

/// The options of `check`.
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  countersign check --token - --audience urn:orders < token
  countersign check --token-file token --audience urn:orders --scope a --scope b --json
  countersign check --token-file token --dpop-key dpop.pem --origin https://api.example.org \\
    --path /orders
  countersign check")]
pub struct CheckArgs {
    /// The token that the request presents, or `-` to read it from stdin. Other users of this
    /// machine can read arguments in its list of processes, so prefer `-` or --token-file
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    token: Option<Token>,
    /// Read the token from this file
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
    /// The audience that the route demands [default: the server's sidecar.audience]
    #[arg(long, value_name = "URI")]
    audience: Option<String>,
    /// A scope that the route demands; may be repeated [default: the server's sidecar.scopes]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A scope of which the route demands one; may be repeated
    #[arg(long, value_name = "SCOPE")]
    any_scope: Vec<String>,
    /// The route demands a user
    #[arg(long)]
    subject_required: bool,
    /// The route demands a token that is bound to a key
    #[arg(long)]
    dpop_required: bool,
    /// The route lets requests through that have no token
    #[arg(long)]
    anonymous_allowed: bool,
    /// The method of the request
    #[arg(long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// The path of the request
    #[arg(long, value_name = "PATH", default_value = "/")]
    path: String,
    /// The workload that sends it, as Envoy would name it
    #[arg(long, value_name = "SPIFFE-ID")]
    principal: Option<String>,
    /// Present the token with a proof of this private key (PKCS#8 in PEM)
    #[arg(long, value_name = "PATH", requires = "origin")]
    dpop_key: Option<PathBuf>,
    /// The origin that the proof names
    #[arg(long, value_name = "URL", requires = "dpop_key")]
    origin: Option<String>,
}

/// Asks, and prints the answer; the exit code is 1 if the request is turned away.
pub async fn run(args: CheckArgs, options: &CallOptions) -> Result<Exit, Failure> {
    let mut stdin = Stdin::default();
    let token = match (&args.token, &args.token_file) {
        (Some(token), _) => Some(stdin.resolve(token)?),
        (None, Some(path)) => Some(input::read_token_file(path)?),
        (None, None) => None,
    };
    let request = CheckRequest {
        attributes: Some(args.attributes(token.as_ref())?),
    };
    let calls = Connection::open(options, &mut stdin).await?;
    let answer = calls.checks().check(request).await?.into_inner();
    let (allowed, record) = read(answer);
    output::print(record, options.json())?;
    Ok(if allowed { Exit::Ok } else { Exit::Refused })
}

impl CheckArgs {
    /// What Envoy would say of the request.
    fn attributes(&self, token: Option<&Token>) -> Result<AttributeContext, Failure> {
        let mut headers = HashMap::new();
        if let (Some(token), Some(file)) = (token, &self.dpop_key) {
            let origin = self.origin.as_deref().unwrap_or_default();
            let path = self.path.split(['?', '#']).next().unwrap_or_default();
            let says = Statement {
                method: &self.method,
                uri: &format!("{}{path}", origin.trim_end_matches('/')),
                access_token: Some(token.reveal()),
                nonce: None,
                at: clock::now(),
                id: clock::uuid(),
            };
            let proof = read_key(file)?.prove(says, &SystemRandom::new());
            headers.insert("dpop".to_owned(), proof);
        }
        if let Some(token) = token {
            let scheme = if self.dpop_key.is_some() {
                "DPoP"
            } else {
                "Bearer"
            };
            let value = format!("{scheme} {}", token.reveal());
            headers.insert("authorization".to_owned(), value);
        }
        let http = HttpRequest {
            method: self.method.clone(),
            path: self.path.clone(),
            headers,
            ..HttpRequest::default()
        };
        let principal = self.principal.clone().unwrap_or_default();
        Ok(AttributeContext {
            source: Some(Peer {
                principal,
                ..Peer::default()
            }),
            request: Some(Request {
                http: Some(http),
                ..Request::default()
            }),
            context_extensions: self.extensions(),
            ..AttributeContext::default()
        })
    }

    /// What the route says; nothing where the server's own default holds.
    fn extensions(&self) -> HashMap<String, String> {
        let list = |words: &[String]| (!words.is_empty()).then(|| words.join(" "));
        let truth = |truth: bool| truth.then(|| "true".to_owned());
        let said = [
            ("audience", self.audience.clone()),
            ("scopes", list(&self.scopes)),
            ("any_scope", list(&self.any_scope)),
            ("subject_required", truth(self.subject_required)),
            ("dpop_required", truth(self.dpop_required)),
            ("anonymous_allowed", truth(self.anonymous_allowed)),
        ];
        let said = said.into_iter();
        said.filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    }
}

/// Whether a request is let through, and what is told of it.
fn read(answer: CheckResponse) -> (bool, Record) {
    let line = |option: envoy_types::pb::envoy::config::core::v3::HeaderValueOption| {
        let header = option.header.unwrap_or_default();
        format!("{}: {}", header.key, header.value)
    };
    match answer.http_response {
        Some(HttpResponse::OkResponse(ok)) => {
            let record = Record::default()
                .flag("allowed", true)
                .list("headers", ok.headers.into_iter().map(line).collect())
                .list("headers_to_remove", ok.headers_to_remove);
            (true, record)
        }
        Some(HttpResponse::DeniedResponse(denied)) => {
            let status = denied.status.unwrap_or_default().code;
            let record = Record::default()
                .flag("allowed", false)
                .number("status", status.unsigned_abs())
                .list("headers", denied.headers.into_iter().map(line).collect());
            (false, record)
        }
        Some(HttpResponse::ErrorResponse(_)) | None => {
            (false, Record::default().flag("allowed", false))
        }
    }
}
