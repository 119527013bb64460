//! Records into the table of instruments.

use super::checks::Checked;
use crate::domain::{
    clock,
    instruments::{self as table, Instrument},
    keys::KeyRing,
    refusal::Refusal,
    tokens::Malformed,
};
use arc_swap::ArcSwap;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter},
};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};

/// What the use cases and the edge measure. Without an exporter it costs next to
/// nothing.
#[derive(Debug)]
pub struct Instruments {
    calls: Counter<u64>,
    duration: Histogram<f64>,
    refusals: Counter<u64>,
    rotations: Counter<u64>,
    malformed: Counter<u64>,
    revoked: Counter<u64>,
    ignored: Counter<u64>,
    checks: Counter<u64>,
    dependents: Gauge<u64>,
}

/// The attributes of one method's calls, made once.
#[derive(Debug)]
pub struct CallAttributes {
    done: [KeyValue; 3],
    method: [KeyValue; 1],
}

impl CallAttributes {
    /// Of the method of that path.
    pub fn of(method: &'static str) -> Self {
        let method = KeyValue::new("method", method);
        Self {
            done: [
                method.clone(),
                KeyValue::new("code", "OK"),
                KeyValue::new("reason", ""),
            ],
            method: [method],
        }
    }
}

impl Default for Instruments {
    fn default() -> Self {
        let meter = opentelemetry::global::meter("countersign");
        let instruments = Self {
            calls: counter(&meter, &table::CALLS),
            duration: meter
                .f64_histogram(table::CALL_DURATION.name)
                .with_unit(table::CALL_DURATION.unit)
                .with_description(table::CALL_DURATION.description)
                .with_boundaries(table::CALL_DURATION.bounds.to_vec())
                .build(),
            refusals: counter(&meter, &table::REFUSALS),
            rotations: counter(&meter, &table::ROTATIONS),
            malformed: counter(&meter, &table::MALFORMED_TOKENS),
            revoked: counter(&meter, &table::SESSIONS_REVOKED),
            ignored: counter(&meter, &table::FORWARDED_IGNORED),
            checks: counter(&meter, &table::CHECKS),
            dependents: meter
                .u64_gauge(table::KEY_DEPENDENTS.name)
                .with_unit(table::KEY_DEPENDENTS.unit)
                .with_description(table::KEY_DEPENDENTS.description)
                .build(),
        };
        // An alarm counts the first of these, too: they stand at zero from the start.
        for outcome in ["reused", "unknown"] {
            let outcome = KeyValue::new("outcome", outcome);
            instruments.rotations.add(0, &[outcome]);
        }
        for cause in ["form", "checksum", "unknown_key", "mac"] {
            let cause = KeyValue::new("cause", cause);
            instruments.malformed.add(0, &[cause]);
        }
        instruments
    }
}

/// A counter; one without attributes stands at zero from the start, so that its first step
/// is seen.
fn counter(meter: &Meter, row: &Instrument) -> Counter<u64> {
    let counter = meter
        .u64_counter(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .build();
    if row.attributes.is_empty() {
        counter.add(0, &[]);
    }
    counter
}

/// Tells the size of the ring that is in use, and the age of its keys.
pub(super) fn observe_keys(ring: &Arc<ArcSwap<KeyRing>>) {
    let meter = opentelemetry::global::meter("countersign");
    // The last look may come after the authority's end.
    let weak: Weak<ArcSwap<KeyRing>> = Arc::downgrade(ring);
    meter
        .u64_observable_gauge(table::KEYS.name)
        .with_unit(table::KEYS.unit)
        .with_description(table::KEYS.description)
        .with_callback(move |observer| {
            if let Some(ring) = weak.upgrade() {
                observer.observe(ring.load().ids().count() as u64, &[]);
            }
        })
        .build();
    let weak = Arc::downgrade(ring);
    meter
        .i64_observable_gauge(table::KEY_AGE.name)
        .with_unit(table::KEY_AGE.unit)
        .with_description(table::KEY_AGE.description)
        .with_callback(move |observer| {
            let Some(ring) = weak.upgrade() else { return };
            let ring = ring.load();
            for (key, made) in [
                ("minting", ring.minting().made()),
                ("oldest", ring.oldest()),
            ] {
                if let Some(made) = made {
                    let age = (clock::now() - made).num_seconds();
                    observer.observe(age, &[KeyValue::new("key", key)]);
                }
            }
        })
        .build();
}

impl Instruments {
    /// A call ended; `reason` is a name of `ErrorReason`, or empty.
    pub fn called(
        &self,
        call: &CallAttributes,
        code: &'static str,
        reason: &'static str,
        took: Duration,
    ) {
        if code == "OK" {
            self.calls.add(1, &call.done);
        } else {
            self.calls.add(
                1,
                &[
                    call.method[0].clone(),
                    KeyValue::new("code", code),
                    KeyValue::new("reason", reason),
                ],
            );
        }
        self.duration.record(took.as_secs_f64(), &call.method);
    }

    /// A proxy's word about a caller was not heard.
    pub fn ignored_header(&self, cause: &'static str) {
        self.ignored.add(1, &[KeyValue::new("cause", cause)]);
    }

    /// A call was refused.
    pub fn refused(&self, refusal: &Refusal) {
        self.refusals
            .add(1, &[KeyValue::new("reason", refusal.reason())]);
    }

    /// What lives under keys that do not mint was counted.
    pub(super) fn depend(&self, kind: &'static str, count: u64) {
        self.dependents
            .record(count, &[KeyValue::new("kind", kind)]);
    }

    /// A proxy was answered about a request.
    pub(super) fn checked(&self, checked: Checked) {
        let (outcome, reason) = match checked {
            Checked::Allowed => ("allowed", ""),
            Checked::Anonymous => ("anonymous", ""),
            Checked::Denied(reason) => ("denied", reason),
        };
        let attributes = [
            KeyValue::new("outcome", outcome),
            KeyValue::new("reason", reason),
        ];
        self.checks.add(1, &attributes);
    }

    /// A rotation was decided.
    pub(super) fn rotated(&self, replayed: bool) {
        let outcome = if replayed { "replayed" } else { "rotated" };
        self.rotations.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// A rotation was refused over what the database has.
    pub(super) fn not_rotated(&self, refusal: &Refusal) {
        let outcome = match refusal {
            Refusal::RefreshTokenSuperseded => "superseded",
            Refusal::RefreshTokenReused => "reused",
            Refusal::RefreshTokenUnknown { .. } => "unknown",
            _ => "refused",
        };
        self.rotations.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// A token was refused without a query.
    pub(super) fn malformed(&self, cause: Malformed) {
        let cause = match cause {
            Malformed::Form => "form",
            Malformed::Checksum => "checksum",
            Malformed::UnknownKey => "unknown_key",
            Malformed::Mac => "mac",
        };
        self.malformed.add(1, &[KeyValue::new("cause", cause)]);
    }

    /// Live sessions were revoked.
    pub(super) fn revoked(&self, sessions: u32) {
        self.revoked.add(u64::from(sessions), &[]);
    }
}
