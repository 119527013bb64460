//! Clients and users.

use super::{Authority, Call, Failure, audit::Record};
use crate::domain::{
    clock,
    policy::{ClientSettings, User},
    tokens::{ClientSecret, Plaintext},
};
use crate::store::{Answer, ClientEntry, NewClient};
use uuid::Uuid;

/// A client that was just registered, and its secret in the clear.
#[derive(Debug)]
pub struct CreatedClient {
    /// The client.
    pub entry: ClientEntry,
    /// Its first secret.
    pub secret: Plaintext,
}

/// A secret that was just made, in the clear.
#[derive(Debug)]
pub struct CreatedSecret {
    /// Its id.
    pub secret_id: Uuid,
    /// The secret.
    pub secret: Plaintext,
}

/// One page of clients.
#[derive(Debug)]
pub struct ClientPage {
    /// In the order of their ids.
    pub clients: Vec<ClientEntry>,
    /// Where the next page goes on, if there is one.
    pub next: Option<Uuid>,
}

impl Authority {
    /// Registers a client.
    pub async fn create_client(
        &self,
        call: &Call,
        client_id: Option<Uuid>,
        settings: ClientSettings,
    ) -> Result<CreatedClient, Failure> {
        let new = self.new_client(client_id, settings);
        let (client_id, secret) = (new.client_id, new.secret.plaintext());
        let answer = self.store.create_client(call.claim.clone(), new).await;
        let entry = self.changed_client(call, "create_client", client_id, answer)?;
        Ok(CreatedClient { entry, secret })
    }

    /// Registers a client with database rights, as nobody's call.
    pub async fn bootstrap_client(
        &self,
        client_id: Option<Uuid>,
        settings: ClientSettings,
    ) -> Result<CreatedClient, Failure> {
        let new = self.new_client(client_id, settings);
        let secret = new.secret.plaintext();
        let entry = self.store.bootstrap_client(new).await??;
        Ok(CreatedClient { entry, secret })
    }

    fn new_client(&self, client_id: Option<Uuid>, settings: ClientSettings) -> NewClient {
        let client_id = client_id.unwrap_or_else(clock::uuid);
        let secret = ClientSecret::mint(&self.minting(), client_id, &clock::random());
        NewClient {
            client_id,
            settings,
            secret_id: clock::uuid(),
            secret,
        }
    }

    /// Reads a client.
    pub async fn client(&self, call: &Call, client_id: Uuid) -> Result<ClientEntry, Failure> {
        let answer = self.store.client(call.claim.clone(), client_id).await;
        self.heard(call, "get_client", answer)
    }

    /// One page of clients.
    pub async fn clients(
        &self,
        call: &Call,
        after: Uuid,
        page_size: usize,
    ) -> Result<ClientPage, Failure> {
        let answer = self
            .store
            .clients(call.claim.clone(), after, page_size)
            .await;
        let (clients, more) = self.heard(call, "list_clients", answer)?;
        let next = clients
            .last()
            .filter(|_| more)
            .map(|entry| entry.client.client_id);
        Ok(ClientPage { clients, next })
    }

    /// Changes a client's settings; `change` gets those that stand.
    pub async fn update_client<F>(
        &self,
        call: &Call,
        client_id: Uuid,
        change: F,
    ) -> Result<ClientEntry, Failure>
    where
        F: Fn(ClientSettings) -> ClientSettings + Send + Sync + 'static,
    {
        let answer = self
            .store
            .update_client(call.claim.clone(), client_id, change)
            .await;
        self.changed_client(call, "update_client", client_id, answer)
    }

    /// Disables a client.
    pub async fn disable_client(
        &self,
        call: &Call,
        client_id: Uuid,
    ) -> Result<ClientEntry, Failure> {
        let answer = self
            .store
            .set_client_disabled(call.claim.clone(), client_id, true)
            .await;
        self.changed_client(call, "disable_client", client_id, answer)
    }

    /// Enables a client.
    pub async fn enable_client(
        &self,
        call: &Call,
        client_id: Uuid,
    ) -> Result<ClientEntry, Failure> {
        let answer = self
            .store
            .set_client_disabled(call.claim.clone(), client_id, false)
            .await;
        self.changed_client(call, "enable_client", client_id, answer)
    }

    /// Kills what exists of a client, and leaves it enabled.
    pub async fn cut_off_client(
        &self,
        call: &Call,
        client_id: Uuid,
    ) -> Result<ClientEntry, Failure> {
        let answer = self
            .store
            .cut_off_client(call.claim.clone(), client_id)
            .await;
        self.changed_client(call, "cut_off_client", client_id, answer)
    }

    /// Adds a secret to a client.
    pub async fn rotate_secret(
        &self,
        call: &Call,
        client_id: Uuid,
    ) -> Result<CreatedSecret, Failure> {
        let secret = ClientSecret::mint(&self.minting(), client_id, &clock::random());
        let (secret_id, plaintext) = (clock::uuid(), secret.plaintext());
        let answer = self
            .store
            .add_secret(call.claim.clone(), client_id, secret_id, secret)
            .await;
        self.changed_client(call, "rotate_client_secret", client_id, answer)?;
        Ok(CreatedSecret {
            secret_id,
            secret: plaintext,
        })
    }

    /// Retires a client's secret.
    pub async fn retire_secret(
        &self,
        call: &Call,
        client_id: Uuid,
        secret_id: Uuid,
    ) -> Result<ClientEntry, Failure> {
        let answer = self
            .store
            .retire_secret(call.claim.clone(), client_id, secret_id)
            .await;
        self.changed_client(call, "retire_client_secret", client_id, answer)
    }

    /// Registers a user.
    pub async fn register_user(&self, call: &Call, subject: Option<Uuid>) -> Result<User, Failure> {
        let subject = subject.unwrap_or_else(clock::uuid);
        let answer = self.store.register_user(call.claim.clone(), subject).await;
        self.changed_user(call, "register_user", subject, answer)
    }

    /// Reads a user.
    pub async fn user(&self, call: &Call, subject: Uuid) -> Result<User, Failure> {
        let answer = self.store.user(call.claim.clone(), subject).await;
        self.heard(call, "get_user", answer)
    }

    /// Disables a user.
    pub async fn disable_user(&self, call: &Call, subject: Uuid) -> Result<User, Failure> {
        let answer = self
            .store
            .set_user_disabled(call.claim.clone(), subject, true)
            .await;
        self.changed_user(call, "disable_user", subject, answer)
    }

    /// Enables a user.
    pub async fn enable_user(&self, call: &Call, subject: Uuid) -> Result<User, Failure> {
        let answer = self
            .store
            .set_user_disabled(call.claim.clone(), subject, false)
            .await;
        self.changed_user(call, "enable_user", subject, answer)
    }

    fn changed_client<T>(
        &self,
        call: &Call,
        event: &'static str,
        client_id: Uuid,
        answer: Answer<T>,
    ) -> Result<T, Failure> {
        self.changed(
            call,
            event,
            Record {
                client_id: Some(client_id),
                ..Record::default()
            },
            answer,
        )
    }

    fn changed_user<T>(
        &self,
        call: &Call,
        event: &'static str,
        subject: Uuid,
        answer: Answer<T>,
    ) -> Result<T, Failure> {
        self.changed(
            call,
            event,
            Record {
                subject: Some(subject),
                ..Record::default()
            },
            answer,
        )
    }

    fn changed<T>(
        &self,
        call: &Call,
        event: &'static str,
        about: Record,
        answer: Answer<T>,
    ) -> Result<T, Failure> {
        match answer? {
            Ok(value) => {
                self.note(call, event, about);
                Ok(value)
            }
            Err(refusal) => {
                self.refused(call, event, &refusal, about);
                Err(refusal.into())
            }
        }
    }
}
