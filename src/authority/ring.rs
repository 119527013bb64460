//! The key ring in use, which a reload replaces while calls go on.

use super::{Authority, audit::Record};
use crate::{
    domain::{
        keys::{Key, KeyRing, RingChange},
        tokens::{Malformed, Token},
    },
    store::{KeyUse, StoreError},
};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;
use uuid::Uuid;

/// Why the ring in use stays.
#[derive(Debug, Error)]
pub enum RingKept {
    /// An id names another key than before: everything under it would die unnoticed.
    #[error("the key {0} has other bytes than the one in use; a new key takes a new id")]
    Altered(crate::domain::keys::KeyId),
    /// The event of the change cannot be written.
    #[error("the event of the change cannot be written: {0}")]
    Store(#[from] StoreError),
}

impl Authority {
    /// Takes another ring into use, and returns what changed; `None`: nothing did.
    ///
    /// The event of the change is written first: without it the ring stays. A call that
    /// runs goes on with what it has read; whatever comes later reads the new ring.
    pub async fn replace_ring(&self, ring: KeyRing) -> Result<Option<RingChange>, RingKept> {
        let change = self.ring.load().change_to(&ring);
        let change = match change {
            Ok(None) => return Ok(None),
            Ok(Some(change)) => change,
            Err(id) => {
                self.audit.record(Record {
                    event: "keys",
                    outcome: "refused",
                    ..Record::default()
                });
                return Err(RingKept::Altered(id));
            }
        };
        self.store.record_ring(&change).await?;
        self.ring.store(Arc::new(ring));
        self.changed.send_replace(());
        self.audit.record(Record {
            event: "keys",
            outcome: "done",
            keys: Some(change.keys.iter().map(ToString::to_string).collect()),
            ..Record::default()
        });
        Ok(Some(change))
    }

    /// Every replacement of the ring, from now on.
    pub fn ring_changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Tells the database that this server runs, and with which keys.
    pub async fn present(&self, replica: Uuid) -> Result<(), StoreError> {
        let keys: Vec<_> = self.ring.load().ids().collect();
        self.store.present(replica, &keys).await
    }

    /// Tells the database that this server has ended.
    pub async fn absent(&self, replica: Uuid) -> Result<(), StoreError> {
        self.store.absent(replica).await
    }

    /// Counts what lives under keys of the ring that do not mint, for the metric that says
    /// when they may be retired. Nobody is asked while there are none.
    pub async fn count_dependents(&self) -> Result<(), StoreError> {
        let ring = self.ring.load_full();
        let old: Vec<_> = ring.ids().skip(1).collect();
        let uses = if old.is_empty() {
            Vec::new()
        } else {
            self.store.key_uses().await?
        };
        let sum = |of: fn(&KeyUse) -> u64| {
            let old = uses.iter().filter(|used| old.contains(&used.key_id));
            old.map(of).sum()
        };
        for (kind, count) in [
            ("session", sum(|used| used.sessions)),
            ("access_token", sum(|used| used.access_tokens)),
            ("client_secret", sum(|used| used.client_secrets)),
        ] {
            self.instruments.depend(kind, count);
        }
        Ok(())
    }

    /// The key that mints now.
    pub(super) fn minting(&self) -> Arc<Key> {
        Arc::clone(self.ring.load().minting())
    }

    /// Reads a token with the keys of now.
    pub(super) fn parse(&self, token: &str) -> Result<Token, Malformed> {
        Token::parse(token, &self.ring.load())
    }
}
