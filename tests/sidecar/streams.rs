//! What only HTTP/2 has: thousands of requests over one connection, and trailers.

use super::{
    DEFAULT, envoy,
    gateway::{Gateway, change},
};
use crate::support::server::Deployment;
use countersign::proto::v1::{self, Role};
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, HeaderName, Request, Response};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

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

/// An application of HTTP/2. Returns its port, and the trailers of each request.
async fn application() -> (u16, mpsc::UnboundedReceiver<HeaderMap>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut answer))) = connection.accept().await {
                    let tell = tell.clone();
                    tokio::spawn(async move {
                        let mut body = request.into_body();
                        while let Some(Ok(data)) = body.data().await {
                            let _ = body.flow_control().release_capacity(data.len());
                        }
                        let trailers = body.trailers().await.unwrap().unwrap_or_default();
                        tell.send(trailers).unwrap();
                        answer.send_response(Response::new(()), true).unwrap();
                    });
                }
            });
        }
    });
    (port, told)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_trailer_of_ours_comes_from_outside() {
    let at = Deployment::start_with(1, &[DEFAULT]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let (port, mut told) = application().await;
    let options = "      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          \"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }\n";
    let cluster = "    - name: application\n      type: STATIC\n";
    let speaks = change(cluster, &format!("{cluster}{options}"));
    let gateway = Gateway::before(port, &at.targets()[0], &envoy(&at).await, &[speaks]).await;
    let own = v1::IssueTokenRequest::default();
    let token = issuer.issue(own).await.unwrap().access_token;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    let running = tokio::spawn(connection);
    let request = Request::post("http://app.example/")
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .unwrap();
    let mut send = send.ready().await.unwrap();
    let (answer, mut body) = send.send_request(request, false).unwrap();
    body.send_data("x".into(), false).unwrap();
    let mut trailers = HeaderMap::new();
    for name in [
        "subject",
        "client-id",
        "scopes",
        "session-id",
        "token-id",
        "expires-at",
    ] {
        for prefix in ["x-countersign-", "x_countersign_"] {
            let name = HeaderName::try_from(format!("{prefix}{name}")).unwrap();
            trailers.insert(name, "mallory".parse().unwrap());
        }
    }
    trailers.insert("x-checksum", "1".parse().unwrap());
    body.send_trailers(trailers).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    let received = told.recv().await.unwrap();
    let names: Vec<_> = received.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-checksum"]);
    running.abort();
}
