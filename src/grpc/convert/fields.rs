//! Reads fields, and collects what is wrong with them.

use crate::domain::{
    limits,
    terms::{TermKind, Terms},
};
use crate::grpc::status;
use chrono::{DateTime, Utc};
use std::{net::IpAddr, ops::RangeInclusive, time::Duration};
use tonic::Status;
use tonic_types::FieldViolation;
use uuid::Uuid;

/// The reason of a field that has none of its own.
const GENERAL: &str = "INVALID_REQUEST";
/// The violations that one error names, at most, and how long they may be together. They stand
/// three times in the headers of an error, of which some clients take 8 KiB in all.
const NAMED: usize = 20;
const NAMED_BYTES: usize = 1_024;

/// The violations of one message.
#[derive(Debug, Default)]
pub(in crate::grpc) struct Fields {
    violations: Vec<FieldViolation>,
    /// How long they are.
    bytes: usize,
    /// How many more there are.
    more: usize,
    /// The reason of all of them. Reasons that differ make the general one.
    reason: Option<&'static str>,
}

impl Fields {
    /// Notes that a field is malformed.
    pub(in crate::grpc) fn refuse(&mut self, field: impl Into<String>, why: impl Into<String>) {
        self.refuse_as(GENERAL, field, why);
    }

    fn refuse_as(
        &mut self,
        reason: &'static str,
        field: impl Into<String>,
        why: impl Into<String>,
    ) {
        let same = self.reason.is_none_or(|first| first == reason);
        self.reason = Some(if same { reason } else { GENERAL });
        let violation = FieldViolation::new(field, why);
        let bytes = self.bytes + violation.field.len() + violation.description.len();
        // The first is named in any case.
        let full = self.violations.len() == NAMED || bytes > NAMED_BYTES;
        if full && !self.violations.is_empty() {
            self.more += 1;
        } else {
            self.bytes = bytes;
            self.violations.push(violation);
        }
    }

    /// The value, if no field was refused.
    pub(in crate::grpc) fn finish<T>(self, value: T) -> Result<T, Status> {
        match self.reason {
            None => Ok(value),
            Some(reason) => Err(status::of_fields(reason, self.violations, self.more)),
        }
    }

    /// A UUID in its 36-character form, or nothing where the field is empty.
    pub(in crate::grpc) fn optional_uuid(&mut self, field: &str, text: &str) -> Option<Uuid> {
        if text.is_empty() {
            None
        } else {
            Some(self.uuid(field, text))
        }
    }

    /// A UUID in its 36-character form.
    pub(in crate::grpc) fn uuid(&mut self, field: &str, text: &str) -> Uuid {
        let parsed = if text.len() == 36 {
            Uuid::try_parse(text).ok()
        } else {
            None
        };
        parsed.unwrap_or_else(|| {
            let why = if text.is_empty() {
                "is required: a UUID"
            } else {
                "is not a UUID"
            };
            self.refuse(field, why);
            Uuid::nil()
        })
    }

    /// Free text of at most `most` characters; empty is nothing.
    pub(in crate::grpc) fn text(
        &mut self,
        field: &str,
        text: String,
        most: usize,
    ) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        if text.chars().count() > most {
            self.refuse(field, format!("is longer than {most} characters"));
        } else if text.contains('\0') {
            self.refuse(field, "contains a NUL character");
        }
        Some(text)
    }

    /// Visible ASCII of at most `most` characters; empty is nothing.
    pub(in crate::grpc) fn visible_ascii(
        &mut self,
        field: &str,
        text: String,
        most: usize,
    ) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        if text.len() > most || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.refuse(
                field,
                format!("is not 1 to {most} visible ASCII characters"),
            );
        }
        Some(text)
    }

    /// An IPv4 or IPv6 address; empty is nothing.
    pub(in crate::grpc) fn ip_address(&mut self, field: &str, text: &str) -> Option<IpAddr> {
        if text.is_empty() {
            return None;
        }
        let address = text.parse().ok();
        if address.is_none() {
            self.refuse(field, "is not an IPv4 or IPv6 address");
        }
        address
    }

    /// A presented token: whether it is one of ours is not asked here.
    pub(in crate::grpc) fn token(&mut self, field: &str, text: &str) {
        if text.is_empty() {
            self.refuse(field, "is required");
        } else if text.len() > limits::TOKEN_CHARS {
            self.refuse(
                field,
                format!("is longer than {} characters", limits::TOKEN_CHARS),
            );
        }
    }

    /// Scopes or audience.
    pub(in crate::grpc) fn terms<K: TermKind>(
        &mut self,
        field: &str,
        terms: Vec<String>,
        most: usize,
    ) -> Terms<K> {
        let reason = K::REASON;
        Terms::parse(terms, most).unwrap_or_else(|error| {
            self.refuse_as(reason, field, error.to_string());
            Terms::default()
        })
    }

    /// A duration within bounds; unset is nothing.
    pub(in crate::grpc) fn duration(
        &mut self,
        field: &str,
        value: Option<prost_types::Duration>,
        bounds: &RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let value = value?;
        let whole = |length: &Duration| length.subsec_nanos().is_multiple_of(1_000_000);
        let duration = Duration::try_from(value)
            .ok()
            .filter(|length| bounds.contains(length) && whole(length));
        if duration.is_none() {
            let (least, most) = (bounds.start(), bounds.end());
            self.refuse(
                field,
                format!(
                    "is not from {} to {} in whole milliseconds",
                    humantime::format_duration(*least),
                    humantime::format_duration(*most)
                ),
            );
        }
        duration
    }

    /// How many entries a page may have.
    pub(in crate::grpc) fn page_size(&mut self, size: u32) -> usize {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > limits::PAGE_SIZE {
            self.refuse("page_size", format!("is more than {}", limits::PAGE_SIZE));
        }
        if size == 0 {
            limits::DEFAULT_PAGE_SIZE
        } else {
            size
        }
    }
}

/// A time on the wire.
pub(in crate::grpc) fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        // Below a thousand million by construction.
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}
