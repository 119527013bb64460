//! The driver over a connection that the test holds the strings of.

use super::*;
use std::sync::atomic::AtomicUsize;
use tokio::sync::{Notify, oneshot};

/// What a connection saw, and what it is to do.
#[derive(Default)]
struct Wire {
    /// Streams that have ended, and how many of them each look at the connection found new.
    ended: AtomicUsize,
    looks: Mutex<Vec<usize>>,
    /// What the streams wake when they have something to write, as in h2.
    writer: AtomicWaker,
    /// Streams to open at the next look.
    opening: Mutex<Vec<Running>>,
    closed: Notify,
}

impl Wire {
    /// A stream that is answered when its sender sends.
    fn stream(self: &Arc<Self>) -> oneshot::Sender<()> {
        let (answer, answered) = oneshot::channel::<()>();
        let wire = Arc::clone(self);
        self.open(async move {
            let _ = answered.await;
            wire.ended.fetch_add(1, Ordering::SeqCst);
            wire.writer.wake();
        });
        answer
    }

    fn open(&self, stream: impl Future<Output = ()> + Send + 'static) {
        self.opening.lock().unwrap().push(Box::pin(stream));
        self.writer.wake();
    }

    /// How many had ended anew, at each look that found any.
    fn written(&self) -> Vec<usize> {
        let looks = self.looks.lock().unwrap();
        looks.iter().copied().filter(|new| *new > 0).collect()
    }
}

/// A connection over this wire and its driver.
fn driver(wire: &Arc<Wire>) -> Driver<impl Future<Output = &'static str> + use<>> {
    let (streams, wire) = (Streams::default(), Arc::clone(wire));
    let opened = streams.clone();
    let mut told = 0;
    let connection = async move {
        let look = std::future::poll_fn(|cx| {
            wire.writer.register(cx.waker());
            for stream in wire.opening.lock().unwrap().drain(..) {
                streams.execute(stream);
            }
            let ended = wire.ended.load(Ordering::SeqCst);
            wire.looks.lock().unwrap().push(ended - told);
            told = ended;
            Poll::<()>::Pending
        });
        tokio::select! {
            () = look => {}
            () = wire.closed.notified() => {}
        }
        "closed"
    };
    Driver::new(connection, opened)
}

async fn until(what: impl Fn() -> bool) {
    let what = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, what).await.expect("in time");
}

#[tokio::test]
async fn what_is_answered_together_is_written_together() {
    let wire = Arc::new(Wire::default());
    let driven = tokio::spawn(driver(&wire));
    let answers: Vec<_> = (0..5).map(|_| wire.stream()).collect();
    until(|| wire.opening.lock().unwrap().is_empty()).await;
    for answer in answers {
        answer.send(()).unwrap();
    }
    until(|| wire.written().iter().sum::<usize>() == 5).await;
    assert_eq!(wire.written(), [5]);
    wire.closed.notify_one();
    assert_eq!(driven.await.unwrap(), "closed");
}

#[tokio::test]
async fn many_that_end_at_once_leave_the_connection_its_turn() {
    let wire = Arc::new(Wire::default());
    for _ in 0..3 * STREAMS_AT_ONCE {
        drop(wire.stream());
    }
    let driven = tokio::spawn(driver(&wire));
    until(|| wire.written().len() == 3).await;
    assert_eq!(wire.written(), [STREAMS_AT_ONCE; 3]);
    wire.closed.notify_one();
    driven.await.unwrap();
}

#[tokio::test]
async fn what_the_connection_has_to_say_goes_before_what_is_answered_now() {
    let wire = Arc::new(Wire::default());
    let mut driver = driver(&wire);
    let answer = wire.stream();
    assert!((&mut driver).now_or_never().is_none());
    wire.looks.lock().unwrap().clear();
    answer.send(()).unwrap();
    assert!((&mut driver).now_or_never().is_none());
    assert_eq!(*wire.looks.lock().unwrap(), [0, 1]);
}

#[tokio::test]
async fn what_is_run_from_elsewhere_wakes_the_driver() {
    let wire = Arc::new(Wire::default());
    let driver = driver(&wire);
    let streams = driver.opened.clone();
    let task = tokio::spawn(driver);
    // It has looked, and has nothing to do.
    until(|| !wire.looks.lock().unwrap().is_empty()).await;
    let (ran, told) = oneshot::channel();
    streams.run(async { ran.send(()).unwrap() });
    let told = tokio::time::timeout(Duration::from_secs(20), told).await;
    told.expect("in time").unwrap();
    wire.closed.notify_one();
    task.await.unwrap();
}

#[tokio::test]
async fn a_stream_that_panics_ends_alone() {
    let wire = Arc::new(Wire::default());
    let driven = tokio::spawn(driver(&wire));
    wire.open(async { panic!("on purpose") });
    wire.stream().send(()).unwrap();
    until(|| wire.written() == [1]).await;
    wire.closed.notify_one();
    assert_eq!(driven.await.unwrap(), "closed");
}

#[tokio::test]
async fn streams_end_with_their_connection_and_with_its_driver() {
    let wire = Arc::new(Wire::default());
    let mut driver = driver(&wire);
    let waits = wire.stream();
    assert!((&mut driver).now_or_never().is_none());
    assert!(!waits.is_closed());
    // One that was opened when nobody looked any more.
    let kept = driver.opened.clone();
    let (never, begun) = oneshot::channel::<()>();
    let holds = kept.clone();
    kept.execute(async move {
        let _holds = holds;
        let _ = begun.await;
    });
    wire.closed.notify_one();
    assert_eq!((&mut driver).await, "closed");
    drop(driver);
    assert!(waits.is_closed() && never.is_closed());
    assert_eq!(Arc::strong_count(&kept.0), 1, "only the test's");
}

#[tokio::test]
async fn a_quiet_moment_comes_after_the_last_answer_or_not_at_all() {
    let wire = Arc::new(Wire::default());
    let mut driver = driver(&wire);
    let began = Instant::now();
    wire.stream().send(()).unwrap();
    assert!((&mut driver).now_or_never().is_none());
    assert!(driver.answered >= began);
    assert_eq!(driver.until_quiet().await, None);
    assert!(driver.answered.elapsed() >= QUIET);

    let busy = Arc::clone(&wire);
    let busy = tokio::spawn(async move {
        loop {
            let _ = busy.stream().send(());
            tokio::task::yield_now().await;
        }
    });
    let began = Instant::now();
    driver.answered = began;
    assert_eq!(driver.until_quiet().await, None);
    assert!(began.elapsed() >= PATIENCE);
    busy.abort();
    wire.closed.notify_one();
    let _waits = wire.stream();
    driver.answered = Instant::now();
    assert_eq!(driver.until_quiet().await, Some("closed"));
}

#[tokio::test]
async fn work_aside_ends_with_whoever_waits_for_it() {
    assert_eq!(aside(async { 7 }).await, 7);
    let panicked = AssertUnwindSafe(aside(async { panic!("on purpose") }));
    let panicked: Result<(), _> = panicked.catch_unwind().await;
    assert!(panicked.is_err());

    let (mut left, works) = oneshot::channel::<()>();
    let begun = Arc::new(Notify::new());
    let beginning = Arc::clone(&begun);
    let waits = tokio::spawn(aside(async move {
        beginning.notify_one();
        let _ = works.await;
    }));
    begun.notified().await;
    waits.abort();
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, left.closed())
        .await
        .expect("in time");
}
