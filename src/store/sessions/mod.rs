//! `auth.refresh_session`, its grants and its ledger.

mod end;
mod introspect;
mod issue;
mod list;
mod open;
mod read;
mod revoke;
mod rotate;

pub(super) use introspect::introspect;
pub(super) use issue::{Kind, issue};
pub(super) use list::list;
pub use list::{ListQuery, ListedSession, Place};
pub use revoke::{Revocation, Revoked};
pub(super) use revoke::{revoke, revoke_of_user};
pub use rotate::Rotated;
pub(super) use rotate::rotate;
