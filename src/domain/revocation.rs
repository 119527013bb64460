//! Who may end what.

use super::caller::{Caller, Role};
use uuid::Uuid;

/// What a caller asks to end.
#[derive(Debug, Clone)]
pub enum Target {
    /// One session, by its id.
    Session(Uuid),
    /// The session of a refresh token, also a stale one.
    Refresh(Box<super::tokens::RefreshToken>),
    /// The session of an access token, also an expired one.
    AccessSession(super::tokens::AccessToken),
    /// One access token alone; its session lives on (RFC 7009 section 2.1).
    Access(super::tokens::AccessToken),
    /// Every session of a user, or all but one.
    Subject {
        /// The user.
        subject: Uuid,
        /// The session that stays.
        except: Option<Uuid>,
    },
}

/// Whether the caller may end what belongs to this client: its own (RFC 7009 section 2.1), or
/// with the role `revoker` anyone's. No refusal: who may not is told that nothing ended.
pub fn may_end(caller: &Caller, client_id: Uuid) -> bool {
    caller.client_id == client_id || caller.has(Role::Revoker)
}
