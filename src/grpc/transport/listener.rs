//! Accepts connections, shakes hands, and hands them to the server.

use super::{
    certificate,
    material::Tls,
    peer::{Peer, Trust},
    stream::{Stream, Wire},
};
use std::{
    fmt, future::Future, io, iter, net::SocketAddr, os::unix::fs::FileTypeExt as _, path::PathBuf,
    sync::Arc, time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Semaphore, mpsc, watch},
};

/// How long a handshake may take, and how many at once; the next wait in the kernel.
const HANDSHAKE: Duration = Duration::from_secs(5);
const HANDSHAKES: usize = 4096;
/// Connections that wait to be served.
const WAITING: usize = 512;
/// Connections that are still accepted when it closes: as many as the kernel keeps waiting.
const MOST_AT_THE_END: usize = 1024;
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
    /// Accepts from now on; as long as what it returns is held.
    pub fn accept(self) -> Incoming {
        let (passed, ready) = mpsc::channel(WAITING);
        let (open, told) = watch::channel(());
        for bound in self.0 {
            tokio::spawn(bound.accept(passed.clone(), told.clone()));
        }
        Incoming { ready, open }
    }
}

/// Connections as they come in.
pub struct Incoming {
    ready: mpsc::Receiver<Stream>,
    /// Each listener holds a receiver for as long as it is open.
    open: watch::Sender<()>,
}

impl Incoming {
    /// The next connection. None: the listeners are closed, and all has come that had connected
    /// by then.
    pub async fn next(&mut self) -> Option<Stream> {
        self.ready.recv().await
    }

    /// Closes the listeners. What it returns is done when nobody can connect any more.
    pub fn close(&self) -> impl Future<Output = ()> + use<> {
        let open = self.open.clone();
        open.send_replace(());
        async move { open.closed().await }
    }
}

type Accepted = (Wire, Option<SocketAddr>);

impl Socket {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (tcp, from) = listener.accept().await?;
                Ok((Wire::Tcp(tcp), Some(from)))
            }
            Self::Unix(listener) => {
                let (unix, _) = listener.accept().await?;
                Ok((Wire::Unix(unix), None))
            }
        }
    }

    /// Closes it; who has connected by then is not reset.
    fn close(self) -> io::Result<Vec<Accepted>> {
        // The kernel is asked: tokio hears of a connection only later.
        let accept: Box<dyn Fn() -> io::Result<Accepted>> = match self {
            Self::Tcp(listener) => {
                let listener = listener.into_std()?;
                Box::new(move || {
                    let (tcp, from) = listener.accept()?;
                    tcp.set_nonblocking(true)?;
                    Ok((Wire::Tcp(TcpStream::from_std(tcp)?), Some(from)))
                })
            }
            Self::Unix(listener) => {
                let listener = listener.into_std()?;
                Box::new(move || {
                    let (unix, _) = listener.accept()?;
                    unix.set_nonblocking(true)?;
                    Ok((Wire::Unix(UnixStream::from_std(unix)?), None))
                })
            }
        };
        let rest = iter::from_fn(|| accept().ok());
        Ok(rest.take(MOST_AT_THE_END).collect())
    }
}

impl Bound {
    /// Until it is told to close, or nobody is there to take what comes.
    async fn accept(self, ready: mpsc::Sender<Stream>, mut told: watch::Receiver<()>) {
        let Self {
            socket,
            address,
            tls,
            trust,
        } = self;
        let door = Door {
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            tls,
            trust,
            ready,
        };
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                _ = told.changed() => break,
            };
            match accepted {
                Ok(accepted) => door.pass(accepted).await,
                Err(error) => {
                    tracing::warn!(%address, %error, "a connection was not accepted");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
        let rest = socket.close();
        drop(told);
        match rest {
            Ok(rest) => {
                for accepted in rest {
                    door.pass(accepted).await;
                }
            }
            Err(error) => {
                tracing::warn!(%address, %error, "the last connections were not accepted");
            }
        }
    }
}

/// What stands between a listener and the server.
struct Door {
    handshakes: Arc<Semaphore>,
    tls: Option<Arc<Tls>>,
    trust: Trust,
    ready: mpsc::Sender<Stream>,
}

impl Door {
    /// Hands a connection on, if somebody is there to take it, after its handshake.
    async fn pass(&self, (wire, from): Accepted) {
        if let Wire::Tcp(tcp) = &wire {
            // Without it a small answer could wait for the next.
            let _ = tcp.set_nodelay(true);
        }
        match (wire, &self.tls) {
            (Wire::Tcp(tcp), Some(tls)) => {
                let Ok(place) = Arc::clone(&self.handshakes).acquire_owned().await else {
                    return;
                };
                let (tls, trust) = (Arc::clone(tls), self.trust.clone());
                let ready = self.ready.clone();
                tokio::spawn(async move {
                    let shaken = tokio::time::timeout(HANDSHAKE, shake(tcp, from, &tls, &trust));
                    match shaken.await {
                        Ok(Ok(stream)) => drop(ready.send(stream).await),
                        Ok(Err(error)) => failed(from, &error),
                        Err(_) => failed(from, &io::ErrorKind::TimedOut.into()),
                    }
                    drop(place);
                });
            }
            (wire, _) => {
                let peer = Peer::new(from, Ok(Vec::new()), &self.trust);
                let _ = self.ready.send(Stream::new(wire, peer)).await;
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
    if let Err(why) = &names {
        tracing::debug!(?from, %why, "a certificate names nobody");
    }
    let peer = Peer::new(from, names, trust);
    Ok(Stream::new(Wire::Tls(Box::new(stream)), peer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read as _, net::TcpStream as Client};

    #[tokio::test]
    async fn who_has_connected_before_the_close_is_taken_in_and_nobody_can_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let tcp: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut listeners = Vec::new();
        for address in [Address::Ip(tcp), Address::Unix(path.clone())] {
            listeners.push(bind(&address, None, Trust::Everyone).await.unwrap());
        }
        let address = listeners[0].address().ip().unwrap();
        let mut incoming = Listeners(listeners).accept();
        // This task is the only one that runs: nobody has accepted any of them when it closes.
        let mut clients: Vec<_> = (0..50).map(|_| Client::connect(address).unwrap()).collect();
        let local: Vec<_> = (0..50)
            .map(|_| std::os::unix::net::UnixStream::connect(&path).unwrap())
            .collect();
        incoming.close().await;
        let refused = Client::connect(address).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(std::os::unix::net::UnixStream::connect(&path).is_err());
        let mut taken = 0;
        while let Some(stream) = incoming.next().await {
            drop(stream);
            taken += 1;
        }
        assert_eq!(taken, clients.len() + local.len());
        // They hear an end, and not a reset.
        for client in &mut clients {
            assert_eq!(client.read(&mut [0]).unwrap(), 0);
        }
    }
}
