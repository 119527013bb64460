//! Where to call, and as whom.

use super::{
    dev::Description,
    failure::{Exit, Failure},
};
use crate::proto::v1::{
    directory_service_client::DirectoryServiceClient,
    token_authority_service_client::TokenAuthorityServiceClient,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use std::{
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use zeroize::Zeroizing;

/// The options of every call.
///
/// There is no option for the secret itself, since command lines are visible to everyone
/// on the machine: it comes from a file, from `COUNTERSIGN_CLIENT_SECRET`, or from a prompt.
#[derive(Debug, Args)]
#[command(next_help_heading = "Calling")]
pub(super) struct CallArgs {
    /// The server
    #[arg(long, global = true, env = "COUNTERSIGN_TARGET", value_name = "URL")]
    target: Option<String>,
    /// The calling client's id
    #[arg(
        long,
        global = true,
        env = "COUNTERSIGN_CLIENT_ID",
        value_name = "UUID"
    )]
    client_id: Option<String>,
    /// A file with the calling client's secret; `-` is stdin
    #[arg(
        long,
        global = true,
        env = "COUNTERSIGN_CLIENT_SECRET_FILE",
        value_name = "PATH"
    )]
    client_secret_file: Option<PathBuf>,
    /// Call as this client of a running `countersign dev`: issuer, introspector, revoker
    /// or admin
    #[arg(
        long = "as",
        global = true,
        value_name = "NAME",
        conflicts_with = "client_id"
    )]
    r#as: Option<String>,
    /// The `dev.json` of that `countersign dev`
    #[arg(
        long,
        global = true,
        env = "COUNTERSIGN_DEV_JSON",
        value_name = "PATH",
        default_value = ".countersign/dev.json"
    )]
    dev_json: PathBuf,
    /// How long a call may take
    #[arg(long, global = true, value_name = "TIME", default_value = "5s")]
    timeout: humantime::Duration,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
}

/// Adds the caller's credentials and the deadline to each call.
#[derive(Clone)]
pub(super) struct Caller {
    authorization: MetadataValue<Ascii>,
    timeout: Duration,
}

impl Interceptor for Caller {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request
            .metadata_mut()
            .insert("authorization", self.authorization.clone());
        request.set_timeout(self.timeout);
        Ok(request)
    }
}

type Service = InterceptedService<Channel, Caller>;

impl CallArgs {
    /// A client of the token calls.
    pub(super) async fn tokens(&self) -> Result<TokenAuthorityServiceClient<Service>, Failure> {
        let (channel, caller) = self.connect().await?;
        Ok(TokenAuthorityServiceClient::with_interceptor(
            channel, caller,
        ))
    }

    /// A client of the directory's calls.
    pub(super) async fn directory(&self) -> Result<DirectoryServiceClient<Service>, Failure> {
        let (channel, caller) = self.connect().await?;
        Ok(DirectoryServiceClient::with_interceptor(channel, caller))
    }

    async fn connect(&self) -> Result<(Channel, Caller), Failure> {
        let (target, client_id, secret) = self.caller()?;
        let pair = Zeroizing::new(format!("{client_id}:{}", secret.trim()));
        let header = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
        let mut authorization: MetadataValue<Ascii> = header
            .parse()
            .map_err(|_| Failure::input("the client id or secret is not visible ASCII"))?;
        authorization.set_sensitive(true);
        let timeout = Duration::from(self.timeout);
        let endpoint = Endpoint::from_shared(target.clone())
            .map_err(|_| Failure::input(format!("--target {target} is not a URL")))?
            .connect_timeout(timeout);
        let channel = endpoint.connect().await.map_err(|_| {
            Failure::new(
                Exit::Unavailable,
                format!("cannot reach a server at {target}"),
            )
        })?;
        Ok((
            channel,
            Caller {
                authorization,
                timeout,
            },
        ))
    }

    fn caller(&self) -> Result<(String, String, Zeroizing<String>), Failure> {
        if let Some(name) = &self.r#as {
            return self.dev_caller(name);
        }
        let target = self
            .target
            .clone()
            .unwrap_or_else(|| "http://127.0.0.1:7300".to_owned());
        let client_id = self.client_id.clone().ok_or_else(|| {
            Failure::input("who calls? Give --client-id, or --as with a running `countersign dev`")
        })?;
        Ok((target, client_id, self.secret()?))
    }

    fn dev_caller(&self, name: &str) -> Result<(String, String, Zeroizing<String>), Failure> {
        let file = self.dev_json.display();
        let dev = Description::read(&self.dev_json).ok_or_else(|| {
            Failure::input(format!(
                "--dev-json {file}: no running `countersign dev` wrote it"
            ))
        })?;
        let client = dev
            .clients
            .into_iter()
            .find(|client| client.name == name)
            .ok_or_else(|| {
                Failure::input(format!("--as {name}: {file} has no client of that name"))
            })?;
        let target = self.target.clone().unwrap_or(dev.endpoint);
        Ok((
            target,
            client.client_id.to_string(),
            Zeroizing::new(client.client_secret),
        ))
    }

    fn secret(&self) -> Result<Zeroizing<String>, Failure> {
        if let Some(path) = &self.client_secret_file {
            return read_secret(path, "--client-secret-file");
        }
        if let Ok(secret) = std::env::var("COUNTERSIGN_CLIENT_SECRET") {
            return Ok(Zeroizing::new(secret));
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::input(
                "the client's secret? Give --client-secret-file, or set COUNTERSIGN_CLIENT_SECRET",
            ));
        }
        rpassword::prompt_password("Client secret: ")
            .map(Zeroizing::new)
            .map_err(|error| Failure::input(format!("cannot read the secret: {error}")))
    }
}

/// Reads something secret from a file, or from stdin where the path is `-`.
pub(super) fn read_secret(path: &Path, option: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(path).map(|read| *text = read)
    };
    read.map_err(|error| Failure::input(format!("{option} {}: {error}", path.display())))?;
    let trimmed = text.trim();
    Ok(Zeroizing::new(trimmed.to_owned()))
}
