//! The one choke point of every ending and every administrative change.

use super::{
    connection::{Connection, typed},
    error::StoreError,
    expect,
    parameters::types_of,
    statements,
};
use crate::domain::event::Event;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// Writes events into the transaction that is open on the connection. If this
/// fails, so does the call.
pub(super) async fn record(connection: &Connection, events: &[Event]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(events);
    let changed = connection
        .execute(statements::EVENTS_RECORD, &columns.params())
        .await?;
    expect(statements::EVENTS_RECORD, changed, events.len())
}

/// The same on a connection that is not the pool's, by an unnamed statement.
pub(super) async fn record_on(
    client: &tokio_postgres::Client,
    events: &[Event],
) -> Result<(), StoreError> {
    let columns = Columns::of(events);
    let statement = statements::EVENTS_RECORD;
    let types = types_of(statement.text).unwrap_or_default();
    let params = columns.params();
    let changed = client
        .execute_typed(statement.text, &typed(&params, &types))
        .await?;
    expect(statement, changed, events.len())
}

/// The columns of the statement's arrays.
struct Columns {
    kinds: Vec<&'static str>,
    reasons: Vec<Option<&'static str>>,
    sessions: Vec<Option<Uuid>>,
    tokens: Vec<Option<Uuid>>,
    clients: Vec<Option<Uuid>>,
    subjects: Vec<Option<Uuid>>,
    actors: Vec<Option<Uuid>>,
    calls: Vec<Option<String>>,
    details: Vec<Option<serde_json::Value>>,
}

impl Columns {
    fn of(events: &[Event]) -> Self {
        Self {
            kinds: events.iter().map(|event| event.kind.name()).collect(),
            reasons: events.iter().map(|event| event.kind.reason()).collect(),
            sessions: events.iter().map(|event| event.session_id).collect(),
            tokens: events.iter().map(|event| event.token_id).collect(),
            clients: events.iter().map(|event| event.client_id).collect(),
            subjects: events.iter().map(|event| event.subject).collect(),
            actors: events.iter().map(|event| event.origin.actor).collect(),
            calls: events
                .iter()
                .map(|event| event.origin.call.map(|id| id.to_string()))
                .collect(),
            details: events.iter().map(|event| event.detail.clone()).collect(),
        }
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 9] {
        [
            &self.kinds,
            &self.reasons,
            &self.sessions,
            &self.tokens,
            &self.clients,
            &self.subjects,
            &self.actors,
            &self.calls,
            &self.details,
        ]
    }
}
