//! Records into the table of instruments.

use crate::domain::{
    instruments::{self as table, Instrument},
    refusal::Refusal,
    tokens::Malformed,
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, Meter},
};
use std::time::Duration;

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
}

impl Default for Instruments {
    fn default() -> Self {
        let meter = opentelemetry::global::meter("countersign");
        Self {
            calls: counter(&meter, &table::CALLS),
            duration: meter
                .f64_histogram(table::CALL_DURATION.name)
                .with_unit(table::CALL_DURATION.unit)
                .with_description(table::CALL_DURATION.description)
                .build(),
            refusals: counter(&meter, &table::REFUSALS),
            rotations: counter(&meter, &table::ROTATIONS),
            malformed: counter(&meter, &table::MALFORMED_TOKENS),
            revoked: counter(&meter, &table::SESSIONS_REVOKED),
            ignored: counter(&meter, &table::FORWARDED_IGNORED),
        }
    }
}

fn counter(meter: &Meter, row: &Instrument) -> Counter<u64> {
    meter
        .u64_counter(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .build()
}

impl Instruments {
    /// A call ended.
    pub fn called(&self, method: &'static str, code: &'static str, took: Duration) {
        self.calls.add(
            1,
            &[KeyValue::new("method", method), KeyValue::new("code", code)],
        );
        self.duration
            .record(took.as_secs_f64(), &[KeyValue::new("method", method)]);
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

    /// A rotation succeeded.
    pub(super) fn rotated(&self, replayed: bool) {
        let outcome = if replayed { "replayed" } else { "rotated" };
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
