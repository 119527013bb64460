//! Runs callers, closed-loop or open-loop.
//!
//! Closed: each caller calls again as soon as it has its answer, so a slow server is
//! asked less, and its latencies look better than a user's would (coordinated omission).
//! Open: calls are due at a fixed rate whatever the server does, and a latency counts
//! from when its call was due, not from when a caller was free to make it.

use super::statistics::{Next, Tally};
use crate::driver::Streams;
use futures_util::{FutureExt as _, future::BoxFuture};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, Semaphore, oneshot},
    task::JoinSet,
};

/// How long calls that are due may still be begun after the time is up.
const OVERTIME: Duration = Duration::from_secs(1);
/// How long calls that were begun may take after that, or after a stop, before they are given
/// up; tests are less patient.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 5 } else { 30 });
/// How long a caller waits after a failed call. Without it, callers whose connection has ended
/// would do nothing but fail, and leave nobody the time to open it again.
const PAUSE: Duration = Duration::from_millis(5);

/// Why a call did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It failed; counted by this reason.
    Failed(String),
    /// It failed with its connection, which is opened again; counted likewise.
    Lost(String),
    /// The caller has nothing left to call about, and stops; no error.
    Exhausted,
}

impl Trouble {
    /// A failure with this reason.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed(reason.into())
    }
}

/// Something that can be called again and again, one call at a time.
pub trait Caller: Send + 'static {
    /// One call.
    fn call(&mut self) -> impl Future<Output = Result<(), Trouble>> + Send;

    /// The task that it runs in; `None`: one of its own.
    fn task(&self) -> Option<Streams> {
        None
    }
}

/// How callers are run.
#[derive(Debug, Clone, Copy)]
pub enum Load {
    /// Each calls again as soon as it has its answer.
    Closed(Duration),
    /// Calls are due at a fixed rate.
    Open {
        /// Calls a second, of all callers together.
        rate: f64,
        /// For how long.
        time: Duration,
    },
}

impl Load {
    /// For how long calls are begun, or due.
    pub fn time(self) -> Duration {
        match self {
            Self::Closed(time) | Self::Open { time, .. } => time,
        }
    }
}

/// Asks callers to stop before their time; what they have begun they finish.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    asked: AtomicBool,
    told: Notify,
}

impl Stop {
    /// From now on nobody begins another call.
    pub fn ask(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
        self.0.told.notify_waiters();
    }

    /// Whether it was asked for.
    pub fn asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Waits until it is.
    async fn heard(&self) {
        let told = self.0.told.notified();
        // Whoever asks after this was looked at tells us.
        if !self.0.asked.load(Ordering::SeqCst) {
            told.await;
        }
    }
}

/// The callers of one row, whatever they are.
pub trait Crew: Send {
    /// Runs them once.
    fn run(&mut self, load: Load, stop: &Stop) -> BoxFuture<'_, Tally>;
}

/// Callers of one kind.
pub struct Callers<C>(pub Vec<C>);

impl<C: Caller> Crew for Callers<C> {
    fn run(&mut self, load: Load, stop: &Stop) -> BoxFuture<'_, Tally> {
        let stop = stop.clone();
        Box::pin(async move {
            let callers = std::mem::take(&mut self.0);
            let (callers, tally) = match load {
                Load::Closed(_) => closed(callers, load, stop).await,
                Load::Open { rate, .. } => open(callers, load, rate, stop).await,
            };
            self.0 = callers;
            tally
        })
    }
}

async fn closed<C: Caller>(callers: Vec<C>, load: Load, stop: Stop) -> (Vec<C>, Tally) {
    let start = Instant::now();
    let until = start + load.time();
    let mut tasks = JoinSet::new();
    for mut caller in callers {
        let stop = stop.clone();
        begin(&mut tasks, caller.task(), async move {
            let mut tally = Tally::default();
            let mut began = Instant::now();
            while began < until && !stop.asked() {
                let outcome = caller.call().await;
                let ended = Instant::now();
                match tally.record(outcome, ended - began) {
                    Next::Call => began = ended,
                    Next::Pause => {
                        tokio::time::sleep(PAUSE).await;
                        began = Instant::now();
                    }
                    Next::End => break,
                }
            }
            (caller, tally)
        });
    }
    gather(tasks, start, load, &stop).await
}

async fn open<C: Caller>(callers: Vec<C>, load: Load, rate: f64, stop: Stop) -> (Vec<C>, Tally) {
    let schedule = Arc::new(Schedule::new(rate, load.time(), stop));
    let pacer = {
        let schedule = Arc::clone(&schedule);
        std::thread::spawn(move || schedule.pace())
    };
    let mut tasks = JoinSet::new();
    for mut caller in callers {
        let schedule = Arc::clone(&schedule);
        begin(&mut tasks, caller.task(), async move {
            let mut tally = Tally::default();
            while let Some(due) = schedule.next().await {
                let outcome = caller.call().await;
                match tally.record(outcome, due.elapsed()) {
                    Next::Call => {}
                    Next::Pause => tokio::time::sleep(PAUSE).await,
                    Next::End => break,
                }
            }
            (caller, tally)
        });
    }
    let (callers, mut tally) = gather(tasks, schedule.start, load, &schedule.stop).await;
    // It ends by itself; it cannot have panicked.
    drop(tokio::task::spawn_blocking(move || pacer.join()).await);
    // Calls that were due and that nobody was free to make: they waited at least so long.
    while let Some(due) = schedule.take().filter(|_| !schedule.stop.asked()) {
        tally.missed(due.elapsed());
    }
    (callers, tally)
}

/// Begins work in a task of its own, or in this one. There, too, it ends when it is given up.
fn begin<T: Send + 'static>(
    tasks: &mut JoinSet<Option<T>>,
    task: Option<Streams>,
    work: impl Future<Output = T> + Send + 'static,
) {
    let Some(task) = task else {
        tasks.spawn(work.map(Some));
        return;
    };
    let (mut tell, told) = oneshot::channel();
    task.run(async move {
        let done = tokio::select! {
            biased;
            done = work => done,
            () = tell.closed() => return,
        };
        // Nobody to tell: it was given up in this moment.
        let _ = tell.send(done);
    });
    tasks.spawn(told.map(Result::ok));
}

async fn gather<C: Caller>(
    mut tasks: JoinSet<Option<(C, Tally)>>,
    start: Instant,
    load: Load,
    stop: &Stop,
) -> (Vec<C>, Tally) {
    let mut callers = Vec::with_capacity(tasks.len());
    let mut all = Tally::default();
    let mut until = start + load.time() + OVERTIME + PATIENCE;
    let mut asked = false;
    loop {
        let ended = tokio::select! {
            ended = tokio::time::timeout_at(until.into(), tasks.join_next()) => ended,
            () = stop.heard(), if !asked => {
                asked = true;
                until = until.min(Instant::now() + PATIENCE);
                continue;
            }
        };
        match ended {
            Ok(Some(Ok(Some((caller, tally))))) => {
                callers.push(caller);
                all.add(&tally);
            }
            Ok(Some(Ok(None))) => all.broke("the caller broke down".to_owned()),
            Ok(Some(Err(error))) => all.broke(error.to_string()),
            Ok(None) => break,
            // What these callers had counted is lost with them.
            Err(_) => {
                for _ in 0..tasks.len() {
                    all.broke("never answered".to_owned());
                }
                tasks.abort_all();
                break;
            }
        }
    }
    all.took(start.elapsed());
    (callers, all)
}

/// When calls are due.
struct Schedule {
    start: Instant,
    time: Duration,
    rate: f64,
    total: u64,
    taken: AtomicU64,
    due: Semaphore,
    stop: Stop,
}

impl Schedule {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of calls"
    )]
    fn new(rate: f64, time: Duration, stop: Stop) -> Self {
        Self {
            start: Instant::now(),
            time,
            rate,
            total: (rate * time.as_secs_f64()).ceil().max(1.0) as u64,
            taken: AtomicU64::new(0),
            due: Semaphore::new(0),
            stop,
        }
    }

    /// When call number `number` is due.
    #[expect(clippy::cast_precision_loss, reason = "no run has 2^53 calls")]
    fn at(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// Waits for the next call to be due; none when all were taken or time is over.
    async fn next(&self) -> Option<Instant> {
        self.due.acquire().await.ok()?.forget();
        self.take()
    }

    fn take(&self) -> Option<Instant> {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        (number < self.total).then(|| self.at(number))
    }

    /// Releases calls when they are due. A thread of its own, because the timers of the
    /// runtime are a millisecond wide.
    fn pace(&self) {
        let mut released = 0;
        while released < self.total && !self.stop.asked() {
            let now = Instant::now();
            let mut due = 0;
            while released < self.total && self.at(released) <= now {
                released += 1;
                due += 1;
            }
            self.due.add_permits(due);
            if released < self.total {
                std::thread::sleep(self.at(released).saturating_duration_since(now));
            }
        }
        let until = self.start + self.time + OVERTIME;
        let waiting = || self.taken.load(Ordering::Relaxed) < self.total && !self.stop.asked();
        while waiting() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.due.close();
    }
}

#[cfg(test)]
mod tests;
