//! The model test: random histories on the real server, each operation compared with a small
//! model of the rules. A history that fails shrinks to a short one.
//!
//! A normal run plays the same histories every time; COUNTERSIGN_TEST_LONG=1 plays many more,
//! of a new seed. COUNTERSIGN_TEST_SEED=N plays those of a seed that a failure printed.

mod administration;
mod answers;
mod case;
mod clients;
mod history;
mod operations;
mod play;
mod reads;
mod rows;
mod rules;
mod strategies;
mod terms;
mod world;

use crate::support::server::Deployment;
use countersign::domain::clock;
use play::{Played, Tally, play};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use std::cell::{Cell, RefCell};
use strategies::histories;

/// The seed of a normal run.
const SEED: u64 = 20_261_123;

/// Plays histories and fails with the shortest that fails.
async fn check(servers: usize, keys: bool, longest: usize, cases: u32) {
    let long = std::env::var_os("COUNTERSIGN_TEST_LONG").is_some();
    let seed = match std::env::var("COUNTERSIGN_TEST_SEED") {
        Ok(seed) => seed.parse().expect("COUNTERSIGN_TEST_SEED is a number"),
        Err(_) if long => u64::from_be_bytes(clock::random()),
        Err(_) => SEED,
    };
    let deployment = RefCell::new(Deployment::start_with(servers, &[]).await);
    let tally = RefCell::new(Tally::new());
    let (finished, cut_short, operations) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config {
        cases: if long { cases * 20 } else { cases },
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 3_000,
        max_shrink_time: 240_000,
        ..Config::default()
    });
    let runtime = tokio::runtime::Handle::current();
    let result = tokio::task::block_in_place(|| {
        runner.run(&histories(keys, longest), |history| {
            let mut deployment = deployment.borrow_mut();
            let played = runtime.block_on(play(
                &mut deployment,
                servers,
                &history,
                &mut tally.borrow_mut(),
            ));
            match played.map_err(TestCaseError::fail)? {
                Played::Whole(played) => {
                    finished.set(finished.get() + 1);
                    operations.set(operations.get() + played);
                }
                Played::CutShort => cut_short.set(cut_short.get() + 1),
            }
            Ok(())
        })
    });
    eprintln!("{:?}", tally.borrow());
    eprintln!(
        "seed {seed}: {} histories, {} operations; {} cut short by the time they took",
        finished.get(),
        operations.get(),
        cut_short.get(),
    );
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, history)) => panic!(
            "COUNTERSIGN_TEST_SEED={seed}: the shortest failing history has {} operations:\n{why}",
            history.len()
        ),
        Err(TestError::Abort(why)) => panic!("COUNTERSIGN_TEST_SEED={seed}: {why}"),
    }
    assert!(
        finished.get() > cut_short.get(),
        "this machine is too slow to compare anything"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_history_is_answered_as_the_rules_say() {
    check(2, false, 60, 90).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_history_with_keys_that_come_and_go_is_answered_as_the_rules_say() {
    check(1, true, 40, 35).await;
}
