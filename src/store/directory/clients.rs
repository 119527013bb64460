//! `public.oauth_clients` and `countersign.client`.

use super::{Administered, identities, secrets};
use crate::domain::{
    event::{Event, EventKind, Origin},
    policy::{Client, ClientSettings, SecretInfo, SessionLimitPolicy},
    refusal::Refusal,
    terms::{Audience, Scopes},
    tokens::ClientSecret,
};
use crate::store::{
    callers,
    columns::{Columns, millis},
    connection::Connection,
    error::StoreError,
    events,
    statements::{self, Statement},
};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

/// A client and its live secrets.
#[derive(Debug, Clone)]
pub struct ClientEntry {
    /// The client.
    pub client: Client,
    /// Its live secrets, the oldest first.
    pub secrets: Vec<SecretInfo>,
}

/// A client to register.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// Its id, chosen by the caller or by us.
    pub client_id: Uuid,
    /// What is decided about it.
    pub settings: ClientSettings,
    /// The id of its first secret.
    pub secret_id: Uuid,
    /// Its first secret.
    pub secret: ClientSecret,
}

/// How a client is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CutOff {
    /// And refused from now on.
    Disable,
    /// And admitted again.
    Enable,
    /// And nothing else.
    Only,
}

/// Registers a client with its first secret.
pub(crate) async fn create(
    connection: &Connection,
    new: &NewClient,
    origin: Origin,
) -> Administered<ClientEntry> {
    // Before the identities: who changes a client takes its turn and then those.
    connection.queue().await?;
    if let Err(refusal) = accepted(connection, &new.settings).await? {
        return Ok(Err(refusal));
    }
    if let Err(refusal) = identities::claim(connection, &[], &new.settings.identities).await? {
        return Ok(Err(refusal));
    }
    match connection
        .execute(statements::CLIENTS_LINK, &[&new.client_id])
        .await
    {
        Ok(_) => {}
        Err(StoreError::Constraint(_) | StoreError::Conflict(_)) => {
            return Ok(Err(Refusal::LinkRequired {
                table: "public.oauth_clients",
            }));
        }
        Err(error) => return Err(error),
    }
    let created = write(
        connection,
        statements::CLIENTS_CREATE,
        new.client_id,
        &new.settings,
    )
    .await?;
    let Some(client) = created else {
        return Ok(Err(Refusal::ClientExists(new.client_id)));
    };
    identities::replace(connection, client.client_id, &[], &new.settings.identities).await?;
    told(connection, EventKind::ClientCreated, new.client_id, origin).await?;
    secrets::insert(
        connection,
        new.client_id,
        new.secret_id,
        &new.secret,
        origin,
    )
    .await?;
    entry(connection, client).await.map(Ok)
}

/// Reads a client.
pub(crate) async fn get(connection: &Connection, client_id: Uuid) -> Administered<ClientEntry> {
    match one(connection, statements::CLIENTS_READ, &[&client_id]).await? {
        Some(client) => entry(connection, client).await.map(Ok),
        None => Ok(Err(Refusal::ClientNotFound(client_id))),
    }
}

/// Reads the clients after an id, up to one more than the largest page.
pub(crate) async fn list(
    connection: &Connection,
    after: Uuid,
    page_size: usize,
) -> Administered<(Vec<ClientEntry>, bool)> {
    let statement = statements::CLIENTS_LIST;
    let rows = connection.query(statement, &[&after]).await?;
    let more = rows.len() > page_size;
    let clients: Vec<_> = rows
        .iter()
        .take(page_size)
        .map(|row| client(&mut Columns::of(row, statement.name)))
        .collect::<Result<_, _>>()?;
    let ids: Vec<_> = clients.iter().map(|client| client.client_id).collect();
    let mut secrets = secrets::of_clients(connection, &ids).await?;
    let mut identities = identities::of_clients(connection, &ids).await?;
    let entries = clients
        .into_iter()
        .map(|mut client| {
            client.settings.identities = identities.remove(&client.client_id).unwrap_or_default();
            let secrets = secrets.remove(&client.client_id).unwrap_or_default();
            ClientEntry { client, secrets }
        })
        .collect();
    Ok(Ok((entries, more)))
}

/// Changes a client's settings: `change` gets those that stand, under the lock.
pub(crate) async fn update(
    connection: &Connection,
    client_id: Uuid,
    change: impl FnOnce(ClientSettings) -> ClientSettings,
    origin: Origin,
) -> Administered<ClientEntry> {
    let Some(before) = lock(connection, client_id).await? else {
        return Ok(Err(Refusal::ClientNotFound(client_id)));
    };
    let mut stand = before.settings;
    let mut identities = identities::of_clients(connection, &[client_id]).await?;
    stand.identities = identities.remove(&client_id).unwrap_or_default();
    let had = stand.identities.clone();
    let settings = change(stand);
    if let Err(refusal) = accepted(connection, &settings).await? {
        return Ok(Err(refusal));
    }
    if let Err(refusal) = identities::claim(connection, &had, &settings.identities).await? {
        return Ok(Err(refusal));
    }
    identities::replace(connection, client_id, &had, &settings.identities).await?;
    let updated = write(connection, statements::CLIENTS_UPDATE, client_id, &settings).await?;
    let Some(client) = updated else {
        return Ok(Err(Refusal::ClientNotFound(client_id)));
    };
    told(connection, EventKind::ClientUpdated, client_id, origin).await?;
    entry(connection, client).await.map(Ok)
}

/// Disables, enables or only cuts off a client; nothing happens to one that is disabled or
/// enabled already.
pub(crate) async fn cut_off(
    connection: &Connection,
    client_id: Uuid,
    what: CutOff,
    origin: Origin,
) -> Administered<ClientEntry> {
    let before = if what == CutOff::Disable {
        lock(connection, client_id).await?
    } else {
        // Who is about to search holds the client for long, and so waits for it for long.
        connection.allow_search().await?;
        one(connection, statements::CLIENTS_LOCK, &[&client_id]).await?
    };
    let Some(before) = before else {
        return Ok(Err(Refusal::ClientNotFound(client_id)));
    };
    let (disabled, kind) = match what {
        CutOff::Disable => (Some(true), EventKind::ClientDisabled),
        CutOff::Enable => (Some(false), EventKind::ClientEnabled),
        CutOff::Only => (None, EventKind::ClientCutOff),
    };
    if disabled == Some(before.disabled_at.is_some()) {
        return entry(connection, before).await.map(Ok);
    }
    let after = one(
        connection,
        statements::CLIENTS_CUT_OFF,
        &[&client_id, &disabled],
    )
    .await?;
    let Some(client) = after else {
        return Ok(Err(Refusal::ClientNotFound(client_id)));
    };
    told(connection, kind, client_id, origin).await?;
    entry(connection, client).await.map(Ok)
}

/// The entry of a client that was just read.
pub(super) async fn entry(
    connection: &Connection,
    mut client: Client,
) -> Result<ClientEntry, StoreError> {
    let mut identities = identities::of_clients(connection, &[client.client_id]).await?;
    client.settings.identities = identities.remove(&client.client_id).unwrap_or_default();
    let mut secrets = secrets::of_clients(connection, &[client.client_id]).await?;
    let secrets = secrets.remove(&client.client_id).unwrap_or_default();
    Ok(ClientEntry { client, secrets })
}

/// Locks a client's row, for a change that takes no time.
pub(super) async fn lock(
    connection: &Connection,
    client_id: Uuid,
) -> Result<Option<Client>, StoreError> {
    connection.queue().await?;
    one(connection, statements::CLIENTS_LOCK, &[&client_id]).await
}

/// Whether the settings are sound, and the documented table's own checks would take what the client's tokens
/// will hold; on a database of others they may ask for more than the RFCs.
async fn accepted(
    connection: &Connection,
    settings: &ClientSettings,
) -> Result<Result<(), Refusal>, StoreError> {
    if let Err(refusal) = settings.check() {
        return Ok(Err(refusal));
    }
    let scopes = settings.scopes.as_slice();
    let refused = texts(connection, statements::CLIENTS_REFUSED_SCOPES, scopes).await?;
    if !refused.is_empty() {
        return Ok(Err(Refusal::InvalidScope(refused)));
    }
    let audience = settings.audience.as_slice();
    let refused = texts(connection, statements::CLIENTS_REFUSED_AUDIENCE, audience).await?;
    Ok(if refused.is_empty() {
        Ok(())
    } else {
        Err(Refusal::InvalidTarget(refused))
    })
}

async fn texts(
    connection: &Connection,
    statement: Statement,
    terms: &[String],
) -> Result<Vec<String>, StoreError> {
    let rows = connection.query(statement, &[&terms]).await?;
    rows.iter()
        .map(|row| Columns::of(row, statement.name).take())
        .collect()
}

async fn write(
    connection: &Connection,
    statement: Statement,
    client_id: Uuid,
    settings: &ClientSettings,
) -> Result<Option<Client>, StoreError> {
    let roles: Vec<_> = settings.roles.iter().map(|role| role.name()).collect();
    let per_user = settings
        .sessions_per_user
        .map(|most| i32::try_from(most).unwrap_or(i32::MAX));
    one(
        connection,
        statement,
        &[
            &client_id,
            &settings.name,
            &roles,
            &settings.scopes.as_slice(),
            &settings.audience.as_slice(),
            &settings.default_audience.as_slice(),
            &settings.introspection_audience.as_slice(),
            &settings.access_token_ttl.map(millis),
            &settings.session_ttl.map(millis),
            &settings.idle_timeout.map(millis),
            &settings.rotation_grace.map(millis),
            &per_user,
            &settings.session_limit_policy.name(),
            &settings.bearer_allowed,
            &settings.dpop_required,
            &settings.dpop_nonce_required,
        ],
    )
    .await
}

async fn one(
    connection: &Connection,
    statement: Statement,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Option<Client>, StoreError> {
    let rows: Vec<Row> = connection.query(statement, params).await?;
    rows.first()
        .map(|row| client(&mut Columns::of(row, statement.name)))
        .transpose()
}

fn client(columns: &mut Columns<'_>) -> Result<Client, StoreError> {
    client_or_null(columns)?.ok_or_else(|| columns.corrupt())
}

/// The next 20 columns: a client, or NULLs where there is none.
pub(crate) fn client_or_null(columns: &mut Columns<'_>) -> Result<Option<Client>, StoreError> {
    let Some(client_id) = columns.take::<Option<Uuid>>()? else {
        return Ok(None);
    };
    let settings = ClientSettings {
        name: columns.take()?,
        roles: callers::roles(columns)?,
        identities: Vec::new(),
        scopes: Scopes::trusted(columns.take()?),
        audience: Audience::trusted(columns.take()?),
        default_audience: Audience::trusted(columns.take()?),
        introspection_audience: Audience::trusted(columns.take()?),
        access_token_ttl: columns.millis()?,
        session_ttl: columns.millis()?,
        idle_timeout: columns.millis()?,
        rotation_grace: columns.millis()?,
        sessions_per_user: columns
            .take::<Option<i32>>()?
            .map(u32::try_from)
            .transpose()
            .map_err(|_| columns.corrupt())?,
        session_limit_policy: SessionLimitPolicy::from_name(columns.take()?)
            .ok_or_else(|| columns.corrupt())?,
        bearer_allowed: columns.take()?,
        dpop_required: columns.take()?,
        dpop_nonce_required: columns.take()?,
    };
    Ok(Some(Client {
        client_id,
        settings,
        disabled_at: columns.take()?,
        not_before: columns.take()?,
        created_at: columns.take()?,
        updated_at: columns.take()?,
    }))
}

async fn told(
    connection: &Connection,
    kind: EventKind,
    client_id: Uuid,
    origin: Origin,
) -> Result<(), StoreError> {
    let event = Event {
        client_id: Some(client_id),
        ..Event::new(kind, origin)
    };
    events::record(connection, &[event]).await
}
