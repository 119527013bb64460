//! The audit stream of a test's server, in a file of the test's.

use super::server::Deployment;
use serde_json::Value;
use std::{
    cell::Cell,
    fs,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a record may take to reach the file.
const PATIENCE: Duration = Duration::from_secs(20);

/// The file, and how much of it was looked at.
pub struct AuditFile {
    place: TempDir,
    seen: Cell<usize>,
}

impl AuditFile {
    /// A file that no server writes to yet.
    pub fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            seen: Cell::new(0),
        }
    }

    /// The value of `COUNTERSIGN_AUDIT_OUTPUT`.
    pub fn path(&self) -> String {
        self.place.path().join("audit").display().to_string()
    }

    /// All that was written.
    pub fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }

    /// The records since the last look: all of them, since a call at the door is made last
    /// and its record waited for. For one server, whose records keep their order.
    pub async fn news(&self, at: &Deployment) -> Vec<Value> {
        let stranger = at.caller("nobody", "nothing");
        let mut tokens = stranger.tokens();
        let knocked = tokens.introspect(stranger.request(Default::default()));
        assert_eq!(
            knocked.await.unwrap_err().code(),
            tonic::Code::Unauthenticated
        );
        self.until_knock().await
    }

    /// The records since the last look and before a call at the door, which is waited for.
    pub async fn until_knock(&self) -> Vec<Value> {
        let started = Instant::now();
        loop {
            let text = self.text();
            let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
            let records: Vec<Value> = whole
                .lines()
                .skip(self.seen.get())
                .map(|line| serde_json::from_str(line).unwrap())
                .collect();
            if let Some(knock) = records.iter().position(is_knock) {
                self.seen.set(self.seen.get() + knock + 1);
                assert_eq!(knock + 1, records.len(), "nothing comes after it");
                return records[..knock].to_vec();
            }
            assert!(
                started.elapsed() < PATIENCE,
                "the record of a call at the door is missing"
            );
            tokio::task::yield_now().await;
        }
    }
}

/// Whether a record is that of a forged secret: no call of a client bears it.
fn is_knock(record: &Value) -> bool {
    record["event"] == "caller"
        && record["call"].is_null()
        && record["reason"] == "CREDENTIALS_INVALID"
}
