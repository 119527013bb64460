//! What waits for a batch: bounded in length, and in how long anything waits.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Why something is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shed {
    /// Too much waits already.
    Length,
    /// What came first has waited too long already.
    Wait,
}

impl Shed {
    /// As metrics name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Wait => "wait",
        }
    }
}

/// A queue; first come, first served.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    most: usize,
    longest: Duration,
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue({})", self.len())
    }
}

struct State<T> {
    waiting: VecDeque<(Instant, T)>,
    closed: bool,
}

impl<T> Queue<T> {
    /// For `most` that wait for `longest`.
    pub(super) fn new(most: usize, longest: Duration) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                closed: false,
            }),
            most,
            longest,
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes something in, unless that would wait in vain.
    pub(super) fn push(&self, item: T) -> Result<(), Shed> {
        let mut state = self.state();
        let now = Instant::now();
        if state.waiting.len() >= self.most {
            return Err(Shed::Length);
        }
        let first = state.waiting.front();
        if first.is_some_and(|(since, _)| now.duration_since(*since) > self.longest) {
            return Err(Shed::Wait);
        }
        state.waiting.push_back((now, item));
        Ok(())
    }

    /// Takes back what was out already, whatever waits, unless nobody may.
    pub(super) fn put_back(&self, item: T) {
        let mut state = self.state();
        if !state.closed {
            state.waiting.push_back((Instant::now(), item));
        }
    }

    /// Up to so many of those that came first.
    pub(super) fn take(&self, most: usize) -> Vec<T> {
        let mut state = self.state();
        let count = state.waiting.len().min(most);
        state.waiting.drain(..count).map(|(_, item)| item).collect()
    }

    /// Those that have waited too long.
    pub(super) fn overdue(&self) -> Vec<T> {
        let now = Instant::now();
        let mut state = self.state();
        let late = |(since, _): &(Instant, T)| now.duration_since(*since) > self.longest;
        let count = state.waiting.partition_point(late);
        state.waiting.drain(..count).map(|(_, item)| item).collect()
    }

    /// Since when the first has waited, and when it will have waited too long.
    pub(super) fn first_since(&self) -> Option<(Instant, Instant)> {
        let state = self.state();
        let (since, _) = state.waiting.front()?;
        // A moment later, so that it is late then.
        Some((*since, *since + self.longest + Duration::from_millis(1)))
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.state().waiting.len()
    }

    /// Lets nobody wait any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting.clear();
    }

    /// Whether nobody may wait any more.
    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_bounded_in_length_and_in_time() {
        let longest = Duration::from_mins(10);
        let queue = Queue::new(2, longest);
        assert_eq!(queue.push(1), Ok(()));
        assert_eq!(queue.push(2), Ok(()));
        assert_eq!(queue.push(3), Err(Shed::Length));
        assert!(queue.overdue().is_empty());
        // As if they had waited too long.
        for (since, _) in &mut queue.state().waiting {
            *since = since.checked_sub(longest * 2).unwrap();
        }
        assert_eq!(queue.take(1), [1]);
        assert_eq!(
            queue.push(3),
            Err(Shed::Wait),
            "behind one that has waited too long"
        );
        queue.put_back(4);
        assert_eq!(queue.overdue(), [2]);
        assert_eq!(queue.push(5), Ok(()));
        assert_eq!(queue.take(9), [4, 5]);
    }
}
