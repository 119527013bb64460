//! How a call was refused.

use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

/// What a call was refused with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: Code,
    pub reason: String,
    pub fields: Vec<String>,
    pub retry: bool,
    /// What of a DPoP proof was wrong.
    pub check: String,
    /// The nonce for the next proof.
    pub nonce: Option<String>,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason = details
            .error_info()
            .map(|info| info.reason.clone())
            .unwrap_or_default();
        let fields = details
            .bad_request()
            .map(|bad| {
                bad.field_violations
                    .iter()
                    .map(|one| one.field.clone())
                    .collect()
            })
            .unwrap_or_default();
        let check = details
            .error_info()
            .and_then(|info| info.metadata.get("check").cloned())
            .unwrap_or_default();
        let nonce = status.metadata().get("dpop-nonce");
        let nonce = nonce.map(|nonce| nonce.to_str().unwrap().to_owned());
        let retry = details.retry_info().is_some();
        Self {
            code: status.code(),
            reason,
            fields,
            retry,
            check,
            nonce,
        }
    }
}

/// The message of an answer, or how it was refused.
pub fn answer<T>(result: Result<Response<T>, Status>) -> Result<T, Refused> {
    result.map(Response::into_inner).map_err(Refused::from)
}
