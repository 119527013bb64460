//! The one choke point of every ending and every administrative change.

use super::{connection::Connection, error::StoreError, statements};
use crate::domain::event::Event;

/// Writes events into the transaction that is open on the connection. If this
/// fails, so does the call.
pub(super) async fn record(connection: &Connection, events: &[Event]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let each = |read: fn(&Event) -> Option<uuid::Uuid>| events.iter().map(read).collect::<Vec<_>>();
    let kinds: Vec<_> = events.iter().map(|event| event.kind.name()).collect();
    let reasons: Vec<_> = events.iter().map(|event| event.kind.reason()).collect();
    let calls: Vec<_> = events
        .iter()
        .map(|event| event.origin.call.map(|id| id.to_string()))
        .collect();
    let changed = connection
        .execute(
            statements::EVENTS_RECORD,
            &[
                &kinds,
                &reasons,
                &each(|event| event.session_id),
                &each(|event| event.token_id),
                &each(|event| event.client_id),
                &each(|event| event.subject),
                &each(|event| event.origin.actor),
                &calls,
            ],
        )
        .await?;
    super::expect(statements::EVENTS_RECORD, changed, events.len())
}
