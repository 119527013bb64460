//! Other keys, and the way back in.

use super::Deployment;
use countersign::domain::{caller::Role, keys::KeyRing, policy::ClientSettings};
use std::sync::Arc;

impl Deployment {
    /// Ends the servers, and starts as many on the same database with this key file.
    /// Callers made before call nobody; make them anew.
    pub async fn replace_ring(&mut self, key_file: &str) {
        self.ring = Arc::new(KeyRing::parse(key_file).unwrap());
        self.stops.clear();
        let channels = std::mem::take(&mut self.channels);
        for _ in channels {
            self.serve().await;
        }
    }

    /// A new admin with a secret under the key that mints, as `client bootstrap` makes one:
    /// its id and its secret.
    pub async fn bootstrap(&self) -> (String, String) {
        let settings = ClientSettings {
            name: "admin".into(),
            roles: vec![Role::Admin],
            ..ClientSettings::default()
        };
        let authority = self.authority.as_ref().unwrap();
        let created = authority.bootstrap_client(None, settings).await.unwrap();
        (
            created.entry.client.client_id.to_string(),
            created.secret.reveal().to_owned(),
        )
    }
}
