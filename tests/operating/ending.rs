//! SIGTERM: no call fails. A second one: at once.

use super::{never_sent, not_connected, waits_for_a_lock};
use crate::support::{
    process::{Process, connect},
    server::{Caller, Deployment},
};
use countersign::proto::v1::{
    self, Role, token_authority_service_client::TokenAuthorityServiceClient,
};
use nix::sys::signal::Signal;
use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    net::SocketAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// What the callers of one test have seen.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    by_first: AtomicUsize,
    by_second: AtomicUsize,
}

/// A client of two addresses, as a real one has them: the first while it answers, and what
/// was not taken there is tried at the second. Connections are made when they are needed.
async fn call(servers: &[Channel; 2], caller: &Caller, token: &str) -> Result<usize, Status> {
    let mut refused = Status::unknown("no server");
    for (at, channel) in servers.iter().enumerate() {
        let request = caller.request(v1::IntrospectRequest {
            token: token.to_owned(),
            ..Default::default()
        });
        let answer = TokenAuthorityServiceClient::new(channel.clone())
            .introspect(request)
            .await;
        match answer {
            Ok(found) => {
                assert!(found.into_inner().active);
                return Ok(at);
            }
            // Only what was never begun is tried again.
            Err(status) if never_sent(&status) || not_connected(&status) => refused = status,
            Err(status) => return Err(status),
        }
    }
    Err(refused)
}

fn lazy(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_lazy()
}

#[tokio::test]
async fn no_call_fails_while_a_second_process_takes_over() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let token = issuer.open(&at.user().await).await.access_token;
    let settings = [("shutdown.pause", "\"1s\""), ("shutdown.drain", "\"50s\"")];
    let mut first = Process::start(&at, &settings).await;
    let second = Process::start(&at, &settings).await;

    let seen = Arc::new(Seen::default());
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let servers = [lazy(first.address), lazy(second.address)];
            let (seen, issuer, token) = (Arc::clone(&seen), issuer.clone(), token.clone());
            tokio::spawn(async move {
                while !seen.stop.load(Ordering::Relaxed) {
                    match call(&servers, &issuer, &token).await {
                        Ok(0) => seen.by_first.fetch_add(1, Ordering::Relaxed),
                        Ok(_) => seen.by_second.fetch_add(1, Ordering::Relaxed),
                        Err(status) => return Err(status),
                    };
                }
                Ok(())
            })
        })
        .collect();
    let reach = async |count: &AtomicUsize, least: usize| {
        let started = Instant::now();
        while count.load(Ordering::Relaxed) < least && callers.iter().all(|one| !one.is_finished())
        {
            assert!(started.elapsed() < Duration::from_mins(1));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    reach(&seen.by_first, 100).await;

    // A watch stays open, and does not hold the end up.
    let watching = HealthClient::new(first.channel().await)
        .watch(HealthCheckRequest::default())
        .await;
    let mut watched = watching.unwrap().into_inner();
    let mut pushed = async || watched.message().await.unwrap().map(|one| one.status());
    assert_eq!(pushed().await, Some(ServingStatus::Serving));
    let asked = Instant::now();
    first.signal(Signal::SIGTERM);
    assert_eq!(pushed().await, Some(ServingStatus::NotServing));
    // In the pause calls are still taken.
    let before = seen.by_first.load(Ordering::Relaxed);
    reach(&seen.by_first, before + 20).await;
    assert!(seen.by_first.load(Ordering::Relaxed) >= before + 20);
    assert_eq!(pushed().await, None, "the watch is ended");
    assert_eq!(first.exit_code().await, 0);
    assert!(asked.elapsed() < Duration::from_secs(40), "{}", first.log());

    let before = seen.by_second.load(Ordering::Relaxed);
    reach(&seen.by_second, before + 100).await;
    seen.stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap().expect("no failed call");
    }
    assert!(seen.by_second.load(Ordering::Relaxed) >= before + 100);
    let log = first.log();
    assert!(log.contains("stopping: still taking calls"), "{log}");
    assert!(!log.contains("still running"), "{log}");
    assert_eq!(log.matches("panic").count(), 0, "{log}");
}

#[tokio::test]
async fn a_connection_that_never_begins_is_closed_and_holds_up_nothing() {
    let at = Deployment::start().await;
    let mut server = Process::start(&at, &[("shutdown.drain", "\"50s\"")]).await;
    let connected = |sends: &[u8]| {
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        stream.write_all(sends).unwrap();
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).unwrap();
        stream
    };
    // The last byte of the preface is missing.
    let begins = [&b""[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"];
    // One that has begun, and calls later than the others are given.
    let channel = server.channel().await;
    for mut silent in begins.map(connected) {
        silent.read_to_end(&mut Vec::new()).expect("it is closed");
    }
    let mut health = HealthClient::new(channel);
    let found = health.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(found.into_inner().status(), ServingStatus::Serving);

    let _silent = begins.map(connected);
    let asked = Instant::now();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.exit_code().await, 0);
    assert!(
        asked.elapsed() < Duration::from_secs(40),
        "{}",
        server.log()
    );
    assert!(!server.log().contains("still running"), "{}", server.log());
}

/// A server with a call in it that waits for a lock of the returned connection's.
async fn held(at: &Deployment, drain: &str) -> (Process, tokio_postgres::Client, Held) {
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let token = issuer.open(&at.user().await).await.access_token;
    let server = Process::start(
        at,
        &[
            ("database.lock_timeout", "\"1m\""),
            ("database.statement_timeout", "\"1m\""),
            ("calls.deadline", "\"1m\""),
            ("shutdown.drain", drain),
        ],
    )
    .await;
    let lock = at.database.client().await;
    let statement = "BEGIN; LOCK TABLE public.oauth_access_tokens IN ACCESS EXCLUSIVE MODE";
    lock.batch_execute(statement).await.unwrap();
    let channel = connect(server.address).await;
    let waiting = tokio::spawn(async move {
        let request = issuer.request(v1::IntrospectRequest {
            token,
            ..Default::default()
        });
        TokenAuthorityServiceClient::new(channel)
            .introspect(request)
            .await
            .map(|found| found.into_inner().active)
    });
    waits_for_a_lock(at).await;
    (server, lock, waiting)
}

type Held = tokio::task::JoinHandle<Result<bool, Status>>;

#[tokio::test]
async fn what_runs_at_sigterm_is_finished() {
    let at = Deployment::start().await;
    let (mut server, lock, waiting) = held(&at, "\"50s\"").await;
    server.signal(Signal::SIGTERM);
    server.says("stopping: finishing what runs").await;
    assert!(!waiting.is_finished());
    lock.batch_execute("COMMIT").await.unwrap();
    assert!(waiting.await.unwrap().unwrap());
    assert_eq!(server.exit_code().await, 0);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let at = Deployment::start().await;
    let (mut server, _lock, waiting) = held(&at, "\"10m\"").await;
    server.signal(Signal::SIGTERM);
    server.says("stopping: finishing what runs").await;
    assert!(!waiting.is_finished());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.exit_code().await, 1);
    server.says("ended at once by a second signal").await;
    assert!(waiting.await.unwrap().is_err());
}

#[tokio::test]
async fn what_runs_for_longer_than_the_drain_is_cut_off() {
    let at = Deployment::start().await;
    let (mut server, _lock, waiting) = held(&at, "\"1s\"").await;
    server.signal(Signal::SIGTERM);
    assert_eq!(server.exit_code().await, 0);
    server.says("calls were still running").await;
    assert!(waiting.await.unwrap().is_err());
}

/// A pipe that is full, and its other end, from which nobody reads.
fn full_pipe(path: &Path) -> File {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
    let mut pipe = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
        .unwrap();
    while pipe.write(&[b' '; 4096]).is_ok() {}
    pipe
}

#[tokio::test]
async fn the_end_waits_for_the_audit_stream_but_not_for_ever() {
    let at = Deployment::start().await;
    let client = at.client(&[]).await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("audit");
    let mut pipe = full_pipe(&path);
    let output = format!("\"{}\"", path.display());
    let settings = [("shutdown.pause", "\"0s\""), ("audit.output", &*output)];
    for taken in [false, true] {
        let mut server = Process::start(&at, &settings).await;
        let issued = server
            .tokens()
            .await
            .issue_token(client.request(Default::default()))
            .await;
        issued.unwrap();
        server.signal(Signal::SIGTERM);
        if taken {
            // Somebody reads again, when everything else has ended.
            server.says("stopping: finishing what runs").await;
            let (started, mut written) = (Instant::now(), String::new());
            while !written.contains("\"event\":\"issue\"") {
                assert!(started.elapsed() < Duration::from_mins(1), "{written}");
                let mut bytes = [0; 4096];
                match pipe.read(&mut bytes) {
                    Ok(count) => written.push_str(std::str::from_utf8(&bytes[..count]).unwrap()),
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        }
        assert_eq!(server.exit_code().await, 0);
        let words = "the last records of the audit stream could not be written";
        assert_eq!(server.log().contains(words), !taken);
    }
}

#[tokio::test]
async fn an_audit_stream_that_is_stuck_holds_up_no_call_and_counts_what_it_drops() {
    let at = Deployment::start().await;
    let client = at.client(&[]).await;
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("audit");
    let _pipe = full_pipe(&path);
    let output = format!("\"{}\"", path.display());
    let settings = [
        ("audit.output", &*output),
        ("audit.buffer", "10"),
        ("metrics.listen", "\"127.0.0.1:0\""),
    ];
    let server = Process::start(&at, &settings).await;
    let mut tokens = server.tokens().await;
    for _ in 0..100 {
        let issued = tokens.issue_token(client.request(Default::default()));
        let issued = tokio::time::timeout(Duration::from_secs(30), issued).await;
        issued.expect("it waits for nobody's record").unwrap();
    }
    // What the writing thread holds, and the buffer, may be anything up to most of them.
    server.reaches("countersign_audit_dropped_total", 1.0).await;
}
