//! What every call passes, around a service that panics. No database is asked.

use super::*;
use crate::{
    config::Flags,
    domain::{keys::new_key_line, tokens::ClientSecret},
    proto::v1::{IssueTokenRequest, token_authority_service_client::TokenAuthorityServiceClient},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use envoy_types::pb::envoy::service::auth::v3::{
    CheckRequest, authorization_client::AuthorizationClient, check_response::HttpResponse,
};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{convert::Infallible, io};
use tonic::{
    Code,
    body::Body,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, Endpoint},
};
use tower::Service as _;
use uuid::Uuid;

/// One connection to an edge whose services panic, and what proves a caller there.
async fn over_a_panic() -> (Channel, MetadataValue<Ascii>) {
    let ring = Arc::new(KeyRing::parse(&new_key_line(&[7; 36])).unwrap());
    let client_id = Uuid::from_u128(1);
    let secret = ClientSecret::mint(ring.minting(), client_id, &[1; 24]).plaintext();
    let pair = STANDARD.encode(format!("{client_id}:{}", secret.reveal()));
    let variables = [
        (
            "COUNTERSIGN_DATABASE_URL",
            "postgres://nobody@127.0.0.1:1/none",
        ),
        ("COUNTERSIGN_KEYS_FILE", "/unused"),
        ("COUNTERSIGN_AUDIT_OUTPUT", "/dev/null"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let config = Config::load(None, variables.into_iter(), Flags::default()).unwrap();
    let authority = Arc::new(authority(&config, ring, 0).unwrap());
    let panics =
        async |_: Request<Incoming>| -> Result<Response<Body>, Infallible> { panic!("on purpose") };
    let options = edge_options(&config, false);
    let services = grpc::around(&authority, &options, tower::service_fn(panics));
    let (near, far) = tokio::io::duplex(1 << 16);
    let serve = service_fn(move |request| services.clone().call(request));
    let serve =
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(far), serve);
    tokio::spawn(serve);
    let mut near = Some(TokioIo::new(near));
    // There is no second connection.
    let connect = tower::service_fn(move |_| {
        std::future::ready(
            near.take()
                .ok_or(io::Error::other("the connection has ended")),
        )
    });
    let endpoint = Endpoint::from_static("http://test");
    let channel = endpoint.connect_with_connector(connect).await.unwrap();
    (channel, format!("Basic {pair}").parse().unwrap())
}

#[tokio::test]
async fn a_call_whose_handler_panics_hears_internal_and_its_connection_goes_on() {
    let (channel, proof) = over_a_panic().await;
    for _ in 0..2 {
        let mut request = tonic::Request::new(IssueTokenRequest::default());
        request
            .metadata_mut()
            .insert("authorization", proof.clone());
        let mut tokens = TokenAuthorityServiceClient::new(channel.clone());
        let status = tokens.issue_token(request).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal, "{status:?}");
        assert!(!status.message().contains("on purpose"), "{status:?}");
    }
}

#[tokio::test]
async fn a_check_whose_handler_panics_is_denied_and_no_error() {
    let (channel, proof) = over_a_panic().await;
    let mut request = tonic::Request::new(CheckRequest::default());
    request.metadata_mut().insert("authorization", proof);
    let answer = AuthorizationClient::new(channel).check(request).await;
    let answer = answer.unwrap().into_inner();
    assert_ne!(answer.status.unwrap().code, i32::from(Code::Ok));
    let Some(HttpResponse::DeniedResponse(denied)) = answer.http_response else {
        panic!("not denied")
    };
    assert_eq!(denied.status.unwrap().code, 503);
}
