//! What is tried again, and what is not.

use super::*;

/// A coalescer whose batches fail as a whole if they hold 13, and find 7 busy once.
fn choosy() -> Coalescer<u32, u32> {
    let busy_once = Arc::new(Mutex::new(true));
    Coalescer::start(
        "test",
        LIMITS,
        Breaker::closed(),
        move |jobs: Vec<Job<u32>>| {
            let busy_once = Arc::clone(&busy_once);
            async move {
                if jobs.iter().any(|job| *job.ask == 13) {
                    let (statement, column) = ("test", 0);
                    return Err(StoreError::Corrupt {
                        statement,
                        column,
                        source: None,
                    });
                }
                Ok(jobs
                    .iter()
                    .map(|job| {
                        let busy = *job.ask == 7 && std::mem::take(&mut *busy_once.lock().unwrap());
                        if busy {
                            Outcome::Busy
                        } else {
                            Outcome::Done(*job.ask)
                        }
                    })
                    .collect())
            }
        },
    )
}

#[tokio::test]
async fn one_bad_row_fails_alone() {
    let coalescer = choosy();
    let now = Instant::now();
    let (good, bad, other) = tokio::join!(
        coalescer.ask(Arc::new(1), now),
        coalescer.ask(Arc::new(13), now),
        coalescer.ask(Arc::new(2), now)
    );
    assert_eq!((good.unwrap(), other.unwrap()), (1, 2));
    assert!(matches!(
        bad.unwrap_err().root(),
        StoreError::Corrupt { .. }
    ));
}

#[tokio::test]
async fn a_busy_row_is_tried_again_apart() {
    let coalescer = choosy();
    let now = Instant::now();
    let (free, busy) = tokio::join!(
        coalescer.ask(Arc::new(1), now),
        coalescer.ask(Arc::new(7), now)
    );
    assert_eq!((free.unwrap(), busy.unwrap()), (1, 7));
}

#[tokio::test]
async fn a_row_that_stays_busy_is_given_up_when_patience_ends() {
    let limits = BatchLimits {
        patience: Duration::from_millis(20),
        ..LIMITS
    };
    let coalescer: Coalescer<u32, u32> = Coalescer::start(
        "test",
        limits,
        Breaker::closed(),
        |jobs: Vec<Job<u32>>| async move { Ok(jobs.iter().map(|_| Outcome::Busy).collect()) },
    );
    let given_up = coalescer.ask(Arc::new(1), Instant::now()).await;
    assert!(matches!(given_up, Err(StoreError::Contention(None))));
}

/// Whether a call was in doubt at each of its tries, of which the first fail with these.
async fn doubts(failures: Vec<StoreError>) -> Vec<bool> {
    let tries = Arc::new(Mutex::new((failures.into_iter(), Vec::new())));
    let seen = Arc::clone(&tries);
    let coalescer: Coalescer<u32, u32> = Coalescer::start(
        "test",
        LIMITS,
        Breaker::closed(),
        move |jobs: Vec<Job<u32>>| {
            let seen = Arc::clone(&seen);
            async move {
                let mut seen = seen.lock().unwrap();
                seen.1.push(jobs[0].in_doubt);
                match seen.0.next() {
                    Some(failure) => Err(failure),
                    None => Ok(vec![Outcome::Done(1)]),
                }
            }
        },
    );
    coalescer.ask(Arc::new(1), Instant::now()).await.unwrap();
    let tries = tries.lock().unwrap();
    tries.1.clone()
}

#[tokio::test]
async fn a_conflict_is_tried_again_and_leaves_no_doubt() {
    let conflict = vec![StoreError::Contention(None)];
    assert_eq!(doubts(conflict).await, [false, false]);
}

#[tokio::test]
async fn a_doubt_stays_whatever_comes_after_it() {
    let failures = vec![StoreError::InDoubt(None), StoreError::Contention(None)];
    assert_eq!(doubts(failures).await, [false, true, true]);
}

#[tokio::test]
async fn who_may_have_been_served_is_not_told_otherwise() {
    let limits = BatchLimits {
        patience: Duration::from_millis(50),
        ..LIMITS
    };
    let tries = Mutex::new(0);
    let tries = Arc::new(tries);
    let coalescer: Coalescer<u32, ()> = Coalescer::start(
        "test",
        limits,
        Breaker::closed(),
        move |_: Vec<Job<u32>>| {
            let tries = Arc::clone(&tries);
            async move {
                let mut tries = tries.lock().unwrap();
                *tries += 1;
                Err(if *tries == 1 {
                    StoreError::InDoubt(None)
                } else {
                    StoreError::Contention(None)
                })
            }
        },
    );
    let answer = coalescer.ask(Arc::new(1), Instant::now()).await;
    assert!(
        matches!(answer, Err(StoreError::InDoubt(None))),
        "{answer:?}"
    );
}

/// A call finds itself busy while a larger batch is stuck, and nothing else comes.
#[tokio::test]
async fn who_was_busy_does_not_wait_for_a_larger_batch_that_is_stuck() {
    let (sent, mut batches) = tokio::sync::mpsc::unbounded_channel();
    let (stuck, busy) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (pair_goes, one_goes) = (Arc::clone(&stuck), Arc::clone(&busy));
    let tries = Arc::new(Mutex::new(0));
    let coalescer = Arc::new(Coalescer::start(
        "test",
        TWO,
        Breaker::closed(),
        move |jobs: Vec<Job<u32>>| {
            let (sent, tries) = (sent.clone(), Arc::clone(&tries));
            let (pair_goes, one_goes) = (Arc::clone(&pair_goes), Arc::clone(&one_goes));
            async move {
                let asks: Vec<u32> = jobs.iter().map(|job| *job.ask).collect();
                sent.send(asks.clone()).unwrap();
                if asks.len() == 2 {
                    pair_goes.notified().await;
                    return Ok(asks.into_iter().map(Outcome::Done).collect());
                }
                *tries.lock().unwrap() += 1;
                if *tries.lock().unwrap() == 1 {
                    one_goes.notified().await;
                    return Ok(vec![Outcome::Busy]);
                }
                Ok(vec![Outcome::Done(asks[0])])
            }
        },
    ));
    let pair = [ask(&coalescer, 2), ask(&coalescer, 3)];
    assert_eq!(batches.recv().await, Some(vec![2, 3]));
    let one = ask(&coalescer, 1);
    assert_eq!(batches.recv().await, Some(vec![1]));
    // Until nobody looks at the queue any more, which is empty.
    tokio::time::sleep(COURTESY * 4).await;
    busy.notify_one();
    let again = tokio::time::timeout(Duration::from_secs(20), batches.recv()).await;
    assert_eq!(
        again,
        Ok(Some(vec![1])),
        "it waits for the batch that is stuck"
    );
    assert_eq!(one.await.unwrap(), 1);
    stuck.notify_one();
    for call in pair {
        call.await.unwrap();
    }
}
