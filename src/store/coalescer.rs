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
//!
//! Nothing waits in vain: a call that has waited too long is refused before the database,
//! and so is one that comes while the first in the queue has. So under any load the
//! database works on calls whose callers are still there.

mod queue;

use super::{
    breaker::Breaker,
    error::StoreError,
    instruments::BatchInstruments,
    spans::{self, BatchSpans},
};
use opentelemetry::trace::SpanContext;
use queue::{Queue, Shed};
use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, oneshot};

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
    /// How long a call may wait for its batch; then it is refused.
    pub max_wait: Duration,
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
    queue: Arc<Queue<Waiting<A, B>>>,
    breaker: Breaker,
    instruments: Arc<BatchInstruments>,
    traced: bool,
}

impl<A, B> Drop for Coalescer<A, B> {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl<A, B> Coalescer<A, B>
where
    A: Send + Sync + 'static,
    B: Send + 'static,
{
    /// Starts gathering for `run`, which answers every job of a batch, in order.
    ///
    /// `kind` names the queue in metrics; while the breaker is open nothing waits.
    pub(super) fn start<F, R>(
        kind: &'static str,
        limits: BatchLimits,
        breaker: Breaker,
        run: F,
    ) -> Self
    where
        F: Fn(Vec<Job<A>>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<Outcome<B>>, StoreError>> + Send + 'static,
    {
        let queue = Arc::new(Queue::new(limits.max_waiting, limits.max_wait));
        let instruments = Arc::new(BatchInstruments::of(kind, depth(Arc::downgrade(&queue))));
        let gathering = Arc::new(Gathering {
            run,
            instruments: Arc::clone(&instruments),
            spans: BatchSpans::of(kind, limits.traced),
            patience: limits.patience,
            queue: Arc::downgrade(&queue),
        });
        tokio::spawn(gather(Arc::clone(&queue), gathering, limits));
        Self {
            queue,
            breaker,
            instruments,
            traced: limits.traced,
        }
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, ask: A, arrived: Instant) -> Result<B, StoreError> {
        self.breaker.check()?;
        let (answer, answered) = oneshot::channel();
        let ask = Arc::new(ask);
        self.queue
            .push(Waiting {
                ask,
                arrived,
                attempts: 0,
                in_doubt: false,
                span: spans::of_call(self.traced),
                answer,
            })
            .map_err(|shed| {
                self.instruments.shed(shed.name(), 1);
                StoreError::Overloaded
            })?;
        tokio::select! {
            biased;
            answer = answered => answer.unwrap_or(Err(StoreError::Unavailable(None))),
            () = self.breaker.opened() => Err(StoreError::Down),
        }
    }
}

/// Sends a batch whenever there is a place in flight, until the queue is closed.
async fn gather<A, B, F, R>(
    queue: Arc<Queue<Waiting<A, B>>>,
    gathering: Arc<Gathering<A, B, F>>,
    limits: BatchLimits,
) where
    A: Send + Sync + 'static,
    B: Send + 'static,
    F: Fn(Vec<Job<A>>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Outcome<B>>, StoreError>> + Send + 'static,
{
    let in_flight = Arc::new(Semaphore::new(limits.in_flight));
    loop {
        // The place comes first: while none is free, calls gather, and some give up.
        let mut place = pin!(Arc::clone(&in_flight).acquire_owned());
        let place = loop {
            let overdue = queue.next_overdue();
            let until = overdue.unwrap_or_else(Instant::now);
            tokio::select! {
                biased;
                place = &mut place => break place,
                () = tokio::time::sleep_until(until.into()), if overdue.is_some() => {
                    gathering.shed(queue.overdue());
                }
                () = queue.changes(), if overdue.is_none() => {}
            }
        };
        // Nobody closes the semaphore.
        let (Ok(place), true) = (place, queue.fills().await) else {
            return;
        };
        gathering.shed(queue.overdue());
        let batch = queue.take(limits.max_calls);
        if batch.is_empty() {
            continue;
        }
        let gathering = Arc::clone(&gathering);
        tokio::spawn(async move {
            gathering.send(batch).await;
            drop(place);
        });
    }
}

/// How many calls wait in a queue, while it stands.
fn depth<T: Send + 'static>(queue: Weak<Queue<T>>) -> impl Fn() -> Option<usize> + Send + Sync {
    move || Some(queue.upgrade()?.len())
}

struct Gathering<A, B, F> {
    run: F,
    instruments: Arc<BatchInstruments>,
    spans: Option<BatchSpans>,
    patience: Duration,
    queue: Weak<Queue<Waiting<A, B>>>,
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

    /// Refuses what has waited too long.
    fn shed(&self, overdue: Vec<Waiting<A, B>>) {
        let there = overdue.into_iter();
        let there = there.filter(|waiting| !waiting.answer.is_closed());
        let refused = there.map(|waiting| waiting.answer.send(Err(StoreError::Overloaded)));
        let refused = refused.count();
        if refused > 0 {
            self.instruments.shed(Shed::Wait.name(), refused as u64);
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
            queue.put_back(waiting);
        });
    }
}

#[cfg(test)]
mod tests;
