//! Accepts connections, shakes hands, and hands them to the server.

use super::{
    certificate,
    material::Tls,
    peer::{Peer, Trust},
    stream::{Stream, Wire},
};
use std::{
    fmt, io, net::SocketAddr, os::unix::fs::FileTypeExt as _, path::PathBuf, sync::Arc,
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener},
    sync::{Semaphore, mpsc},
};
use tokio_stream::wrappers::ReceiverStream;

/// How long a handshake may take, and how many at once; the next wait in the kernel.
const HANDSHAKE: Duration = Duration::from_secs(5);
const HANDSHAKES: usize = 4096;
/// Connections that wait to be served.
const WAITING: usize = 512;
/// The pause after the kernel refuses a connection, mostly for want of file descriptors.
const BREATH: Duration = Duration::from_millis(100);

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Address {
    /// The IP address and port, if it is one.
    pub fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(to),
            Self::Unix(path) => write!(to, "unix:{}", path.display()),
        }
    }
}

/// A listener that is bound, but accepts nothing yet.
pub struct Bound {
    socket: Socket,
    address: Address,
    tls: Option<Arc<Tls>>,
    trust: Trust,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Binds a listener. The file that a Unix socket of a process before left behind is
/// removed, unless somebody still listens there.
pub async fn bind(address: &Address, tls: Option<Arc<Tls>>, trust: Trust) -> io::Result<Bound> {
    let (socket, address) = match address {
        Address::Ip(address) => {
            let listener = TcpListener::bind(address).await?;
            let address = Address::Ip(listener.local_addr()?);
            (Socket::Tcp(listener), address)
        }
        Address::Unix(path) => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            // Nothing but a socket: a path that was mistaken keeps its file.
            if std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
                std::fs::remove_file(path)?;
            }
            (Socket::Unix(UnixListener::bind(path)?), address.clone())
        }
    };
    Ok(Bound {
        socket,
        address,
        tls,
        trust,
    })
}

impl Bound {
    /// Where it listens; the port is known even when 0 was asked for.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

/// The listeners of one server.
pub struct Listeners(pub Vec<Bound>);

impl Listeners {
    /// Accepts from now on; as long as the stream is held.
    pub fn accept(self) -> ReceiverStream<io::Result<Stream>> {
        let (ready, connections) = mpsc::channel(WAITING);
        for bound in self.0 {
            let ready = ready.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = bound.accept(&ready) => {}
                    () = ready.closed() => {}
                }
            });
        }
        ReceiverStream::new(connections)
    }
}

type Ready = mpsc::Sender<io::Result<Stream>>;

impl Bound {
    async fn accept(self, ready: &Ready) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
        loop {
            let accepted = match &self.socket {
                Socket::Tcp(listener) => listener.accept().await.map(|(tcp, from)| {
                    // Without it a small answer could wait for the next.
                    let _ = tcp.set_nodelay(true);
                    (Wire::Tcp(tcp), Some(from))
                }),
                Socket::Unix(listener) => {
                    let accepted = listener.accept().await;
                    accepted.map(|(unix, _)| (Wire::Unix(unix), None))
                }
            };
            let (wire, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(address = %self.address, %error, "a connection was not accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            match (wire, &self.tls) {
                (Wire::Tcp(tcp), Some(tls)) => {
                    let Ok(place) = Arc::clone(&handshakes).acquire_owned().await else {
                        return;
                    };
                    let (tls, trust, ready) = (Arc::clone(tls), self.trust.clone(), ready.clone());
                    tokio::spawn(async move {
                        let shaken =
                            tokio::time::timeout(HANDSHAKE, shake(tcp, from, &tls, &trust));
                        match shaken.await {
                            Ok(Ok(stream)) => drop(ready.send(Ok(stream)).await),
                            Ok(Err(error)) => failed(from, &error),
                            Err(_) => failed(from, &io::ErrorKind::TimedOut.into()),
                        }
                        drop(place);
                    });
                }
                (wire, _) => {
                    let peer = Peer::new(from, Ok(Vec::new()), &self.trust);
                    if ready.send(Ok(Stream::new(wire, peer))).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

fn failed(from: Option<SocketAddr>, error: &io::Error) {
    let from = from.map(|from| from.to_string());
    tracing::debug!(from, %error, "a TLS handshake failed");
}

async fn shake(
    tcp: TcpStream,
    from: Option<SocketAddr>,
    tls: &Tls,
    trust: &Trust,
) -> io::Result<Stream> {
    let material = tls.current();
    let stream = material.acceptor().accept(tcp).await?;
    let names = match stream.get_ref().1.peer_certificates() {
        Some([leaf, ..]) => certificate::names(leaf, material.trust_domain()),
        _ => Ok(Vec::new()),
    };
    let peer = Peer::new(from, names, trust);
    Ok(Stream::new(Wire::Tls(Box::new(stream)), peer))
}
