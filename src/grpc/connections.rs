//! Serves connections over hyper's HTTP/2, each only up to an age: a caller that keeps one for
//! ever would never find a new replica.
//!
//! A goodbye (GOAWAY, RFC 9113 section 6.8) is said in a quiet moment of its connection, if one
//! comes: in one piece with many answers, it would come to the client together with the reason
//! to ask again at once, and some clients tell their callers of a call that was never begun
//! instead of repeating it.

use super::{
    Connections, Services, methods,
    transport::{Incoming, Peer, Preface, Stream},
};
use crate::driver::{Driver, Streams, aside};
use http::{Request, Response};
use hyper::{body, server::conn::http2, service::Service};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{
    convert::Infallible,
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};
use tokio::sync::watch;
use tonic::body::Body;
use tower::Service as _;

/// How many ages there are. Connections take turns, so that those of one moment, such as the
/// start of a replica, do not end in one moment.
const AGES: u32 = 16;
/// How long a connection may take to begin. Who says nothing would never hear a goodbye either,
/// and hold up the end.
const PREFACE: Duration = Duration::from_secs(5);

/// Serves what comes in until `stop`, then tells every caller (GOAWAY), and ends when what
/// runs is done.
///
/// At `max_age`, more or less by a tenth, a connection is told to go away, and ends when its
/// calls are done. A stream that stays open, as a watch of health does, keeps it.
pub async fn serve(
    services: Services,
    connections: Connections,
    mut incoming: Incoming,
    max_age: Duration,
    stop: impl Future<Output = ()>,
) {
    // Each connection holds a receiver for as long as it lives.
    let (goodbye, told) = watch::channel(());
    let mut ages = (0..AGES).map(|turn| age(max_age, turn)).cycle();
    let mut begin = |stream: Stream| {
        let age = ages.next().unwrap_or(max_age);
        let of_peer = OfPeer {
            services: services.clone(),
            peer: stream.peer().clone(),
        };
        let preface = stream.preface();
        let streams = Streams::default();
        let http2 = http2(connections, streams.clone());
        let connection = http2.serve_connection(TokioIo::new(stream), of_peer);
        let driver = Driver::new(connection, streams);
        tokio::spawn(to_its_end(driver, preface, age, told.clone()));
    };
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            next = incoming.next() => match next {
                Some(stream) => begin(stream),
                None => break,
            },
        }
    }
    // Goodbye is said when nobody can come again; who had connected by then, and is only now
    // taken in, hears it at once.
    let closed = incoming.close();
    let tell = async {
        closed.await;
        goodbye.send_replace(());
    };
    let take_in = async {
        while let Some(stream) = incoming.next().await {
            begin(stream);
        }
    };
    tokio::join!(tell, take_in);
    drop(told);
    goodbye.closed().await;
}

/// The age of a connection: from nine to eleven tenths.
fn age(max_age: Duration, turn: u32) -> Duration {
    max_age.mul_f64(0.9 + 0.2 * f64::from(turn) / f64::from(AGES - 1))
}

fn http2(connections: Connections, streams: Streams) -> http2::Builder<Streams> {
    let mut http2 = http2::Builder::new(streams);
    // Where more streams than this were given up before they were taken in, h2 ends the whole
    // connection, and with it the calls of others: 20, unless told, and through a proxy they are
    // strangers'. As many as may be open take no more room than those do, and only until the
    // connection's next turn.
    let given_up = usize::try_from(connections.max_concurrent_streams).unwrap_or(usize::MAX);
    http2
        .timer(TokioTimer::new())
        .max_concurrent_streams(connections.max_concurrent_streams)
        .max_pending_accept_reset_streams(given_up)
        .initial_stream_window_size(super::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(super::CONNECTION_WINDOW_BYTES)
        .max_header_list_size(connections.max_metadata_bytes)
        .keep_alive_interval(connections.keepalive_interval)
        .keep_alive_timeout(connections.keepalive_timeout);
    http2
}

type Connection = http2::Connection<TokioIo<Stream>, OfPeer, Streams>;

/// Serves a connection until it ends; at its age, or when everybody is told, it is asked to.
async fn to_its_end(
    mut driver: Driver<Connection>,
    preface: Preface,
    age: Duration,
    mut told: watch::Receiver<()>,
) {
    let served = async {
        tokio::select! {
            // What it has sent comes first: before its preface is read, it would hear nothing.
            biased;
            ended = &mut driver => ended,
            _ = tokio::time::timeout(age, told.changed()) => {
                if let Some(ended) = driver.until_quiet().await {
                    ended
                } else {
                    driver.connection().graceful_shutdown();
                    (&mut driver).await
                }
            }
        }
    };
    tokio::select! {
        biased;
        ended = served => if let Err(error) = ended {
            tracing::debug!(%error, "a connection failed");
        },
        () = preface.is_late(PREFACE) => tracing::debug!("a connection never began"),
    }
}

/// The services, for one connection.
struct OfPeer {
    services: Services,
    peer: Peer,
}

impl Service<Request<body::Incoming>> for OfPeer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<body::Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        let brief = methods::is_brief(request.uri().path());
        let answer = self.services.clone().call(request);
        if brief {
            answer
        } else {
            Box::pin(aside(answer))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_differ_by_a_tenth_at_most_and_none_is_another_s() {
        let ages: Vec<_> = (0..AGES)
            .map(|turn| age(Duration::from_secs(100), turn))
            .collect();
        assert_eq!(ages[0], Duration::from_secs(90));
        assert!(ages.last().unwrap().as_secs_f64() <= 110.001);
        assert!(ages.is_sorted_by(|one, next| one < next));
    }
}
