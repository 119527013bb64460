//! Revocation of a user: all sessions or all but one, in a transaction of its own.

use super::{
    end, open,
    read::{self, Ask, Read},
    revoke::{Revoked, end_one},
};
use crate::domain::{
    caller::{Caller, Claim, Role},
    event::{Event, EventKind, Origin},
    policy::Defaults,
    refusal::Refusal,
};
use crate::store::pool::Pool;
use crate::store::{
    callers,
    coalescer::Outcome,
    connection::{Connection, transaction},
    directory,
    error::StoreError,
    events, statements, tokens,
};
use std::collections::HashSet;
use uuid::Uuid;

/// How many sessions one statement ends at most.
const AT_ONCE: usize = 1000;

/// Revokes a user's sessions, all or all but one, and their other tokens.
///
/// The user's row is locked first, so that no login under way slips through.
pub(crate) async fn revoke_of_user(
    pool: &Pool,
    claim: &Claim,
    subject: Uuid,
    except: Option<Uuid>,
    defaults: &Defaults,
) -> Result<Result<Revoked, Refusal>, StoreError> {
    transaction(pool, async |connection| {
        connection
            .prepare(&[statements::USERS_LOCK, statements::CALLERS_STANDING])
            .await?;
        let ((), _, callers) = futures_util::try_join!(
            connection.begin(),
            directory::lock_user(connection, subject),
            callers::standing(connection, std::iter::once(&claim.credentials)),
        )?;
        let caller = match Caller::admit(callers.get(&claim.credentials), claim.access) {
            Ok(caller) => caller,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let anyones = caller.has(Role::Revoker);
        let only = (!anyones).then_some(caller.client_id);
        let origin = Origin {
            actor: Some(caller.client_id),
            call: Some(claim.call),
        };

        // Somebody with a user's password can open any number of sessions.
        connection.allow_search().await?;
        let sessions = open::of_users(connection, &[Some(subject)], &[only]).await?;
        let mut ids: Vec<_> = sessions
            .into_iter()
            .map(|(_, session)| session.session_id)
            .filter(|id| Some(*id) != except)
            .collect();
        ids.sort_unstable();
        let mut revoked = Revoked {
            subject: Some(subject),
            ..Revoked::default()
        };
        for ids in ids.chunks(AT_ONCE) {
            revoked.sessions += end_all(connection, caller, ids, defaults, origin).await?;
        }
        if anyones && except.is_none() {
            directory::cut_off_user(connection, subject, origin).await?;
        } else if tokens::revoke_of_user(connection, subject, only).await? > 0 {
            let event = Event {
                subject: Some(subject),
                client_id: only,
                ..Event::new(EventKind::SubjectTokensRevoked, origin)
            };
            events::record(connection, &[event]).await?;
        }
        Ok(Ok(revoked))
    })
    .await
}

/// Ends these sessions, in the order of their ids, and says how many lived.
async fn end_all(
    connection: &Connection,
    caller: &Caller,
    ids: &[Uuid],
    defaults: &Defaults,
    origin: Origin,
) -> Result<u32, StoreError> {
    let locked = end::lock(connection, ids).await?;
    if locked.len() < ids.len() {
        // A rotation holds one of them: it commits in a moment.
        return Err(StoreError::Contention(None));
    }
    let asks: Vec<_> = ids
        .iter()
        .map(|id| Ask {
            session_id: *id,
            ledger: None,
            doubt: None,
        })
        .collect();
    let (mut ended, mut endings) = (HashSet::new(), Vec::new());
    let mut sessions = 0;
    for (wanted, Read { family, .. }) in asks
        .iter()
        .zip(read::read(connection, &asks, defaults).await?)
    {
        let outcome = end_one(
            caller,
            wanted,
            &family,
            true,
            &mut ended,
            &mut endings,
            origin,
        );
        if let Outcome::Done(Ok(one)) = outcome {
            sessions += one.sessions;
        }
    }
    end::end(connection, &endings).await?;
    Ok(sessions)
}
