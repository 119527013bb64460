//! The calls of every moment go to their services by name. A router of all services would make
//! several boxes of each (BENCHMARKS.md); it is asked for the others.

use super::token_authority::TokenAuthority;
use crate::proto::v1::token_authority_service_server::{
    SERVICE_NAME as TOKENS, TokenAuthorityServiceServer,
};
use crate::sidecar::{AuthorizationServer, SERVICE_NAME as CHECKS, Sidecar};
use http::{Request, Response};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::{body::Body, service::Routes};
use tower::Service;

/// The services that are reached without the router.
#[derive(Debug)]
pub(super) struct Hot {
    pub(super) tokens: TokenAuthorityServiceServer<TokenAuthority>,
    pub(super) checks: AuthorizationServer<Sidecar>,
}

/// All services.
#[derive(Debug, Clone)]
pub struct Shortcut {
    hot: Arc<Hot>,
    others: Routes,
}

impl Shortcut {
    pub(super) fn new(hot: Hot, others: Routes) -> Self {
        Self {
            hot: Arc::new(hot),
            others,
        }
    }
}

impl Service<Request<Incoming>> for Shortcut {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // As all services of tonic's, the hot ones are always ready.
        <Routes as Service<Request<Incoming>>>::poll_ready(&mut self.others, cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match service(request.uri().path()) {
            Some(TOKENS) => self.hot.tokens.clone().call(request),
            Some(CHECKS) => self.hot.checks.clone().call(request),
            _ => Box::pin(self.others.call(request)),
        }
    }
}

/// The service that a path names, `/package.Service/Method`.
fn service(path: &str) -> Option<&str> {
    let (service, _) = path.strip_prefix('/')?.split_once('/')?;
    Some(service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_service() {
        assert_eq!(service("/a.v1.B/C"), Some("a.v1.B"));
        assert_eq!(service("/a.v1.B/"), Some("a.v1.B"));
        for none in ["", "/", "/a.v1.B", "a.v1.B/C"] {
            assert_eq!(service(none), None, "{none:?}");
        }
    }
}
