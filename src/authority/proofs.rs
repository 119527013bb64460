//! Proofs of possession (RFC 9449): those that calls carry, and those that resource servers
//! received and pass on.

use super::{Authority, Failure};
use crate::domain::{
    clock,
    dpop::{
        BindingFailure, Expected, Fault, Judged, NoncePolicy, Remembered, Replays, Rules,
        TargetUri, Verdict, token_hash,
    },
    instruments::DPOP_REMEMBERED,
    introspection::Finding,
    refusal::Refusal,
    tokens::Token,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The one method of gRPC over HTTP/2.
const POST: &str = "POST";

/// What is asked of proofs, and what this replica remembers of them.
#[derive(Debug)]
pub struct Proofs {
    rules: Rules,
    /// The URIs of each method, by its path.
    uris: HashMap<&'static str, Vec<TargetUri>>,
    /// `None`: the database remembers.
    replays: Option<Arc<Mutex<Replays>>>,
}

/// A proof that a resource server received with a token, and what it came with.
#[derive(Debug, Clone)]
pub struct Presentation {
    /// The proof.
    pub proof: String,
    /// The method of the request.
    pub method: String,
    /// The URI of the request.
    pub uri: TargetUri,
    /// Whether the proof must carry a nonce of this authority.
    pub nonce_required: bool,
}

impl Proofs {
    /// Proofs of calls of these paths; `remembered`: how many this replica remembers of those
    /// that resource servers pass on, `None` where the database does.
    pub fn new(rules: Rules, paths: &[&'static str], remembered: Option<usize>) -> Self {
        let uris = paths.iter().map(|path| (*path, rules.uris(path))).collect();
        let replays = remembered.map(|most| Arc::new(Mutex::new(Replays::new(&rules, most))));
        if let Some(replays) = &replays {
            observe(replays);
        }
        Self {
            rules,
            uris,
            replays,
        }
    }

    /// Remembers a proof in this replica, if that is where they are remembered.
    fn remember(&self, proof: &Judged) -> Result<(), Remembering> {
        let Some(replays) = &self.replays else {
            return Ok(());
        };
        let mut replays = replays.lock().unwrap_or_else(PoisonError::into_inner);
        match replays.remember(proof, clock::now()) {
            Remembered::First => Ok(()),
            Remembered::Replayed => Err(Remembering::Replayed),
            Remembered::Full => Err(Remembering::Full),
        }
    }
}

/// Why a proof cannot be taken, though it holds.
enum Remembering {
    Replayed,
    Full,
}

impl Authority {
    /// What became of the proofs that a call carries in its `dpop` metadata; `None`: it carries
    /// none. An error: nothing here can verify one.
    pub fn proof_of_call<'a>(
        &self,
        mut proofs: impl Iterator<Item = &'a [u8]>,
        path: &str,
    ) -> Result<Option<Verdict>, Refusal> {
        let Some(proof) = proofs.next() else {
            return Ok(None);
        };
        let uris = self.proofs.uris.get(path).map_or(&[][..], Vec::as_slice);
        if uris.is_empty() {
            return Err(Refusal::DpopNotConfigured);
        }
        if proofs.next().is_some() {
            return Ok(Some(Err(Fault::Several)));
        }
        let Ok(proof) = std::str::from_utf8(proof) else {
            return Ok(Some(Err(Fault::Malformed("it is not ASCII"))));
        };
        let expected = Expected {
            method: POST,
            uris,
            token_hash: None,
            nonce: false,
        };
        let ring = self.ring.load();
        let rules = &self.proofs.rules;
        Ok(Some(rules.verdict(proof, expected, &ring, clock::now())))
    }

    /// A nonce for the next proof, if nonces are offered or this one was asked for.
    pub fn nonce(&self, asked_for: bool) -> Option<String> {
        let rules = &self.proofs.rules;
        (asked_for || rules.nonces != NoncePolicy::Off)
            .then(|| rules.fresh_nonce(&self.ring.load(), clock::now()))
    }

    /// Judges the proof that a resource server received with this token, which was read: a
    /// stranger makes up tokens and proofs for nothing, and a signature is dear to verify.
    pub(super) fn judge(
        &self,
        _read: &Token,
        token: &str,
        presented: &Presentation,
    ) -> Result<Judged, Fault> {
        let expected = Expected {
            method: &presented.method,
            uris: std::slice::from_ref(&presented.uri),
            token_hash: Some(&token_hash(token)),
            nonce: presented.nonce_required,
        };
        let rules = &self.proofs.rules;
        rules.judge(&presented.proof, expected, &self.ring.load(), clock::now())
    }

    /// Remembers the proof of a token that was found active; one that was used before finds
    /// nothing, and so does one that cannot be remembered.
    pub(super) fn remember(
        &self,
        finding: Finding,
        proof: Option<&Judged>,
    ) -> Result<Finding, Failure> {
        let (Finding::Active(_), Some(proof)) = (&finding, proof) else {
            return Ok(finding);
        };
        match self.proofs.remember(proof) {
            Ok(()) => Ok(finding),
            Err(Remembering::Replayed) => Ok(Finding::Unproven(BindingFailure::Replayed)),
            Err(Remembering::Full) => {
                self.instruments.refused(&Refusal::TooManyProofs);
                Err(Refusal::TooManyProofs.into())
            }
        }
    }
}

/// Tells how many proofs are remembered.
fn observe(replays: &Arc<Mutex<Replays>>) {
    // The last look may come after the authority's end.
    let weak = Arc::downgrade(replays);
    opentelemetry::global::meter("countersign")
        .u64_observable_gauge(DPOP_REMEMBERED.name)
        .with_unit(DPOP_REMEMBERED.unit)
        .with_description(DPOP_REMEMBERED.description)
        .with_callback(move |observer| {
            if let Some(replays) = weak.upgrade() {
                let replays = replays.lock().unwrap_or_else(PoisonError::into_inner);
                observer.observe(replays.len() as u64, &[]);
            }
        })
        .build();
}
