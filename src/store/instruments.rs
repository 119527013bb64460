//! Records into the table of instruments what only the store sees.

use super::purge::{PurgeLag, Purged};
use crate::domain::instruments::{
    BATCH_CALLS, BATCH_WAIT, IDS_LEFT, PURGE_FAILURES, PURGE_LAG, PURGED_ROWS,
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram},
};
use std::time::Duration;

/// What one queue of calls measures.
#[derive(Debug)]
pub(super) struct BatchInstruments {
    kind: [KeyValue; 1],
    calls: Histogram<u64>,
    wait: Histogram<f64>,
}

impl BatchInstruments {
    pub(super) fn of(kind: &'static str) -> Self {
        let meter = opentelemetry::global::meter("countersign");
        Self {
            kind: [KeyValue::new("kind", kind)],
            calls: meter
                .u64_histogram(BATCH_CALLS.name)
                .with_unit(BATCH_CALLS.unit)
                .with_description(BATCH_CALLS.description)
                .build(),
            wait: meter
                .f64_histogram(BATCH_WAIT.name)
                .with_unit(BATCH_WAIT.unit)
                .with_description(BATCH_WAIT.description)
                .build(),
        }
    }

    /// A batch goes out, with how long each of its calls has waited.
    pub(super) fn sent(&self, waits: impl ExactSizeIterator<Item = Duration>) {
        self.calls.record(waits.len() as u64, &self.kind);
        for wait in waits {
            self.wait.record(wait.as_secs_f64(), &self.kind);
        }
    }
}

/// How many ids are left to the documented tables.
#[derive(Debug)]
pub(super) struct IdInstruments(Gauge<i64>);

impl Default for IdInstruments {
    fn default() -> Self {
        let meter = opentelemetry::global::meter("countersign");
        Self(
            meter
                .i64_gauge(IDS_LEFT.name)
                .with_unit(IDS_LEFT.unit)
                .with_description(IDS_LEFT.description)
                .build(),
        )
    }
}

impl IdInstruments {
    pub(super) fn left(&self, sessions: i64, users: i64) {
        self.0
            .record(sessions, &[KeyValue::new("table", "auth.refresh_session")]);
        self.0.record(users, &[KeyValue::new("table", "auth.user")]);
    }
}

/// What purging measures.
#[derive(Debug)]
pub(super) struct PurgeInstruments {
    rows: Counter<u64>,
    lag: Gauge<f64>,
    failures: Counter<u64>,
}

impl Default for PurgeInstruments {
    fn default() -> Self {
        let meter = opentelemetry::global::meter("countersign");
        Self {
            rows: meter
                .u64_counter(PURGED_ROWS.name)
                .with_unit(PURGED_ROWS.unit)
                .with_description(PURGED_ROWS.description)
                .build(),
            lag: meter
                .f64_gauge(PURGE_LAG.name)
                .with_unit(PURGE_LAG.unit)
                .with_description(PURGE_LAG.description)
                .build(),
            failures: meter
                .u64_counter(PURGE_FAILURES.name)
                .with_unit(PURGE_FAILURES.unit)
                .with_description(PURGE_FAILURES.description)
                .build(),
        }
    }
}

impl PurgeInstruments {
    pub(super) fn purged(&self, purged: &Purged) {
        for (kind, rows) in [
            ("session", purged.sessions),
            ("grant", purged.grants),
            ("ledger", purged.ledger),
            ("access_token", purged.access_tokens),
        ] {
            self.rows.add(rows, &[KeyValue::new("kind", kind)]);
        }
    }

    pub(super) fn left(&self, lag: &PurgeLag) {
        for (kind, lag) in [
            ("family", lag.families),
            ("access_token", lag.access_tokens),
        ] {
            self.lag
                .record(lag.as_secs_f64(), &[KeyValue::new("kind", kind)]);
        }
    }

    pub(super) fn failed(&self) {
        self.failures.add(1, &[]);
    }
}
