use super::*;
use crate::bench::{
    Callers, Crew as _, Load, Stop,
    callers::{Echoes, Payload},
    fake::{Answer, Decide, serve},
};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_ends_is_opened_again_and_its_callers_go_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let stop = Stop::default();
    let stopping = stop.clone();
    let echo: Decide = Arc::new(|_, said| Answer::Message(said.to_vec()));
    tokio::spawn(async move {
        for calls in [20, 1, 100] {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream, calls, Arc::clone(&echo)).await;
        }
        stopping.ask();
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, usize::MAX, echo).await;
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
    let message = Payload { data: "x".into() };
    let answer: Payload = idle.call(&message).await.unwrap();
    assert_eq!(answer, message);
}
