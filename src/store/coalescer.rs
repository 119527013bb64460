//! Gathers concurrent calls of one kind into batches, without a timer.
//!
//! A call that comes while no batch is in the database goes out at once, or with those who
//! can ask at the same moment where the batch before it was of several. Otherwise it
//! waits with whatever else comes, until a batch returns, whose task then takes along all
//! that waits; or until as many wait as a batch holds that is out, who then go out beside
//! it, up to `in_flight` batches at once. So a caller alone waits for nobody, a busy server
//! batches by itself, and its batches are of one size: many small ones beside a large one
//! would each cost the database nearly what the large one does. A clock only sees to it
//! that nobody waits long for a batch that is stuck.
//!
//! Nobody harms anybody: a call whose caller went away is not sent; a batch that
//! fails for one row's sake is sent again row by row; a row that another
//! transaction holds is tried again apart, after a pause that grows. A batch that
//! was sent is never cancelled, whoever hangs up.
//!
//! Nothing waits in vain: a call that has waited too long is refused before the database,
//! and so is one that comes while the first in the queue has. So under any load the
//! database works on calls whose callers are still there.

mod places;
mod queue;
mod waiting;

use super::{
    breaker::Breaker,
    error::StoreError,
    instruments::BatchInstruments,
    spans::{self, BatchSpans},
};
use places::Places;
use queue::{Queue, Shed};
use std::{
    fmt,
    future::Future,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, oneshot},
    task::yield_now,
};
use waiting::Waiting;

/// The pauses before another try double, up to this power of two in milliseconds: about as
/// long as the batch takes that is in the way.
const LONGEST_PAUSE: u32 = 3;

/// How long a call leaves a place free because a larger batch is out. That batch may be stuck.
const COURTESY: Duration = Duration::from_millis(5);

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
    /// An earlier attempt did it, and what it answered cannot be told any more.
    Untold,
}

/// The queue of one kind of call.
pub(super) struct Coalescer<A, B> {
    line: Arc<Line<A, B>>,
    /// Sends what waits from a place in flight, until nothing does.
    depart: Box<dyn Fn(OwnedSemaphorePermit) + Send + Sync>,
    breaker: Breaker,
    traced: bool,
}

/// Where calls wait, and what they wait for.
struct Line<A, B> {
    queue: Queue<Waiting<A, B>>,
    places: Places,
    /// Somebody waits although there is a queue: it may take too long.
    crowded: Notify,
    instruments: BatchInstruments,
}

impl<A, B> fmt::Debug for Coalescer<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Coalescer({:?})", self.line.queue)
    }
}

impl<A, B> Drop for Coalescer<A, B> {
    fn drop(&mut self) {
        self.line.queue.close();
        self.line.crowded.notify_one();
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
        let line = Arc::new_cyclic(|line: &Weak<Line<A, B>>| Line {
            queue: Queue::new(limits.max_waiting, limits.max_wait),
            places: Places::new(limits.in_flight),
            crowded: Notify::new(),
            instruments: BatchInstruments::of(kind, depth(line.clone())),
        });
        let gathering = Arc::new(Gathering {
            run,
            spans: BatchSpans::of(kind, limits.traced),
            max_calls: limits.max_calls,
            patience: limits.patience,
            line: Arc::clone(&line),
        });
        tokio::spawn(Arc::clone(&gathering).attend());
        let depart = move |place| drop(tokio::spawn(Arc::clone(&gathering).depart(place)));
        Self {
            line,
            depart: Box::new(depart),
            breaker,
            traced: limits.traced,
        }
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask(&self, ask: Arc<A>, arrived: Instant) -> Result<B, StoreError> {
        self.breaker.check()?;
        let (answer, answered) = oneshot::channel();
        let line = &self.line;
        line.queue
            .push(Waiting {
                ask,
                arrived,
                attempts: 0,
                in_doubt: false,
                span: spans::of_call(self.traced),
                answer,
            })
            .map_err(|shed| {
                line.instruments.shed(shed.name(), 1);
                StoreError::Overloaded
            })?;
        match line.place() {
            Some(place) => (self.depart)(place),
            None => line.crowded.notify_one(),
        }
        tokio::select! {
            biased;
            answer = answered => answer.unwrap_or(Err(StoreError::Unavailable(None))),
            () = self.breaker.opened() => Err(StoreError::Down),
        }
    }
}

/// How many calls wait, while anybody may.
fn depth<A, B>(line: Weak<Line<A, B>>) -> impl Fn() -> Option<usize> + Send + Sync
where
    A: Send + Sync + 'static,
    B: Send + 'static,
{
    move || Some(line.upgrade()?.queue.len())
}

impl<A, B> Line<A, B> {
    /// Whether another batch is worth its while.
    fn is_worthwhile(&self) -> bool {
        self.places.is_worthwhile(self.queue.len())
    }

    /// A place in flight, if one is free and another batch is worth its while.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.is_worthwhile().then(|| self.places.take()).flatten()
    }

    /// Refuses what has waited too long.
    fn shed(&self) {
        let overdue = self.queue.overdue().into_iter();
        let there = overdue.filter(|waiting| !waiting.answer.is_closed());
        let refused = there.map(|waiting| waiting.give_up(StoreError::Overloaded));
        let refused = refused.count();
        if refused > 0 {
            self.instruments.shed(Shed::Wait.name(), refused as u64);
        }
    }
}

struct Gathering<A, B, F> {
    run: F,
    spans: Option<BatchSpans>,
    max_calls: usize,
    patience: Duration,
    line: Arc<Line<A, B>>,
}

impl<A, B, F, R> Gathering<A, B, F>
where
    A: Send + Sync + 'static,
    B: Send + 'static,
    F: Fn(Vec<Job<A>>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<Outcome<B>>, StoreError>> + Send + 'static,
{
    /// Sends one batch after the other from this place, as long as anything waits.
    async fn depart(self: Arc<Self>, mut place: OwnedSemaphorePermit) {
        loop {
            // Whatever can run runs first: those who are just about to ask come along. Where
            // callers come one at a time that would only wake an idle thread.
            if !self.line.places.alone() {
                yield_now().await;
            }
            self.line.shed();
            let batch = self.line.queue.take(self.max_calls);
            if !batch.is_empty() {
                self.send(batch).await;
                if self.line.queue.len() > 0 && self.line.is_worthwhile() {
                    continue;
                }
            }
            drop(place);
            // Who came after the look and before the place was free found none. It is looked
            // before a place is taken again: whoever comes after this look finds it free, or
            // held by somebody who has yet to look. And whom a larger batch keeps waiting, the
            // task of that batch will find: it looks when nobody counts it any more.
            if self.line.queue.len() == 0 {
                return;
            }
            match self.line.place() {
                Some(next) => place = next,
                None => return,
            }
        }
    }

    /// Refuses what waits too long, and sends what a batch keeps waiting that is out too long,
    /// until the queue is closed.
    async fn attend(self: Arc<Self>) {
        let line = &self.line;
        while !line.queue.is_closed() {
            line.crowded.notified().await;
            while let Some((since, late)) = line.queue.first_since() {
                let look = late.min(Instant::now() + COURTESY);
                tokio::time::sleep_until(look.into()).await;
                line.shed();
                if since.elapsed() >= COURTESY
                    && line.queue.len() > 0
                    && let Some(place) = line.places.take()
                {
                    tokio::spawn(Arc::clone(&self).depart(place));
                }
            }
        }
    }

    async fn send(self: &Arc<Self>, mut batch: Vec<Waiting<A, B>>) {
        batch.retain(|waiting| !waiting.answer.is_closed());
        if batch.is_empty() {
            return;
        }
        let out = self.line.places.out(batch.len());
        self.line
            .instruments
            .sent(batch.iter().map(|waiting| waiting.arrived.elapsed()));
        match self.attempt(&batch).await {
            Err(error) if batch.len() > 1 && error.blames_a_row() => {
                for waiting in batch {
                    let alone = vec![waiting];
                    let outcome = self.attempt(&alone).await;
                    self.settle(alone, outcome);
                }
            }
            outcome => {
                drop(out);
                self.settle(batch, outcome);
            }
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
        // Apart from this task, which tokio copies more than once: what a batch does is not small.
        let answers = Box::pin((self.run)(jobs));
        match &self.spans {
            None => answers.await,
            Some(spans) => {
                let calls = batch.iter().filter_map(|waiting| waiting.span.as_ref());
                spans.around(calls, batch.len(), answers).await
            }
        }
    }

    fn settle(
        self: &Arc<Self>,
        batch: Vec<Waiting<A, B>>,
        outcome: Result<Vec<Outcome<B>>, StoreError>,
    ) {
        match outcome {
            Ok(outcomes) => {
                for (waiting, outcome) in batch.into_iter().zip(outcomes) {
                    match outcome {
                        // A caller that went away has no use for it.
                        Outcome::Done(answer) => drop(waiting.answer.send(Ok(answer))),
                        Outcome::Busy => self.again(waiting, StoreError::Contention(None)),
                        Outcome::Untold => waiting.give_up(StoreError::InDoubt(None)),
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
    fn again(self: &Arc<Self>, mut waiting: Waiting<A, B>, error: StoreError) {
        if waiting.arrived.elapsed() >= self.patience {
            waiting.give_up(error);
            return;
        }
        let pause = Duration::from_millis(1 << waiting.attempts.min(LONGEST_PAUSE));
        waiting.attempts += 1;
        let gathering = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            gathering.line.queue.put_back(waiting);
            match gathering.line.place() {
                Some(place) => gathering.depart(place).await,
                None => gathering.line.crowded.notify_one(),
            }
        });
    }
}

#[cfg(test)]
mod tests;
