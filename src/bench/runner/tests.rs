use super::*;
use crate::driver::Driver;
use std::{collections::HashSet, future::pending, sync::Mutex};
use tokio::task;

/// Answers at once, but for its tenth call.
struct Stalls {
    calls: u32,
    stall: Duration,
}

impl Caller for Stalls {
    async fn call(&mut self) -> Result<(), Trouble> {
        self.calls += 1;
        if self.calls == 10 {
            // A call that takes so long is the subject.
            tokio::time::sleep(self.stall).await;
        }
        Ok(())
    }
}

fn stalling() -> Callers<Stalls> {
    Callers(vec![Stalls {
        calls: 0,
        stall: Duration::from_millis(300),
    }])
}

fn load(time: u64) -> Load {
    Load::Open {
        rate: 1000.0,
        time: Duration::from_millis(time),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_is_felt_by_every_call_that_was_due_meanwhile() {
    let open = stalling().run(load(1000), &Stop::default()).await;
    assert_eq!((open.calls(), open.errors()), (1000, 0));
    // 300 ms of 1,000 due: a quarter and more waited over 20 ms, and most waited for nothing, or
    // for other stalls of the machine.
    let [half, most] = [0.5, 0.8].map(|share| open.quantile_us(share));
    assert!(most > 20_000.0, "{most}");
    assert!(half * 2.0 < most, "{half}, {most}");

    // The closed loop asks less while it waits: one slow call of very many.
    let closed = stalling()
        .run(Load::Closed(Duration::from_secs(1)), &Stop::default())
        .await;
    assert!(closed.quantile_us(0.99) < 20_000.0);
    assert!(closed.quantile_us(1.0) >= 300_000.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_nobody_was_free_to_make_are_counted_with_their_wait() {
    let mut stuck = Callers(vec![Stalls {
        calls: 9,
        stall: Duration::from_millis(1500),
    }]);
    let tally = stuck.run(load(100), &Stop::default()).await;
    assert_eq!(tally.calls() + tally.errors(), 100);
    assert_eq!(tally.reasons()["not begun in time"], 99);
    assert!(tally.quantile_us(0.5) >= 1_000_000.0);
}

struct Three(u32);

impl Caller for Three {
    async fn call(&mut self) -> Result<(), Trouble> {
        self.0 += 1;
        match self.0 {
            1 => Ok(()),
            2 => Err(Trouble::failed("no")),
            _ => Err(Trouble::Exhausted),
        }
    }
}

#[tokio::test]
async fn errors_are_counted_by_reason_and_an_empty_caller_stops() {
    let mut callers = Callers(vec![Three(0), Three(0)]);
    let tally = callers
        .run(Load::Closed(Duration::from_mins(1)), &Stop::default())
        .await;
    assert_eq!((tally.calls(), tally.errors()), (2, 2));
    assert_eq!(tally.reasons()["no"], 2);
    assert_eq!(callers.0.len(), 2);
}

/// Never gets anywhere.
struct Fails;

impl Caller for Fails {
    async fn call(&mut self) -> Result<(), Trouble> {
        Err(Trouble::failed("no"))
    }
}

#[tokio::test]
async fn a_caller_that_fails_leaves_others_the_time_to_work() {
    let time = Duration::from_millis(100);
    let rate = 100_000.0;
    for load in [Load::Closed(time), Load::Open { rate, time }] {
        let began = Instant::now();
        let tally = Callers(vec![Fails]).run(load, &Stop::default()).await;
        let made = tally.reasons()["no"];
        let most = began.elapsed().as_millis() / PAUSE.as_millis() + 1;
        assert!(u128::from(made) <= most, "{load:?}: {made} of {most}");
    }
}

/// Asks for the stop with its third call.
struct Stopping(u32, Stop);

impl Caller for Stopping {
    async fn call(&mut self) -> Result<(), Trouble> {
        self.0 += 1;
        if self.0 == 3 {
            self.1.ask();
        }
        // A call that takes a moment, as the one that is under way when the stop comes.
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_begun_calls_finish_and_none_begin() {
    let long = Duration::from_mins(1);
    let open = Load::Open {
        rate: 100.0,
        time: long,
    };
    for load in [Load::Closed(long), open] {
        let stop = Stop::default();
        let mut callers = Callers(vec![Stopping(0, stop.clone())]);
        let tally = callers.run(load, &stop).await;
        assert_eq!((tally.calls(), tally.errors()), (3, 0), "{load:?}");
    }
}

/// Waits for an answer that never comes.
struct Waits;

impl Caller for Waits {
    async fn call(&mut self) -> Result<(), Trouble> {
        pending().await
    }
}

#[tokio::test]
async fn after_a_stop_an_answer_is_not_waited_for_until_the_rows_time_is_over() {
    let began = Instant::now();
    let stop = Stop::default();
    let mut callers = Callers(vec![Waits, Waits]);
    let asking = stop.clone();
    let running = callers.run(Load::Closed(Duration::from_hours(1)), &stop);
    let asks = async move {
        task::yield_now().await;
        asking.ask();
    };
    let (tally, ()) = tokio::join!(running, asks);
    assert_eq!(tally.reasons()["never answered"], 2);
    assert!(
        began.elapsed() < Duration::from_mins(10),
        "{:?}",
        began.elapsed()
    );
}

/// A connection that says nothing, and whoever runs in its task.
fn connection() -> Streams {
    let streams = Streams::default();
    tokio::spawn(Driver::new(pending::<()>(), streams.clone()));
    streams
}

/// Notes the task that it runs in; breaks down when it has no calls left.
struct Within {
    connection: Streams,
    ran_in: Arc<Mutex<HashSet<task::Id>>>,
    left: u32,
}

impl Caller for Within {
    async fn call(&mut self) -> Result<(), Trouble> {
        self.ran_in.lock().unwrap().insert(task::id());
        self.left = self.left.checked_sub(1).expect("on purpose");
        task::yield_now().await;
        Ok(())
    }

    fn task(&self) -> Option<Streams> {
        Some(self.connection.clone())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_of_a_connection_run_in_its_task_and_break_down_alone() {
    let ran_in = Arc::new(Mutex::new(HashSet::new()));
    let connection = connection();
    let callers = |left: &[u32]| {
        let one = |left: &u32| Within {
            connection: connection.clone(),
            ran_in: Arc::clone(&ran_in),
            left: *left,
        };
        Callers(left.iter().map(one).collect())
    };
    let mut breaking = callers(&[2, 1, 0]);
    let long = Load::Closed(Duration::from_mins(1));
    let tally = breaking.run(long, &Stop::default()).await;
    // What they had counted is lost with them.
    assert_eq!(tally.reasons()["the caller broke down"], 3);
    assert_eq!((tally.calls(), breaking.0.len()), (0, 0));

    let mut lasting = callers(&[1000, 1000]);
    let tally = lasting.run(load(20), &Stop::default()).await;
    assert_eq!((tally.calls(), tally.errors()), (20, 0));
    assert_eq!(lasting.0.len(), 2);
    assert_eq!(ran_in.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_ends_in_its_connections_task_too() {
    let mut tasks = JoinSet::new();
    let (held, dropped) = oneshot::channel::<()>();
    begin(&mut tasks, Some(connection()), async move {
        let _held = held;
        pending::<()>().await;
    });
    task::yield_now().await;
    tasks.abort_all();
    let ended = tokio::time::timeout(Duration::from_secs(20), dropped).await;
    assert!(ended.expect("in time").is_err());
}
