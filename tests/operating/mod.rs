//! What an operator sees, and how the process lives.

mod aging;
mod credentials;
mod doctor;
mod ending;
mod exits;
mod hanging_up;
mod health;
mod lost_keys;
mod metrics;
mod reloading;
mod restoring;
mod rotation;
mod tracing;

use crate::support::server::Deployment;
use std::{
    error::Error as _,
    io,
    time::{Duration, Instant},
};
use tonic::Status;

/// Whether a call never left the client, since its connection had just been told to go away,
/// or left after that and was not begun (RFC 9113 section 6.8). Every implementation of gRPC
/// tries such a call again by itself ("transparent retry"), but for tonic's.
pub fn never_sent(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        let hyper = error.downcast_ref::<hyper::Error>();
        let h2 = error.downcast_ref::<h2::Error>();
        let not_begun = |error: &h2::Error| {
            error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR)
        };
        if hyper.is_some_and(hyper::Error::is_canceled) || h2.is_some_and(not_begun) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether there is no server to connect to. An answer of the server, whatever its code, is
/// none of these.
pub fn not_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::ConnectionRefused;
        }
        cause = error.source();
    }
    false
}

/// Waits until something waits for a lock in the database.
async fn waits_for_a_lock(at: &Deployment) {
    let waits = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                 WHERE NOT l.granted AND a.datname = current_database()";
    let started = Instant::now();
    while at.sql.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(started.elapsed() < Duration::from_mins(1), "nothing waits");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
