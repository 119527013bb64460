//! The one place that picks a status code.

use crate::authority::{Failure, StoreError};
use crate::domain::refusal::Refusal;
use crate::proto::ERROR_DOMAIN;
use std::{collections::HashMap, time::Duration};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};
use uuid::Uuid;

/// When a caller should try again after the database failed it.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// The status of a call without an answer. A failure of the database is logged here,
/// once, with its causes; the caller hears no word of the driver.
pub(super) fn of_failure(call: Uuid, failure: &Failure) -> Status {
    match failure {
        Failure::Refused(refusal) => of_refusal(refusal),
        Failure::Store(error) => of_store(call, error.root()),
    }
}

/// The status of a refusal.
pub(super) fn of_refusal(refusal: &Refusal) -> Status {
    use Refusal as R;
    let code = match refusal {
        R::CredentialsMissing
        | R::CredentialsInvalid
        | R::CredentialsConflict
        | R::CallerMoved
        | R::CallerDisabled
        | R::InvalidGrant
        | R::RefreshTokenInvalid
        | R::RefreshTokenUnknown { .. }
        | R::RefreshTokenSuperseded
        | R::RefreshTokenReused
        | R::SessionRevoked
        | R::SessionExpired
        | R::SessionIdle
        | R::SessionCutOff
        | R::SessionSubjectDisabled
        | R::SessionClientDisabled
        | R::ScopeWithdrawn
        | R::InvalidDpopProof(_)
        | R::DpopProofRequired => Code::Unauthenticated,
        R::PermissionDenied(_) | R::MintsOnlyForItself => Code::PermissionDenied,
        R::InvalidScope(_) | R::InvalidTarget(_) | R::DpopNotConfigured => Code::InvalidArgument,
        R::ClientNotFound(_) | R::SubjectNotFound(_) | R::SecretNotFound(_) => Code::NotFound,
        R::ClientExists(_) | R::IdentityTaken(_) => Code::AlreadyExists,
        R::ClientDisabled(_)
        | R::SubjectDisabled(_)
        | R::RequestIdConflict
        | R::LinkRequired { .. }
        | R::SecretLimitReached
        | R::LastSecret => Code::FailedPrecondition,
        R::SessionLimitReached { .. } | R::RateLimited { .. } | R::TooManyProofs => {
            Code::ResourceExhausted
        }
    };
    let mut details = reason(refusal.reason());
    if let R::InvalidDpopProof(fault) = refusal {
        let check = HashMap::from([("check".to_owned(), fault.check().to_owned())]);
        details = ErrorDetails::with_error_info(refusal.reason(), ERROR_DOMAIN, check);
    }
    if matches!(refusal, R::TooManyProofs) {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    let field = match refusal {
        R::InvalidScope(_) => Some("scopes"),
        R::InvalidTarget(_) => Some("audience"),
        _ => None,
    };
    if let R::RateLimited { retry_after, .. } = refusal {
        details.set_retry_info(Some(*retry_after));
    }
    if let Some(field) = field {
        details.add_bad_request_violation(field, refusal.to_string());
    }
    Status::with_error_details(code, refusal.to_string(), details)
}

fn of_store(call: Uuid, error: &StoreError) -> Status {
    let (code, why, message) = match error {
        StoreError::Unavailable(_) | StoreError::Down | StoreError::InDoubt(_) => (
            Code::Unavailable,
            "DATABASE_UNAVAILABLE",
            "the database is not available",
        ),
        StoreError::NotMigrated(_) => (
            Code::Unavailable,
            "DATABASE_UNAVAILABLE",
            "the database is not migrated yet",
        ),
        StoreError::Overloaded => (
            Code::ResourceExhausted,
            "OVERLOADED",
            "too many calls wait; try again in a moment",
        ),
        StoreError::Contention(_) | StoreError::Conflict(_) | StoreError::RowCount { .. } => (
            Code::Aborted,
            "CONTENTION",
            "other calls kept getting in the way; try again",
        ),
        StoreError::IdsExhausted(_) => (
            Code::ResourceExhausted,
            "IDS_EXHAUSTED",
            "the 32-bit ids are used up",
        ),
        StoreError::Constraint(_) | StoreError::Corrupt { .. } | StoreError::Database(_) => (
            Code::Internal,
            "INTERNAL",
            "the authority failed; its log has the causes",
        ),
        StoreError::Shared(inner) => return of_store(call, inner),
    };
    let causes = error.causes();
    if error.comes_in_crowds() {
        tracing::debug!(%call, reason = why, %causes, "call refused");
    } else if code == Code::Internal {
        tracing::error!(%call, reason = why, %causes, "call failed");
    } else {
        tracing::warn!(%call, reason = why, %causes, "call failed");
    }
    let mut details = reason(why);
    if matches!(code, Code::Unavailable | Code::Aborted) || why == "OVERLOADED" {
        details.set_retry_info(Some(RETRY_AFTER));
    }
    Status::with_error_details(code, message, details)
}

/// The status of a message with malformed fields, each named, and `more` that are not.
pub(super) fn of_fields(
    reason_name: &'static str,
    violations: Vec<FieldViolation>,
    more: usize,
) -> Status {
    let mut details = reason(reason_name);
    let named = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.field, violation.description))
        .collect::<Vec<_>>()
        .join("; ");
    let message = match more {
        0 => named,
        more => format!("{named}; and {more} more"),
    };
    details.set_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The status of a call whose deadline passed. What was sent to the database goes on.
pub(super) fn deadline_exceeded() -> Status {
    let message = "the deadline passed";
    Status::with_error_details(Code::DeadlineExceeded, message, reason("DEADLINE_EXCEEDED"))
}

/// The status of a call whose handler panicked.
pub(super) fn internal() -> Status {
    let message = "the authority failed; its log has the causes";
    Status::with_error_details(Code::Internal, message, reason("INTERNAL"))
}

/// The status of a call whose message tonic could not read, in place of tonic's own,
/// which has no reason and takes the caller's mistake for the server's.
pub(super) fn of_unread(status: &Status) -> Option<Status> {
    let message = match status.code() {
        _ if !status.details().is_empty() => return None,
        Code::Internal => "the message cannot be decoded: it is not of the method's type",
        Code::OutOfRange => "the message is larger than calls.max_message_bytes",
        _ => return None,
    };
    let details = reason("INVALID_REQUEST");
    Some(Status::with_error_details(
        Code::InvalidArgument,
        message,
        details,
    ))
}

/// The name of a code, as the gRPC specification writes it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

fn reason(name: &'static str) -> ErrorDetails {
    ErrorDetails::with_error_info(name, ERROR_DOMAIN, HashMap::new())
}
