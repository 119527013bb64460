//! Answers of one batch leave in one write.
//!
//! Calls that were in one batch have their answers at the same moment, and the first of them
//! would be written alone, since what wakes the connection runs at once. So while its peer
//! waits for more, a write lets everything else that is ready run first, once, and takes along
//! what that brings.
//!
//! Not where a goodbye (GOAWAY, RFC 9113 section 6.8) is near: in one piece with many answers,
//! it comes to the client together with the reason to ask again at once, and some clients tell
//! their callers of a call that was never begun instead of repeating it.

use super::peer::Peer;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How long before a goodbye nothing is gathered any more; what was begun is written by then.
pub const BEFORE_GOODBYE: Duration = Duration::from_millis(10);

/// A connection whose answers leave together.
#[derive(Debug)]
pub struct Gathering<IO> {
    stream: IO,
    peer: Peer,
    /// What is written now has let the others go first.
    gathered: bool,
    /// When the connection is old enough for its goodbye to be near.
    until: Instant,
    /// The server says goodbye to everybody.
    leaving: Arc<AtomicBool>,
}

impl<IO> Gathering<IO> {
    /// For a connection that is told to go away at this age, or when the server leaves.
    pub fn new(stream: IO, peer: Peer, age: Duration, leaving: Arc<AtomicBool>) -> Self {
        Self {
            stream,
            peer,
            gathered: false,
            until: Instant::now() + age.saturating_sub(BEFORE_GOODBYE),
            leaving,
        }
    }

    /// Whether a write lets others go first; then it is tried again when they have run.
    fn gathers(&mut self, cx: &Context<'_>) -> bool {
        if self.gathered
            || !self.peer.waits()
            || self.leaving.load(Ordering::Relaxed)
            || self.until <= Instant::now()
        {
            return false;
        }
        self.gathered = true;
        // A task that wakes itself while it runs comes last in line.
        cx.waker().wake_by_ref();
        true
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Gathering<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Gathering<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.gathers(cx) {
            return Poll::Pending;
        }
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    /// No, though every wire could: h2 writes a message of 256 bytes or more by itself where
    /// writes are vectored, and copies it behind the others up to 1 KiB where they are not. One
    /// write for a whole batch of answers is the better bargain (BENCHMARKS.md).
    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.gathered = false;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::super::peer::Trust;
    use super::*;
    use std::{
        sync::atomic::AtomicUsize,
        task::{Wake, Waker},
    };

    /// Where writes go, counted.
    #[derive(Default)]
    struct Sink {
        writes: usize,
        flushed: bool,
    }

    impl AsyncWrite for Sink {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.writes += 1;
            Poll::Ready(Ok(bytes.len()))
        }

        fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushed = true;
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    struct Case {
        stream: Gathering<Sink>,
        leaving: Arc<AtomicBool>,
        woken: Arc<Woken>,
    }

    impl Case {
        fn of_age(age: Duration) -> Self {
            let leaving = Arc::new(AtomicBool::new(false));
            let peer = Peer::new(None, Ok(Vec::new()), &Trust::Everyone);
            Self {
                stream: Gathering::new(Sink::default(), peer, age, Arc::clone(&leaving)),
                leaving,
                woken: Arc::default(),
            }
        }

        /// Whether a write went out at once; if not, it is tried again soon.
        fn writes(&mut self) -> bool {
            let before = self.woken.0.load(Ordering::Relaxed);
            let waker = Waker::from(Arc::clone(&self.woken));
            let mut context = Context::from_waker(&waker);
            let written = Pin::new(&mut self.stream).poll_write(&mut context, b"answer");
            let woken = self.woken.0.load(Ordering::Relaxed) - before;
            assert_eq!(woken, usize::from(written.is_pending()));
            written.is_ready()
        }

        fn flushes(&mut self) {
            let mut context = Context::from_waker(Waker::noop());
            let flushed = Pin::new(&mut self.stream).poll_flush(&mut context);
            assert!(matches!(flushed, Poll::Ready(Ok(()))));
        }
    }

    const LONG: Duration = Duration::from_mins(30);

    #[test]
    fn a_write_lets_others_go_first_once_while_the_peer_waits_for_more() {
        let mut case = Case::of_age(LONG);
        let asked = case.stream.peer.asks();
        assert!(!case.writes(), "the others first");
        assert!(case.writes() && case.writes(), "then all of it");
        case.flushes();
        assert!(!case.writes(), "and the next time again");
        assert!(case.writes());
        case.flushes();
        drop(asked);
        assert!(case.writes(), "nobody waits for anything else");
        assert_eq!(case.stream.stream.writes, 4);
        assert!(case.stream.stream.flushed);
    }

    #[test]
    fn nothing_is_gathered_when_a_goodbye_is_near() {
        let mut case = Case::of_age(LONG);
        let _asked = case.stream.peer.asks();
        case.leaving.store(true, Ordering::Relaxed);
        assert!(case.writes(), "the server leaves");

        let mut case = Case::of_age(BEFORE_GOODBYE);
        let _asked = case.stream.peer.asks();
        assert!(case.writes(), "the connection is old");
    }
}
