//! A road that can be cut, held and slowed: forwards TCP, and loses answers on purpose.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// How PostgreSQL's front end says COMMIT: the name that every statement of ours bears.
const COMMIT: &[u8] = b"-- transactions.commit";

/// Forwards connections to one address.
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    target: SocketAddr,
    /// What loses its answer and its connection, and how often of a thousand times.
    lost: Mutex<(&'static [u8], u64)>,
    /// Counts the times at which every connection is cut.
    cut: watch::Sender<u64>,
    losses: AtomicU64,
    pace: watch::Sender<Pace>,
    connections: AtomicU64,
}

/// How the road is.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    /// Nothing passes, on any connection.
    held: bool,
    /// What goes to the target takes so long.
    delay: Duration,
    /// The connections before this one lead nowhere, for ever.
    swallowed: u64,
}

impl Proxy {
    /// Listens on a free port. Of a thousand commits that pass, `lost_commits` lose their
    /// answer on the way back.
    pub async fn start(target: SocketAddr, lost_commits: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            target,
            lost: Mutex::new((COMMIT, lost_commits)),
            cut: watch::Sender::new(0),
            losses: AtomicU64::new(0),
            pace: watch::Sender::default(),
            connections: AtomicU64::new(0),
        });
        let own = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(forward(near, Arc::clone(&own)));
            }
        });
        Self {
            address,
            state,
            accepting,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on so many of a thousand commits lose their answer.
    pub fn lose_commits(&self, of_a_thousand: u64) {
        *self.state.lost.lock().unwrap() = (COMMIT, of_a_thousand);
    }

    /// From now on so many of a thousand statements with these words lose their answer, where
    /// the text of a statement travels each time.
    pub fn lose_answers_to(&self, words: &'static str, of_a_thousand: u64) {
        *self.state.lost.lock().unwrap() = (words.as_bytes(), of_a_thousand);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.state.cut.send_modify(|times| *times += 1);
    }

    /// A black hole: nothing passes, and no connection breaks.
    pub fn hold(&self) {
        self.state.pace.send_modify(|pace| pace.held = true);
    }

    /// Ends the hole. Connections from before stay in it, as those to a host that is gone.
    pub fn release(&self) {
        let next = self.state.connections.load(Ordering::Relaxed);
        self.state.pace.send_modify(|pace| {
            pace.held = false;
            pace.swallowed = next;
        });
    }

    /// Makes everything to the target take so long.
    pub fn slow(&self, delay: Duration) {
        self.state.pace.send_modify(|pace| pace.delay = delay);
    }

    /// Commits, or what else was to lose it, whose answer was lost.
    pub fn losses(&self) -> u64 {
        self.state.losses.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

/// Forwards one connection until either end closes or it is cut; both ends are closed then.
async fn forward(mut near: TcpStream, state: Arc<State>) {
    let Ok(mut far) = TcpStream::connect(state.target).await else {
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let mut cut = state.cut.subscribe();
    let number = state.connections.fetch_add(1, Ordering::Relaxed);
    let mut pace = state.pace.subscribe();
    let mut up = vec![0; 64 << 10];
    let mut down = vec![0; 64 << 10];
    let mut loses = false;
    loop {
        tokio::select! {
            _ = cut.changed() => return,
            read = near.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                let sent = &up[..length];
                let (words, of_a_thousand) = *state.lost.lock().unwrap();
                loses = sent.windows(words.len()).any(|text| text == words)
                    && fastrand::u64(..1000) < of_a_thousand;
                if !passes(&mut pace, &mut cut, number, true).await {
                    return;
                }
                // What came meanwhile belongs to the same flight.
                let mut all = length;
                while let Ok(more @ 1..) = near.try_read(&mut up[all..]) {
                    all += more;
                }
                if far.write_all(&up[..all]).await.is_err() {
                    return;
                }
            }
            read = far.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                if loses {
                    // It is committed, and nobody hears of it.
                    state.losses.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                if !passes(&mut pace, &mut cut, number, false).await
                    || near.write_all(&down[..length]).await.is_err()
                {
                    return;
                }
            }
        }
    }
}

/// Waits until something may pass; false: the connection was cut meanwhile.
async fn passes(
    pace: &mut watch::Receiver<Pace>,
    cut: &mut watch::Receiver<u64>,
    number: u64,
    up: bool,
) -> bool {
    let free = async {
        let now = pace
            .wait_for(|pace| !pace.held && number >= pace.swallowed)
            .await;
        now.map(|now| now.delay).unwrap_or_default()
    };
    let delay = tokio::select! {
        _ = cut.changed() => return false,
        delay = free => delay,
    };
    if up && !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    true
}
