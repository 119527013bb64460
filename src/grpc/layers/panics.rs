//! A handler that panics fails its own call; the server lives.

use crate::grpc::status;
use std::any::Any;
use tonic::body::Body;
use tower_http::catch_panic::{CatchPanicLayer, ResponseForPanic};

/// Answers for the handler that cannot.
#[derive(Debug, Clone)]
pub struct Handler;

impl ResponseForPanic for Handler {
    type ResponseBody = Body;

    fn response_for_panic(&mut self, panic: Box<dyn Any + Send>) -> http::Response<Body> {
        let what = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        tracing::error!(panic = what, "a handler panicked");
        status::internal().into_http()
    }
}

/// The layer.
pub(in crate::grpc) fn layer() -> CatchPanicLayer<Handler> {
    CatchPanicLayer::custom(Handler)
}
