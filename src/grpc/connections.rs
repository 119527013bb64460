//! Serves connections, each only up to an age: a caller that keeps one for ever would never
//! find a new replica.

use super::{
    Layers,
    transport::{BEFORE_GOODBYE, Gathering, Peer},
};
use futures_util::FutureExt as _;
use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    task::JoinSet,
};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    service::Routes,
    transport::{
        Error,
        server::{Connected, Server},
    },
};

/// How many ages there are. Connections take turns, so that those of one moment, such as the
/// start of a replica, do not end in one moment.
const LANES: u32 = 16;
/// Connections of one lane that wait to be served.
const WAITING: usize = 64;
/// Connections that are still accepted when it ends: as many as a listener keeps waiting.
const MOST_AT_THE_END: usize = 1024;
/// The pause after a connection that could not be accepted, as when files run out.
const BREATH: Duration = Duration::from_millis(20);

/// Serves what comes in until `stop`, then tells every caller (GOAWAY), and ends when what
/// runs is done.
///
/// At `max_age`, more or less by a tenth, a connection is told to go away, and ends when its
/// calls are done. A stream that stays open, as a watch of health does, keeps it.
pub async fn serve<IO, E>(
    server: Server<Layers>,
    routes: Routes,
    incoming: impl Stream<Item = Result<IO, E>>,
    max_age: Duration,
    stop: impl Future<Output = ()>,
) -> Result<(), Error>
where
    IO: AsyncRead + AsyncWrite + Connected<ConnectInfo = Peer> + Unpin + Send + 'static,
{
    let leaving = Arc::new(AtomicBool::new(false));
    let mut lanes = Vec::new();
    let mut serving = JoinSet::new();
    for lane in 0..LANES {
        let (to, connections) = mpsc::channel::<IO>(WAITING);
        lanes.push(to);
        let age = age(max_age, lane);
        // Without the server's own grace, which would cut off instead of saying goodbye.
        let server = server.clone().max_connection_age(age);
        let leaving = Arc::clone(&leaving);
        let connections = ReceiverStream::new(connections)
            .map(move |stream| Gathering::new(stream, age, Arc::clone(&leaving)))
            .map(Ok::<_, std::io::Error>);
        let routes = routes.clone();
        serving.spawn(async move {
            // It ends, gracefully, when no more connections can come.
            let never = std::future::pending();
            let mut server = server;
            server
                .add_routes(routes)
                .serve_with_incoming_shutdown(connections, never)
                .await
        });
    }
    {
        let (mut incoming, mut stop) = (pin!(incoming), pin!(stop));
        for lane in (0..lanes.len()).cycle() {
            let connection = loop {
                tokio::select! {
                    () = &mut stop => break None,
                    next = incoming.next() => match next {
                        Some(Ok(connection)) => break Some(connection),
                        Some(Err(_)) => tokio::time::sleep(BREATH).await,
                        None => break None,
                    },
                }
            };
            let Some(connection) = connection else { break };
            if lanes[lane].send(connection).await.is_err() {
                break;
            }
        }
        leaving.store(true, Ordering::Relaxed);
        tokio::time::sleep(BEFORE_GOODBYE).await;
        // Who has connected already hears a goodbye too, instead of a reset.
        for lane in (0..lanes.len()).cycle().take(MOST_AT_THE_END) {
            match incoming.next().now_or_never() {
                Some(Some(Ok(connection))) => drop(lanes[lane].send(connection).await),
                _ => break,
            }
        }
    }
    // The listener is closed by now, so that nobody new waits for us.
    drop(lanes);
    while let Some(lane) = serving.join_next().await {
        if let Ok(served) = lane {
            served?;
        }
    }
    Ok(())
}

/// The age of a lane's connections: from nine to eleven tenths.
fn age(max_age: Duration, lane: u32) -> Duration {
    max_age.mul_f64(0.9 + 0.2 * f64::from(lane) / f64::from(LANES - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_a_tenth_at_most_and_none_is_another_s() {
        let ages: Vec<_> = (0..LANES)
            .map(|lane| age(Duration::from_secs(100), lane))
            .collect();
        assert_eq!(ages[0], Duration::from_secs(90));
        assert!(ages.last().unwrap().as_secs_f64() <= 110.001);
        assert!(ages.is_sorted_by(|one, next| one < next));
    }
}
