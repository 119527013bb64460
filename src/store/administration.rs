//! Administrative calls: each a transaction of its own, that nobody coalesces.

use super::{
    Answer, Store,
    connection::{Connection, transaction},
    directory::{self, Administered, ClientEntry, CutOff, NewClient, administer},
    error::StoreError,
    events,
};
use crate::domain::{
    caller::Claim,
    event::{Event, EventKind, Origin},
    keys::{KeyId, RingChange},
    policy::{ClientSettings, User},
    tokens::ClientSecret,
};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use uuid::Uuid;

impl Store {
    /// Registers a client.
    pub async fn create_client(&self, claim: Claim, new: NewClient) -> Answer<ClientEntry> {
        let new = Arc::new(new);
        self.administer(claim, move |connection, origin| {
            let new = Arc::clone(&new);
            Box::pin(async move { directory::create(connection, &new, origin).await })
        })
        .await
    }

    /// Reads a client.
    pub async fn client(&self, claim: Claim, client_id: Uuid) -> Answer<ClientEntry> {
        self.administer(claim, move |connection, _| {
            Box::pin(directory::get(connection, client_id))
        })
        .await
    }

    /// One page of the clients after an id, and whether there are more.
    pub async fn clients(
        &self,
        claim: Claim,
        after: Uuid,
        page_size: usize,
    ) -> Answer<(Vec<ClientEntry>, bool)> {
        self.administer(claim, move |connection, _| {
            Box::pin(directory::list(connection, after, page_size))
        })
        .await
    }

    /// Changes a client's settings.
    pub async fn update_client<F>(
        &self,
        claim: Claim,
        client_id: Uuid,
        change: F,
    ) -> Answer<ClientEntry>
    where
        F: Fn(ClientSettings) -> ClientSettings + Send + Sync + 'static,
    {
        let change = Arc::new(change);
        self.administer(claim, move |connection, origin| {
            let change = Arc::clone(&change);
            Box::pin(
                async move { directory::update(connection, client_id, &*change, origin).await },
            )
        })
        .await
    }

    /// Disables or enables a client.
    pub async fn set_client_disabled(
        &self,
        claim: Claim,
        client_id: Uuid,
        disable: bool,
    ) -> Answer<ClientEntry> {
        let what = if disable {
            CutOff::Disable
        } else {
            CutOff::Enable
        };
        self.administer(claim, move |connection, origin| {
            Box::pin(directory::cut_off_client(
                connection, client_id, what, origin,
            ))
        })
        .await
    }

    /// Kills what exists of a client, and leaves it enabled.
    pub async fn cut_off_client(&self, claim: Claim, client_id: Uuid) -> Answer<ClientEntry> {
        self.administer(claim, move |connection, origin| {
            Box::pin(directory::cut_off_client(
                connection,
                client_id,
                CutOff::Only,
                origin,
            ))
        })
        .await
    }

    /// Adds a secret to a client.
    pub async fn add_secret(
        &self,
        claim: Claim,
        client_id: Uuid,
        secret_id: Uuid,
        secret: ClientSecret,
    ) -> Answer<()> {
        self.administer(claim, move |connection, origin| {
            let secret = secret.clone();
            Box::pin(async move {
                directory::add_secret(connection, client_id, secret_id, &secret, origin).await
            })
        })
        .await
    }

    /// Retires a client's secret.
    pub async fn retire_secret(
        &self,
        claim: Claim,
        client_id: Uuid,
        secret_id: Uuid,
    ) -> Answer<ClientEntry> {
        self.administer(claim, move |connection, origin| {
            Box::pin(directory::retire_secret(
                connection, client_id, secret_id, origin,
            ))
        })
        .await
    }

    /// Registers a user.
    pub async fn register_user(&self, claim: Claim, subject: Uuid) -> Answer<User> {
        let id_source = Arc::clone(&self.id_source);
        self.administer(claim, move |connection, origin| {
            let id_source = Arc::clone(&id_source);
            Box::pin(async move {
                directory::register_user(connection, subject, &id_source, origin).await
            })
        })
        .await
    }

    /// Reads a user.
    pub async fn user(&self, claim: Claim, subject: Uuid) -> Answer<User> {
        self.administer(claim, move |connection, _| {
            Box::pin(directory::get_user(connection, subject))
        })
        .await
    }

    /// Disables or enables a user.
    pub async fn set_user_disabled(
        &self,
        claim: Claim,
        subject: Uuid,
        disable: bool,
    ) -> Answer<User> {
        self.administer(claim, move |connection, origin| {
            Box::pin(directory::change_user(connection, subject, disable, origin))
        })
        .await
    }

    /// Admits a caller whose call needs nothing else of the database.
    pub async fn admit(&self, claim: Claim) -> Answer<()> {
        self.administer(claim, |_, _| Box::pin(async { Ok(Ok(())) }))
            .await
    }

    /// Registers a client with database rights, as nobody's call.
    pub async fn bootstrap_client(&self, new: NewClient) -> Answer<ClientEntry> {
        let origin = Origin {
            actor: None,
            call: None,
        };
        transaction(&self.pool, async |connection| {
            connection.begin().await?;
            directory::create(connection, &new, origin).await
        })
        .await
    }

    /// Writes the event of a change of this server's key ring, as nobody's call.
    pub async fn record_ring(&self, change: &RingChange) -> Result<(), StoreError> {
        let ids = |ids: &[KeyId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let origin = Origin {
            actor: None,
            call: None,
        };
        let event = Event {
            detail: Some(serde_json::json!({
                "keys": ids(&change.keys),
                "promoted": change.promoted,
                "added": ids(&change.added),
                "retired": ids(&change.retired),
            })),
            ..Event::new(EventKind::KeyRingChanged, origin)
        };
        transaction(&self.pool, async |connection| {
            connection.begin().await?;
            events::record(connection, &[event]).await
        })
        .await
    }

    async fn administer<T, F>(&self, claim: Claim, work: F) -> Answer<T>
    where
        T: Send + 'static,
        F: for<'a> Fn(&'a Connection, Origin) -> BoxFuture<'a, Administered<T>>
            + Send
            + Sync
            + 'static,
    {
        let pool = self.pool.clone();
        let (claim, work) = (Arc::new(claim), Arc::new(work));
        self.patiently(move || {
            let (pool, claim, work) = (pool.clone(), Arc::clone(&claim), Arc::clone(&work));
            async move { administer(&pool, &claim, |on, origin| work(on, origin)).await }
        })
        .await
    }
}
