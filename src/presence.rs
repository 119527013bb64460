//! That this server runs, and with which keys: told to the database every few seconds, so
//! that no key mints before every server has it; and what still lives under keys that do
//! not mint any more, so that none is retired too early.

use crate::{authority::Authority, domain::clock, purging::uneven};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};
use uuid::Uuid;

/// How often it is told; a server is counted for half a minute after the last time.
const EVERY: Duration = Duration::from_secs(5);
/// How often what lives under old keys is counted: it goes through everything that lives.
const COUNT_EVERY: Duration = Duration::from_mins(15);
/// How long the leave may take.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// A server among others.
#[derive(Debug)]
pub struct Presence {
    authority: Arc<Authority>,
    replica: Uuid,
}

impl Presence {
    /// A server that nobody knows yet.
    pub fn new(authority: Arc<Authority>) -> Self {
        Self {
            authority,
            replica: clock::uuid(),
        }
    }

    /// Tells it again and again while the database is ready, and at once when the ring changes.
    pub async fn tell(&self, mut ready: watch::Receiver<bool>) {
        let mut changes = self.authority.ring_changes();
        let mut failing = false;
        while ready.wait_for(|ready| *ready).await.is_ok() {
            let told = self.authority.present(self.replica).await;
            match (told, failing) {
                (Err(error), false) => {
                    tracing::debug!(causes = %error.causes(), "this server cannot tell that it runs");
                    failing = true;
                }
                (Ok(()), _) => failing = false,
                (Err(_), true) => {}
            }
            tokio::select! {
                () = sleep(EVERY) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Counts what lives under keys that do not mint, again and again while the database is
    /// ready, and at once when the ring changes.
    pub async fn count_dependents(&self, mut ready: watch::Receiver<bool>) {
        let mut changes = self.authority.ring_changes();
        while ready.wait_for(|ready| *ready).await.is_ok() {
            if let Err(error) = self.authority.count_dependents().await {
                tracing::warn!(
                    causes = %error.causes(),
                    "what lives under old keys cannot be counted; it is tried again"
                );
            }
            tokio::select! {
                () = sleep(uneven(COUNT_EVERY)) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Takes leave, if the database is there.
    pub async fn leave(&self) {
        // Without it the server is counted for half a minute more.
        let _ = tokio::time::timeout(LEAVE_LIMIT, self.authority.absent(self.replica)).await;
    }
}
