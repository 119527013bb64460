//! The calls of every moment go to their services by name. A router of all services would make
//! several boxes of each (BENCHMARKS.md); it is asked for the others.

use super::token_authority::TokenAuthority;
use crate::proto::v1::token_authority_service_server::{
    SERVICE_NAME as TOKENS, TokenAuthorityServiceServer,
};
use crate::sidecar::{AuthorizationServer, SERVICE_NAME as CHECKS, Sidecar};
use http::{Request, Response};
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::body::Body;
use tower::{Layer, Service};

/// The services that are reached without the router.
#[derive(Debug)]
pub(super) struct Hot {
    pub(super) tokens: TokenAuthorityServiceServer<TokenAuthority>,
    pub(super) checks: AuthorizationServer<Sidecar>,
}

/// Makes the layer's service.
#[derive(Debug, Clone)]
pub struct ShortcutLayer(Arc<Hot>);

impl ShortcutLayer {
    pub(super) fn new(hot: Hot) -> Self {
        Self(Arc::new(hot))
    }
}

impl<S> Layer<S> for ShortcutLayer {
    type Service = Shortcut<S>;

    fn layer(&self, others: S) -> Self::Service {
        Shortcut {
            hot: Arc::clone(&self.0),
            others,
        }
    }
}

/// The layer's service.
#[derive(Debug, Clone)]
pub struct Shortcut<S> {
    hot: Arc<Hot>,
    others: S,
}

impl<S> Service<Request<Body>> for Shortcut<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The hot services are always ready.
        self.others.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
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
