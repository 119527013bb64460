//! All pairs of mutating calls against each other: no deadlock, and no answer that the
//! contract does not know.

use super::{
    PATIENT,
    ops::{Dice, Op},
    times,
    worker::Ground,
};
use crate::support::{TestDatabase, server::Deployment};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tokio_postgres::Client;
use tonic::Code;

/// How long all pairs take together, in seconds.
const SECONDS: usize = 60;

/// How long the servers may take to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// Callers of each of the two calls of a pair, at each server: enough for batches, since
/// only what holds several rows can deadlock.
const CALLERS: usize = 8;

/// One batch of a kind at a time, so that the other calls gather.
pub const ONE_IN_FLIGHT: (&str, &str) = ("COUNTERSIGN_BATCH_IN_FLIGHT", "1");

/// What a call may be refused with while others change what it is about.
const REFUSALS: &[(Code, &str)] = &[
    (Code::Unauthenticated, "CLIENT_DISABLED"),
    (Code::Unauthenticated, "REFRESH_TOKEN_REUSED"),
    (Code::Unauthenticated, "REFRESH_TOKEN_SUPERSEDED"),
    (Code::Unauthenticated, "SCOPE_WITHDRAWN"),
    (Code::Unauthenticated, "SESSION_CUT_OFF"),
    (Code::Unauthenticated, "SESSION_REVOKED"),
    (Code::Unauthenticated, "SUBJECT_DISABLED"),
    (Code::AlreadyExists, "CLIENT_EXISTS"),
    (Code::FailedPrecondition, "SECRET_LIMIT_REACHED"),
    (Code::FailedPrecondition, "SUBJECT_DISABLED"),
    (Code::InvalidArgument, "INVALID_SCOPE"),
    (Code::Aborted, "CONTENTION"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_pair_of_mutating_calls_deadlocks_or_fails() {
    let settings = [PATIENT.as_slice(), &[ONE_IN_FLIGHT]].concat();
    let at = Deployment::start_with(2, &settings).await;
    let before = counted(&at.sql).await;
    let ground = Arc::new(Ground::new(&at).await);
    let pairs: Vec<_> = (0..Op::ALL.len())
        .flat_map(|one| (one..Op::ALL.len()).map(move |other| [Op::ALL[one], Op::ALL[other]]))
        .collect();
    let slice = Duration::from_secs(u64::try_from(times(SECONDS)).unwrap())
        / u32::try_from(pairs.len()).unwrap();
    let mut tally: BTreeMap<(Op, String), usize> = BTreeMap::new();
    for pair in pairs {
        ground.enable_all().await;
        let until = Instant::now() + slice;
        let mut callers = JoinSet::new();
        for n in 0..CALLERS * 4 {
            let (ground, op, server) = (Arc::clone(&ground), pair[n % 2], n / 2 % 2);
            callers.spawn(async move {
                let mut dice = Dice::new(n);
                let mut answers = Vec::new();
                while Instant::now() < until {
                    answers.push((op, ground.call(op, server, &mut dice).await));
                }
                answers
            });
        }
        for (op, answer) in callers.join_all().await.into_iter().flatten() {
            let (code, reason) = match answer {
                Ok(()) => (Code::Ok, String::new()),
                Err(refused) => (refused.code, refused.reason),
            };
            let known = code == Code::Ok || REFUSALS.contains(&(code, reason.as_str()));
            assert!(
                known,
                "{pair:?}: {op:?} was answered with {code:?} {reason}"
            );
            let word = format!("{code:?} {reason}");
            *tally.entry((op, word.trim_end().into())).or_default() += 1;
        }
    }
    for op in Op::ALL {
        let done = tally.get(&(op, "Ok".to_owned())).copied();
        assert!(done > Some(10), "{op:?} hardly ever succeeded: {tally:?}");
    }
    let contended: usize = tally
        .iter()
        .filter(|((_, word), _)| word.starts_with("Aborted"))
        .map(|(_, times)| times)
        .sum();
    let all: usize = tally.values().sum();
    assert!(
        contended * 100 < all,
        "{contended} of {all} were given up: {tally:?}"
    );

    drop(ground);
    let database = at.stop();
    none_since(before, &database).await;
    a_deadlock(&database).await;
    assert_eq!(deadlocks(&database).await, before + 1, "the counter counts");
    assert!(database.deadlocks_logged().contains("advisory lock"));
}

/// The deadlocks that are counted so far.
pub async fn counted(sql: &Client) -> i64 {
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    sql.query_one(deadlocks, &[]).await.unwrap().get(0)
}

/// Fails with what PostgreSQL logged if there was a deadlock.
pub async fn none_since(before: i64, database: &TestDatabase) {
    let after = deadlocks(database).await;
    assert_eq!(after, before, "{}", database.deadlocks_logged());
}

/// The deadlocks so far, once every connection has ended: until then it may keep its own.
async fn deadlocks(database: &TestDatabase) -> i64 {
    let sql = database.client().await;
    let others = "SELECT count(*) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid() \
                  AND backend_type = 'client backend'";
    let started = Instant::now();
    while sql.query_one(others, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(started.elapsed() < PATIENCE, "the servers do not end");
        tokio::task::yield_now().await;
    }
    counted(&sql).await
}

/// Makes one.
async fn a_deadlock(database: &TestDatabase) {
    let (one, other) = (database.client().await, database.client().await);
    for (sql, key) in [(&one, 1), (&other, 2)] {
        sql.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock({key})"))
            .await
            .unwrap();
    }
    let (first, second) = tokio::join!(
        one.batch_execute("SELECT pg_advisory_xact_lock(2)"),
        other.batch_execute("SELECT pg_advisory_xact_lock(1); COMMIT"),
    );
    assert!(first.is_err() != second.is_err(), "one of them is chosen");
}
