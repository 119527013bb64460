//! What an operator sees, and how the process lives.

mod aging;
mod doctor;
mod ending;
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

/// Whether a call never left the client, since its connection had just been told to go away.
/// Every implementation of gRPC tries such a call again by itself ("transparent retry"), but
/// for tonic's.
pub fn never_sent(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return error.is_canceled();
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
