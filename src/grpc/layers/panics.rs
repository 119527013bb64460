//! A handler that panics fails its own call; the server lives.

use crate::grpc::status;
use futures_util::FutureExt as _;
use std::{any::Any, convert::Infallible, future::Future, panic::AssertUnwindSafe};
use tonic::body::Body;

/// The answer of a handler, or INTERNAL if it panics.
pub(super) async fn caught(
    handler: impl Future<Output = Result<http::Response<Body>, Infallible>>,
) -> Result<http::Response<Body>, Infallible> {
    // What a handler shares with others is behind locks that recover, or channels.
    AssertUnwindSafe(handler)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            tracing::error!(panic = message(&*panic), "a handler panicked");
            Ok(status::internal().into_http())
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
    use tonic::{Code, Status};

    #[tokio::test]
    async fn a_panic_becomes_internal_for_its_call() {
        let response = caught(async { panic!("on purpose") }).await.unwrap();
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.code(), Code::Internal);
    }
}
