//! The breaker over a server that the test plays.

use super::*;
use tokio::{
    io::AsyncReadExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
};

const PATIENCE: Duration = Duration::from_millis(200);

fn url(port: u16) -> DatabaseUrl {
    DatabaseUrl::parse(&format!(
        "postgres://u:p@127.0.0.1:{port}/d?sslmode=disable"
    ))
    .unwrap()
}

/// A server that is frozen: it takes connections, and says nothing.
async fn frozen() -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let mut taken: Vec<TcpStream> = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            taken.push(stream);
        }
    });
    (port, serving)
}

/// Waits, bounded, until something holds.
async fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn silence_opens_it_and_tells_who_waits() {
    let (port, serving) = frozen().await;
    let breaker = Breaker::watching(url(port), PATIENCE);
    let sent = breaker.sent();
    let waits = breaker.guard(std::future::pending::<Result<(), StoreError>>());
    let told = tokio::time::timeout(Duration::from_secs(20), waits).await;
    assert!(matches!(told, Ok(Err(StoreError::Down))), "{told:?}");
    assert!(matches!(breaker.check(), Err(StoreError::Down)));
    drop(sent);
    serving.abort();
}

#[tokio::test]
async fn a_suspicion_alone_opens_nothing_while_something_is_heard() {
    let (port, serving) = frozen().await;
    // So long that no stall of this machine fills it.
    let patience = PATIENCE * 10;
    let breaker = Breaker::watching(url(port), patience);
    let began = Instant::now();
    while began.elapsed() < patience * 2 {
        breaker.suspect();
        breaker.heard();
        // How often something is heard: many times within its patience.
        tokio::time::sleep(Duration::from_millis(5)).await;
        breaker.check().unwrap();
    }
    // The last suspicion is looked into as well.
    let began = Instant::now();
    while began.elapsed() < patience + patience / 2 {
        breaker.heard();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    serving.abort();
    // Nobody sends anything, and nobody suspects anything: whatever is there, it stays closed.
    tokio::time::sleep(patience + patience / 2).await;
    breaker.check().unwrap();
}

#[tokio::test]
async fn refused_credentials_open_nothing_and_close_it_again() {
    // Bound, so that nobody else takes it, and not yet listening.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let breaker = Breaker::watching(url(port), PATIENCE);
    breaker.suspect();
    until(|| breaker.check().is_err()).await;
    let lost = tokio::spawn({
        let breaker = breaker.clone();
        async move { breaker.lost().await }
    });
    let before = breaker.renewed();

    // It is back, if only to refuse: whoever is connected already may go on.
    let listener = socket.listen(16).unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut startup = [0; 8];
            let _ = stream.read_exact(&mut startup).await;
            let fields = b"SFATAL\0C28P01\0Mno\0\0";
            let mut error = vec![b'E'];
            error.extend(u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
            error.extend(fields);
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, &error).await;
        }
    });
    until(|| breaker.check().is_ok()).await;
    assert!(
        breaker.renewed() > before,
        "no connection outlives an outage"
    );
    let lost = tokio::time::timeout(Duration::from_secs(20), lost).await;
    assert!(lost.is_ok(), "what was sent before is given up");
    breaker.suspect();
    // The pause is the subject: long enough to have opened, if it did.
    tokio::time::sleep(PATIENCE).await;
    breaker.check().unwrap();
    serving.abort();
}
