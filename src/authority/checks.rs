//! Requests that a proxy asked about.

use super::{Authority, Call, audit::Record};
use crate::domain::introspection::Description;

/// How such a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// It was let through with its token.
    Allowed,
    /// It was let through without one.
    Anonymous,
    /// It was turned away, for this reason.
    Denied(&'static str),
}

impl Authority {
    /// Notes how a request was answered: each is counted, and what was turned away is told to
    /// the audit stream. `workload` sent it, as the proxy says; empty: it does not.
    pub fn checked(
        &self,
        call: &Call,
        checked: Checked,
        workload: &str,
        token: Option<&Description>,
    ) {
        self.instruments.checked(checked);
        let Checked::Denied(reason) = checked else {
            return;
        };
        let record = Record {
            event: "check",
            outcome: "refused",
            reason: Some(reason),
            workload: (!workload.is_empty()).then(|| workload.to_owned()),
            client_id: token.map(|token| token.client_id),
            subject: token.and_then(|token| token.subject),
            session_id: token.and_then(|token| token.session_id),
            token_id: token.and_then(|token| token.token_id),
            ..Record::default()
        };
        self.audit.record(record.of(call));
    }
}
