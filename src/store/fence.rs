//! The fence: cuts off everything that exists, after a restore or a lost promotion.

use super::{columns::Columns, connect, error::StoreError, events, statements, url::DatabaseUrl};
use crate::domain::event::{Event, EventKind, Origin};
use chrono::{DateTime, Utc};

/// Cuts off every token and session that exists, and returns the moment up to which.
/// Needs the rights of the role that migrates. By unnamed statements, so that it also works
/// through `PgBouncer`.
pub async fn fence(url: &DatabaseUrl) -> Result<DateTime<Utc>, StoreError> {
    let client = connect::connect(url.that_writes()).await?;
    client.batch_execute(statements::BEGIN.text).await?;
    client
        .batch_execute(statements::AUTHORITY_FENCE_LOCK.text)
        .await?;
    client.batch_execute(statements::SEARCH.text).await?;
    let statement = statements::AUTHORITY_FENCE;
    let row = client.query_typed_one(statement.text, &[]).await?;
    let not_before = Columns::of(&row, statement.name).take()?;
    let origin = Origin {
        actor: None,
        call: None,
    };
    events::record_on(&client, &[Event::new(EventKind::AuthorityFenced, origin)]).await?;
    client
        .batch_execute(statements::COMMIT.text)
        .await
        .map_err(|error| StoreError::InDoubt(Some(error)))?;
    Ok(not_before)
}
