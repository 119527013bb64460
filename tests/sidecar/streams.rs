//! Thousands of requests over one connection of HTTP/2.

use super::{
    DEFAULT, envoy,
    gateway::{Gateway, change},
};
use crate::support::server::Deployment;
use countersign::proto::v1::{self, Role};
use futures_util::{StreamExt as _, stream};
use http::Request;
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_streams_of_one_connection_are_each_answered_right() {
    // However slow the machine is, nothing is turned away for it.
    let settings = [
        DEFAULT,
        ("COUNTERSIGN_SIDECAR_DEADLINE", "10s"),
        ("COUNTERSIGN_BATCH_MAX_WAIT", "1m"),
    ];
    let at = Deployment::start_with(1, &settings).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let patient = change("  timeout: 0.2s", "  timeout: 30s");
    let gateway = Gateway::start(&at.targets()[0], &envoy(&at).await, &[patient]).await;
    let good = issuer
        .issue(v1::IssueTokenRequest::default())
        .await
        .unwrap();
    let good = format!("Bearer {}", good.access_token);
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    let running = tokio::spawn(connection);
    let asks = (0..4000).map(|n| {
        let (send, good) = (send.clone(), good.clone());
        // Each on its own task, so that answers are read as fast as they come: Envoy ends a
        // connection that takes none.
        let ask = tokio::spawn(async move {
            let mut request = Request::get(format!("http://app.example/{n}"));
            let token = [None, Some(good.as_str()), Some("Bearer cs_at_x")][n % 3];
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            let mut send = send.ready().await.unwrap();
            let (answer, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
            let answer = answer.await.unwrap();
            let status = answer.status().as_u16();
            let mut body = answer.into_body();
            while let Some(data) = body.data().await {
                let length = data.unwrap().len();
                body.flow_control().release_capacity(length).unwrap();
            }
            (n % 3, status)
        });
        async move { ask.await.unwrap() }
    });
    let mut answers = [0; 3];
    let mut asks = stream::iter(asks).buffer_unordered(1000);
    while let Some((kind, status)) = asks.next().await {
        assert_eq!(status, if kind == 1 { 200 } else { 401 });
        answers[kind] += 1;
    }
    assert_eq!(answers, [1334, 1333, 1333]);
    running.abort();
}
