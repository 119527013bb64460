use super::*;
use crate::bench::{Callers, Crew as _, Load, Stop, callers::Echoes};
use h2::server;
use tokio::net::{TcpListener, TcpStream};

/// Answers so many calls with what they say, and ends the connection without a word.
async fn echoes(stream: TcpStream, calls: usize) {
    let mut connection = server::handshake(stream).await.unwrap();
    let mut answered = 0;
    while answered < calls
        && let Some(Ok((request, mut respond))) = connection.accept().await
    {
        answered += 1;
        tokio::spawn(async move {
            let mut said = Vec::new();
            let mut body = request.into_body();
            while let Some(Ok(chunk)) = body.data().await {
                said.extend_from_slice(&chunk);
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            // Nobody hears it where the connection has ended.
            if let Ok(mut send) = respond.send_response(http::Response::new(()), false) {
                let _ = send.send_data(said.into(), false);
                let _ = send.send_trailers(trailers);
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_is_opened_again_and_its_callers_go_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let stop = Stop::default();
    let stopping = stop.clone();
    tokio::spawn(async move {
        for calls in [20, 1, 100] {
            let (stream, _) = listener.accept().await.unwrap();
            echoes(stream, calls).await;
        }
        stopping.ask();
        let (stream, _) = listener.accept().await.unwrap();
        echoes(stream, usize::MAX).await;
    });
    let wire = Wire::open(&target, 1, None, Duration::from_secs(20)).await;
    let wire = wire.unwrap();
    let mut idle = wire.line(0, "/");
    let mut crew = Callers(
        (0..4)
            .map(|caller| Echoes::new(&wire, caller, 100))
            .collect(),
    );
    let began = std::time::Instant::now();
    let long = Load::Closed(Duration::from_secs(30));
    let tally = crew.run(long, &stop).await;
    assert!(stop.asked(), "{tally:?}");
    assert!(tally.calls() >= 100, "{} calls", tally.calls());
    // Each caller waits a little before it tries again.
    let most = 8 + began.elapsed().as_millis() / 5 * 4;
    assert!(u128::from(tally.errors()) <= most, "{:?}", tally.reasons());
    assert!(wire.broken() >= 2, "{}", wire.broken());
    assert_eq!(crew.0.len(), 4);

    // Nor does a line fail that only stood by.
    while wire.links[0].opening() < 3 {
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "{}",
            wire.broken()
        );
        tokio::task::yield_now().await;
    }
    let message = crate::bench::callers::Payload { data: "x".into() };
    let answer: crate::bench::callers::Payload = idle.call(&message).await.unwrap();
    assert_eq!(answer, message);
}
