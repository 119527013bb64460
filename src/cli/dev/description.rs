//! `dev.json`: what a running `countersign dev` tells scripts.

use serde::{Deserialize, Serialize};
use std::path::Path;
use uuid::Uuid;

/// The content of `dev.json`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Description {
    /// Where it serves.
    pub(super) endpoint: String,
    /// Where it serves TLS.
    #[serde(default)]
    pub(super) tls_endpoint: String,
    /// Where the certificates and keys are: `ca.crt`, and of each client `<name>.crt` and
    /// `<name>.key`.
    #[serde(default)]
    pub(super) tls_directory: String,
    /// The database, as the role that serves.
    pub(super) database_url: String,
    /// One client of each role.
    pub(super) clients: Vec<DevClient>,
    /// A registered user.
    pub(super) subject: Uuid,
    /// The origin that DPoP proofs name.
    pub(super) public_origin: String,
}

/// A client of `dev.json`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct DevClient {
    /// What it is for: its role.
    pub(super) name: String,
    /// Its id.
    pub(super) client_id: Uuid,
    /// Its secret, in the clear: the file is its owner's alone.
    pub(super) client_secret: String,
    /// Its roles.
    pub(super) roles: Vec<String>,
}

impl Description {
    /// The file of an earlier start, if it is there and makes sense.
    pub(super) fn read(path: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(path).ok()?).ok()
    }

    /// The file's text.
    pub(super) fn json(&self) -> String {
        // Strings and ids only: it cannot fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}
