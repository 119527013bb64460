//! The bare echo: a tonic service of one unary method, with the HTTP/2 settings of the real
//! server over the TCP of tonic, in a process of its own.

use crate::{
    bench::callers::{Payload, path},
    cli::{exit::Exit, failure::Failure, output},
    grpc,
    shutdown::Signals,
};
use clap::Args;
use envoy_types::pb::{
    envoy::service::auth::v3::{
        CheckRequest, CheckResponse, OkHttpResponse,
        authorization_server::{Authorization, AuthorizationServer},
        check_response::HttpResponse,
    },
    google::rpc::Status as RpcStatus,
};
use http::{Request, Response};
use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    net::Ipv4Addr,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{io::AsyncReadExt as _, net::TcpListener};
use tonic::{
    Status,
    body::Body,
    server::{Grpc, NamedService, UnaryService},
    transport::server::TcpIncoming,
};
use tonic_prost::ProstCodec;
use tower::Service;

/// What `countersign bench` starts beside the server. It prints its address, and serves
/// until stdin ends or it is asked to stop.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  countersign bench-echo")]
pub(in crate::cli) struct EchoArgs {
    /// Calls of one connection at once
    #[arg(long, default_value_t = 1024)]
    max_concurrent_streams: u32,
}

/// Serves on a free port.
pub(in crate::cli) async fn run(args: EchoArgs) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Refused, error);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    output::write(format!("{address}\n").as_bytes())?;
    let signals = Signals::listen().map_err(failed)?;
    let asked = async {
        let ended = async {
            // Whatever it ends with, our parent is gone.
            let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
        };
        tokio::select! {
            () = ended => {}
            () = signals.heard(1) => {}
        }
    };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    grpc::bare_server(grpc::Connections::with(args.max_concurrent_streams))
        .add_service(EchoService)
        .add_service(AuthorizationServer::new(Yes))
        .serve_with_incoming_shutdown(incoming, asked)
        .await
        .map_err(|error| Failure::with_causes(Exit::Refused, &error))?;
    Ok(Exit::Ok)
}

/// The service, as generated code would have it.
#[derive(Clone)]
struct EchoService;

impl NamedService for EchoService {
    const NAME: &'static str = "countersign.bench.Echo";
}

impl Service<Request<Body>> for EchoService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != path::ECHO {
                return Ok(Status::unimplemented("only Echo").into_http());
            }
            Ok(Grpc::new(ProstCodec::default()).unary(Echo, request).await)
        })
    }
}

/// What Envoy's Check is compared with: it lets everything through.
#[derive(Debug)]
struct Yes;

#[tonic::async_trait]
impl Authorization for Yes {
    async fn check(
        &self,
        _: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, Status> {
        Ok(tonic::Response::new(CheckResponse {
            status: Some(RpcStatus::default()),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse::default())),
            ..CheckResponse::default()
        }))
    }
}

struct Echo;

impl UnaryService<Payload> for Echo {
    type Response = Payload;
    type Future = Ready<Result<tonic::Response<Payload>, Status>>;

    fn call(&mut self, request: tonic::Request<Payload>) -> Self::Future {
        ready(Ok(tonic::Response::new(request.into_inner())))
    }
}
