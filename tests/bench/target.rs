//! `countersign bench` against a server that runs already.

use super::{PATIENCE, bench, names, ok, place, run, signal, text};
use crate::support::server::Deployment;
use countersign::proto::v1::Role;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    fs,
    io::ErrorKind,
    net::TcpListener,
    path::Path,
    time::{Duration, Instant},
};
use tokio::io::AsyncReadExt as _;

const SOMEBODY: &str = "0198c0de-0000-7000-8000-000000000001";

/// The words that name a target, and who calls it.
fn target(place: &Path, url: &str, id: &str, secret: &str) -> Vec<String> {
    let file = place.join("secret");
    fs::write(&file, secret).unwrap();
    let file = file.to_str().unwrap();
    let words = [
        "--target",
        url,
        "--client-id",
        id,
        "--client-secret-file",
        file,
    ];
    words.map(str::to_owned).to_vec()
}

#[tokio::test]
async fn a_target_gets_back_what_was_opened_there_and_the_rest_is_named() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let place = place();
    let json = place.path().join("bench.json");
    let target = target(place.path(), &at.targets()[0], &issuer.id, &issuer.secret);
    let target: Vec<_> = target.iter().map(String::as_str).collect();
    let target = [&target[..], &["--json", json.to_str().unwrap()]].concat();
    let words = [&target[..], &["--subject", &subject]].concat();
    let table = ok(&run(place.path(), &words).await);

    let report = || -> Value { serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap() };
    let first = report();
    for row in first["results"].as_array().unwrap() {
        assert!(row["per_second"].as_f64().unwrap() > 0.0, "{row}");
        assert_eq!(row["errors"], 0, "{row}");
    }
    let ran = names(&first, "results");
    assert!(ran.iter().all(|name| !name.starts_with("pg-")), "{ran:?}");
    assert!(ran.contains(&"revoke".to_owned()) && ran.contains(&"mix".to_owned()));
    assert!(
        table.contains("left out: pg-select: needs the database itself"),
        "{table}"
    );
    let left = "SELECT count(*) FROM auth.refresh_session";
    let left: i64 = at.sql.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(left, 0, "every session was revoked");
    // What was only counted ends by itself within a minute.
    let long = "SELECT count(*) FROM public.oauth_access_tokens t
        WHERE t.expires_at > clock_timestamp() + interval '61 s'
        AND NOT t.metadata ? 'session_id' AND NOT t.metadata ? 'revoked_at'";
    let long: i64 = at.sql.query_one(long, &[]).await.unwrap().get(0);
    assert_eq!(long, 0, "every token that was asked about was revoked");

    let words = [&target[..], &["--only", "introspect,open"]].concat();
    let table = ok(&run(place.path(), &words).await);
    assert!(table.contains("left out: open: give --subject"), "{table}");
    assert_eq!(names(&report(), "results"), ["echo", "introspect"]);
}

#[tokio::test]
async fn no_secret_goes_to_where_tls_was_asked_for() {
    let place = place();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let cases = [
        (format!("https://{address}"), &[][..]),
        (format!("HTTPS://{address}"), &[]),
        (address.to_string(), &[]),
        (format!("http://{address}"), &["--ca-file", "/any"]),
        (
            format!("http://{address}"),
            &["--certificate-file", "/any", "--key-file", "/any"],
        ),
    ];
    for (url, more) in cases {
        let words = target(place.path(), &url, SOMEBODY, "a-secret");
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let words = [&words[..], more, &["--only", "echo", "--timeout", "1s"]].concat();
        let refused = run(place.path(), &words).await;
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(64), "{url} {more:?}: {said}");
        let wanted = if url.contains("://") {
            "no TLS"
        } else {
            "expected an address"
        };
        assert!(said.contains(wanted), "{url} {more:?}: {said}");
        let called = listener.accept().map(drop).map_err(|error| error.kind());
        assert_eq!(called, Err(ErrorKind::WouldBlock), "{url} {more:?}");
    }
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_opened_again_and_the_report_says_so() {
    let at = Deployment::start_with(1, &[("COUNTERSIGN_CONNECTIONS_MAX_AGE", "1s")]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let place = place();
    let json = place.path().join("bench.json");
    let words = target(place.path(), &at.targets()[0], &issuer.id, &issuer.secret);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    // Long enough that each connection comes of age several times.
    let more = ["--only", "introspect-forged", "--seconds", "4", "--json"];
    let words = [&words[..], &more, &[json.to_str().unwrap()]].concat();
    let table = ok(&run(place.path(), &words).await);
    let report: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let broken = report["facts"]["broken_connections"].as_u64();
    assert!(
        broken.is_some_and(|times| times >= 2),
        "{}",
        report["facts"]
    );
    assert!(table.contains("broken connections"), "{table}");
    // The last round is as good as any: of its calls nearly all succeed.
    let told = &report["results"][1];
    assert!(
        told["rounds"][1]["per_second"].as_f64().unwrap() > 50.0,
        "{told}"
    );
    assert!(told["errors"].as_u64() < told["calls"].as_u64(), "{told}");
}

#[tokio::test]
async fn sessions_that_cannot_be_revoked_are_counted_and_cost_no_report() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let never = "
        CREATE FUNCTION public.never() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'never'; END $$;
        CREATE TRIGGER never BEFORE DELETE ON auth.refresh_session
            FOR EACH ROW EXECUTE FUNCTION public.never();";
    at.sql.batch_execute(never).await.unwrap();
    let place = place();
    let json = place.path().join("bench.json");
    let words = target(place.path(), &at.targets()[0], &issuer.id, &issuer.secret);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let more = ["--only", "echo", "--subject", &subject, "--json"];
    let words = [&words[..], &more, &[json.to_str().unwrap()]].concat();
    let ran = run(place.path(), &words).await;
    let (table, said) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(1), "{said}");
    let report: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(names(&report, "results"), ["echo"]);
    let left = "SELECT count(*) FROM auth.refresh_session";
    let left: i64 = at.sql.query_one(left, &[]).await.unwrap().get(0);
    assert!(left > 0);
    assert_eq!(report["not_revoked"]["sessions"].as_i64(), Some(left));
    // What could be revoked was: the tokens that belong to no session.
    assert_eq!(report["not_revoked"]["tokens"], 0);
    let sentence = format!("{left} sessions could not be revoked: ");
    assert!(
        table.contains(&sentence) && said.contains(&sentence),
        "{table}{said}"
    );
}

#[tokio::test]
async fn what_is_of_the_private_instance_alone_is_refused_with_a_target() {
    let place = place();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let words = target(place.path(), &url, SOMEBODY, "a-secret");
    for (option, value) in [
        ("--rows", Some("5000")),
        ("--sessions", Some("5000")),
        ("--home", Some("/any")),
        ("--database-url", Some("postgres://any")),
        ("--postgres", Some("15")),
        ("--postgres-setting", Some("a=b")),
        ("--set", Some("batch.in_flight=4")),
        ("--pg-connections", Some("3")),
        ("--envoy", Some("/any")),
        ("--no-checkpoints", None),
    ] {
        let words = words
            .iter()
            .map(String::as_str)
            .chain([option])
            .chain(value);
        let refused = run(place.path(), &words.collect::<Vec<_>>()).await;
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(64), "{option}: {said}");
        assert!(
            said.contains(&format!("alone: {option};")),
            "{option}: {said}"
        );
    }
    let called = listener.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(called, Err(ErrorKind::WouldBlock));
}

/// Somebody who takes a connection, reads, and never says a word: until so many bytes came.
async fn silent(listener: &tokio::net::TcpListener, bytes: usize) -> tokio::net::TcpStream {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (mut read, mut buffer) = (0, [0; 1024]);
    while read < bytes {
        read += match stream.read(&mut buffer).await.unwrap() {
            0 => panic!("it hung up after {read} bytes"),
            some => some,
        };
    }
    stream
}

#[tokio::test]
async fn a_target_that_never_answers_is_waited_for_no_longer_than_that() {
    let place = place();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let words = target(place.path(), &url, SOMEBODY, "a-secret");
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let more = ["--connections", "1", "--timeout", "1s"];
    let words = [&words[..], &more].concat();
    let (ran, _open) = tokio::join!(run(place.path(), &words), silent(&listener, 1));
    let said = text(&ran.stderr);
    assert_eq!(ran.status.code(), Some(69), "{said}");
    assert!(said.contains("no answer within --timeout"), "{said}");
}

#[tokio::test]
async fn a_second_signal_ends_a_bench_that_waits_for_its_target() {
    let place = place();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let words = target(place.path(), &url, SOMEBODY, "a-secret");
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let more = ["--connections", "1", "--timeout", "1h"];
    let words = [&words[..], &more].concat();
    let mut child = bench(place.path(), &words).spawn().unwrap();
    // More than a connection begins with, so it waits for the answer to a call.
    let _open = silent(&listener, 200).await;
    // Two of a kind might be taken for one.
    signal(&child, Signal::SIGINT);
    signal(&child, Signal::SIGTERM);
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    assert_eq!(ended.expect("it ends").unwrap().code(), Some(1));
}

#[tokio::test]
async fn an_interrupted_bench_revokes_what_it_had_opened_and_opens_no_more() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let place = place();
    let words = target(place.path(), &at.targets()[0], &issuer.id, &issuer.secret);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let words = [&words[..], &["--subject", &subject]].concat();
    let mut child = bench(place.path(), &words).spawn().unwrap();
    let count = async |of: &str| -> i64 {
        let counted = format!("SELECT count(*) FROM {of}");
        at.sql.query_one(&counted, &[]).await.unwrap().get(0)
    };
    let began = Instant::now();
    while count("auth.refresh_session").await == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        assert!(began.elapsed() < PATIENCE, "it opens nothing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    signal(&child, Signal::SIGINT);
    let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    assert_eq!(ended.expect("it ends").unwrap().code(), Some(1));
    assert_eq!(count("auth.refresh_session").await, 0);
    // All that it prepares would be 2,048 of each kind, and no row has run.
    let opened = count("countersign.session_grant").await;
    assert!((1..2048).contains(&opened), "{opened}");
}

#[tokio::test]
async fn tokens_are_issued_anew_before_they_expire() {
    let at = Deployment::start_with(1, &[("COUNTERSIGN_TOKENS_ACCESS_TOKEN_TTL", "25s")]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let place = place();
    let json = place.path().join("bench.json");
    let words = target(place.path(), &at.targets()[0], &issuer.id, &issuer.secret);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    // Two rows of a second in each round: a token lives for many, and not for all of them.
    let more = ["--only", "introspect", "--seconds", "14", "--rounds", "14"];
    let rest = ["--subject", &subject, "--json", json.to_str().unwrap()];
    let words = [&words[..], &more, &rest].concat();
    ok(&run(place.path(), &words).await);
    let report: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(names(&report, "results"), ["echo", "introspect"]);
    for row in report["results"].as_array().unwrap() {
        assert_eq!(row["errors"], 0, "{row}");
    }
    let left = "SELECT count(*) FROM auth.refresh_session";
    let left: i64 = at.sql.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(left, 0, "those that replaced others were revoked too");
}
