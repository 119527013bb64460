//! The breaker before the pool: a database that is known to be away costs a call a
//! millisecond, not a timeout.
//!
//! It opens on two words: a suspicion, which is that a connection could not be made or that
//! nothing was heard while statements wait; and a probe of its own that found no server that
//! takes writes, while still nothing was heard; where all that it found is read-only, whatever
//! was heard may be of yesterday. Then calls are refused, and those that wait
//! are told; what was sent is not cancelled. Probes go on, and the first that succeeds
//! closes it.

use super::{
    connect::{self, ConnectError},
    error::StoreError,
    instruments::BreakerInstruments,
    url::DatabaseUrl,
};
use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, watch};

/// How often silence is looked for.
const GLANCE: Duration = Duration::from_millis(50);
/// The pauses between probes of a database that is away, which grow from one to the other.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// After an outage, how long what was sent before its end may still take to be answered. Then
/// its connection is taken for one to nobody.
const LATE: Duration = Duration::from_secs(1);

/// The breaker of one pool.
#[derive(Debug, Clone)]
pub(super) struct Breaker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Even while it is closed, odd while it is open; moves on with each change.
    phase: watch::Sender<u64>,
    suspicion: Arc<Notify>,
    /// Statements that were sent and not answered.
    unanswered: AtomicUsize,
    /// When something was last heard, or something was sent after silence that nobody minded.
    heard: Mutex<Instant>,
    /// Connections from before are not used again.
    renewed: Mutex<Instant>,
}

/// A statement that was sent.
pub(super) struct Sent<'a>(&'a Inner);

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        self.0.unanswered.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Breaker {
    /// One that is closed, and that nobody opens.
    pub(super) fn closed() -> Self {
        Self(Arc::new(Inner {
            phase: watch::Sender::new(0),
            suspicion: Arc::default(),
            unanswered: AtomicUsize::new(0),
            heard: Mutex::new(Instant::now()),
            renewed: Mutex::new(Instant::now()),
        }))
    }

    /// One that probes `database` when it has a suspicion, for `patience` each time. Needs a
    /// running tokio runtime.
    pub(super) fn watching(database: DatabaseUrl, patience: Duration) -> Self {
        let breaker = Self::closed();
        let watch = Watch {
            inner: Arc::downgrade(&breaker.0),
            suspicion: Arc::clone(&breaker.0.suspicion),
            instruments: BreakerInstruments::default(),
            database,
            patience,
        };
        tokio::spawn(watch.run());
        breaker
    }

    /// Refuses while it is open.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if is_open(*self.0.phase.borrow()) {
            Err(StoreError::Down)
        } else {
            Ok(())
        }
    }

    /// Waits for `work`, or for the breaker to open. The work is dropped then, so what must
    /// not be cancelled is a task of its own.
    pub(super) async fn guard<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.check()?;
        tokio::select! {
            biased;
            done = work => done,
            () = self.opened() => Err(StoreError::Down),
        }
    }

    /// Waits until it is open.
    pub(super) async fn opened(&self) {
        let mut phase = self.0.phase.subscribe();
        // The sender lives as long as `self`.
        let _ = phase.wait_for(|phase| is_open(*phase)).await;
    }

    /// A connection could not be made, or none became free in time.
    pub(super) fn suspect(&self) {
        self.0.suspicion.notify_one();
    }

    /// A statement is sent.
    pub(super) fn sent(&self) -> Sent<'_> {
        if self.0.unanswered.fetch_add(1, Ordering::Relaxed) == 0 {
            self.heard();
        }
        Sent(&self.0)
    }

    /// The database said something.
    pub(super) fn heard(&self) {
        *lock(&self.0.heard) = Instant::now();
    }

    /// Waits until there has been an outage since now, it is over, and what was sent before
    /// its end had time enough to be answered.
    pub(super) async fn lost(&self) {
        let mut phase = self.0.phase.subscribe();
        let now = *phase.borrow_and_update();
        let over = now + if is_open(now) { 1 } else { 2 };
        let _ = phase.wait_for(|phase| *phase >= over).await;
        tokio::time::sleep(LATE).await;
    }

    /// Opens it, or closes it.
    pub(super) fn turn(&self) {
        self.0.phase.send_modify(|phase| *phase += 1);
    }

    /// No connection that stands is used again.
    pub(super) fn renew(&self) {
        *lock(&self.0.renewed) = Instant::now();
    }

    /// Since when connections may be used.
    pub(super) fn renewed(&self) -> Instant {
        *lock(&self.0.renewed)
    }
}

fn is_open(phase: u64) -> bool {
    phase % 2 == 1
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A moment in time is never left half written.
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What goes on in the background, as long as there is a breaker.
struct Watch {
    inner: Weak<Inner>,
    suspicion: Arc<Notify>,
    instruments: BreakerInstruments,
    database: DatabaseUrl,
    patience: Duration,
}

impl Watch {
    async fn run(self) {
        self.instruments.is_open(false);
        while let Some(suspicious) = self.look().await {
            if !suspicious {
                continue;
            }
            let began = Instant::now();
            let found = self.probe().await;
            let Some(inner) = self.inner.upgrade() else {
                return;
            };
            let heard = *lock(&inner.heard) >= began;
            if found.is_ok() {
                // A long statement alone is asked about now and then, and not all the time.
                *lock(&inner.heard) = Instant::now();
            }
            drop(inner);
            match found {
                Err(away) if away.read_only || !heard => self.outage(&away.why).await,
                // It is there after all. Nobody is asked again at once.
                _ => tokio::time::sleep(GLANCE).await,
            }
        }
    }

    /// Whether there is a suspicion, after a moment; `None`: there is no breaker any more.
    async fn look(&self) -> Option<bool> {
        let told = tokio::time::timeout(GLANCE, self.suspicion.notified())
            .await
            .is_ok();
        let inner = self.inner.upgrade()?;
        // What is left of the patience is for the probe.
        let silent = inner.unanswered.load(Ordering::Relaxed) > 0
            && lock(&inner.heard).elapsed() > self.patience * 2 / 5;
        Some(told || silent)
    }

    /// Opens, probes until the database is back, and closes.
    async fn outage(&self, why: &str) {
        let began = Instant::now();
        tracing::warn!(%why, "the database is away: calls are refused until it is back");
        self.turn();
        self.instruments.is_open(true);
        let (mut pause, longest) = PAUSES;
        loop {
            // More or less by a quarter, so that replicas do not come all at once.
            tokio::time::sleep(pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            if self.inner.strong_count() == 0 {
                return;
            }
            if self.probe().await.is_ok() {
                break;
            }
            pause = (pause * 2).min(longest);
        }
        if let Some(inner) = self.inner.upgrade() {
            *lock(&inner.renewed) = Instant::now();
        }
        self.turn();
        self.instruments.is_open(false);
        tracing::warn!(after = ?began.elapsed(), "the database is back");
    }

    fn turn(&self) {
        if let Some(inner) = self.inner.upgrade() {
            Breaker(inner).turn();
        }
    }

    /// Whether a server that takes writes can be connected to; else why not. One that refuses
    /// only us, or one more of us, is there for the connections that stand.
    async fn probe(&self) -> Result<(), Away> {
        match tokio::time::timeout(self.patience, connect::open(&self.database)).await {
            Err(_) => Err(Away {
                read_only: false,
                why: "it does not answer".to_owned(),
            }),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.spares_others() => Ok(()),
            Ok(Err(error)) => Err(Away {
                read_only: matches!(error, ConnectError::ReadOnly(_)),
                why: StoreError::from(error).causes(),
            }),
        }
    }
}

/// Why no server takes writes.
struct Away {
    /// One is there that does not.
    read_only: bool,
    /// Without PostgreSQL's own words.
    why: String,
}

#[cfg(test)]
mod tests;
