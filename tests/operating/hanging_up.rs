//! Who hangs up takes nobody else along: through a proxy, calls of strangers share a connection.

use super::waits_for_a_lock;
use crate::{races::PATIENT, support::server::Deployment};
use countersign::proto::v1::{self, Role};
use prost::Message as _;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Frames of HTTP/2 (RFC 9113 section 6).
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    async fn read(from: &mut TcpStream) -> Self {
        let mut head = [0; 9];
        from.read_exact(&mut head).await.expect("it goes on");
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        from.read_exact(&mut payload).await.expect("it goes on");
        Self {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        }
    }
}

/// The headers of a call, each as a literal with a new name (RFC 7541 section 6.2.2).
fn call(path: &str, authorization: &str) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "localhost"),
        (":path", path),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("authorization", authorization),
    ] {
        block.push(0);
        for text in [name, value] {
            // An integer with a prefix of seven bits (section 5.1).
            match u8::try_from(text.len()).unwrap() {
                short @ ..127 => block.push(short),
                long => block.extend([127, long - 127]),
            }
            block.extend(text.as_bytes());
        }
    }
    block
}

#[tokio::test]
async fn many_calls_given_up_at_once_leave_the_others_of_their_connection_alone() {
    let at = Deployment::start_with(1, &PATIENT).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let authorization = issuer.authorization();
    let authorization = authorization.to_str().unwrap();
    let address = at.targets()[0].trim_start_matches("http://").to_owned();
    let mut blocker = at.database.client().await;
    let held = blocker.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE public.oauth_access_tokens IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();

    // A call that takes its time.
    let mut connection = TcpStream::connect(address).await.unwrap();
    let path = "/countersign.v1.TokenAuthorityService/IssueToken";
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    sent.extend(Frame::bytes(SETTINGS, 0, 0, &[]));
    sent.extend(Frame::bytes(
        HEADERS,
        END_HEADERS,
        1,
        &call(path, authorization),
    ));
    sent.extend(Frame::bytes(DATA, END_STREAM, 1, &[0; 5]));
    connection.write_all(&sent).await.unwrap();
    waits_for_a_lock(&at).await;

    // And many that are over before the server has looked at the first.
    let path = "/grpc.health.v1.Health/Check";
    let mut sent = Vec::new();
    for stream in (3..).step_by(2).take(30) {
        let block = call(path, authorization);
        sent.extend(Frame::bytes(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &block,
        ));
        sent.extend(Frame::bytes(RST_STREAM, 0, stream, &CANCEL));
    }
    sent.extend(Frame::bytes(PING, 0, 0, &[7; 8]));
    connection.write_all(&sent).await.unwrap();
    let answered = async {
        loop {
            let frame = Frame::read(&mut connection).await;
            assert_ne!(frame.kind, GOAWAY, "{:?}", frame.payload);
            if frame.kind == PING && frame.flags & ACK != 0 {
                break;
            }
        }
        held.rollback().await.unwrap();
        loop {
            let frame = Frame::read(&mut connection).await;
            assert_ne!(frame.kind, GOAWAY, "{:?}", frame.payload);
            if frame.kind == DATA && frame.stream == 1 {
                break frame.payload;
            }
        }
    };
    let answered = tokio::time::timeout(Duration::from_mins(1), answered).await;
    let minted = v1::IssueTokenResponse::decode(&answered.unwrap()[5..]).unwrap();
    assert!(issuer.active(&minted.access_token).await);
}
