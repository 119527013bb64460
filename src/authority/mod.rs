//! The use cases: decide with the domain, remember with the store. No gRPC word.

pub mod audit;
mod checks;
mod directory;
mod identities;
mod instruments;
mod proofs;
mod ring;
mod sessions;
mod tokens;

pub use checks::Checked;
pub use directory::{ClientPage, CreatedClient, CreatedSecret};
pub use instruments::{CallAttributes, Instruments};
pub use proofs::{Presentation, Proofs};
pub use ring::RingKept;
pub use sessions::SessionPage;
pub use tokens::{
    IssueRequest, IssuedSession, IssuedToken, OpeningRequest, RotateRequest, RotatedToken,
};
// What the store answers with travels to the edge unchanged.
pub use crate::store::{ClientEntry, ListedSession, Place, Probe, StoreError};

use crate::domain::{
    caller::{Claim, Credentials},
    dpop::Verdict,
    keys::KeyRing,
    refusal::Refusal,
    tokens::{ClientSecret, Malformed},
};
use crate::store::{PurgeOptions, Purger, Store};
use arc_swap::ArcSwap;
use audit::{Audit, Record};
use identities::Hints;
use std::{net::SocketAddr, sync::Arc, time::Instant};
use thiserror::Error;
use tokio::sync::watch;
use uuid::Uuid;

/// A call, as far as the use cases need it.
#[derive(Debug, Clone)]
pub struct Call {
    /// Who calls, and what the method demands.
    pub claim: Claim,
    /// When it arrived.
    pub arrived: Instant,
    /// Where it came from.
    pub peer: Option<SocketAddr>,
    /// What became of its DPoP proof; `None`: it carries none.
    pub proof: Option<Verdict>,
    /// The trace that it belongs to (W3C Trace Context, `trace-id`).
    pub trace_id: Option<String>,
}

/// Why a call has no answer.
#[derive(Debug, Error)]
pub enum Failure {
    /// A rule refused it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database failed it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The token authority.
#[derive(Debug)]
pub struct Authority {
    store: Store,
    ring: Arc<ArcSwap<KeyRing>>,
    changed: watch::Sender<()>,
    issuer: String,
    audit: Audit,
    instruments: Instruments,
    hints: Hints,
    proofs: Proofs,
}

impl Authority {
    /// An authority of that name over a store and a key ring.
    pub fn new(
        store: Store,
        ring: Arc<KeyRing>,
        issuer: String,
        audit: Audit,
        proofs: Proofs,
    ) -> Self {
        let ring = Arc::new(ArcSwap::new(ring));
        instruments::observe_keys(&ring);
        Self {
            store,
            ring,
            changed: watch::Sender::new(()),
            issuer,
            audit,
            instruments: Instruments::default(),
            hints: Hints::default(),
            proofs,
        }
    }

    /// The name that introspection answers with.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What is measured.
    pub fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    /// Reads credentials of the form client id and secret (RFC 6749 section 2.3.1).
    /// Their form and MAC are checked; no query is made.
    pub fn credentials(&self, client_id: &str, secret: &str) -> Result<Credentials, Refusal> {
        let secret = ClientSecret::parse(secret, &self.ring.load()).map_err(|cause| {
            self.instruments.malformed(cause);
            Refusal::CredentialsInvalid
        })?;
        let named = Uuid::try_parse(client_id).ok();
        if named != Some(secret.client_id()) {
            return Err(Refusal::CredentialsInvalid);
        }
        Ok(Credentials {
            client_id: secret.client_id(),
            secret: Some(secret.digest()),
            identity: None,
        })
    }

    /// Admits the caller of a call that needs nothing else of the database.
    pub async fn admit(&self, call: &Call) -> Result<(), Failure> {
        // Apart from the call that waits for it: every call would have room for it, and few ask.
        let admitted = Box::pin(self.store.admit(call.claim.clone())).await;
        self.heard(call, "call", admitted)
    }

    /// Notes a call that was refused before it had a claim.
    pub fn refused_at_the_door(&self, peer: Option<SocketAddr>, refusal: &Refusal) {
        self.instruments.refused(refusal);
        self.audit.record(Record {
            peer,
            ..Record::refused("caller", refusal)
        });
    }

    /// Reads what the database is; the cheapest proof that it can serve.
    pub async fn probe(&self) -> Result<Probe, StoreError> {
        self.store.probe().await
    }

    /// A purge over its connections.
    pub fn purger(&self, options: PurgeOptions) -> Purger {
        self.store.purger(options)
    }

    /// Notes a token that was refused without a query.
    fn malformed(&self, cause: Malformed) {
        self.instruments.malformed(cause);
    }

    /// Turns the store's answer into the call's, and notes a refusal: one who may not
    /// call at all, and what was refused of one who may.
    fn heard<T>(
        &self,
        call: &Call,
        event: &'static str,
        answer: crate::store::Answer<T>,
    ) -> Result<T, Failure> {
        answer?.map_err(|refusal| {
            self.refused(call, event, &refusal, Record::default());
            refusal.into()
        })
    }

    fn refused(&self, call: &Call, event: &'static str, refusal: &Refusal, about: Record) {
        self.instruments.refused(refusal);
        let event = if refusal.is_of_caller() {
            "caller"
        } else {
            event
        };
        let refused = Record::refused(event, refusal);
        self.audit.record(
            Record {
                event,
                outcome: refused.outcome,
                reason: refused.reason,
                ..about
            }
            .of(call),
        );
    }

    fn note(&self, call: &Call, event: &'static str, about: Record) {
        self.audit.record(
            Record {
                event,
                outcome: "done",
                ..about
            }
            .of(call),
        );
    }
}
