//! `public.users`, `auth."user"` and `countersign.account`.

use super::Administered;
use crate::domain::{
    event::{Event, EventKind, Origin},
    policy::User,
    refusal::Refusal,
};
use crate::store::{
    columns::Columns,
    connection::Connection,
    error::StoreError,
    events,
    ids::IdSource,
    statements::{self, Statement},
};
use std::collections::HashSet;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// What registering users came to.
pub(crate) enum Registration {
    /// These were registered; the others were registered by someone else meanwhile.
    Done(HashSet<Uuid>),
    /// None could be, and PostgreSQL has given up the transaction.
    Refused(Refusal, StoreError),
}

/// Registers users who are not registered yet: the rows in the shared tables where
/// they are missing, and ours.
pub(crate) async fn register(
    connection: &Connection,
    users: &[(Uuid, Origin)],
    id_source: &IdSource,
) -> Result<Registration, StoreError> {
    if users.is_empty() {
        return Ok(Registration::Done(HashSet::new()));
    }
    let mut subjects: Vec<_> = users.iter().map(|(subject, _)| *subject).collect();
    subjects.sort_unstable();
    let linked = connection
        .execute(statements::USERS_LINK, &[&subjects])
        .await;
    if let Err(error) = linked {
        return refused("public.users", error);
    }
    let ids = id_source.for_users(connection, subjects.len()).await?;
    let statement = statements::USERS_BRIDGE;
    let bridged = connection.query(statement, &[&subjects, &ids]).await;
    let bridged = match bridged {
        Ok(rows) => rows,
        Err(error) => return refused("auth.\"user\"", error),
    };
    for row in &bridged {
        id_source.saw_user(Columns::of(row, statement.name).take()?);
    }
    let statement = statements::USERS_REGISTER;
    let rows = connection.query(statement, &[&subjects]).await?;
    let registered: HashSet<Uuid> = rows
        .iter()
        .map(|row| Columns::of(row, statement.name).take())
        .collect::<Result<_, _>>()?;
    let told: Vec<_> = users
        .iter()
        .filter(|(subject, _)| registered.contains(subject))
        .map(|(subject, origin)| about(EventKind::SubjectRegistered, *subject, *origin))
        .collect();
    events::record(connection, &told).await?;
    Ok(Registration::Done(registered))
}

/// What a table's refusal of a row means: it requires more than we know of a user.
fn refused(table: &'static str, error: StoreError) -> Result<Registration, StoreError> {
    match error {
        StoreError::Constraint(_) | StoreError::Conflict(_) => {
            let refusal = Refusal::LinkRequired { table };
            Ok(Registration::Refused(refusal, error))
        }
        error => Err(error),
    }
}

/// Registers one user; one who is registered already stays so.
pub(crate) async fn register_one(
    connection: &Connection,
    subject: Uuid,
    id_source: &IdSource,
    origin: Origin,
) -> Administered<User> {
    if let Ok(user) = get(connection, subject).await? {
        return Ok(Ok(user));
    }
    match register(connection, &[(subject, origin)], id_source).await? {
        Registration::Done(_) => get(connection, subject).await,
        Registration::Refused(refusal, _) => Ok(Err(refusal)),
    }
}

/// Reads a user.
pub(crate) async fn get(connection: &Connection, subject: Uuid) -> Administered<User> {
    let user = one(connection, statements::USERS_READ, &[&subject]).await?;
    Ok(user.ok_or(Refusal::SubjectNotFound(subject)))
}

/// Locks a user's row, so that no login under way slips through.
pub(crate) async fn lock(
    connection: &Connection,
    subject: Uuid,
) -> Result<Option<User>, StoreError> {
    one(connection, statements::USERS_LOCK, &[&subject]).await
}

/// Disables or enables a user; nothing happens to one who is so already.
pub(crate) async fn change(
    connection: &Connection,
    subject: Uuid,
    disable: bool,
    origin: Origin,
) -> Administered<User> {
    let Some(before) = lock(connection, subject).await? else {
        return Ok(Err(Refusal::SubjectNotFound(subject)));
    };
    if before.disabled_at.is_some() == disable {
        return Ok(Ok(before));
    }
    let disabled = Some(disable);
    let after = one(
        connection,
        statements::USERS_CUT_OFF,
        &[&subject, &disabled],
    )
    .await?;
    let kind = if disable {
        EventKind::SubjectDisabled
    } else {
        EventKind::SubjectEnabled
    };
    events::record(connection, &[about(kind, subject, origin)]).await?;
    Ok(after.ok_or(Refusal::SubjectNotFound(subject)))
}

/// Cuts off everything that exists of a user whose row is locked.
pub(crate) async fn cut_off(
    connection: &Connection,
    subject: Uuid,
    origin: Origin,
) -> Result<(), StoreError> {
    let disabled: Option<bool> = None;
    if one(
        connection,
        statements::USERS_CUT_OFF,
        &[&subject, &disabled],
    )
    .await?
    .is_some()
    {
        let event = about(EventKind::SubjectCutOff, subject, origin);
        events::record(connection, &[event]).await?;
    }
    Ok(())
}

fn about(kind: EventKind, subject: Uuid, origin: Origin) -> Event {
    Event {
        subject: Some(subject),
        ..Event::new(kind, origin)
    }
}

async fn one(
    connection: &Connection,
    statement: Statement,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Option<User>, StoreError> {
    let rows = connection.query(statement, params).await?;
    rows.first()
        .map(|row| {
            let mut columns = Columns::of(row, statement.name);
            Ok(User {
                subject: columns.take()?,
                disabled_at: columns.take()?,
                not_before: columns.take()?,
                created_at: columns.take()?,
            })
        })
        .transpose()
}
