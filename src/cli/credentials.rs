//! Who calls: from options, the environment, a terminal, or `dev.json`.

use super::{
    connection::CallOptions,
    failure::Failure,
    input::{self, Stdin},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::{Deserialize, Deserializer};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use tonic::metadata::{Ascii, MetadataValue};
use uuid::Uuid;
use zeroize::Zeroizing;

const TARGET: &str = "COUNTERSIGN_TARGET";
const CLIENT_ID: &str = "COUNTERSIGN_CLIENT_ID";
const CLIENT_SECRET: &str = "COUNTERSIGN_CLIENT_SECRET";
const CLIENT_SECRET_FILE: &str = "COUNTERSIGN_CLIENT_SECRET_FILE";
const DEV_JSON: &str = "COUNTERSIGN_DEV_JSON";
/// Where `countersign dev` writes it by default.
const DEV_JSON_DEFAULT: &str = ".countersign/dev.json";

/// Reads a variable of the environment; an argument, so that tests can choose it.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A client, its secret, and where it calls if that was said.
pub struct Credentials {
    /// The authority's address.
    pub target: Option<String>,
    /// The user that `dev.json` names.
    pub subject: Option<Uuid>,
    secret: Option<(Uuid, Zeroizing<String>)>,
}

impl Credentials {
    /// Finds them. What stands on the command line comes before the environment,
    /// and what contradicts itself is refused instead of guessed.
    pub fn find(
        options: &CallOptions,
        env: Environment<'_>,
        stdin: &mut Stdin,
    ) -> Result<Self, Failure> {
        match (&options.as_client, &options.dev_json) {
            (Some(name), Some(path)) => Self::of_dev(options, name, path),
            (Some(name), None) => {
                let path = variable(env, DEV_JSON)?;
                let path = path.map_or_else(|| PathBuf::from(DEV_JSON_DEFAULT), PathBuf::from);
                Self::of_dev(options, name, &path)
            }
            (None, Some(_)) => Err(bad("--dev-json needs --as")),
            (None, None) => Self::of_options(options, env, stdin),
        }
    }

    fn of_dev(options: &CallOptions, name: &str, path: &Path) -> Result<Self, Failure> {
        if options.client_id.is_some() || options.client_secret_file.is_some() {
            return Err(bad(
                "--as names the caller, so --client-id and --client-secret-file have no place",
            ));
        }
        let dev = read_dev(path)?;
        let names: Vec<&str> = dev.clients.iter().map(|client| &*client.name).collect();
        let unknown = || {
            let names = names.join(", ");
            Failure::Input(format!("--as {name}: {} has only {names}", path.display()))
        };
        let client = dev.clients.iter().find(|client| client.name == name);
        let client = client.ok_or_else(unknown)?;
        Ok(Self {
            target: Some(options.target.clone().unwrap_or(dev.endpoint)),
            subject: dev.subject,
            secret: Some((client.client_id, client.client_secret.clone())),
        })
    }

    fn of_options(
        options: &CallOptions,
        env: Environment<'_>,
        stdin: &mut Stdin,
    ) -> Result<Self, Failure> {
        let target = match &options.target {
            Some(target) => Some(target.clone()),
            None => variable(env, TARGET)?,
        };
        let client_id = match (options.client_id, variable(env, CLIENT_ID)?) {
            (Some(id), _) => id,
            (None, Some(text)) => input::uuid(CLIENT_ID, &text)?,
            // The certificate says it.
            (None, None) if options.tls.certificate_file.is_some() => {
                return Ok(Self {
                    target,
                    subject: None,
                    secret: None,
                });
            }
            (None, None) => {
                return Err(Failure::Input(format!(
                    "who calls? Give --client-id or {CLIENT_ID}, or --as with --dev-json"
                )));
            }
        };
        let secret = find_secret(options, env, stdin, client_id)?;
        let secret = Zeroizing::new(secret.trim().to_owned());
        if secret.is_empty() {
            return Err(bad("the client secret is empty"));
        }
        Ok(Self {
            target,
            subject: None,
            secret: Some((client_id, secret)),
        })
    }

    /// The value of `authorization` (RFC 7617), marked sensitive; `None` where a certificate
    /// alone proves the caller.
    pub fn header(&self) -> Result<Option<MetadataValue<Ascii>>, Failure> {
        let Some((client_id, secret)) = &self.secret else {
            return Ok(None);
        };
        let pair = Zeroizing::new(format!("{client_id}:{}", **secret));
        let encoded = Zeroizing::new(BASE64.encode(pair.as_bytes()));
        let header = Zeroizing::new(format!("Basic {}", *encoded));
        let mut value = MetadataValue::try_from(header.as_str())
            .map_err(|_| bad("the client secret cannot be sent"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn find_secret(
    options: &CallOptions,
    env: Environment<'_>,
    stdin: &mut Stdin,
    client_id: Uuid,
) -> Result<Zeroizing<String>, Failure> {
    let from_env = variable(env, CLIENT_SECRET)?.map(Zeroizing::new);
    let file_from_env = variable(env, CLIENT_SECRET_FILE)?.map(PathBuf::from);
    let file = match (&options.client_secret_file, from_env, file_from_env) {
        (Some(path), _, _) => path.clone(),
        (None, Some(_), Some(_)) => {
            return Err(Failure::Input(format!(
                "{CLIENT_SECRET} and {CLIENT_SECRET_FILE} are both set; unset one"
            )));
        }
        (None, Some(secret), None) => return Ok(secret),
        (None, None, Some(path)) => path,
        (None, None, None) => {
            let asked = input::prompt(&format!("Secret of client {client_id}: "))?;
            return asked.ok_or_else(|| {
                Failure::Input(format!(
                    "no client secret: give --client-secret-file, or set {CLIENT_SECRET}"
                ))
            });
        }
    };
    if file.as_os_str() == "-" {
        stdin.read("the client secret")
    } else {
        input::read_file(&file)
    }
}

/// A variable's text; an empty one counts as unset, as compose files leave them.
fn variable(env: Environment<'_>, name: &str) -> Result<Option<String>, Failure> {
    match env(name).map(OsString::into_string) {
        None => Ok(None),
        Some(Ok(text)) if text.is_empty() => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => Err(Failure::Input(format!("{name} is not UTF-8"))),
    }
}

/// What `countersign dev` tells; its other fields are of no use here.
#[derive(Deserialize)]
struct Dev {
    endpoint: String,
    subject: Option<Uuid>,
    clients: Vec<DevClient>,
}

#[derive(Deserialize)]
struct DevClient {
    name: String,
    client_id: Uuid,
    #[serde(deserialize_with = "wiped")]
    client_secret: Zeroizing<String>,
}

fn wiped<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

fn read_dev(path: &Path) -> Result<Dev, Failure> {
    let text = input::read_file(path)?;
    serde_json::from_str(&text).map_err(|error| {
        // Serde's own sentence may quote the file, secrets included.
        Failure::Input(format!(
            "{}: line {}: not what `countersign dev` writes",
            path.display(),
            error.line()
        ))
    })
}

fn bad(message: &str) -> Failure {
    Failure::Input(message.to_owned())
}
