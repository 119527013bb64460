//! Names that are not resolved, beside hosts that are there.

use super::*;
use std::future::pending;
use tokio::net::TcpListener;

/// How long a busy machine may take for nothing.
const SOON: Duration = Duration::from_secs(20);

/// Knows the addresses that are written out; about names it is silent.
async fn silent(host: String, _: u16) -> io::Result<Vec<IpAddr>> {
    match host.parse() {
        Ok(address) => Ok(vec![address]),
        Err(_) => pending().await,
    }
}

fn url(text: &str) -> DatabaseUrl {
    DatabaseUrl::parse(text).unwrap()
}

#[tokio::test]
async fn a_name_whose_server_is_silent_holds_up_no_other_host() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = url(&format!(
        "postgres://u@silent.example,127.0.0.1:{port}/d?connect_timeout=600"
    ));
    let reached = async {
        tokio::select! {
            accepted = listener.accept() => accepted.is_ok(),
            _ = open_by(&url, silent) => false,
        }
    };
    assert_eq!(tokio::time::timeout(SOON, reached).await, Ok(true));
}

#[tokio::test]
async fn a_name_may_take_as_long_as_an_address() {
    let url = url("postgres://u@silent.example/d?connect_timeout=1");
    let opening = tokio::time::timeout(SOON, open_by(&url, silent));
    let error = opening.await.expect("it ends").expect_err("nobody");
    let told = "silent.example cannot be resolved";
    assert!(matches!(error, ConnectError::Unresolved { .. }));
    assert_eq!(error.to_string(), told);
}

#[tokio::test]
async fn a_host_that_was_reached_tells_more_than_a_name_without_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = url(&format!("postgres://u@nowhere.example,127.0.0.1:{port}/d"));
    let resolve = async |host: String, _| {
        let address = host.parse();
        address
            .map(|address| vec![address])
            .map_err(|_| io::ErrorKind::NotFound.into())
    };
    let error = open_by(&url, resolve).await.expect_err("nobody");
    assert!(matches!(error, ConnectError::Driver { .. }), "{error}");
}
