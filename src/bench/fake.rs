//! A server for the tests, that answers as it is told.

use h2::server;
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};

/// What it does about a call.
pub enum Answer {
    /// Answers with this message.
    Message(Vec<u8>),
    /// Refuses with this code.
    Refusal(tonic::Code),
    /// Says nothing.
    Silence,
}

/// Decides by the path and the message.
pub type Decide = Arc<dyn Fn(&str, &[u8]) -> Answer + Send + Sync>;

/// Serves for good; where.
pub async fn start(decide: impl Fn(&str, &[u8]) -> Answer + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let decide: Decide = Arc::new(decide);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, usize::MAX, Arc::clone(&decide)));
        }
    });
    target
}

/// Takes so many calls, and then ends the connection without a word.
pub async fn serve(stream: TcpStream, calls: usize, decide: Decide) {
    let mut connection = server::handshake(stream).await.unwrap();
    let mut taken = 0;
    while taken < calls
        && let Some(Ok((request, mut respond))) = connection.accept().await
    {
        taken += 1;
        let decide = Arc::clone(&decide);
        tokio::spawn(async move {
            let path = request.uri().path().to_owned();
            let mut body = request.into_body();
            let mut said = Vec::new();
            while let Some(Ok(chunk)) = body.data().await {
                said.extend_from_slice(&chunk);
            }
            let (message, code) = match decide(&path, said.get(5..).unwrap_or_default()) {
                Answer::Message(message) => (Some(message), tonic::Code::Ok),
                Answer::Refusal(code) => (None, code),
                Answer::Silence => std::future::pending().await,
            };
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from(code as i32));
            // Nobody hears it where the connection has ended.
            if let Ok(mut send) = respond.send_response(http::Response::new(()), false) {
                if let Some(message) = message {
                    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
                    let framed = [&[0][..], &length, &message].concat();
                    let _ = send.send_data(framed.into(), false);
                }
                let _ = send.send_trailers(trailers);
            }
        });
    }
}
