//! The coalescer over a batch function that the test holds the strings of.

mod again;

use super::*;
use std::{pin::pin, sync::Mutex};
use tokio::sync::Notify;

const LIMITS: BatchLimits = BatchLimits {
    max_calls: 100,
    max_waiting: 10,
    max_wait: Duration::from_mins(1),
    in_flight: 1,
    patience: Duration::from_secs(5),
    traced: false,
};

/// A database of one's own: it notes each batch, and answers when it is let.
#[derive(Default)]
struct Database {
    batches: Mutex<Vec<Vec<u32>>>,
    started: Notify,
    go: Notify,
}

impl Database {
    fn sizes(&self) -> Vec<usize> {
        self.batches.lock().unwrap().iter().map(Vec::len).collect()
    }
}

/// A coalescer that answers each number with its double, one `go` a batch.
fn doubling(database: &Arc<Database>, limits: BatchLimits) -> Arc<Coalescer<u32, u32>> {
    let database = Arc::clone(database);
    Arc::new(Coalescer::start(
        "test",
        limits,
        Breaker::closed(),
        move |jobs: Vec<Job<u32>>| {
            let database = Arc::clone(&database);
            async move {
                let asks: Vec<u32> = jobs.iter().map(|job| *job.ask).collect();
                database.batches.lock().unwrap().push(asks.clone());
                database.started.notify_one();
                database.go.notified().await;
                Ok(asks.into_iter().map(|ask| Outcome::Done(ask * 2)).collect())
            }
        },
    ))
}

fn ask(coalescer: &Arc<Coalescer<u32, u32>>, number: u32) -> tokio::task::JoinHandle<u32> {
    let coalescer = Arc::clone(coalescer);
    let ask = Arc::new(number);
    tokio::spawn(async move { coalescer.ask(ask, Instant::now()).await.unwrap() })
}

async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::task::yield_now().await;
    }
}

fn waiting(coalescer: &Coalescer<u32, u32>) -> usize {
    coalescer.line.queue.len()
}

#[tokio::test]
async fn a_call_alone_goes_out_at_once_and_others_gather_behind_it() {
    let database = Arc::new(Database::default());
    let coalescer = doubling(&database, LIMITS);
    let first = ask(&coalescer, 1);
    database.started.notified().await;
    let others: Vec<_> = (2..=6).map(|number| ask(&coalescer, number)).collect();
    until(|| waiting(&coalescer) == 5).await;
    assert_eq!(database.sizes(), [1], "nobody joins a batch that was sent");

    database.go.notify_one();
    assert_eq!(first.await.unwrap(), 2);
    database.started.notified().await;
    database.go.notify_one();
    for (other, number) in others.into_iter().zip(2..) {
        assert_eq!(other.await.unwrap(), number * 2);
    }
    assert_eq!(database.sizes(), [1, 5]);
}

#[tokio::test]
async fn those_who_ask_together_go_out_together() {
    let database = Arc::new(Database::default());
    let coalescer = doubling(&database, LIMITS);
    let calls: Vec<_> = (1..=3).map(|number| ask(&coalescer, number)).collect();
    database.started.notified().await;
    database.go.notify_one();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(database.sizes(), [3]);
}

/// Two calls, the second of a caller who is about to ask when the first one's batch could go.
fn ask_in_turn(coalescer: &Arc<Coalescer<u32, u32>>) -> [tokio::task::JoinHandle<u32>; 2] {
    let first = ask(coalescer, 1);
    let coalescer = Arc::clone(coalescer);
    let second = tokio::spawn(async move { ask(&coalescer, 2).await.unwrap() });
    [first, second]
}

#[tokio::test]
async fn those_who_are_about_to_ask_come_along_unless_callers_come_one_at_a_time() {
    let database = Arc::new(Database::default());
    let coalescer = doubling(&database, LIMITS);
    let done = async |calls: Vec<tokio::task::JoinHandle<u32>>| {
        let mut all = pin!(futures_util::future::try_join_all(calls));
        loop {
            tokio::select! {
                answers = &mut all => break drop(answers.unwrap()),
                () = database.started.notified() => database.go.notify_one(),
            }
        }
    };
    done(ask_in_turn(&coalescer).into()).await;
    done(vec![ask(&coalescer, 3)]).await;
    done(ask_in_turn(&coalescer).into()).await;
    assert_eq!(database.sizes(), [2, 1, 1, 1]);
}

/// Two may be out at once.
const TWO: BatchLimits = BatchLimits {
    in_flight: 2,
    ..LIMITS
};

#[tokio::test]
async fn a_further_batch_is_as_large_as_those_that_are_out() {
    let database = Arc::new(Database::default());
    let limits = BatchLimits {
        in_flight: 3,
        ..LIMITS
    };
    let coalescer = doubling(&database, limits);
    let mut calls = Vec::new();
    for first in [1, 4, 7] {
        // On one thread they come one after the other, before anybody's patience ends.
        calls.extend((first..first + 3).map(|number| ask(&coalescer, number)));
        database.started.notified().await;
    }
    assert_eq!(database.sizes(), [3, 3, 3], "none of 1, and none of 6");
    for _ in 0..3 {
        database.go.notify_one();
        tokio::task::yield_now().await;
    }
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn a_few_calls_do_not_wait_for_a_larger_batch_that_is_stuck() {
    let database = Arc::new(Database::default());
    let coalescer = doubling(&database, TWO);
    let stuck: Vec<_> = (1..=3).map(|number| ask(&coalescer, number)).collect();
    database.started.notified().await;
    let asked = Instant::now();
    let few = ask(&coalescer, 4);
    let sent = tokio::time::timeout(Duration::from_secs(20), database.started.notified());
    assert!(
        sent.await.is_ok(),
        "nothing else comes, and nothing returns"
    );
    assert!(asked.elapsed() >= COURTESY);
    assert_eq!(database.sizes(), [3, 1]);
    database.go.notify_one();
    database.go.notify_one();
    for call in stuck.into_iter().chain([few]) {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn a_caller_that_went_away_is_not_sent() {
    let database = Arc::new(Database::default());
    let coalescer = doubling(&database, LIMITS);
    let first = ask(&coalescer, 1);
    database.started.notified().await;
    let gone = ask(&coalescer, 2);
    let stays = ask(&coalescer, 3);
    until(|| waiting(&coalescer) == 2).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    database.go.notify_one();
    first.await.unwrap();
    database.started.notified().await;
    database.go.notify_one();
    stays.await.unwrap();
    assert_eq!(*database.batches.lock().unwrap(), [vec![1], vec![3]]);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once() {
    let database = Arc::new(Database::default());
    let coalescer = doubling(
        &database,
        BatchLimits {
            max_waiting: 2,
            ..LIMITS
        },
    );
    let first = ask(&coalescer, 1);
    database.started.notified().await;
    let (second, third) = (ask(&coalescer, 2), ask(&coalescer, 3));
    until(|| waiting(&coalescer) == 2).await;
    let refused = coalescer.ask(Arc::new(4), Instant::now()).await;
    assert!(matches!(refused, Err(StoreError::Overloaded)));
    for call in [first, second, third] {
        database.go.notify_one();
        drop(call.await);
        database.go.notify_one();
    }
}

#[tokio::test]
async fn what_waited_too_long_is_refused_and_so_is_who_comes_behind_it() {
    let database = Arc::new(Database::default());
    let limits = BatchLimits {
        max_wait: Duration::from_secs(1),
        ..LIMITS
    };
    let coalescer = doubling(&database, limits);
    let first = ask(&coalescer, 1);
    let started = tokio::time::timeout(Duration::from_secs(20), database.started.notified());
    started.await.unwrap();
    // Nothing frees a place: it is refused all the same.
    let waited = Instant::now();
    let refused = coalescer.ask(Arc::new(2), Instant::now());
    let refused = tokio::time::timeout(Duration::from_secs(20), refused).await;
    assert!(matches!(refused, Ok(Err(StoreError::Overloaded))));
    assert!(waited.elapsed() >= limits.max_wait);
    database.go.notify_one();
    assert_eq!(first.await.unwrap(), 2, "what was sent is not cancelled");
    assert_eq!(*database.batches.lock().unwrap(), [vec![1]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_left_behind_when_a_place_is_freed() {
    let coalescer: Arc<Coalescer<u32, u32>> = Arc::new(Coalescer::start(
        "test",
        BatchLimits {
            max_waiting: 1000,
            max_wait: Duration::from_secs(5),
            ..LIMITS
        },
        Breaker::closed(),
        |jobs: Vec<Job<u32>>| async move {
            Ok(jobs.iter().map(|job| Outcome::Done(*job.ask)).collect())
        },
    ));
    // Few at a time, so that the queue is empty again and again, just when one comes.
    let callers = (0..3).map(|_| {
        let coalescer = Arc::clone(&coalescer);
        tokio::spawn(async move {
            for number in 0..30_000 {
                let answer = coalescer.ask(Arc::new(number), Instant::now()).await;
                assert_eq!(answer.expect("an answer, in time"), number);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn an_outage_refuses_who_waits_and_leaves_what_was_sent() {
    let database = Arc::new(Database::default());
    let coalescer = doubling(&database, LIMITS);
    let sent = ask(&coalescer, 1);
    database.started.notified().await;
    let call = Arc::clone(&coalescer);
    let waits = tokio::spawn(async move { call.ask(Arc::new(2), Instant::now()).await });
    until(|| waiting(&coalescer) == 1).await;
    coalescer.breaker.turn();
    let told = tokio::time::timeout(Duration::from_secs(20), waits).await;
    assert!(matches!(told, Ok(Ok(Err(StoreError::Down)))));
    assert!(sent.await.is_err(), "its caller hears too");
    let refused = coalescer.ask(Arc::new(3), Instant::now()).await;
    assert!(matches!(refused, Err(StoreError::Down)));
    coalescer.breaker.turn();
    database.go.notify_one();
    let next = ask(&coalescer, 4);
    database.started.notified().await;
    database.go.notify_one();
    assert_eq!(next.await.unwrap(), 8);
    assert_eq!(*database.batches.lock().unwrap(), [vec![1], vec![4]]);
}
