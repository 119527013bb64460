//! Where the database is and who asks.

use std::{fmt, str::FromStr};
use thiserror::Error;
use tokio_postgres::Config;

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

    /// For the rest of the store.
    pub fn config(&self) -> &Config {
        &self.0
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}
