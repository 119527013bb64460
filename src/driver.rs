//! Drives a connection and what makes or answers calls over it, in one task.
//!
//! The calls of a batch have their answers at the same moment. With a task each, the first of
//! them would be woken on this thread and the rest on whichever is idle, and what they write
//! would leave bit by bit. In the task of their connection they go on together, and their
//! answers leave in one write (BENCHMARKS.md has both). What works long for its answer is better
//! left [`aside`].

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered, task::AtomicWaker};
use hyper::rt::Executor;
use std::{
    future::Future,
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};
use tokio::task::{JoinSet, unconstrained};

/// So many streams begin, or end, before the connection is looked at again.
const STREAMS_AT_ONCE: usize = 32;
/// So often both are looked at before other tasks have their turn.
const TURNS: usize = 4;
/// A connection is quiet when nothing was answered over it for this long.
const QUIET: Duration = Duration::from_millis(2);
/// How long a quiet moment is waited for.
const PATIENCE: Duration = Duration::from_millis(20);

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What is left for the driver of a connection. In the server hyper leaves its streams here, each
/// of them a call; the load generator leaves its callers here.
#[derive(Clone, Default)]
pub struct Streams(Arc<Inbox>);

#[derive(Default)]
struct Inbox {
    opened: Mutex<Vec<Running>>,
    signal: Arc<Signal>,
}

impl Streams {
    /// Runs this in the connection's task, from wherever it is called.
    pub fn run(&self, stream: impl Future<Output = ()> + Send + 'static) {
        self.execute(stream);
        self.0.signal.set();
    }

    fn opened(&self) -> MutexGuard<'_, Vec<Running>> {
        // Nothing panics while it is held.
        self.0.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From within the connection's own work alone: nobody is woken.
impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        // One that panics ends alone, as a task would. And the task's budget is the connection's:
        // streams would run out of it together.
        let stream = AssertUnwindSafe(stream).catch_unwind().map(drop);
        self.opened().push(Box::pin(unconstrained(stream)));
    }
}

/// A connection and its streams. It ends with the connection, and what still runs then is
/// dropped: nobody is there to be answered.
pub struct Driver<C> {
    connection: Pin<Box<C>>,
    opened: Streams,
    running: FuturesUnordered<Running>,
    signal: Arc<Signal>,
    /// Wakes by the signal.
    waker: Waker,
    /// When a stream ended last.
    answered: Instant,
}

impl<C: Future> Driver<C> {
    /// Drives this connection, and the streams that it leaves here.
    pub fn new(connection: C, opened: Streams) -> Self {
        let signal = Arc::clone(&opened.0.signal);
        Self {
            connection: Box::pin(connection),
            opened,
            running: FuturesUnordered::new(),
            waker: Arc::clone(&signal).into(),
            signal,
            answered: Instant::now(),
        }
    }

    /// The connection itself.
    pub fn connection(&mut self) -> Pin<&mut C> {
        self.connection.as_mut()
    }

    /// Goes on until the connection is quiet, or for as long as patience lasts. Some: it has
    /// ended.
    pub async fn until_quiet(&mut self) -> Option<C::Output> {
        let latest = Instant::now() + PATIENCE;
        loop {
            let quiet = latest.min(self.answered + QUIET);
            if quiet <= Instant::now() {
                return None;
            }
            tokio::select! {
                biased;
                ended = &mut *self => return Some(ended),
                () = tokio::time::sleep_until(quiet.into()) => {}
            }
        }
    }

    /// Takes in what was opened, and lets what can go on do so.
    fn go_on(&mut self, cx: &mut Context<'_>) {
        let mut opened = self.opened.opened();
        let begin = opened.len().min(STREAMS_AT_ONCE);
        self.running.extend(opened.drain(..begin));
        let more = !opened.is_empty();
        drop(opened);
        let mut ended = 0;
        while ended < STREAMS_AT_ONCE
            && let Poll::Ready(Some(())) = self.running.poll_next_unpin(cx)
        {
            ended += 1;
        }
        if ended > 0 {
            self.answered = Instant::now();
        }
        if more || ended == STREAMS_AT_ONCE {
            self.signal.set();
        }
    }
}

impl<C: Future> Future for Driver<C> {
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let this = self.get_mut();
        this.signal.task.register(cx.waker());
        let waker = this.waker.clone();
        let mut woken = Context::from_waker(&waker);
        for _ in 0..TURNS {
            this.signal.begin();
            // First, so that what it was told to say goes out before what is answered now.
            if let Poll::Ready(ended) = this.connection.as_mut().poll(&mut woken) {
                return Poll::Ready(ended);
            }
            this.go_on(&mut woken);
            if !this.signal.is_set() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<C> Drop for Driver<C> {
    fn drop(&mut self) {
        // Each of them holds what they are kept in.
        let left = std::mem::take(&mut *self.opened.opened());
        drop(left);
    }
}

/// Nobody works; whoever wakes us wakes the task.
const IDLE: u8 = 0;
/// The task is at work.
const AT_WORK: u8 = 1;
/// Something is to be done, by whoever is at work, or after the task was woken.
const SET: u8 = 2;

/// What wakes a connection and its streams. While their task is at work it is only noted that
/// there is more to do: tokio would wake another thread for a task that wakes itself.
#[derive(Default)]
struct Signal {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Signal {
    fn set(&self) {
        if self.state.swap(SET, Ordering::SeqCst) == IDLE {
            self.task.wake();
        }
    }

    /// What was noted before is about to be done.
    fn begin(&self) {
        self.state.store(AT_WORK, Ordering::SeqCst);
    }

    /// Whether there is more to do; if not, the work is over.
    fn is_set(&self) -> bool {
        self.state
            .compare_exchange(AT_WORK, IDLE, Ordering::SeqCst, Ordering::SeqCst)
            .is_err()
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.set();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set();
    }
}

/// Work in a task of its own, beside the connection's. It ends with whoever waits for it.
pub async fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
        // The runtime ends, and with it whoever waits.
        _ => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
