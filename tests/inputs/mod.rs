//! Bad input on every field of every call: each is refused by its name, and nothing is
//! written.

mod ids;
mod issuing;
mod messages;
mod settings;
mod sizes;
mod tokens;

use crate::support::server::{Caller, Refused, answer};
use countersign::proto::v1::{self, revoke_session_request::Target};
use prost_types::Duration;
use tonic::Code;

const UUIDS: [&str; 6] = [
    "x",
    "01a2065ac636729d8bc5b8435a6a0fc2",
    "\0",
    "é",
    "{01a2065a-c636-729d-8bc5-b8435a6a0fc2}",
    "",
];

fn huge() -> String {
    "x".repeat(1 << 20)
}

fn seconds(seconds: i64) -> Duration {
    Duration { seconds, nanos: 0 }
}

fn named(refused: &Refused, field: &str) {
    assert_eq!(refused.code, Code::InvalidArgument, "{field}: {refused:?}");
    let found = refused
        .fields
        .iter()
        .any(|found| found == field || found.starts_with(&format!("{field}[")));
    assert!(found, "{field} is not among {:?}", refused.fields);
    assert!(refused.reason.starts_with("INVALID_"), "{refused:?}");
}

async fn revoke(
    caller: &Caller,
    target: Option<Target>,
) -> Result<v1::RevokeSessionResponse, Refused> {
    let request = caller.request(v1::RevokeSessionRequest { target });
    answer(caller.tokens().revoke_session(request).await)
}
