//! The model test: random histories on the real server, each operation compared with a small
//! model of the rules. A history that fails shrinks to a short one.
//!
//! A normal run plays the same histories every time; `COUNTERSIGN_TEST_LONG=1` plays many more,
//! of a new seed. `COUNTERSIGN_TEST_SEED=N` plays those of a seed that a failure printed.

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
use operations::Op;
use play::{Played, Tally, play};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use std::cell::{Cell, RefCell};
use strategies::histories;

/// The seed of a normal run.
const SEED: u64 = 20_261_123;

/// How often a history is tried that takes so long that its times are no longer clear.
const TRIES: usize = 3;

/// What the histories of a normal run must meet to be worth it.
const MET: &[&str] = &[
    "ROTATED",
    "REPLAYED",
    "REFRESH_TOKEN_REUSED",
    "INVALID_GRANT",
    "SESSION_REVOKED",
    "SESSION_IDLE",
    "SESSION_CUT_OFF",
    "SUBJECT_DISABLED",
    "CLIENT_DISABLED",
    "REQUEST_ID_CONFLICT",
    "revoked one",
    "session_ended:revoked",
    "session_ended:reused",
    "session_ended:replaced",
    "session_ended:limit",
    "token_revoked",
    "subject_cut_off",
    "authority_fenced",
];

/// Plays histories and fails with the shortest that fails.
async fn check(servers: usize, keys: bool, longest: usize, cases: u32) {
    let long = std::env::var_os("COUNTERSIGN_TEST_LONG").is_some();
    let seed = match std::env::var("COUNTERSIGN_TEST_SEED") {
        Ok(seed) => seed.parse().expect("COUNTERSIGN_TEST_SEED is a number"),
        Err(_) if long => u64::from_be_bytes(clock::random()),
        Err(_) => SEED,
    };
    // Time is moved on; a purge would act on it whenever it comes by.
    let settings = [("COUNTERSIGN_PURGE_ENABLED", "false")];
    let mut deployment = RefCell::new(Deployment::start_with(servers, &settings).await);
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
            for _ in 0..TRIES {
                let played = runtime.block_on(play(
                    &mut deployment,
                    servers,
                    &history,
                    &mut tally.borrow_mut(),
                ));
                if let Played::Whole(played) = played.map_err(TestCaseError::fail)? {
                    finished.set(finished.get() + 1);
                    operations.set(operations.get() + played);
                    return Ok(());
                }
            }
            cut_short.set(cut_short.get() + 1);
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
        Err(TestError::Fail(why, history)) => {
            let (history, why) = shortest(deployment.get_mut(), servers, history)
                .await
                .unwrap_or_else(|history| (history, why.to_string()));
            panic!(
                "COUNTERSIGN_TEST_SEED={seed}: the shortest failing history has {} operations:\n{why}",
                history.len()
            )
        }
        Err(TestError::Abort(why)) => panic!("COUNTERSIGN_TEST_SEED={seed}: {why}"),
    }
    // Each is met in many histories.
    if !keys && seed == SEED && cut_short.get() * 10 <= finished.get() {
        let tally = tally.borrow();
        let missed: Vec<_> = MET
            .iter()
            .filter(|kind| !tally.contains_key(**kind))
            .collect();
        assert!(missed.is_empty(), "no history came to {missed:?}");
    }
    assert!(
        finished.get() > 0,
        "this machine is too slow to compare anything"
    );
}

/// Leaves out every operation that the failure does not need, again and again: proptest tries
/// each only once. The history as it was, if it no longer fails.
async fn shortest(
    at: &mut Deployment,
    servers: usize,
    mut history: Vec<Op>,
) -> Result<(Vec<Op>, String), Vec<Op>> {
    let mut tally = Tally::new();
    let mut found = None;
    let mut place = history.len();
    while place > 0 {
        place -= 1;
        let mut shorter = history.clone();
        shorter.remove(place);
        if let Err(why) = play(at, servers, &shorter, &mut tally).await {
            place = shorter.len();
            (history, found) = (shorter, Some(why));
        }
    }
    match found {
        Some(why) => Ok((history, why)),
        None => Err(history),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_history_is_answered_as_the_rules_say() {
    check(2, false, 60, 80).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_history_with_keys_that_come_and_go_is_answered_as_the_rules_say() {
    check(1, true, 40, 25).await;
}
