//! The outermost layer: gives a call its id, its caller and its deadline, and sees
//! how it ended.

use super::{
    Deadlines, credentials,
    limits::Limits,
    panics,
    spans::{self, CallSpans},
};
use crate::authority::{Authority, Call, CallAttributes, Failure};
use crate::domain::{
    caller::{Access, Claim, Credentials},
    clock,
    dpop::Verdict,
    refusal::Refusal,
};
use crate::grpc::{
    methods::{self, Class, Deadline, Method},
    reason, status,
    transport::Peer,
};
use crate::sidecar;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::Incoming;
use opentelemetry::{Context as Trace, trace::FutureExt as _};
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::time::timeout_at;
use tonic::{Code, Status, body::Body};
use tower::Service;

/// The metadata that holds a proof (RFC 9449 section 4.1).
const DPOP: &str = "dpop";
/// The metadata of an answer that holds a nonce for the next proof (section 8).
const DPOP_NONCE: &str = "dpop-nonce";

/// What the layer needs of the house.
#[derive(Debug)]
pub(in crate::grpc) struct Edge {
    authority: Arc<Authority>,
    deadlines: Deadlines,
    limits: Limits,
    spans: Option<CallSpans>,
    /// Of each row of the table of methods, and last of every other path.
    attributes: Vec<CallAttributes>,
}

impl Edge {
    /// An edge of this authority; `traced`: each call has a span.
    pub(in crate::grpc) fn new(
        authority: Arc<Authority>,
        deadlines: Deadlines,
        limits: Limits,
        traced: bool,
    ) -> Self {
        let paths = methods::TABLE.iter().map(|method| method.path);
        Self {
            authority,
            deadlines,
            limits,
            spans: CallSpans::new(traced),
            attributes: paths
                .chain([methods::OTHER])
                .map(CallAttributes::of)
                .collect(),
        }
    }
}

/// The layer around a service.
#[derive(Debug, Clone)]
pub struct CallService<S> {
    edge: Arc<Edge>,
    inner: S,
}

impl<S> CallService<S> {
    pub(in crate::grpc) fn new(edge: Arc<Edge>, inner: S) -> Self {
        Self { edge, inner }
    }
}

impl<S> Service<Request<Incoming>> for CallService<S>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let arrived = Instant::now();
        // What stands behind it is always ready, and a clone of it too.
        let inner = self.inner.clone();
        let edge = Arc::clone(&self.edge);
        let place = methods::place(request.uri().path());
        let trace = edge.spans.as_ref().map(|spans| {
            let method = place.map_or(methods::OTHER, |place| methods::TABLE[place].path);
            spans.start(method, &request, peer(&request))
        });
        match trace {
            None => Box::pin(edge.answer(inner, request, place, arrived, None)),
            Some(trace) => {
                let answer = edge.answer(inner, request, place, arrived, Some(trace.clone()));
                Box::pin(answer.with_context(trace))
            }
        }
    }
}

/// Where a call comes from.
fn peer<B>(request: &Request<B>) -> Option<SocketAddr> {
    request.extensions().get::<Peer>().and_then(Peer::address)
}

impl Edge {
    /// Admits a call, has it answered within its deadline, and notes how it ended.
    async fn answer<S>(
        self: Arc<Self>,
        mut inner: S,
        mut request: Request<Incoming>,
        place: Option<usize>,
        arrived: Instant,
        trace: Option<Trace>,
    ) -> Result<Response<Body>, Infallible>
    where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    {
        let proved = request.headers().contains_key(DPOP);
        // An unknown method is tonic's to answer: UNIMPLEMENTED.
        let response = if let Some(method) = place.map(|place| &methods::TABLE[place]) {
            let limit = self.deadline(method, request.headers());
            // One deadline for all of it: to find out who calls may take a query.
            let answered = panics::caught(async {
                self.admit(method, &mut request, arrived, trace.as_ref())
                    .await?;
                if let (Some(trace), Some(call)) = (&trace, request.extensions().get()) {
                    spans::note(trace, call);
                }
                Ok(inner.call(request).await)
            });
            let answered = match limit {
                None => answered.await,
                Some(limit) => timeout_at((arrived + limit).into(), answered)
                    .await
                    .unwrap_or_else(|_| Err(status::deadline_exceeded())),
            };
            match answered {
                Ok(response) => response?,
                Err(status) => status.into_http(),
            }
        } else {
            inner.call(request).await?
        };
        let status = Status::from_header_map(response.headers());
        let unread = status.as_ref().and_then(status::of_unread);
        let told = unread.as_ref().or(status.as_ref());
        let wants_nonce = told.is_some_and(|status| reason::of(status) == "USE_DPOP_NONCE");
        self.ended(place, told, arrived, trace);
        let failed = told.filter(|status| status.code() != Code::Ok);
        let mut response = match failed {
            Some(status)
                if place
                    .is_some_and(|place| methods::denies_errors(methods::TABLE[place].path)) =>
            {
                sidecar::in_place_of_an_error(status)
            }
            _ => unread.map_or(response, Status::into_http),
        };
        if proved
            && let Some(nonce) = self.authority.nonce(wants_nonce)
            && let Ok(nonce) = HeaderValue::try_from(nonce)
        {
            response.headers_mut().insert(DPOP_NONCE, nonce);
        }
        Ok(response)
    }

    /// Reads who calls, and leaves it in the request for the handler.
    async fn admit(
        &self,
        method: &'static Method,
        request: &mut Request<Incoming>,
        arrived: Instant,
        trace: Option<&Trace>,
    ) -> Result<(), Status> {
        if method.access == Access::Open {
            return Ok(());
        }
        let peer = request.extensions().get::<Peer>().cloned();
        let from = peer.as_ref().and_then(Peer::address);
        let refused = |refusal: Refusal| {
            self.authority.instruments().refused(&refusal);
            status::of_refusal(&refusal)
        };
        self.limits.call().map_err(refused)?;
        let credentials = self
            .credentials(method, request.headers(), peer.as_ref())
            .await
            .map_err(|failure| self.refused(from, failure))?;
        let proof = self.proof(method, request.headers()).map_err(refused)?;
        let claim = Claim {
            credentials,
            access: method.access,
            call: clock::uuid(),
        };
        let call = Call {
            claim,
            arrived,
            peer: from,
            proof,
            trace_id: spans::trace_id(trace, request.headers()),
        };
        if method.path.starts_with("/grpc.reflection.") {
            // A service that knows no callers: asked for here.
            self.authority
                .admit(&call)
                .await
                .map_err(|failure| status::of_failure(call.claim.call, &failure))?;
        }
        request.extensions_mut().insert(call);
        Ok(())
    }

    /// What became of the call's proof. Where a token is bound by it, the call goes on and is
    /// judged in its order; anywhere else a proof that fails is refused here.
    fn proof(&self, method: &Method, headers: &HeaderMap) -> Result<Option<Verdict>, Refusal> {
        let proofs = headers.get_all(DPOP).iter().map(HeaderValue::as_bytes);
        let proof = self.authority.proof_of_call(proofs, method.path)?;
        match proof {
            Some(Err(fault)) if method.class != Class::Issue => {
                Err(Refusal::InvalidDpopProof(fault))
            }
            proof => Ok(proof),
        }
    }

    /// Who calls, within the limits of that caller.
    async fn credentials(
        &self,
        method: &Method,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Credentials, Failure> {
        let from = peer.and_then(Peer::address);
        let presented = credentials::read(headers, peer, &self.authority)?;
        if presented.is_strange(&self.authority) {
            self.limits.lookup(from)?;
        }
        let credentials = presented.credentials(&self.authority).await?;
        self.limits.caller(&credentials, method.class)?;
        Ok(credentials)
    }

    /// The status of a call whose caller was not let in. One that fails too often from one
    /// address is not written about any more.
    fn refused(&self, from: Option<SocketAddr>, failure: Failure) -> Status {
        let limited = matches!(failure, Failure::Refused(Refusal::RateLimited { .. }));
        let failure = match failure {
            Failure::Refused(refusal) if !limited => match self.limits.failed(from) {
                Ok(()) => {
                    self.authority.refused_at_the_door(from, &refusal);
                    Failure::Refused(refusal)
                }
                Err(limited) => {
                    self.authority.instruments().refused(&limited);
                    limited.into()
                }
            },
            failure => {
                if let Failure::Refused(refusal) = &failure {
                    self.authority.instruments().refused(refusal);
                }
                failure
            }
        };
        status::of_failure(clock::uuid(), &failure)
    }

    /// How long the call may take: the server's own deadline, or the caller's if that
    /// is shorter. It fires a little before the timer of a client of tonic's, which would say
    /// CANCELLED.
    fn deadline(&self, method: &Method, headers: &HeaderMap) -> Option<Duration> {
        let own = match method.deadline {
            Deadline::Call => self.deadlines.call,
            Deadline::Rotation => self.deadlines.rotation,
            Deadline::Check => self.deadlines.check,
            Deadline::None => return None,
        };
        let asked = headers
            .get("grpc-timeout")
            .and_then(|value| grpc_timeout(value.as_bytes()));
        Some(asked.map_or(own, |asked| {
            let early = (asked / 20).min(Duration::from_millis(10));
            own.min(asked.saturating_sub(early))
        }))
    }

    /// Notes how a call ended, in metrics and in its span.
    fn ended(
        &self,
        place: Option<usize>,
        status: Option<&Status>,
        arrived: Instant,
        trace: Option<Trace>,
    ) {
        let code = status.map_or(Code::Ok, Status::code);
        let (name, reason_name) = (status::code_name(code), status.map_or("", reason::of));
        let attributes = &self.attributes[place.unwrap_or(methods::TABLE.len())];
        self.authority
            .instruments()
            .called(attributes, name, reason_name, arrived.elapsed());
        if let Some(trace) = trace {
            spans::end(&trace, code, name, reason_name);
        }
    }
}

/// Reads `grpc-timeout`: at most 8 digits and a unit.
fn grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    let amount: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(amount * 3600),
        b'M' => Duration::from_secs(amount * 60),
        b'S' => Duration::from_secs(amount),
        b'm' => Duration::from_millis(amount),
        b'u' => Duration::from_micros(amount),
        b'n' => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_in_every_unit() {
        assert_eq!(grpc_timeout(b"5S"), Some(Duration::from_secs(5)));
        assert_eq!(grpc_timeout(b"100m"), Some(Duration::from_millis(100)));
        assert_eq!(grpc_timeout(b"2H"), Some(Duration::from_hours(2)));
        for bad in [&b""[..], b"S", b"5", b"123456789S", b"-1S", b"5x"] {
            assert_eq!(grpc_timeout(bad), None);
        }
    }
}
