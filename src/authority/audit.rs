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
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};
use uuid::Uuid;

/// One line of the stream. No field can hold a token, a secret, a key or a proof.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Record {
    /// When, by the server's clock.
    pub at: DateTime<Utc>,
    /// What was tried: `caller`, `issue`, `revoke_session`, `create_client` and so on
    /// (docs/audit.md).
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

/// The near end of the stream. When it is dropped, what was recorded is written first.
#[derive(Debug)]
pub struct Audit {
    /// `None` only while it is dropped.
    stream: Option<SyncSender<Record>>,
    dropped: Counter<u64>,
    /// Says nothing, until everything is written and it hangs up.
    written: Mutex<Receiver<()>>,
}

/// How long the end waits for an output that takes nothing.
const LAST_WRITE: Duration = Duration::from_secs(1);

impl Drop for Audit {
    fn drop(&mut self) {
        self.stream = None;
        let written = self
            .written
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if written.recv_timeout(LAST_WRITE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the last records of the audit stream could not be written");
        }
    }
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
        let (writing, written) = channel();
        thread::Builder::new()
            .name("audit".into())
            .spawn(move || write(&records, output, &lost, writing))?;
        Ok(Self {
            stream: Some(stream),
            dropped,
            written: Mutex::new(written),
        })
    }

    /// Puts a record into the stream, or drops and counts it.
    pub fn record(&self, record: Record) {
        let record = Record {
            at: clock::now(),
            ..record
        };
        let stream = self.stream.as_ref();
        if stream.is_none_or(|stream| stream.try_send(record).is_err()) {
            self.dropped.add(1, &[]);
        }
    }
}

/// How long records gather before they are written. Without it every record would wake the
/// writing thread, at several times the cost of the record.
const GATHERING: Duration = Duration::from_millis(10);

/// Writes what comes, and drops `_writing` when nothing can come any more.
fn write(
    records: &Receiver<Record>,
    mut output: Box<dyn Write + Send>,
    dropped: &Counter<u64>,
    _writing: Sender<()>,
) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_recorded_is_written_before_the_end() {
        let page = Page::default();
        let audit = Audit::start(Box::new(page.clone()), 100).unwrap();
        let record = |generation| Record {
            event: "rotate",
            outcome: "done",
            generation: Some(generation),
            ..Record::default()
        };
        for generation in 0..50 {
            audit.record(record(generation));
        }
        drop(audit);
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let generations: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| line["generation"].as_u64().unwrap())
            .collect();
        assert_eq!(generations, (0..50).collect::<Vec<_>>());
    }

    /// An output that takes nothing.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_output_that_takes_nothing_does_not_hold_the_end_up() {
        let (_stuck, takes_nothing) = channel();
        let audit = Audit::start(Box::new(Stuck(takes_nothing)), 100).unwrap();
        audit.record(Record::default());
        drop(audit);
    }

    #[test]
    fn a_full_buffer_holds_nobody_up() {
        let (_stuck, takes_nothing) = channel();
        let audit = Audit::start(Box::new(Stuck(takes_nothing)), 2).unwrap();
        let (back, came_back) = channel();
        thread::spawn(move || {
            for _ in 0..10 {
                audit.record(Record::default());
            }
            back.send(()).unwrap();
        });
        assert_eq!(came_back.recv_timeout(Duration::from_secs(20)), Ok(()));
    }
}
