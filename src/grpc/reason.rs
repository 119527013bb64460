//! The reason that a status carries, for metrics and spans.

use crate::proto::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What the proto's names of reasons begin with.
const PREFIX: &str = "ERROR_REASON_";

/// The reason of a status of ours: a name of `ErrorReason` without its prefix, as the proto
/// has it and therefore one of a fixed set; or nothing where there is none.
pub(super) fn of(status: &Status) -> &'static str {
    if status.code() == Code::Ok || status.details().is_empty() {
        return "";
    }
    let name = status
        .get_details_error_info()
        .map(|info| format!("{PREFIX}{}", info.reason));
    name.and_then(|name| ErrorReason::from_str_name(&name))
        .and_then(|reason| reason.as_str_name().strip_prefix(PREFIX))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::status;
    use std::collections::HashMap;
    use tonic_types::ErrorDetails;

    #[test]
    fn a_reason_is_one_of_the_proto_or_none() {
        assert_eq!(of(&status::deadline_exceeded()), "DEADLINE_EXCEEDED");
        assert_eq!(of(&Status::unimplemented("x")), "");
        let details = ErrorDetails::with_error_info("MADE_UP", "countersign", HashMap::new());
        assert_eq!(
            of(&Status::with_error_details(Code::Internal, "x", details)),
            ""
        );
    }
}
