//! A refused call, told to people and to scripts.

use super::{exit::Exit, failure::causes, printable::printable};
use crate::grpc::status::code_name;
use crate::proto::ERROR_DOMAIN;
use serde_json::{Value, json};
use std::{error::Error, fmt::Write as _, time::Duration};
use tonic::{Code, Status};
use tonic_types::{FieldViolation, StatusExt as _};

/// The exit code that tells a script what it can do.
pub fn exit(status: &Status) -> Exit {
    let lost = status
        .source()
        .is_some_and(<dyn Error>::is::<tonic::transport::Error>);
    match (status.code(), reason(status).as_deref()) {
        (Code::Unavailable, _) => Exit::Unreachable,
        (Code::PermissionDenied, _) => Exit::Credentials,
        // A refused refresh token is UNAUTHENTICATED too, and nothing is wrong
        // with the caller then.
        (Code::Unauthenticated, Some(reason))
            if reason.starts_with("CREDENTIALS_") || reason == "CLIENT_DISABLED" =>
        {
            Exit::Credentials
        }
        _ if lost => Exit::Unreachable,
        _ => Exit::Refused,
    }
}

/// The reason in the status' `ErrorInfo`, if Countersign wrote it.
fn reason(status: &Status) -> Option<String> {
    status
        .get_details_error_info()
        .filter(|info| info.domain == ERROR_DOMAIN)
        .map(|info| info.reason)
}

/// One line, then a line for each bad field and for when to come again.
pub fn text(status: &Status) -> String {
    let mut text = format!("error: {}", code_name(status.code()));
    if let Some(reason) = reason(status) {
        text.push(' ');
        text.push_str(&printable(&reason));
    }
    text.push_str(": ");
    text.push_str(&printable(&message(status)));
    text.push('\n');
    // Writing to a String cannot fail.
    for violation in violations(status) {
        let field = printable(&violation.field);
        let description = printable(&violation.description);
        let _ = writeln!(text, "  {field}: {description}");
    }
    if let Some(delay) = retry_delay(status) {
        let _ = writeln!(text, "  retry after {}", humantime::format_duration(delay));
    }
    text
}

/// The same for scripts.
pub fn json(status: &Status) -> Value {
    let mut error = json!({ "code": code_name(status.code()), "message": message(status) });
    if let Some(reason) = reason(status) {
        error["reason"] = reason.into();
    }
    let violations: Vec<Value> = violations(status)
        .into_iter()
        .map(|one| json!({ "field": one.field, "description": one.description }))
        .collect();
    if !violations.is_empty() {
        error["field_violations"] = violations.into();
    }
    if let Some(delay) = retry_delay(status) {
        error["retry_delay"] = format!("{}s", delay.as_secs_f64()).into();
    }
    error
}

/// The server's message, or the transport's reasons where no server spoke.
fn message(status: &Status) -> String {
    match status.source() {
        Some(source) => causes(source),
        None => status.message().to_owned(),
    }
}

fn violations(status: &Status) -> Vec<FieldViolation> {
    status
        .get_details_bad_request()
        .map(|bad| bad.field_violations)
        .unwrap_or_default()
}

fn retry_delay(status: &Status) -> Option<Duration> {
    status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tonic_types::ErrorDetails;

    fn refusal(code: Code, reason: &str) -> Status {
        let details = ErrorDetails::with_error_info(reason, ERROR_DOMAIN, HashMap::new());
        Status::with_error_details(code, "no", details)
    }

    #[test]
    fn the_exit_code_says_what_a_script_can_do() {
        for (code, reason, expected) in [
            (Code::Unavailable, "DATABASE_UNAVAILABLE", Exit::Unreachable),
            (
                Code::Unauthenticated,
                "CREDENTIALS_INVALID",
                Exit::Credentials,
            ),
            (Code::Unauthenticated, "CLIENT_DISABLED", Exit::Credentials),
            (
                Code::PermissionDenied,
                "PERMISSION_DENIED",
                Exit::Credentials,
            ),
            (Code::Unauthenticated, "REFRESH_TOKEN_REUSED", Exit::Refused),
            (Code::NotFound, "CLIENT_NOT_FOUND", Exit::Refused),
        ] {
            assert_eq!(exit(&refusal(code, reason)), expected, "{reason}");
        }
    }

    #[test]
    fn an_error_names_code_reason_fields_and_when_to_retry() {
        let mut details =
            ErrorDetails::with_error_info("INVALID_REQUEST", ERROR_DOMAIN, HashMap::new());
        details.add_bad_request_violation("subject", "not a\nUUID");
        details.set_retry_info(Some(Duration::from_millis(1500)));
        let status = Status::with_error_details(Code::InvalidArgument, "1 bad field", details);
        assert_eq!(
            text(&status),
            "error: INVALID_ARGUMENT INVALID_REQUEST: 1 bad field\n  \
             subject: not a\\nUUID\n  retry after 1s 500ms\n"
        );
        assert_eq!(
            json(&status),
            json!({
                "code": "INVALID_ARGUMENT",
                "reason": "INVALID_REQUEST",
                "message": "1 bad field",
                "field_violations": [{ "field": "subject", "description": "not a\nUUID" }],
                "retry_delay": "1.5s",
            })
        );
    }
}
