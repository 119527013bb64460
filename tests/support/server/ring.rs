//! Other keys, the way back in, and other secrets.

use super::{Caller, Deployment};
use countersign::{
    domain::{caller::Role, keys::KeyRing, policy::ClientSettings},
    proto::v1,
};
use std::sync::Arc;
use tonic::transport::Channel;

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

/// A new secret for a client, by an admin; the `others` are retired then.
pub async fn new_secret(
    admin: &Caller,
    client_id: &str,
    others: bool,
    channel: &Channel,
) -> Caller {
    let mut directory = admin.directory();
    let get = v1::GetClientRequest {
        client_id: client_id.to_owned(),
    };
    let client = directory.get_client(admin.request(get)).await.unwrap();
    let before = client.into_inner().client.unwrap().secrets;
    let rotate = v1::RotateClientSecretRequest {
        client_id: client_id.to_owned(),
    };
    let rotated = directory.rotate_client_secret(admin.request(rotate)).await;
    let secret = rotated.unwrap().into_inner().client_secret;
    for old in before.into_iter().filter(|_| others) {
        let retire = v1::RetireClientSecretRequest {
            client_id: client_id.to_owned(),
            secret_id: old.secret_id,
        };
        let retired = directory.retire_client_secret(admin.request(retire)).await;
        retired.unwrap();
    }
    Caller::known(client_id, &secret, channel.clone())
}
