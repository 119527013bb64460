//! Unary gRPC calls over shared HTTP/2 connections, with nothing between the caller and
//! the frames: no channel, no buffer, no task a call.
//!
//! A caller encodes its own message and reads of the answer what it needs. Echo and the
//! authority are called by this same code. No TLS.
//!
//! The callers of a connection run in its task, as its calls do in the server: those that have
//! their answers at the same moment ask again at the same moment, and in one write. A connection
//! that ends is opened again (`link`).

mod link;

use super::Trouble;
use crate::driver::Streams;
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Method as Verb, Request, Uri, Version};
use link::Link;
use prost::{
    Message,
    bytes::{BufMut as _, Bytes, BytesMut},
};
use std::{fmt, io, sync::Arc, time::Duration};
use tonic::Status;
use tonic_types::StatusExt as _;

/// The bytes before a gRPC message: not compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The operating system says.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer speaks no HTTP/2.
    #[error(transparent)]
    Http(#[from] h2::Error),
    /// The target is no address like `http://127.0.0.1:7300`.
    #[error("expected an address like http://127.0.0.1:7300")]
    Target,
}

/// Some connections to one server, and what every call to it says.
#[derive(Clone)]
pub struct Wire {
    links: Vec<Arc<Link>>,
    authority: String,
    headers: HeaderMap,
}

impl Wire {
    /// Opens `connections` of them to `target`; `authorization` is sent with every call
    /// and, unlike a person's, may be remembered by HPACK.
    pub async fn open(
        target: &str,
        connections: usize,
        authorization: Option<HeaderValue>,
        timeout: Duration,
    ) -> Result<Self, WireError> {
        let uri: Uri = target.parse().map_err(|_| WireError::Target)?;
        if uri.scheme_str() != Some("http") {
            return Err(WireError::Target);
        }
        let authority = uri.authority().ok_or(WireError::Target)?.to_string();
        let address = format!(
            "{}:{}",
            uri.host().ok_or(WireError::Target)?,
            uri.port_u16().unwrap_or(80)
        );
        let mut links = Vec::with_capacity(connections);
        for _ in 0..connections {
            links.push(Link::open(address.clone(), timeout).await?);
        }
        let mut headers = HeaderMap::new();
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        if let Some(value) = authorization {
            headers.insert("authorization", value);
        }
        Ok(Self {
            links,
            authority,
            headers,
        })
    }

    /// What caller number `caller` of `method` (`/package.Service/Method`) calls with.
    pub fn line(&self, caller: usize, method: &str) -> Line {
        let uri = Uri::builder()
            .scheme("http")
            .authority(self.authority.as_str())
            .path_and_query(method)
            .build()
            // Its parts were parsed, or are constants.
            .unwrap_or_default();
        let link = Arc::clone(&self.links[caller % self.links.len()]);
        let (send, opening) = link.sender();
        Line {
            link,
            send,
            opening,
            uri,
            headers: self.headers.clone(),
            buffer: BytesMut::new(),
        }
    }

    /// How often one of the connections has ended.
    pub fn broken(&self) -> u64 {
        self.links.iter().map(|link| link.ended()).sum()
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({} to {})", self.links.len(), self.authority)
    }
}

/// One caller's way to one method.
pub struct Line {
    link: Arc<Link>,
    send: SendRequest<Bytes>,
    /// Which opening of the connection it sends over.
    opening: u64,
    uri: Uri,
    headers: HeaderMap,
    buffer: BytesMut,
}

impl Line {
    /// The task of its connection, in which whoever calls over it runs.
    pub fn task(&self) -> Streams {
        self.link.callers()
    }

    /// One call. A refusal is a [`Trouble::Failed`] with its code and reason.
    pub async fn call<Q: Message, A: Message + Default>(
        &mut self,
        message: &Q,
    ) -> Result<A, Trouble> {
        let length = message.encoded_len();
        self.begin(length);
        message.encode_raw(&mut self.buffer);
        self.send().await
    }

    /// One call with a message that is encoded already.
    pub async fn call_encoded<A: Message + Default>(
        &mut self,
        message: &[u8],
    ) -> Result<A, Trouble> {
        self.begin(message.len());
        self.buffer.put_slice(message);
        self.send().await
    }

    /// Writes what stands before a message of that many bytes.
    fn begin(&mut self, length: usize) {
        self.buffer.reserve(PREFIX_BYTES + length);
        self.buffer.put_u8(0);
        // A message of ours is far shorter than 4 GiB.
        self.buffer
            .put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    }

    /// Sends what was written, and hears the answer.
    async fn send<A: Message + Default>(&mut self) -> Result<A, Trouble> {
        let body = self.buffer.split().freeze();
        if self.link.opening() != self.opening {
            (self.send, self.opening) = self.link.sender();
        }
        let send = &mut self.send;
        let mut request = Request::new(());
        *request.method_mut() = Verb::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        futures_util::future::poll_fn(|cx| send.poll_ready(cx))
            .await
            .map_err(broken)?;
        let (response, mut sending) = send.send_request(request, false).map_err(broken)?;
        sending.send_data(body, true).map_err(broken)?;

        let (head, mut receiving) = response.await.map_err(broken)?.into_parts();
        if let Some(status) = Status::from_header_map(&head.headers) {
            return Err(refused(&status));
        }
        let mut answer = Answer::default();
        while let Some(chunk) = receiving.data().await {
            let chunk = chunk.map_err(broken)?;
            // The window was just made smaller by as much.
            let _ = receiving.flow_control().release_capacity(chunk.len());
            answer.add(chunk);
        }
        let trailers = receiving.trailers().await.map_err(broken)?;
        match trailers.as_ref().and_then(Status::from_header_map) {
            Some(status) if status.code() == tonic::Code::Ok => answer.decode(),
            Some(status) => Err(refused(&status)),
            None => Err(Trouble::failed("the answer has no grpc-status")),
        }
    }
}

/// A body that comes whole, but for long ones.
#[derive(Default)]
struct Answer {
    first: Bytes,
    rest: BytesMut,
}

impl Answer {
    fn add(&mut self, chunk: Bytes) {
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = chunk;
            return;
        }
        if self.rest.is_empty() {
            self.rest
                .extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&chunk);
    }

    fn decode<A: Message + Default>(self) -> Result<A, Trouble> {
        let body = if self.rest.is_empty() {
            self.first
        } else {
            self.rest.freeze()
        };
        let message = body.get(PREFIX_BYTES..).unwrap_or_default();
        A::decode(message).map_err(|_| Trouble::failed("the answer cannot be read"))
    }
}

fn refused(status: &Status) -> Trouble {
    let details = status.get_error_details();
    let reason = details.error_info().map(|info| info.reason.as_str());
    let code = format!("{:?}", status.code());
    Trouble::Failed(match reason {
        Some(reason) => format!("{code} {reason}"),
        None => format!("{code} {}", status.message()),
    })
}

fn broken(error: h2::Error) -> Trouble {
    Trouble::Lost(format!("the connection: {error}"))
}

#[cfg(test)]
mod tests;
