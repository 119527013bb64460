//! A denial in place of an error: of a call that no handler answered.

use super::{answer, decision::Doubt, message::CheckResponse};
use http::{HeaderMap, HeaderValue, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use prost::{Message as _, bytes::Bytes};
use tonic::{Code, Status, body::Body};

/// The path of Check.
pub const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// What Envoy gets instead of this error: an answer that denies. An error of the call would
/// be let through by `failure_mode_allow`.
pub fn in_place_of_an_error(status: &Status) -> Response<Body> {
    let doubt = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Doubt::Caller,
        Code::InvalidArgument => Doubt::Misconfigured,
        _ => Doubt::Unavailable,
    };
    let mut response = Response::new(body(&answer::doubt(doubt)));
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(CONTENT_TYPE, grpc);
    response
}

/// A message as the whole of an answer that is OK: one frame, and the trailers.
fn body(message: &CheckResponse) -> Body {
    let message = message.encode_to_vec();
    let mut frame = Vec::with_capacity(5 + message.len());
    frame.push(0);
    // A denial has some hundred bytes.
    frame.extend_from_slice(
        &u32::try_from(message.len())
            .unwrap_or_default()
            .to_be_bytes(),
    );
    frame.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let trailers = std::future::ready(Some(Ok(trailers)));
    Body::new(Full::new(Bytes::from(frame)).with_trailers(trailers))
}
