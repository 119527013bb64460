//! `countersign dpop`, and the proofs of other commands' calls (RFC 9449).

use super::{
    connection::{CallOptions, Connection},
    exit::Exit,
    failure::Failure,
    input::{self, Stdin},
    output::{self, Record},
};
use crate::domain::{
    clock,
    dpop::{Algorithm, ProofKey, Statement, TargetUri, new_key},
};
use clap::{Args, Subcommand};
use ring::rand::SystemRandom;
use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};
use tonic::{Request, Response, Status, metadata::MetadataValue};
use tonic_types::StatusExt as _;

/// What can be done with proofs.
#[derive(Subcommand)]
pub enum DpopCommand {
    /// Make a private key whose holder a token can be bound to
    ///
    /// It is PKCS#8 in PEM, as `openssl genpkey` makes it. Its thumbprint, which tokens
    /// bear, goes to stderr.
    #[command(after_long_help = "\
Examples:
  countersign dpop key --file dpop.pem
  countersign dpop key --algorithm EdDSA > dpop.pem")]
    Key(KeyArgs),
    /// Make a proof for one request
    #[command(after_long_help = "\
Examples:
  countersign dpop proof --dpop-key dpop.pem --method GET --uri https://api.example.org/orders \\
    --access-token-file token
  countersign dpop proof --dpop-key dpop.pem --method POST --uri https://api.example.org/ --json")]
    Proof(ProofArgs),
}

/// The options of `dpop key`.
#[derive(Args)]
pub struct KeyArgs {
    /// Write the key to this file, created with the mode 0600 [default: stdout]
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    #[arg(long, default_value = "ES256", value_parser = algorithm)]
    #[arg(help = "What the key signs with: ES256, ES384 or EdDSA")]
    algorithm: Algorithm,
}

/// The options of `dpop proof`.
#[derive(Args)]
pub struct ProofArgs {
    /// The private key (PKCS#8 in PEM)
    #[arg(long, value_name = "PATH")]
    dpop_key: PathBuf,
    /// What the key signs with, where an RSA key signs with RS256 [default: by the key]
    #[arg(long, value_parser = algorithm)]
    algorithm: Option<Algorithm>,
    /// The method of the request
    #[arg(long, value_name = "METHOD")]
    method: String,
    /// The URI of the request
    #[arg(long, value_name = "URI")]
    uri: String,
    /// The file with the access token that the request presents, or `-` for stdin
    #[arg(long, value_name = "PATH")]
    access_token_file: Option<PathBuf>,
    /// The nonce that the server gave out
    #[arg(long, value_name = "NONCE")]
    nonce: Option<String>,
}

/// The options of a call that may carry a proof.
#[derive(Args, Default)]
pub struct CallProofArgs {
    /// Prove this private key (PKCS#8 in PEM), so that the tokens are bound to it
    #[arg(long, value_name = "PATH")]
    dpop_key: Option<PathBuf>,
    /// The public origin of the authority, where it is not the target
    #[arg(long, value_name = "URL", requires = "dpop_key")]
    dpop_origin: Option<String>,
}

/// Runs one of them.
pub fn run(command: &DpopCommand, json: bool) -> Result<Exit, Failure> {
    match command {
        DpopCommand::Key(args) => key(args),
        DpopCommand::Proof(args) => proof(args, json),
    }
}

fn key(args: &KeyArgs) -> Result<Exit, Failure> {
    let rng = SystemRandom::new();
    let pem = new_key(args.algorithm, &rng).map_err(|why| Failure::Input(why.to_string()))?;
    let key = ProofKey::read(&pem, &rng).map_err(|why| Failure::Input(why.to_string()))?;
    match &args.file {
        None => output::write(pem.as_bytes())?,
        Some(path) => {
            let made = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path);
            made.and_then(|mut file| file.write_all(pem.as_bytes()))
                .map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
            Exit::Ok
        }
    };
    output::say(&format!("thumbprint {}\n", key.public().thumbprint()));
    Ok(Exit::Ok)
}

fn proof(args: &ProofArgs, json: bool) -> Result<Exit, Failure> {
    if TargetUri::parse(&args.uri).is_none() {
        let why = "--uri: expected an http or https URI";
        return Err(Failure::Input(why.to_owned()));
    }
    let mut key = read_key(&args.dpop_key)?;
    if let Some(algorithm) = args.algorithm {
        key = key.with(algorithm).ok_or_else(|| {
            let path = args.dpop_key.display();
            Failure::Input(format!("{path}: no key for {}", algorithm.name()))
        })?;
    }
    let token = args
        .access_token_file
        .as_deref()
        .map(read_token)
        .transpose()?;
    let made = key.prove(
        Statement {
            method: &args.method,
            uri: &args.uri,
            access_token: token.as_ref().map(input::Token::reveal),
            nonce: args.nonce.as_deref(),
            at: clock::now(),
            id: clock::uuid(),
        },
        &SystemRandom::new(),
    );
    let record = Record::default()
        .text("dpop", made.clone())
        .text("jkt", key.public().thumbprint());
    if json {
        output::print(record, json)
    } else {
        // As a header takes it.
        output::write(format!("{made}\n").as_bytes())
    }
}

/// Reads a private key.
pub fn read_key(path: &Path) -> Result<ProofKey, Failure> {
    ProofKey::read(&input::read_file(path)?, &SystemRandom::new())
        .map_err(|why| Failure::Input(format!("{} {why}", path.display())))
}

fn read_token(path: &Path) -> Result<input::Token, Failure> {
    if path == Path::new("-") {
        return Stdin::default().resolve(&input::Token::from("-"));
    }
    input::read_token_file(path)
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(text).ok_or_else(|| {
        let names = Algorithm::ALL.map(Algorithm::name).join(", ");
        format!("expected one of {names}")
    })
}

impl CallProofArgs {
    /// Calls with a proof, if there is a key; once more with a nonce, if the authority demands
    /// one.
    pub async fn call<M: Clone, T>(
        &self,
        path: &str,
        message: M,
        options: &CallOptions,
        connection: &Connection,
        call: impl AsyncFn(Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<Response<T>, Failure> {
        let Some(file) = &self.dpop_key else {
            return Ok(call(Request::new(message)).await?);
        };
        let key = read_key(file)?;
        let origin = self.dpop_origin.as_deref().unwrap_or(connection.target());
        let uri = format!("{}{path}", origin.trim_end_matches('/'));
        let proved = |nonce: Option<&str>| {
            let says = Statement {
                method: "POST",
                uri: &uri,
                access_token: None,
                nonce,
                at: clock::now(),
                id: clock::uuid(),
            };
            let proof = key.prove(says, &SystemRandom::new());
            let mut request = Request::new(message.clone());
            // A proof is base64url and dots.
            if let Ok(proof) = MetadataValue::try_from(proof) {
                request.metadata_mut().insert("dpop", proof);
            }
            request.set_timeout(options.timeout);
            request
        };
        let status = match call(proved(None)).await {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        let info = status.get_details_error_info();
        let asked = info.is_some_and(|info| info.reason == "USE_DPOP_NONCE");
        let nonce = status.metadata().get("dpop-nonce").cloned();
        match nonce.as_ref().and_then(|nonce| nonce.to_str().ok()) {
            Some(nonce) if asked => Ok(call(proved(Some(nonce))).await?),
            _ => Err(status.into()),
        }
    }
}
