//! A call that panics fails alone; the server lives.

use crate::grpc::status;
use futures_util::FutureExt as _;
use std::{any::Any, future::Future, panic::AssertUnwindSafe};
use tonic::Status;

/// What becomes of a call, or INTERNAL if it panics.
pub(super) async fn caught<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    // What a call shares with others is behind locks that recover, or channels.
    AssertUnwindSafe(call)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            tracing::error!(panic = message(&*panic), "a call panicked");
            Err(status::internal())
        })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    #[tokio::test]
    async fn a_panic_becomes_internal_for_its_call() {
        let status = caught::<()>(async { panic!("on purpose") }).await;
        assert_eq!(status.unwrap_err().code(), Code::Internal);
    }
}
