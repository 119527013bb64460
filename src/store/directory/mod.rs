//! Clients, their secrets, and users.

mod clients;
mod identities;
mod secrets;
mod users;

pub use clients::{ClientEntry, NewClient};
pub(super) use clients::{CutOff, client_or_null};
pub(super) use clients::{create, cut_off as cut_off_client, get, list, update};
pub(super) use identities::clients as clients_of;
pub(super) use secrets::{add as add_secret, retire as retire_secret};
pub(super) use users::{
    Registration, change as change_user, cut_off as cut_off_user, get as get_user,
    lock as lock_user, register as register_users, register_one as register_user,
};

use super::{
    callers,
    connection::{Connection, transaction},
    error::StoreError,
    statements,
};
use crate::domain::{
    caller::{Caller, Claim},
    event::Origin,
    refusal::Refusal,
};
use crate::store::pool::Pool;
use futures_util::future::BoxFuture;

/// What an administrative call came to: the outer error is the database's, the
/// inner one a rule's.
pub(super) type Administered<T> = Result<Result<T, Refusal>, StoreError>;

/// Runs an administrative call in a transaction, if its caller is admitted.
pub(super) async fn administer<T, F>(pool: &Pool, claim: &Claim, work: F) -> Administered<T>
where
    F: for<'a> FnOnce(&'a Connection, Origin) -> BoxFuture<'a, Administered<T>>,
{
    transaction(pool, async |connection| {
        connection.prepare(&[statements::CALLERS_STANDING]).await?;
        let ((), callers) = futures_util::try_join!(
            connection.begin(),
            callers::standing(connection, std::iter::once(&claim.credentials)),
        )?;
        match Caller::admit(callers.get(&claim.credentials), claim.access) {
            Ok(caller) => {
                let origin = Origin {
                    actor: Some(caller.client_id),
                    call: Some(claim.call),
                };
                work(connection, origin).await
            }
            Err(refusal) => Ok(Err(refusal)),
        }
    })
    .await
}
