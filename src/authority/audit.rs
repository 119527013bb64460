//! The audit stream: one JSON line for every security event.
//!
//! It never blocks a call: records go through a bounded buffer to a thread of their
//! own, and what finds the buffer full is dropped and counted. What must not be
//! lost, the endings and administrative changes, stands in `countersign.event` as
//! well, in the transaction that made it so.

use super::Call;
use crate::domain::{clock, instruments::AUDIT_DROPPED, refusal::Refusal};
use chrono::{DateTime, Utc};
use opentelemetry::metrics::Counter;
use serde::Serialize;
use std::{
    io::Write,
    net::SocketAddr,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};
use uuid::Uuid;

/// One line of the stream. No field can hold a token, a secret, a key or a proof.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Record {
    /// When, by the server's clock.
    pub at: DateTime<Utc>,
    /// What was tried: `caller`, `issue`, `rotate`, `revoke`, `client`, `user` and so
    /// on.
    pub event: &'static str,
    /// `done` or `refused`.
    pub outcome: &'static str,
    /// Why it was refused: a name of `ErrorReason`. Or what was special about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The call, as in the logs and in `countersign.event`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<Uuid>,
    /// The trace that the call belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The client that called; proved only if the reason is none of the caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Uuid>,
    /// What its certificate or its mesh named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// The workload behind the proxy that called, as the proxy says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Where the call came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<SocketAddr>,
    /// The client that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Uuid>,
    /// The user that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Uuid>,
    /// The session that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Uuid>,
    /// The access token that it was about, by its public id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<Uuid>,
    /// The generation of the refresh token that it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// The ids of the keys in use, the minting one first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// How many sessions ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<u32>,
}

impl Record {
    /// Something that was refused.
    pub fn refused(event: &'static str, refusal: &Refusal) -> Self {
        Self {
            event,
            outcome: "refused",
            reason: Some(refusal.reason()),
            ..Self::default()
        }
    }

    /// The same, of this call.
    pub fn of(self, call: &Call) -> Self {
        Self {
            call: Some(call.claim.call),
            caller: Some(call.claim.credentials.client_id),
            identity: call
                .claim
                .credentials
                .identity
                .as_ref()
                .map(ToString::to_string),
            peer: call.peer,
            trace_id: call.trace_id.clone(),
            ..self
        }
    }
}

/// The near end of the stream.
#[derive(Debug)]
pub struct Audit {
    stream: SyncSender<Record>,
    dropped: Counter<u64>,
}

impl Audit {
    /// Starts the stream into `output`, with room for `buffer` records.
    pub fn start(output: Box<dyn Write + Send>, buffer: usize) -> std::io::Result<Self> {
        let (stream, records) = sync_channel(buffer);
        let dropped = opentelemetry::global::meter("countersign")
            .u64_counter(AUDIT_DROPPED.name)
            .with_unit(AUDIT_DROPPED.unit)
            .with_description(AUDIT_DROPPED.description)
            .build();
        // From zero, so that its first step is seen.
        dropped.add(0, &[]);
        let lost = dropped.clone();
        thread::Builder::new()
            .name("audit".into())
            .spawn(move || write(&records, output, &lost))?;
        Ok(Self { stream, dropped })
    }

    /// Puts a record into the stream, or drops and counts it.
    pub fn record(&self, record: Record) {
        if self
            .stream
            .try_send(Record {
                at: clock::now(),
                ..record
            })
            .is_err()
        {
            self.dropped.add(1, &[]);
        }
    }
}

/// How long records gather before they are written. Without it every record would wake the
/// writing thread, at several times the cost of the record.
const GATHERING: Duration = Duration::from_millis(1);

fn write(records: &Receiver<Record>, mut output: Box<dyn Write + Send>, dropped: &Counter<u64>) {
    let mut failing = false;
    let mut lines = Vec::new();
    while let Ok(first) = records.recv() {
        thread::sleep(GATHERING);
        if failing {
            // Ends the line in whose midst the disk was full.
            lines.push(b'\n');
        }
        let mut count = 0;
        let mut written = Ok(());
        for record in std::iter::once(first).chain(records.try_iter()) {
            count += 1;
            written = line(&mut lines, &record).and(written);
        }
        let written = written.and_then(|()| output.write_all(&lines));
        let written = written.and_then(|()| output.flush());
        lines.clear();
        if written.is_err() {
            dropped.add(count, &[]);
        }
        match (written, failing) {
            (Err(error), false) => {
                failing = true;
                tracing::error!(%error, "the audit stream cannot be written");
            }
            (Ok(()), true) => {
                failing = false;
                tracing::info!("the audit stream can be written again");
            }
            _ => {}
        }
    }
}

fn line(output: &mut impl Write, record: &Record) -> std::io::Result<()> {
    serde_json::to_writer(&mut *output, record)?;
    output.write_all(b"\n")
}
