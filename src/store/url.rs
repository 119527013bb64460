//! Where the database is and who asks.

use fluent_uri::pct_enc::{
    EString,
    encoder::{Data, Path},
};
use std::{fmt, str::FromStr};
use thiserror::Error;
use tokio_postgres::{Config, config::Host};
use zeroize::Zeroizing;

/// A PostgreSQL URL or key/value string that was read. It never prints.
#[derive(Clone)]
pub struct DatabaseUrl(Config);

/// The text is neither; it may hold a password, so it is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is neither a postgres:// URL nor `key=value` pairs that PostgreSQL understands")]
pub struct InvalidUrl;

impl DatabaseUrl {
    /// Reads a URL or key/value string.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        Config::from_str(text).map(Self).map_err(|_| InvalidUrl)
    }

    /// The same database, asked by another role.
    pub fn as_role(&self, role: &str, password: &str) -> Self {
        let mut config = self.0.clone();
        config.user(role).password(password);
        Self(config)
    }

    /// The role that asks; empty: the system's user.
    pub fn role(&self) -> &str {
        self.0.get_user().unwrap_or_default()
    }

    /// The database as a URL with user and password, for scripts.
    pub fn to_url(&self) -> Zeroizing<String> {
        let hosts: Vec<_> = self
            .0
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| {
                let host = match host {
                    Host::Tcp(host) => host.clone(),
                    Host::Unix(path) => encoded(&path.to_string_lossy()),
                };
                let ports = self.0.get_ports();
                let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
                format!("{host}:{port}")
            })
            .collect();
        Zeroizing::new(format!(
            "postgres://{}:{}@{}/{}",
            encoded(self.role()),
            encoded(&String::from_utf8_lossy(
                self.0.get_password().unwrap_or_default()
            )),
            hosts.join(","),
            encoded(self.0.get_dbname().unwrap_or(self.role())),
        ))
    }

    /// For the rest of the store.
    pub fn config(&self) -> &Config {
        &self.0
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986 section 2.3).
fn encoded(text: &str) -> String {
    let mut encoded = EString::<Path>::new();
    encoded.encode_str::<Data>(text);
    encoded.into_string()
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}
