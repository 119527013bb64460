//! The places of batches in the database, and whether taking another is worth its while.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places, and what the batches hold that are out.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    batches: AtomicUsize,
    calls: AtomicUsize,
    /// The last batch that went out was of one call.
    alone: AtomicBool,
}

impl Places {
    /// So many, all of them free.
    pub(super) fn new(in_flight: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(in_flight)),
            batches: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            alone: AtomicBool::new(false),
        }
    }

    /// Whether the last batch was of one call: as far as is known, callers come one at a time.
    pub(super) fn alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed)
    }

    /// A place, if one is free.
    pub(super) fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Whether another batch is worth its while: no fewer wait than a batch holds that is out,
    /// or none is out.
    ///
    /// Whoever ends a batch and looks after that is told so at the latest when it was the last.
    pub(super) fn is_worthwhile(&self, waiting: usize) -> bool {
        let calls = self.calls.load(Ordering::SeqCst);
        waiting * self.batches.load(Ordering::SeqCst) >= calls
    }

    /// A batch of so many calls goes out; it is back when the answer is dropped.
    pub(super) fn out(&self, calls: usize) -> Out<'_> {
        self.calls.fetch_add(calls, Ordering::SeqCst);
        self.batches.fetch_add(1, Ordering::SeqCst);
        self.alone.store(calls == 1, Ordering::Relaxed);
        Out {
            places: self,
            calls,
        }
    }
}

/// A batch that is out.
pub(super) struct Out<'a> {
    places: &'a Places,
    calls: usize,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.places.batches.fetch_sub(1, Ordering::SeqCst);
        self.places.calls.fetch_sub(self.calls, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_worth_its_while_beside_its_likes_or_alone() {
        let places = Places::new(8);
        assert!(places.is_worthwhile(0), "none is out");
        let first = places.out(6);
        assert!(!places.alone());
        assert!(!places.is_worthwhile(5));
        assert!(places.is_worthwhile(6));
        let second = places.out(2);
        assert!(!places.is_worthwhile(3), "4 in the mean");
        assert!(places.is_worthwhile(4));
        drop(first);
        assert!(places.is_worthwhile(2) && !places.is_worthwhile(1));
        drop(second);
        assert!(places.is_worthwhile(0));
        drop(places.out(1));
        assert!(places.alone());
    }
}
