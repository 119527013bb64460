//! Which client an identity was last known to be.
//!
//! A hint, and no more: the statement of every call reads whose the identity is now.
//! It spares a query a call, and lets a call name its own client before it is read.

use super::{Authority, Failure};
use crate::domain::{identity::Identity, refusal::Refusal};
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::{Duration, Instant},
};
use uuid::Uuid;

/// After this a hint is read anew.
const FRESH: Duration = Duration::from_mins(1);
/// Hints at most; beyond, they start over.
const MOST: usize = 65_536;

/// What is known of identities.
#[derive(Debug, Default)]
pub(super) struct Hints(RwLock<HashMap<Identity, (Uuid, Instant)>>);

impl Hints {
    fn get(&self, identity: &Identity) -> Option<Uuid> {
        let hints = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (client_id, read) = hints.get(identity)?;
        (read.elapsed() < FRESH).then_some(*client_id)
    }

    fn set(&self, identity: &Identity, client_id: Option<Uuid>) {
        let mut hints = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match client_id {
            None => drop(hints.remove(identity)),
            Some(client_id) => {
                if hints.len() >= MOST {
                    hints.clear();
                }
                hints.insert(identity.clone(), (client_id, Instant::now()));
            }
        }
    }
}

impl Authority {
    /// The one identity of these that is a client's, and the client that it was last known
    /// to be. `None`: they are nobody's.
    pub async fn identify(
        &self,
        identities: &[Identity],
    ) -> Result<Option<(Identity, Uuid)>, Failure> {
        if let [identity] = identities
            && let Some(client_id) = self.hints.get(identity)
        {
            return Ok(Some((identity.clone(), client_id)));
        }
        // Apart from the call that waits for it: every call would have room for it, and few ask.
        let known = Box::pin(self.store.clients_of(identities)).await?;
        for identity in identities {
            let client = known.iter().find(|(known, _)| known == identity);
            self.hints
                .set(identity, client.map(|(_, client_id)| *client_id));
        }
        let mut known = known.into_iter();
        let first = known.next();
        if let Some((_, client_id)) = &first
            && known.any(|(_, other)| other != *client_id)
        {
            return Err(Refusal::CredentialsConflict.into());
        }
        Ok(first)
    }

    /// Whether the identity was a client's a moment ago.
    pub fn recognises(&self, identities: &[Identity]) -> bool {
        identities
            .iter()
            .any(|identity| self.hints.get(identity).is_some())
    }

    /// Forgets whose an identity was.
    pub(super) fn forget(&self, identity: &Identity) {
        self.hints.set(identity, None);
    }
}
