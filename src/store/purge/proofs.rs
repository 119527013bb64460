//! DPoP proofs that are too old to be used again.

use crate::store::pool::Pool;
use crate::store::{connection::Connection, error::StoreError, statements};

/// Removes them, a batch at a time, and counts them.
pub(super) async fn remove(
    pool: &Pool,
    batch: usize,
    removed: &mut u64,
    spent: &(dyn Fn() -> bool + Sync),
) -> Result<(), StoreError> {
    let most = i64::try_from(batch).unwrap_or(i64::MAX);
    while !spent() {
        let connection = Connection::take(pool).await?;
        let gone = connection
            .query(statements::PURGE_REMOVE_PROOFS, &[&most])
            .await?
            .len();
        *removed += gone as u64;
        if gone < batch {
            break;
        }
    }
    Ok(())
}
