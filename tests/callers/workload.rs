//! The SPIFFE Workload API as the source of the server's own identity, over its real protocol.

use super::{DOMAIN, proved_by, taken_for};
use crate::support::{
    certificates::{Authority, dns, uri},
    process::Process,
    server::Deployment,
};
use futures_util::{StreamExt as _, stream::BoxStream};
use http::{Request, Response};
use nix::sys::signal::Signal;
use std::{
    convert::Infallible,
    future::Ready,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{net::UnixListener, sync::watch};
use tokio_stream::wrappers::{UnixListenerStream, WatchStream};
use tonic::{
    Status,
    body::Body,
    server::{Grpc, NamedService, ServerStreamingService},
    transport::Server,
};
use tonic_prost::ProstCodec;
use tower::Service;

const SERVER: &str = "spiffe://example.org/countersign";
const LOGIN: &str = "spiffe://example.org/login";

/// `X509SVIDResponse` (SPIFFE Workload API section 5.2).
#[derive(Clone, PartialEq, prost::Message)]
struct X509SvidResponse {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<X509Svid>,
}

/// `X509SVID`.
#[derive(Clone, PartialEq, prost::Message)]
struct X509Svid {
    #[prost(string, tag = "1")]
    spiffe_id: String,
    /// `x509_svid`: the chain in DER.
    #[prost(bytes = "vec", tag = "2")]
    chain: Vec<u8>,
    /// `x509_svid_key`: the key in PKCS#8 DER.
    #[prost(bytes = "vec", tag = "3")]
    key: Vec<u8>,
    /// The authorities of its trust domain in DER.
    #[prost(bytes = "vec", tag = "4")]
    bundle: Vec<u8>,
}

/// An agent that tells what it is told.
#[derive(Clone)]
struct Agent(watch::Receiver<X509SvidResponse>);

impl NamedService for Agent {
    const NAME: &'static str = "SpiffeWorkloadAPI";
}

impl ServerStreamingService<()> for Agent {
    type Response = X509SvidResponse;
    type ResponseStream = BoxStream<'static, Result<X509SvidResponse, Status>>;
    type Future = Ready<Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<()>) -> Self::Future {
        let header = request.metadata().get("workload.spiffe.io");
        assert_eq!(header.unwrap(), "true");
        let told = WatchStream::new(self.0.clone()).map(Ok).boxed();
        std::future::ready(Ok(tonic::Response::new(told)))
    }
}

impl Service<Request<Body>> for Agent {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let agent = self.clone();
        Box::pin(async move {
            assert_eq!(request.uri().path(), "/SpiffeWorkloadAPI/FetchX509SVID");
            let codec: ProstCodec<X509SvidResponse, ()> = ProstCodec::default();
            Ok(Grpc::new(codec).server_streaming(agent, request).await)
        })
    }
}

type BoxFuture<T> = futures_util::future::BoxFuture<'static, T>;

/// What an agent tells of a server whose trust domain has this authority.
fn svid(authority: &Authority) -> X509SvidResponse {
    let pair = authority.sign(&[uri(SERVER), dns("localhost")]);
    X509SvidResponse {
        svids: vec![X509Svid {
            spiffe_id: SERVER.into(),
            chain: pair.certificate_der,
            key: pair.key_der,
            bundle: authority.der.clone(),
        }],
    }
}

#[tokio::test]
async fn the_servers_identity_comes_from_the_agent_and_changes_with_it() {
    let (first, second) = (Authority::new(DOMAIN), Authority::new(DOMAIN));
    let home = tempfile::TempDir::new().unwrap();
    let socket = home.path().join("agent.sock");
    let (tell, told) = watch::channel(svid(&first));
    let listener = UnixListener::bind(&socket).unwrap();
    let agent = Server::builder().add_service(Agent(told));
    tokio::spawn(agent.serve_with_incoming(UnixListenerStream::new(listener)));

    let mut at = Deployment::start().await;
    let api = format!("unix://{}", socket.display());
    let settings = [
        ("COUNTERSIGN_TLS_WORKLOAD_API", api.as_str()),
        ("COUNTERSIGN_TLS_CLIENT_CERTIFICATES", "required"),
    ];
    let port = at.another(&settings).await;
    let other_domain = "spiffe://example.com/login";
    let login = at.client_with(proved_by(&[LOGIN, other_domain], &[])).await;
    let holder = async |authority: &Authority, name: &str| {
        let pair = authority.sign(&[uri(name)]);
        let channel = authority.endpoint(port, Some(&pair)).connect().await.ok()?;
        let caller = Deployment::over(&at.nobody(), channel);
        Some(taken_for(&caller).await)
    };
    assert_eq!(holder(&first, LOGIN).await, Some(Ok(login.id.clone())));
    let foreign = holder(&first, other_domain).await;
    assert_eq!(foreign, Some(Err("CREDENTIALS_INVALID".into())));
    assert_ne!(holder(&second, LOGIN).await, Some(Ok(login.id.clone())));

    tell.send(svid(&second)).unwrap();
    let mut changed = false;
    for _ in 0..100 {
        changed = holder(&second, LOGIN).await == Some(Ok(login.id.clone()));
        if changed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(changed, "the server has taken the new identity over");
    assert_ne!(holder(&first, LOGIN).await, Some(Ok(login.id)));
}

#[tokio::test]
async fn a_signal_ends_a_server_that_waits_for_the_agent() {
    let at = Deployment::start().await;
    let home = tempfile::TempDir::new().unwrap();
    let api = format!("\"unix://{}\"", home.path().join("nobody.sock").display());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut server = Process::begin(&at, &[("tls.workload_api", &api)]);
        server.says("asking the Workload API").await;
        server.signal(signal);
        assert_eq!(server.exit_code().await, 0, "{}", server.log());
        server.says("stopping: before anything was served").await;
    }
}
