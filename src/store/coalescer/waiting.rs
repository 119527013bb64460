//! A call that waits for its batch.

use crate::store::error::StoreError;
use opentelemetry::trace::SpanContext;
use std::{sync::Arc, time::Instant};
use tokio::sync::oneshot;

pub(super) struct Waiting<A, B> {
    pub(super) ask: Arc<A>,
    pub(super) arrived: Instant,
    /// How often it was tried again.
    pub(super) attempts: u32,
    /// An earlier attempt of it may have been committed.
    pub(super) in_doubt: bool,
    /// The call's, if it is sampled.
    pub(super) span: Option<SpanContext>,
    pub(super) answer: oneshot::Sender<Result<B, StoreError>>,
}

impl<A, B> Waiting<A, B> {
    /// Tells a call for good that it was not done; or, if it may have been, that.
    pub(super) fn give_up(self, error: StoreError) {
        let error = if self.in_doubt {
            StoreError::InDoubt(None)
        } else {
            error
        };
        drop(self.answer.send(Err(error)));
    }
}
