//! What an operator sees, and how the process lives.

mod aging;
mod ending;
mod health;
mod metrics;
mod reloading;
mod tracing;

use std::{error::Error as _, io};
use tonic::Status;

/// Whether a call never left the client, since its connection had just been told to go away.
/// Every implementation of gRPC tries such a call again by itself ("transparent retry"), but
/// for tonic's.
fn never_sent(status: &Status) -> bool {
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
fn not_connected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::ConnectionRefused;
        }
        cause = error.source();
    }
    false
}
