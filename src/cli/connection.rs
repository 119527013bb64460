//! Where calls go, and on whose behalf.

use super::{credentials::Credentials, failure::Failure, input, input::Stdin};
use crate::proto::v1::{
    directory_service_client::DirectoryServiceClient,
    token_authority_service_client::TokenAuthorityServiceClient,
};
use clap::{
    ArgAction, Args,
    builder::{BoolishValueParser, TypedValueParser as _},
};
use envoy_types::pb::envoy::service::auth::v3::authorization_client::AuthorizationClient;
use std::{env, path::PathBuf, time::Duration};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use uuid::Uuid;

pub(super) const DEFAULT_TARGET: &str = "http://127.0.0.1:7300";
/// The largest page or batch that the proto admits fits well within this.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// The options that every call has.
#[derive(Args)]
#[command(next_help_heading = "Options for calls")]
pub struct CallOptions {
    // As attributes, because names of variables are no Markdown in a terminal. The
    // environment is read in credentials.rs: clap takes a variable for an option
    // that was given, and so --as could not overrule it.
    #[arg(long, global = true, value_name = "URL")]
    #[arg(
        help = "The authority's address [env: COUNTERSIGN_TARGET] [default: http://127.0.0.1:7300]"
    )]
    pub(super) target: Option<String>,
    #[arg(long, global = true, value_name = "UUID")]
    #[arg(help = "The id of the client that calls [env: COUNTERSIGN_CLIENT_ID]")]
    pub(super) client_id: Option<Uuid>,
    #[arg(long, global = true, value_name = "PATH")]
    #[arg(
        help = "The file with its secret, or `-` for stdin; without it the variable \
                COUNTERSIGN_CLIENT_SECRET counts, or the terminal is asked \
                [env: COUNTERSIGN_CLIENT_SECRET_FILE]"
    )]
    pub(super) client_secret_file: Option<PathBuf>,
    /// Call as this client of --dev-json
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(super) as_client: Option<String>,
    /// The `dev.json` that `countersign dev` wrote, for --as
    #[arg(long, global = true, value_name = "PATH")]
    pub(super) dev_json: Option<PathBuf>,
    #[command(flatten)]
    pub(super) tls: TlsOptions,
    /// How long to wait for an answer
    #[arg(long, global = true, value_name = "DURATION")]
    #[arg(default_value = "5s", value_parser = input::timeout)]
    pub(super) timeout: Duration,
    /// Print JSON instead of text, errors too
    #[arg(id = "json", long = "json", global = true, action = ArgAction::SetTrue)]
    #[arg(value_parser = BoolishValueParser::new().map(Json::stdout))]
    pub(super) json_to: Json,
}

/// How an https target is trusted, and how it trusts us.
#[derive(Args, Default)]
#[expect(clippy::struct_field_names, reason = "they are the flags")]
pub struct TlsOptions {
    /// The authorities that an https target's certificate is from (PEM)
    #[arg(long, global = true, value_name = "PATH", env = "COUNTERSIGN_CA_FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// A certificate that proves the client that calls, with or without a secret (PEM)
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "COUNTERSIGN_CERTIFICATE_FILE"
    )]
    #[arg(requires = "key_file")]
    pub(super) certificate_file: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, global = true, value_name = "PATH", env = "COUNTERSIGN_KEY_FILE")]
    #[arg(requires = "certificate_file")]
    pub(super) key_file: Option<PathBuf>,
}

/// Where JSON goes. One type for the flag of most commands and for the file of `bench`,
/// which bears the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    /// There is none.
    Nowhere,
    /// To stdout, instead of text.
    Stdout,
    /// To a file, beside the text.
    File(PathBuf),
}

impl Json {
    fn stdout(wanted: bool) -> Self {
        if wanted { Self::Stdout } else { Self::Nowhere }
    }
}

impl CallOptions {
    /// Whether to print JSON instead of text.
    pub(super) fn json(&self) -> bool {
        self.json_to == Json::Stdout
    }
}

/// A channel to the authority; what is called over it carries the caller's
/// credentials and the deadline.
pub struct Connection {
    target: String,
    channel: Channel,
    authorize: Authorize,
}

type Authorized = InterceptedService<Channel, Authorize>;

impl Connection {
    /// Finds the credentials and connects.
    pub async fn open(options: &CallOptions, stdin: &mut Stdin) -> Result<Self, Failure> {
        let credentials = Credentials::find(options, &|name| env::var_os(name), stdin)?;
        let target = credentials.target.as_deref().unwrap_or(DEFAULT_TARGET);
        let channel = connect(target, options).await?;
        let authorize = Authorize {
            header: credentials.header()?,
            timeout: options.timeout,
        };
        Ok(Self {
            target: target.to_owned(),
            channel,
            authorize,
        })
    }

    /// The token calls.
    pub fn tokens(&self) -> TokenAuthorityServiceClient<Authorized> {
        TokenAuthorityServiceClient::with_interceptor(self.channel.clone(), self.authorize.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// The address that was called.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The connection itself.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The secret that proves the caller, where it has one.
    pub fn authorization(&self) -> Option<MetadataValue<Ascii>> {
        self.authorize.header.clone()
    }

    /// The check that Envoy asks for.
    pub fn checks(&self) -> AuthorizationClient<Authorized> {
        AuthorizationClient::with_interceptor(self.channel.clone(), self.authorize.clone())
    }

    /// The calls about clients and users.
    pub fn directory(&self) -> DirectoryServiceClient<Authorized> {
        DirectoryServiceClient::with_interceptor(self.channel.clone(), self.authorize.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
    }
}

/// Adds the credentials and the deadline to every call.
#[derive(Clone)]
pub struct Authorize {
    header: Option<MetadataValue<Ascii>>,
    timeout: Duration,
}

impl Interceptor for Authorize {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(header) = &self.header {
            request
                .metadata_mut()
                .insert("authorization", header.clone());
        }
        request.set_timeout(self.timeout);
        Ok(request)
    }
}

/// Connects to a server.
pub(super) async fn connect(target: &str, options: &CallOptions) -> Result<Channel, Failure> {
    endpoint(target, &options.tls)?
        .connect_timeout(options.timeout)
        .connect()
        .await
        .map_err(|error| Failure::unreachable(target, &error))
}

fn endpoint(target: &str, tls: &TlsOptions) -> Result<Endpoint, Failure> {
    let bad = |why: &str| Failure::Input(format!("the target `{target}`: {why}"));
    let endpoint = Endpoint::from_shared(target.to_owned())
        .map_err(|_| bad("expected an address like http://127.0.0.1:7300"))?;
    match endpoint.uri().scheme_str() {
        Some("http") if tls.certificate_file.is_some() => {
            Err(bad("a certificate can be shown to https:// alone"))
        }
        Some("http") => Ok(endpoint),
        Some("https") => {
            let Some(ca_file) = &tls.ca_file else {
                return Err(bad("https needs --ca-file"));
            };
            let mut config = ClientTlsConfig::new()
                .ca_certificate(Certificate::from_pem(&*input::read_file(ca_file)?));
            if let (Some(certificate), Some(key)) = (&tls.certificate_file, &tls.key_file) {
                let (certificate, key) = (input::read_file(certificate)?, input::read_file(key)?);
                config = config.identity(Identity::from_pem(&*certificate, &*key));
            }
            endpoint
                .tls_config(config)
                .map_err(|error| bad(&format!("{error}: are the files PEM?")))
        }
        _ => Err(bad("expected an address like http://127.0.0.1:7300")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_http_address() {
        let tls = TlsOptions::default();
        assert!(endpoint("http://[::1]:7300", &tls).is_ok());
        for bad in ["", "localhost", "localhost:7300", "https://a", "ftp://a"] {
            assert!(endpoint(bad, &tls).is_err(), "{bad}");
        }
    }
}
