//! Where the database is, who asks, and how its connections are secured.

mod parameters;

use super::tls::{Mode, Roots, TlsOptions};
use fluent_uri::pct_enc::{
    EString,
    encoder::{Data, Path as PathEncoder},
};
use parameters::Parameters;
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};
use thiserror::Error;
use tokio_postgres::{
    Config,
    config::{Host, LoadBalanceHosts, SslMode, TargetSessionAttrs},
};
use zeroize::Zeroizing;

/// How long sent data may go unacknowledged before the connection is given up, where the URL
/// says nothing (`tcp_user_timeout`): a host that vanished sends no word of it.
const USER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is silent before it is asked, where the URL says nothing
/// (`keepalives_idle`), and then how often and how many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(5), 3);

/// A PostgreSQL URL or key/value string that was read, with the files that go with it.
/// It never prints.
#[derive(Clone)]
pub struct DatabaseUrl {
    config: Config,
    tls: TlsOptions,
    password_file: Option<PathBuf>,
}

/// The files that go with a URL; each is read again for every new connection.
#[derive(Debug, Clone, Default)]
pub struct DatabaseFiles {
    /// The authorities that sign the database's certificate (PEM), or `system`.
    pub ca: Option<PathBuf>,
    /// The client's certificate and what leads to its authority (PEM).
    pub certificate: Option<PathBuf>,
    /// The key of that certificate (PEM).
    pub key: Option<PathBuf>,
    /// The password, over that of the URL.
    pub password: Option<PathBuf>,
}

/// Why a URL is of no use. The text may hold a password, so nothing of it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidUrl {
    /// Neither form, or with a parameter that nobody knows.
    #[error("is neither a postgres:// URL nor `key=value` pairs that PostgreSQL understands")]
    Text,
    /// There is no default for it.
    #[error("names no host")]
    NoHost,
    /// No name or address has such a character, but a password may have it.
    #[error(
        "names a host that no name or address can be: is every `@`, `/`, `?` and `:` of the \
         password percent-encoded (`@` is %40)?"
    )]
    Host,
    /// A parameter has a value that makes no sense.
    #[error("has a value of `{0}` that makes no sense")]
    Value(&'static str),
    /// `sslmode` has another word.
    #[error("has an sslmode that is none of disable, prefer, require, verify-ca, verify-full")]
    Mode,
    /// `target_session_attrs` has another word.
    #[error("has a target_session_attrs that is neither any nor read-write")]
    Target,
    /// Nothing to verify the server by.
    #[error(
        "asks for {0}, but nothing says which authorities count: set database.ca_file, or \
         sslrootcert in the URL, to a file or to `system`"
    )]
    NoAuthorities(Mode),
    /// Authorities that would count for nothing.
    #[error(
        "has sslmode={0}, which verifies nothing, though database.ca_file (sslrootcert) is set: \
         say verify-full"
    )]
    UnusedAuthorities(Mode),
    /// Anybody has a certificate of the system's authorities.
    #[error("has sslmode={0}, but the system's authorities count only with verify-full")]
    WeakSystem(Mode),
    /// Half a pair.
    #[error(
        "has a client certificate without its key, or the other way round: set \
         database.certificate_file (sslcert) and database.key_file (sslkey), or neither"
    )]
    HalfIdentity,
    /// A certificate that would never be sent.
    #[error("has sslmode=disable, though database.certificate_file (sslcert) is set")]
    UnusedIdentity,
}

impl DatabaseUrl {
    /// Reads a URL or key/value string.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        Self::with_files(text, DatabaseFiles::default())
    }

    /// Reads a URL or key/value string; a file given beside it counts before one that it names.
    /// The files themselves are read when a connection is made.
    pub fn with_files(text: &str, files: DatabaseFiles) -> Result<Self, InvalidUrl> {
        let parameters = Parameters::take(text)?;
        let mut config = Config::from_str(&parameters.rest).map_err(|_| InvalidUrl::Text)?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(InvalidUrl::NoHost);
        }
        if !config.get_hosts().iter().all(can_be) {
            return Err(InvalidUrl::Host);
        }
        config.target_session_attrs(target(&parameters, &config)?);
        sockets(&parameters, &mut config)?;
        Ok(Self {
            tls: tls(&parameters, &files)?,
            config,
            password_file: files.password,
        })
    }

    /// The same database, asked by another role.
    pub fn as_role(&self, role: &str, password: &str) -> Self {
        let mut other = self.clone();
        other.config.user(role).password(password);
        other.password_file = None;
        other
    }

    /// The same database, where it takes writes: what a standby answers may be of yesterday.
    pub(super) fn that_writes(&self) -> Self {
        self.map(|config| {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        })
    }

    /// The same database, with connections of other properties.
    pub(super) fn map(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut other = self.clone();
        change(&mut other.config);
        other
    }

    /// The role that asks; empty: the system's user.
    pub fn role(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }

    /// The database as a URL with user and password, for scripts.
    pub fn to_url(&self) -> Zeroizing<String> {
        let hosts: Vec<_> = self
            .config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| {
                let host = match host {
                    Host::Tcp(host) if host.contains(':') => format!("[{host}]"),
                    Host::Tcp(host) => host.clone(),
                    Host::Unix(path) => encoded(&path.to_string_lossy()),
                };
                let ports = self.config.get_ports();
                let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
                format!("{host}:{port}")
            })
            .collect();
        Zeroizing::new(format!(
            "postgres://{}:{}@{}/{}{}",
            encoded(self.role()),
            encoded(&String::from_utf8_lossy(
                self.config.get_password().unwrap_or_default()
            )),
            hosts.join(","),
            encoded(self.config.get_dbname().unwrap_or(self.role())),
            self.query(),
        ))
    }

    /// What stands behind the question mark: which server, and how it is verified.
    fn query(&self) -> String {
        let path = |path: &Path| encoded(&path.to_string_lossy());
        let mut pairs = Vec::new();
        if self.tls.mode != Mode::Prefer {
            pairs.push(format!("sslmode={}", self.tls.mode));
        }
        match &self.tls.roots {
            None => {}
            Some(Roots::System) => pairs.push("sslrootcert=system".to_owned()),
            Some(Roots::File(file)) => pairs.push(format!("sslrootcert={}", path(file))),
        }
        if let Some((certificate, key)) = &self.tls.identity {
            pairs.push(format!("sslcert={}", path(certificate)));
            pairs.push(format!("sslkey={}", path(key)));
        }
        if self.config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite {
            pairs.push("target_session_attrs=read-write".to_owned());
        } else if self.config.get_hosts().len() > 1 {
            pairs.push("target_session_attrs=any".to_owned());
        }
        if self.config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            pairs.push("load_balance_hosts=random".to_owned());
        }
        if pairs.is_empty() {
            return String::new();
        }
        format!("?{}", pairs.join("&"))
    }

    /// For the one place that connects.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// How connections are secured.
    pub(super) fn tls(&self) -> &TlsOptions {
        &self.tls
    }

    /// The file of the password.
    pub(super) fn password_file(&self) -> Option<&Path> {
        self.password_file.as_deref()
    }
}

/// What the driver has read already, with no file beside it.
impl From<&Config> for DatabaseUrl {
    fn from(config: &Config) -> Self {
        Self {
            tls: TlsOptions {
                mode: match config.get_ssl_mode() {
                    SslMode::Disable => Mode::Disable,
                    SslMode::Require => Mode::Require,
                    // The driver may learn others, and prefers by itself.
                    _ => Mode::Prefer,
                },
                roots: None,
                identity: None,
            },
            config: config.clone(),
            password_file: None,
        }
    }
}

impl From<&DatabaseUrl> for DatabaseUrl {
    fn from(url: &DatabaseUrl) -> Self {
        url.clone()
    }
}

/// Whether a name or an address can be so. What cannot may be of a password that was not
/// percent-encoded, and hosts are printed and looked up.
fn can_be(host: &Host) -> bool {
    match host {
        Host::Tcp(host) => host
            .chars()
            .all(|one| one.is_alphanumeric() || matches!(one, '.' | '-' | '_' | ':' | '%')),
        Host::Unix(_) => true,
    }
}

/// Of several hosts, only one takes writes: unless told otherwise, that one is meant.
fn target(parameters: &Parameters, config: &Config) -> Result<TargetSessionAttrs, InvalidUrl> {
    let several = config.get_hosts().len().max(config.get_hostaddrs().len()) > 1;
    let word = parameters.get("target_session_attrs");
    match word.or(several.then_some("read-write")) {
        Some("read-write") => Ok(TargetSessionAttrs::ReadWrite),
        Some("any") | None => Ok(TargetSessionAttrs::Any),
        Some(_) => Err(InvalidUrl::Target),
    }
}

/// How sockets notice that nobody is there any more. In libpq's units: `tcp_user_timeout` in
/// milliseconds, and 0 for the system's own values.
fn sockets(parameters: &Parameters, config: &mut Config) -> Result<(), InvalidUrl> {
    match parameters.number("tcp_user_timeout")? {
        None => config.tcp_user_timeout(USER_TIMEOUT),
        Some(0) => config,
        Some(wait) => config.tcp_user_timeout(Duration::from_millis(wait)),
    };
    let (idle, interval, count) = KEEPALIVE;
    config.keepalives(parameters.number("keepalives")? != Some(0));
    let asked = parameters.number("keepalives_idle")?;
    config.keepalives_idle(
        asked
            .filter(|idle| *idle > 0)
            .map_or(idle, Duration::from_secs),
    );
    let asked = parameters.number("keepalives_count")?;
    let asked = asked.filter(|count| *count > 0);
    config.keepalives_retries(
        asked
            .map_or(Ok(count), u32::try_from)
            .map_err(|_| InvalidUrl::Value("keepalives_count"))?,
    );
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(interval);
    }
    Ok(())
}

fn tls(parameters: &Parameters, files: &DatabaseFiles) -> Result<TlsOptions, InvalidUrl> {
    let file = |given: &Option<PathBuf>, name| {
        let given = given.clone();
        given.or_else(|| parameters.get(name).map(PathBuf::from))
    };
    let roots = file(&files.ca, "sslrootcert").map(|file| {
        if file.as_os_str() == "system" {
            Roots::System
        } else {
            Roots::File(file)
        }
    });
    let identity = match (
        file(&files.certificate, "sslcert"),
        file(&files.key, "sslkey"),
    ) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err(InvalidUrl::HalfIdentity),
    };
    let mode = match parameters.get("sslmode") {
        Some(word) => Mode::parse(word).ok_or(InvalidUrl::Mode)?,
        // Who names authorities wants the server verified.
        None if roots.is_some() => Mode::VerifyFull,
        None => Mode::Prefer,
    };
    match (mode, &roots) {
        (Mode::VerifyCa | Mode::VerifyFull, None) => Err(InvalidUrl::NoAuthorities(mode)),
        (Mode::Disable | Mode::Prefer, Some(_)) => Err(InvalidUrl::UnusedAuthorities(mode)),
        (Mode::Require | Mode::VerifyCa, Some(Roots::System)) => Err(InvalidUrl::WeakSystem(mode)),
        _ if mode == Mode::Disable && identity.is_some() => Err(InvalidUrl::UnusedIdentity),
        _ => Ok(TlsOptions {
            mode,
            roots,
            identity,
        }),
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986 section 2.3).
fn encoded(text: &str) -> String {
    let mut encoded = EString::<PathEncoder>::new();
    encoded.encode_str::<Data>(text);
    encoded.into_string()
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

#[cfg(test)]
mod tests;
