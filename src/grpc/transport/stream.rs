//! One connection, of whichever kind.

use super::peer::Peer;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::server::TlsStream;

/// The bytes of a client's preface (RFC 9113 section 3.4).
const PREFACE_BYTES: usize = 24;

/// A connection and its peer.
#[derive(Debug)]
pub struct Stream {
    wire: Wire,
    peer: Peer,
    /// So many bytes are missing of its preface.
    missing: usize,
    preface: Preface,
}

/// Whether the preface of a connection has come.
#[derive(Debug, Clone, Default)]
pub struct Preface(Arc<AtomicBool>);

impl Preface {
    /// Done when the preface has not come within this time, and else never.
    pub async fn is_late(&self, within: Duration) {
        tokio::time::sleep(within).await;
        if self.0.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Debug)]
pub(super) enum Wire {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    pub(super) fn new(wire: Wire, peer: Peer) -> Self {
        Self {
            wire,
            peer,
            missing: PREFACE_BYTES,
            preface: Preface::default(),
        }
    }

    /// Who is at its other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether its preface has come.
    pub fn preface(&self) -> Preface {
        self.preface.clone()
    }
}

/// The same call on the connection of whichever kind.
macro_rules! on_wire {
    ($stream:ident, $wire:ident => $call:expr) => {
        match &mut $stream.as_mut().get_mut().wire {
            Wire::Tcp($wire) => $call,
            Wire::Tls($wire) => $call,
            Wire::Unix($wire) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = on_wire!(self, wire => Pin::new(wire).poll_read(cx, buffer));
        if self.missing > 0 {
            self.missing = self.missing.saturating_sub(buffer.filled().len() - before);
            self.preface.0.store(self.missing == 0, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_wire!(self, wire => Pin::new(wire).poll_write(cx, bytes))
    }

    /// No, though every wire could: h2 writes a message of 256 bytes or more by itself where
    /// writes are vectored, and copies it behind the others up to 1 KiB where they are not. One
    /// write for a whole batch of answers is the better bargain (BENCHMARKS.md).
    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self, wire => Pin::new(wire).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self, wire => Pin::new(wire).poll_shutdown(cx))
    }
}
