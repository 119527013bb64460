//! `countersign.client_secret`.

use super::{
    Administered,
    clients::{self, ClientEntry},
    identities,
};
use crate::domain::{
    event::{Event, EventKind, Origin},
    limits,
    policy::SecretInfo,
    refusal::Refusal,
    tokens::ClientSecret,
};
use crate::store::{
    columns::Columns, connection::Connection, error::StoreError, events, statements,
};
use std::collections::HashMap;
use uuid::Uuid;

/// Adds a secret beside the live one.
pub(crate) async fn add(
    connection: &Connection,
    client_id: Uuid,
    secret_id: Uuid,
    secret: &ClientSecret,
    origin: Origin,
) -> Administered<()> {
    if clients::lock(connection, client_id).await?.is_none() {
        return Ok(Err(Refusal::ClientNotFound(client_id)));
    }
    let live = of_clients(connection, &[client_id]).await?;
    if live
        .get(&client_id)
        .is_some_and(|live| live.len() >= limits::LIVE_SECRETS)
    {
        return Ok(Err(Refusal::SecretLimitReached));
    }
    insert(connection, client_id, secret_id, secret, origin)
        .await
        .map(Ok)
}

/// Retires a secret; one that is retired already stays so.
pub(crate) async fn retire(
    connection: &Connection,
    client_id: Uuid,
    secret_id: Uuid,
    origin: Origin,
) -> Administered<ClientEntry> {
    let Some(client) = clients::lock(connection, client_id).await? else {
        return Ok(Err(Refusal::ClientNotFound(client_id)));
    };
    let live = of_clients(connection, &[client_id])
        .await?
        .remove(&client_id)
        .unwrap_or_default();
    if live.iter().all(|secret| secret.secret_id != secret_id) {
        let known = connection
            .query(statements::SECRETS_EXISTS, &[&client_id, &secret_id])
            .await?;
        return if known.is_empty() {
            Ok(Err(Refusal::SecretNotFound(secret_id)))
        } else {
            clients::entry(connection, client).await.map(Ok)
        };
    }
    let other_way = identities::of_clients(connection, &[client_id]).await?;
    if live.len() == 1 && other_way.is_empty() {
        return Ok(Err(Refusal::LastSecret));
    }
    connection
        .execute(statements::SECRETS_RETIRE, &[&client_id, &secret_id])
        .await?;
    told(
        connection,
        EventKind::SecretRetired,
        client_id,
        secret_id,
        origin,
    )
    .await?;
    clients::entry(connection, client).await.map(Ok)
}

/// Inserts a secret's digest.
pub(super) async fn insert(
    connection: &Connection,
    client_id: Uuid,
    secret_id: Uuid,
    secret: &ClientSecret,
    origin: Origin,
) -> Result<(), StoreError> {
    let digest = secret.digest();
    let key_id = i64::from(secret.key_id().0);
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&secret_id, &client_id, &digest.0.as_slice(), &key_id];
    connection
        .execute(statements::SECRETS_INSERT, &params)
        .await?;
    told(
        connection,
        EventKind::SecretCreated,
        client_id,
        secret_id,
        origin,
    )
    .await
}

/// The live secrets of clients.
pub(super) async fn of_clients(
    connection: &Connection,
    clients: &[Uuid],
) -> Result<HashMap<Uuid, Vec<SecretInfo>>, StoreError> {
    let statement = statements::SECRETS_OF_CLIENTS;
    let mut secrets: HashMap<Uuid, Vec<SecretInfo>> = HashMap::new();
    for row in connection.query(statement, &[&clients]).await? {
        let mut columns = Columns::of(&row, statement.name);
        let client_id = columns.take()?;
        let secret = SecretInfo {
            secret_id: columns.take()?,
            created_at: columns.take()?,
        };
        secrets.entry(client_id).or_default().push(secret);
    }
    Ok(secrets)
}

async fn told(
    connection: &Connection,
    kind: EventKind,
    client_id: Uuid,
    secret_id: Uuid,
    origin: Origin,
) -> Result<(), StoreError> {
    let event = Event {
        client_id: Some(client_id),
        token_id: Some(secret_id),
        ..Event::new(kind, origin)
    };
    events::record(connection, &[event]).await
}
