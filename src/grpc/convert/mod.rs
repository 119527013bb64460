//! Messages to domain values and back. Each field is named once, so that a new one
//! breaks the build; every bad field of a message is named at once.

mod clients;
mod fields;
mod pages;
mod tokens;

pub use clients::ClientBounds;
pub(super) use clients::{client, created_client, settings, update, user};
pub(super) use fields::{Fields, timestamp};
pub(super) use pages::{client_page, client_place, session_page, session_place};
pub(super) use tokens::{
    RevocationTarget, batch_tokens, finding, introspect_request, issue_request, issued,
    revocation_target, revoked_token, rotate_request, rotated,
};
