//! Gathers concurrent calls of one kind into batches, without a timer.
//!
//! A call that comes while fewer than `in_flight` batches are in the database goes
//! out at once, alone. Otherwise it waits with whatever else comes, until a batch
//! returns. So a caller alone waits for nobody, and a busy server batches by
//! itself.
//!
//! Nobody harms anybody: a call whose caller went away is not sent; a batch that
//! fails for one row's sake is sent again row by row; a row that another
//! transaction holds is tried again apart, after a pause that grows. A batch that
//! was sent is never cancelled, whoever hangs up.

use super::{
    error::StoreError,
    instruments::BatchInstruments,
    spans::{self, BatchSpans},
};
use opentelemetry::trace::SpanContext;
use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// The pauses before another try double, up to this power of two in milliseconds: about as
/// long as the batch takes that is in the way.
const LONGEST_PAUSE: u32 = 3;

/// How much one kind of call may gather.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// Calls of one batch.
    pub max_calls: usize,
    /// Calls that wait; one more is refused.
    pub max_waiting: usize,
    /// Batches in the database at once.
    pub in_flight: usize,
    /// How long a call is tried again before it is given up.
    pub patience: Duration,
    /// Whether batches have spans.
    pub traced: bool,
}

/// One call in a batch.
#[derive(Debug)]
pub(super) struct Job<A> {
    /// What it asks.
    pub(super) ask: Arc<A>,
    /// How long it has waited in the server.
    pub(super) waited: Duration,
    /// An earlier attempt may have been committed.
    pub(super) in_doubt: bool,
}

/// What a batch says of one call.
#[derive(Debug)]
pub(super) enum Outcome<B> {
    /// Its answer.
    Done(B),
    /// Another transaction holds what it needs; nothing was done.
    Busy,
}

struct Waiting<A, B> {
    ask: Arc<A>,
    arrived: Instant,
    attempts: u32,
    in_doubt: bool,
    /// The call's, if it is sampled.
    span: Option<SpanContext>,
    answer: oneshot::Sender<Result<B, StoreError>>,
}

/// The queue of one kind of call.
#[derive(Debug)]
pub(super) struct Coalescer<A, B> {
    queue: mpsc::Sender<Waiting<A, B>>,
    traced: bool,
}

impl<A, B> Coalescer<A, B>
where
    A: Send + Sync + 'static,
    B: Send + 'static,
{
    /// Starts gathering for `run`, which answers every job of a batch, in order.
    ///
    /// `kind` names the queue in metrics.
    pub(super) fn start<F, R>(kind: &'static str, limits: BatchLimits, run: F) -> Self
    where
        F: Fn(Vec<Job<A>>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<Outcome<B>>, StoreError>> + Send + 'static,
    {
        let (queue, mut waiting) = mpsc::channel(limits.max_waiting);
        let gathering = Arc::new(Gathering {
            run,
            instruments: BatchInstruments::of(kind, depth(queue.downgrade())),
            spans: BatchSpans::of(kind, limits.traced),
            patience: limits.patience,
            queue: queue.downgrade(),
        });
        let in_flight = Arc::new(Semaphore::new(limits.in_flight));
        tokio::spawn(async move {
            // The place in flight comes first: while none is free, calls gather.
            while let Ok(place) = Arc::clone(&in_flight).acquire_owned().await {
                let mut batch = Vec::new();
                if waiting.recv_many(&mut batch, limits.max_calls).await == 0 {
                    return;
                }
                let gathering = Arc::clone(&gathering);
                tokio::spawn(async move {
                    gathering.send(batch).await;
                    drop(place);
                });
            }
        });
        Self {
            queue,
            traced: limits.traced,
        }
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, ask: A, arrived: Instant) -> Result<B, StoreError> {
        let (answer, answered) = oneshot::channel();
        let ask = Arc::new(ask);
        self.queue
            .try_send(Waiting {
                ask,
                arrived,
                attempts: 0,
                in_doubt: false,
                span: spans::of_call(self.traced),
                answer,
            })
            .map_err(|_| StoreError::Overloaded)?;
        answered.await.unwrap_or(Err(StoreError::Unavailable(None)))
    }
}

/// How many calls wait in a queue, while it stands.
fn depth<T: Send + 'static>(
    queue: mpsc::WeakSender<T>,
) -> impl Fn() -> Option<usize> + Send + Sync {
    move || {
        let queue = queue.upgrade()?;
        Some(queue.max_capacity() - queue.capacity())
    }
}

struct Gathering<A, B, F> {
    run: F,
    instruments: BatchInstruments,
    spans: Option<BatchSpans>,
    patience: Duration,
    queue: mpsc::WeakSender<Waiting<A, B>>,
}

impl<A, B, F, R> Gathering<A, B, F>
where
    A: Send + Sync + 'static,
    B: Send + 'static,
    F: Fn(Vec<Job<A>>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Outcome<B>>, StoreError>> + Send + 'static,
{
    async fn send(&self, mut batch: Vec<Waiting<A, B>>) {
        batch.retain(|waiting| !waiting.answer.is_closed());
        if batch.is_empty() {
            return;
        }
        self.instruments
            .sent(batch.iter().map(|waiting| waiting.arrived.elapsed()));
        match self.attempt(&batch).await {
            Err(error) if batch.len() > 1 && error.blames_a_row() => {
                for waiting in batch {
                    let alone = vec![waiting];
                    let outcome = self.attempt(&alone).await;
                    self.settle(alone, outcome);
                }
            }
            outcome => self.settle(batch, outcome),
        }
    }

    async fn attempt(&self, batch: &[Waiting<A, B>]) -> Result<Vec<Outcome<B>>, StoreError> {
        let jobs = batch
            .iter()
            .map(|waiting| Job {
                ask: Arc::clone(&waiting.ask),
                waited: waiting.arrived.elapsed(),
                in_doubt: waiting.in_doubt,
            })
            .collect();
        // Where it stands it stays: what a batch does is not small.
        let answers = pin!((self.run)(jobs));
        match &self.spans {
            None => answers.await,
            Some(spans) => {
                let calls = batch.iter().filter_map(|waiting| waiting.span.as_ref());
                spans.around(calls, batch.len(), answers).await
            }
        }
    }

    fn settle(&self, batch: Vec<Waiting<A, B>>, outcome: Result<Vec<Outcome<B>>, StoreError>) {
        match outcome {
            Ok(outcomes) => {
                for (waiting, outcome) in batch.into_iter().zip(outcomes) {
                    match outcome {
                        // A caller that went away has no use for it.
                        Outcome::Done(answer) => drop(waiting.answer.send(Ok(answer))),
                        Outcome::Busy => self.again(waiting, StoreError::Contention(None)),
                    }
                }
            }
            Err(error) => {
                let in_doubt = matches!(error, StoreError::InDoubt(_));
                let again = in_doubt || error.is_transient();
                let error = Arc::new(error);
                for mut waiting in batch {
                    waiting.in_doubt |= in_doubt;
                    let error = StoreError::Shared(Arc::clone(&error));
                    if again {
                        self.again(waiting, error);
                    } else {
                        drop(waiting.answer.send(Err(error)));
                    }
                }
            }
        }
    }

    /// Puts a call back into the queue after a pause, unless it has waited enough.
    fn again(&self, mut waiting: Waiting<A, B>, error: StoreError) {
        let queue = self
            .queue
            .upgrade()
            .filter(|_| waiting.arrived.elapsed() < self.patience);
        let Some(queue) = queue else {
            drop(waiting.answer.send(Err(error)));
            return;
        };
        let pause = Duration::from_millis(1 << waiting.attempts.min(LONGEST_PAUSE));
        waiting.attempts += 1;
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            // The receiver lives as long as the queue can be upgraded.
            drop(queue.send(waiting).await);
        });
    }
}

#[cfg(test)]
mod tests;
