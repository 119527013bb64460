//! `auth.refresh_session`, its grants and its ledger.

mod end;
mod introspect;
mod issue;
mod list;
mod open;
mod premises;
mod read;
mod revoke;
mod revoke_user;
mod rotate;
mod situation;

pub(super) use introspect::introspect;
pub(super) use issue::issue;
pub(super) use list::list;
pub use list::{ListQuery, ListedSession, Place};
pub(super) use premises::Premises;
pub(super) use revoke::revoke;
pub use revoke::{Revocation, Revoked};
pub(super) use revoke_user::revoke_of_user;
pub use rotate::Rotated;
pub(super) use rotate::rotate;
