//! Records into the table of instruments what only the store sees.

use super::{
    purge::{PurgeLag, Purged},
    statements::Statement,
};
use crate::domain::instruments::{
    BATCH_CALLS, BATCH_DEPTH, BATCH_SHED, BATCH_WAIT, BREAKER_OPEN, BREAKER_OUTAGES,
    DATABASE_DURATION, IDS_LEFT, Instrument, POOL_CONNECTIONS, POOL_TIMEOUTS, POOL_WAITING,
    PURGE_FAILURES, PURGE_LAG, PURGED_ROWS, SESSIONS_ESTIMATE,
};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, Meter},
};
use std::time::{Duration, Instant};

fn meter() -> Meter {
    opentelemetry::global::meter("countersign")
}

/// A counter that stands at zero from the start, so that its first step is seen.
fn counter(row: &Instrument) -> Counter<u64> {
    let counter = meter()
        .u64_counter(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .build();
    if row.attributes.is_empty() {
        counter.add(0, &[]);
    }
    counter
}

fn seconds(row: &Instrument) -> Histogram<f64> {
    meter()
        .f64_histogram(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .with_boundaries(row.bounds.to_vec())
        .build()
}

fn gauge(row: &Instrument) -> Gauge<i64> {
    meter()
        .i64_gauge(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .build()
}

/// Tells a gauge whenever somebody looks; `read` gives what it stands at, by attributes.
fn observed<const N: usize>(
    row: &Instrument,
    attributes: [Vec<KeyValue>; N],
    read: impl Fn() -> Option<[u64; N]> + Send + Sync + 'static,
) {
    meter()
        .u64_observable_gauge(row.name)
        .with_unit(row.unit)
        .with_description(row.description)
        .with_callback(move |observer| {
            for (value, attributes) in read().into_iter().flatten().zip(&attributes) {
                observer.observe(value, attributes);
            }
        })
        .build();
}

/// What one queue of calls measures.
#[derive(Debug)]
pub(super) struct BatchInstruments {
    kind: [KeyValue; 1],
    calls: Histogram<u64>,
    wait: Histogram<f64>,
    shed: Counter<u64>,
}

impl BatchInstruments {
    /// Of the queue `kind`; `depth` says how many calls wait, as long as there is a queue.
    pub(super) fn of(
        kind: &'static str,
        depth: impl Fn() -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        let kind = [KeyValue::new("kind", kind)];
        observed(&BATCH_DEPTH, [kind.to_vec()], move || {
            depth().map(|depth| [depth as u64])
        });
        let shed = counter(&BATCH_SHED);
        for cause in ["length", "wait"] {
            // From zero, so that its first step is seen.
            shed.add(0, &[kind[0].clone(), KeyValue::new("cause", cause)]);
        }
        Self {
            kind,
            calls: meter()
                .u64_histogram(BATCH_CALLS.name)
                .with_unit(BATCH_CALLS.unit)
                .with_description(BATCH_CALLS.description)
                .with_boundaries(BATCH_CALLS.bounds.to_vec())
                .build(),
            wait: seconds(&BATCH_WAIT),
            shed,
        }
    }

    /// Calls were refused, because of the queue's length or of their wait.
    pub(super) fn shed(&self, cause: &'static str, calls: u64) {
        let [kind] = &self.kind;
        self.shed
            .add(calls, &[kind.clone(), KeyValue::new("cause", cause)]);
    }

    /// A batch goes out, with how long each of its calls has waited.
    pub(super) fn sent(&self, waits: impl ExactSizeIterator<Item = Duration>) {
        self.calls.record(waits.len() as u64, &self.kind);
        for wait in waits {
            self.wait.record(wait.as_secs_f64(), &self.kind);
        }
    }
}

/// What a breaker measures.
#[derive(Debug)]
pub(super) struct BreakerInstruments {
    open: Gauge<i64>,
    outages: Counter<u64>,
}

impl Default for BreakerInstruments {
    fn default() -> Self {
        Self {
            open: gauge(&BREAKER_OPEN),
            outages: counter(&BREAKER_OUTAGES),
        }
    }
}

impl BreakerInstruments {
    /// It opened, or closed.
    pub(super) fn is_open(&self, open: bool) {
        self.open.record(i64::from(open), &[]);
        self.outages.add(u64::from(open), &[]);
    }
}

/// What a pool of connections measures.
#[derive(Debug)]
pub(super) struct PoolInstruments {
    timeouts: Counter<u64>,
    duration: Histogram<f64>,
}

impl PoolInstruments {
    /// `status` reads used connections, idle ones, and how much work waits for one, as long
    /// as the pool stands.
    pub(super) fn of(
        status: impl Fn() -> Option<[u64; 3]> + Clone + Send + Sync + 'static,
    ) -> Self {
        let waiting = status.clone();
        let state = |state: &'static str| vec![KeyValue::new("state", state)];
        observed(
            &POOL_CONNECTIONS,
            [state("used"), state("idle")],
            move || status().map(|[used, idle, _]| [used, idle]),
        );
        observed(&POOL_WAITING, [Vec::new()], move || {
            waiting().map(|[_, _, waiting]| [waiting])
        });
        Self {
            timeouts: counter(&POOL_TIMEOUTS),
            duration: seconds(&DATABASE_DURATION),
        }
    }

    /// Work got no connection in time.
    pub(super) fn timed_out(&self) {
        self.timeouts.add(1, &[]);
    }

    /// A statement was answered, well or not.
    pub(super) fn answered(&self, statement: Statement, sent: Instant) {
        let statement = [KeyValue::new("statement", statement.name)];
        self.duration
            .record(sent.elapsed().as_secs_f64(), &statement);
    }
}

/// What the looks at the database measure.
#[derive(Debug)]
pub(super) struct IdInstruments {
    left: Gauge<i64>,
    sessions: Gauge<i64>,
}

impl Default for IdInstruments {
    fn default() -> Self {
        Self {
            left: gauge(&IDS_LEFT),
            sessions: gauge(&SESSIONS_ESTIMATE),
        }
    }
}

impl IdInstruments {
    pub(super) fn left(&self, sessions: i64, users: i64) {
        self.left
            .record(sessions, &[KeyValue::new("table", "auth.refresh_session")]);
        self.left
            .record(users, &[KeyValue::new("table", "auth.user")]);
    }

    /// The planner's estimate, if it has one.
    pub(super) fn estimated(&self, sessions: Option<i64>) {
        if let Some(sessions) = sessions {
            self.sessions.record(sessions, &[]);
        }
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
        Self {
            rows: counter(&PURGED_ROWS),
            lag: meter()
                .f64_gauge(PURGE_LAG.name)
                .with_unit(PURGE_LAG.unit)
                .with_description(PURGE_LAG.description)
                .build(),
            failures: counter(&PURGE_FAILURES),
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
            ("dpop_proof", purged.proofs),
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
