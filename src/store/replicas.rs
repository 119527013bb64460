//! `countersign.replica`: the servers that run; and what lives under their keys.

use super::{
    columns::{Columns, millis},
    connect,
    connection::Connection,
    error::StoreError,
    statements,
    url::DatabaseUrl,
};
use crate::domain::keys::KeyId;
use chrono::{DateTime, Utc};
use std::time::Duration;
use tokio_postgres::{
    Row,
    types::{ToSql, Type},
};
use uuid::Uuid;

/// How long after its last sign of life a server is not counted any more.
pub const SILENCE: Duration = Duration::from_secs(30);

/// A server that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its id, new at each start.
    pub replica_id: Uuid,
    /// Its version.
    pub version: String,
    /// The ids of its keys, the minting one first.
    pub keys: Vec<KeyId>,
    /// When it was first seen.
    pub started_at: DateTime<Utc>,
    /// When it was last seen.
    pub seen_at: DateTime<Utc>,
}

/// What lives under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    /// The key.
    pub key_id: KeyId,
    /// Sessions.
    pub sessions: u64,
    /// Access tokens, those of sessions included.
    pub access_tokens: u64,
    /// Client secrets.
    pub client_secrets: u64,
}

/// Gives a sign of life.
pub(super) async fn beat(
    connection: &Connection,
    replica: Uuid,
    keys: &[KeyId],
) -> Result<(), StoreError> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let version = env!("CARGO_PKG_VERSION");
    let statement = statements::REPLICAS_BEAT;
    let changed = connection
        .execute(statement, &[&replica, &version, &keys])
        .await?;
    super::expect(statement, changed, 1)
}

/// Takes leave.
pub(super) async fn leave(connection: &Connection, replica: Uuid) -> Result<(), StoreError> {
    connection
        .execute(statements::REPLICAS_LEAVE, &[&replica])
        .await
        .map(drop)
}

/// What lives under each key.
pub(super) async fn key_uses(connection: Connection) -> Result<Vec<KeyUse>, StoreError> {
    let statement = statements::KEYS_COUNT;
    connection.prepare(&[statement]).await?;
    let (_, _, rows) = tokio::join!(
        biased;
        connection.begin(),
        connection.allow_search(),
        connection.query(statement, &[])
    );
    connection.abandon().await;
    read_uses(&rows?)
}

fn read_uses(rows: &[Row]) -> Result<Vec<KeyUse>, StoreError> {
    let mut uses = Vec::with_capacity(rows.len());
    for row in rows {
        let mut columns = Columns::of(row, statements::KEYS_COUNT.name);
        let id: i64 = columns.take()?;
        uses.push(KeyUse {
            key_id: KeyId(u32::try_from(id).map_err(|_| columns.corrupt())?),
            sessions: columns.rows()?,
            access_tokens: columns.rows()?,
            client_secrets: columns.rows()?,
        });
    }
    Ok(uses)
}

/// The servers that run, and what lives under each key, for a command with database rights.
/// By unnamed statements, so that it also works through `PgBouncer`.
pub async fn look(url: &DatabaseUrl) -> Result<(Vec<Replica>, Vec<KeyUse>), StoreError> {
    let client = connect::connect(url.that_writes()).await?;
    client.batch_execute(statements::BEGIN.text).await?;
    // It goes through everything that lives.
    client.batch_execute(statements::SEARCH.text).await?;
    let statement = statements::REPLICAS_LIVE;
    let silence: [(&(dyn ToSql + Sync), Type); 1] = [(&millis(SILENCE), Type::INT8)];
    let rows = client.query_typed(statement.text, &silence).await?;
    let mut replicas = Vec::new();
    for row in &rows {
        let mut columns = Columns::of(row, statement.name);
        replicas.push(Replica {
            replica_id: columns.take()?,
            version: columns.take()?,
            keys: key_ids(&mut columns)?,
            started_at: columns.take()?,
            seen_at: columns.take()?,
        });
    }
    let statement = statements::KEYS_COUNT;
    let uses = read_uses(&client.query_typed(statement.text, &[]).await?)?;
    client.batch_execute(statements::ROLLBACK.text).await?;
    Ok((replicas, uses))
}

fn key_ids(columns: &mut Columns<'_>) -> Result<Vec<KeyId>, StoreError> {
    let texts: Vec<String> = columns.take()?;
    let ids = texts.iter().map(|text| u32::from_str_radix(text, 16));
    let ids: Result<Vec<_>, _> = ids.collect();
    let ids = ids.map_err(|_| columns.corrupt())?;
    Ok(ids.into_iter().map(KeyId).collect())
}
