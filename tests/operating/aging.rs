//! A connection has an age: its caller finds another server, and loses no call.

use super::never_sent;
use crate::support::{process::Process, server::Deployment};
use countersign::proto::v1::{
    self, Role, token_authority_service_client::TokenAuthorityServiceClient,
};
use hyper_util::rt::TokioIo;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::net::TcpStream;
use tonic::{codegen::http::Uri, transport::Endpoint};

#[tokio::test]
async fn an_old_connection_is_replaced_and_no_call_fails() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let token = issuer.open(&at.user().await).await.access_token;
    let server = Process::start(&at, &[("connections.max_age", "\"1s\"")]).await;
    let address = server.address;
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let connector = tower::service_fn(move |_: Uri| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { TcpStream::connect(address).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_shared(format!("http://{address}"))
        .unwrap()
        .connect_with_connector(connector)
        .await
        .unwrap();
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    let started = Instant::now();
    let mut callers = Vec::new();
    for _ in 0..4 {
        let (channel, issuer, token) = (channel.clone(), issuer.clone(), token.clone());
        let connections = Arc::clone(&connections);
        callers.push(tokio::spawn(async move {
            let mut tokens = TokenAuthorityServiceClient::new(channel);
            let mut calls = 0;
            while connections.load(Ordering::Relaxed) < 4 {
                let found = loop {
                    let request = issuer.request(v1::IntrospectRequest {
                        token: token.clone(),
                        ..Default::default()
                    });
                    match tokens.introspect(request).await {
                        Err(status) if never_sent(&status) => {}
                        done => break done.expect("no failed call"),
                    }
                };
                assert!(found.into_inner().active);
                calls += 1;
                assert!(started.elapsed() < Duration::from_mins(1));
            }
            calls
        }));
    }
    let mut calls = 0;
    for caller in callers {
        calls += caller.await.unwrap();
    }
    assert!(calls > 20, "{calls} calls");
    // Three connections came to their age.
    assert!(started.elapsed() > Duration::from_millis(2_500));
}
