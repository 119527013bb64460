//! Ends sessions whose rows are locked: the one path that does.

use crate::domain::{
    event::{Event, EventKind, Origin},
    rotation::EndReason,
};
use crate::store::{
    columns::Columns, connection::Connection, error::StoreError, events, expect, statements,
};
use std::collections::HashSet;
use uuid::Uuid;

/// A session to end, and what its event tells.
pub(super) struct Ending {
    pub(super) session_id: Uuid,
    pub(super) client_id: Uuid,
    pub(super) subject: Uuid,
    pub(super) reason: EndReason,
    pub(super) origin: Origin,
}

/// Locks sessions in `jti` order, and says which it got.
pub(super) async fn lock(
    connection: &Connection,
    sessions: &[Uuid],
) -> Result<HashSet<Uuid>, StoreError> {
    super::rotate::ids(connection, statements::SESSIONS_LOCK_TO_END, sessions).await
}

/// Ends locked sessions and writes their events.
pub(super) async fn end(connection: &Connection, endings: &[Ending]) -> Result<(), StoreError> {
    if endings.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = endings.iter().map(|ending| ending.session_id).collect();
    let reasons: Vec<_> = endings.iter().map(|ending| ending.reason.name()).collect();
    let statement = statements::SESSIONS_END;
    let rows = connection.query(statement, &[&ids, &reasons]).await?;
    let gone = rows
        .iter()
        .map(|row| Columns::of(row, statement.name).take())
        .collect::<Result<HashSet<Uuid>, _>>()?;
    // They were locked; a session that does not go would be told as ended.
    expect(statement, gone.len() as u64, endings.len())?;
    let told: Vec<_> = endings
        .iter()
        .map(|ending| Event {
            session_id: Some(ending.session_id),
            client_id: Some(ending.client_id),
            subject: Some(ending.subject),
            ..Event::new(EventKind::SessionEnded(ending.reason), ending.origin)
        })
        .collect();
    events::record(connection, &told).await
}
