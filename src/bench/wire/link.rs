//! A connection with its task. When it ends it is opened again, and whoever calls over it goes
//! on: a server tells connections of some age to come back (`connections.max_age`).

use super::WireError;
use crate::driver::{Driver, Streams};
use h2::client::{Connection, SendRequest};
use prost::bytes::Bytes;
use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{sleep, timeout},
};

/// What one stream may send to us before we take it; a batch's answer fits.
const STREAM_WINDOW: u32 = 4 << 20;
/// The same for all streams of a connection.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// Between two attempts to open a connection again.
const PAUSE: Duration = Duration::from_millis(100);

/// One connection, whenever it was opened.
pub(super) struct Link {
    /// Where its callers run.
    callers: Streams,
    send: Mutex<SendRequest<Bytes>>,
    /// How often it was opened again.
    opening: AtomicU64,
    ended: AtomicU64,
}

impl Link {
    /// Opens it, within that time.
    pub(super) async fn open(address: String, limit: Duration) -> Result<Arc<Self>, WireError> {
        let (send, connection) = Box::pin(connect(&address, limit)).await?;
        let link = Arc::new(Self {
            callers: Streams::default(),
            send: Mutex::new(send),
            opening: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        });
        let kept = Box::pin(keep(connection, Arc::downgrade(&link), address, limit));
        tokio::spawn(Driver::new(kept, link.callers()));
        Ok(link)
    }

    /// The task in which whoever calls over it runs.
    pub(super) fn callers(&self) -> Streams {
        self.callers.clone()
    }

    /// Which opening there is now: looked at before every call.
    pub(super) fn opening(&self) -> u64 {
        self.opening.load(Ordering::Acquire)
    }

    /// What sends over it, and over which opening.
    pub(super) fn sender(&self) -> (SendRequest<Bytes>, u64) {
        let send = self.send.lock().unwrap_or_else(PoisonError::into_inner);
        (send.clone(), self.opening())
    }

    /// How often it has ended.
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    fn opened_again(&self, with: SendRequest<Bytes>) {
        let mut send = self.send.lock().unwrap_or_else(PoisonError::into_inner);
        *send = with;
        self.opening.fetch_add(1, Ordering::Release);
    }
}

type Opened = (SendRequest<Bytes>, Connection<Together, Bytes>);

async fn connect(address: &str, limit: Duration) -> Result<Opened, WireError> {
    let connect = async {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let opened = h2::client::Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(Together(stream))
            .await?;
        Ok(opened)
    };
    timeout(limit, connect)
        .await
        .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

/// Drives the connection, and the next one when it has ended, for as long as somebody has a use
/// for it. Its callers go on meanwhile, and hear of it from their calls.
async fn keep(
    mut connection: Connection<Together, Bytes>,
    of: Weak<Link>,
    address: String,
    limit: Duration,
) {
    loop {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of the load generator ended");
        }
        let Some(link) = of.upgrade() else { return };
        link.ended.fetch_add(1, Ordering::Relaxed);
        drop(link);
        connection = loop {
            let opened = Box::pin(connect(&address, limit)).await;
            let Some(link) = of.upgrade() else { return };
            match opened {
                Ok((send, connection)) => {
                    link.opened_again(send);
                    break connection;
                }
                Err(error) => tracing::debug!(%error, "no connection of the load generator"),
            }
            drop(link);
            sleep(PAUSE).await;
        };
    }
}

/// A connection whose short messages go out together.
///
/// h2 sends a message of 256 bytes or more in a write of its own where writes are vectored, and
/// copies it behind the others below 1 KiB where they are not. What a row costs should not
/// hang on which side of the 256 bytes its messages are.
struct Together(TcpStream);

impl AsyncRead for Together {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Together {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
