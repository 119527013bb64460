//! One connection, of whichever kind.

use super::peer::Peer;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::server::TlsStream;

/// A connection and its peer.
#[derive(Debug)]
pub struct Stream {
    wire: Wire,
    peer: Peer,
}

#[derive(Debug)]
pub(super) enum Wire {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    pub(super) fn new(wire: Wire, peer: Peer) -> Self {
        Self { wire, peer }
    }

    /// Who is at its other end.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

/// The same call on the connection of whichever kind.
macro_rules! on_wire {
    ($stream:ident, $wire:ident => $call:expr) => {
        match &mut $stream.get_mut().wire {
            Wire::Tcp($wire) => $call,
            Wire::Tls($wire) => $call,
            Wire::Unix($wire) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_wire!(self, wire => Pin::new(wire).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
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

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self, wire => Pin::new(wire).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_wire!(self, wire => Pin::new(wire).poll_shutdown(cx))
    }
}
