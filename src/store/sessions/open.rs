//! Opens sessions: session, first ledger row and grant.

use crate::domain::{
    issuance::{Issue, OpenSession, Opening, Order},
    standing::SessionLife,
    terms::Scopes,
};
use crate::store::{
    columns::Columns,
    connection::Connection,
    error::StoreError,
    expect,
    ids::IdSource,
    statements::{self, Statement},
};
use uuid::Uuid;

/// The sessions of users with clients, each with the place of its ask.
pub(super) async fn of_users(
    connection: &Connection,
    subjects: &[Option<Uuid>],
    clients: &[Option<Uuid>],
) -> Result<Vec<(usize, OpenSession)>, StoreError> {
    let statement = statements::SESSIONS_OF_USER;
    let rows = connection.query(statement, &[&subjects, &clients]).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::of(row, statement.name);
            let place = columns.place()?;
            let session_id = columns.take()?;
            let client_id = columns.take()?;
            let life = SessionLife {
                created_at: columns.take()?,
                last_used_at: columns.take()?,
                expires_at: columns.take()?,
            };
            let scopes = Scopes::trusted(columns.take()?);
            Ok((
                place,
                OpenSession {
                    session_id,
                    client_id,
                    life,
                    scopes,
                },
            ))
        })
        .collect()
}

/// The ids of the sessions to open, where PostgreSQL does not count them itself.
pub(super) async fn ids(
    connection: &Connection,
    issues: &[(usize, &Order, Issue)],
    id_source: &IdSource,
) -> Result<Vec<Option<i32>>, StoreError> {
    let opening = issues.iter();
    let opening = opening.filter(|(_, order, _)| order.opening.is_some());
    match opening.count() {
        0 => Ok(Vec::new()),
        count => id_source.for_sessions(connection, count).await,
    }
}

/// The statements of [`open`].
pub(super) const STATEMENTS: [Statement; 2] =
    [statements::SESSIONS_OPEN, statements::SESSIONS_GRANT];

/// Opens the sessions among the issues, under these ids.
pub(super) async fn open(
    connection: &Connection,
    issues: &[(usize, &Order, Issue)],
    ids: Vec<Option<i32>>,
    id_source: &IdSource,
) -> Result<(), StoreError> {
    let opened: Vec<(&Order, &Opening, &Issue)> = issues
        .iter()
        .filter_map(|(_, order, issue)| Some((*order, order.opening.as_ref()?, issue)))
        .collect();
    if opened.is_empty() {
        return Ok(());
    }
    // In this order: sessions.open frees the request ids that the grants bear.
    futures_util::try_join!(
        sessions(connection, &opened, ids, id_source),
        grant(connection, &opened),
    )?;
    Ok(())
}

/// Inserts sessions and their first ledger rows.
async fn sessions(
    connection: &Connection,
    opened: &[(&Order, &Opening, &Issue)],
    ids: Vec<Option<i32>>,
    id_source: &IdSource,
) -> Result<(), StoreError> {
    let sessions: Vec<_> = opened
        .iter()
        .map(|(_, new, _)| new.refresh.session())
        .collect();
    let clients: Vec<_> = opened.iter().map(|(order, _, _)| order.client_id).collect();
    let subjects: Vec<_> = opened.iter().map(|(order, _, _)| order.subject).collect();
    let tokens: Vec<_> = opened
        .iter()
        .map(|(_, new, _)| new.refresh.digest().0)
        .collect();
    let times: Vec<_> = opened
        .iter()
        .map(|(_, _, issue)| issue.created_at)
        .collect();
    let expires: Vec<_> = opened
        .iter()
        .map(|(_, _, issue)| issue.session_expires_at)
        .collect();
    let agents: Vec<_> = opened
        .iter()
        .map(|(_, new, _)| new.user_agent.as_deref())
        .collect();
    let addresses: Vec<_> = opened.iter().map(|(_, new, _)| new.ip_address).collect();
    let taken_over: Vec<_> = opened
        .iter()
        .map(|(_, _, issue)| issue.takes_over)
        .collect();
    let statement = statements::SESSIONS_OPEN;
    let rows = connection
        .query(
            statement,
            &[
                &sessions,
                &clients,
                &subjects,
                &tokens,
                &times,
                &expires,
                &agents,
                &addresses,
                &ids,
                &taken_over,
            ],
        )
        .await?;
    // It fails where one of them is not opened; of all, it returns the last id.
    if let Some(row) = rows.first() {
        id_source.saw_session(Columns::of(row, statement.name).take()?);
    }
    Ok(())
}

/// Inserts the grants of sessions just opened.
async fn grant(
    connection: &Connection,
    opened: &[(&Order, &Opening, &Issue)],
) -> Result<(), StoreError> {
    let sessions: Vec<_> = opened
        .iter()
        .map(|(_, new, _)| new.refresh.session())
        .collect();
    let clients: Vec<_> = opened.iter().map(|(order, _, _)| order.client_id).collect();
    let subjects: Vec<_> = opened.iter().map(|(order, _, _)| order.subject).collect();
    let times: Vec<_> = opened
        .iter()
        .map(|(_, _, issue)| issue.created_at)
        .collect();
    let expires: Vec<_> = opened
        .iter()
        .map(|(_, _, issue)| issue.session_expires_at)
        .collect();
    let openers: Vec<_> = opened
        .iter()
        .map(|(order, _, _)| order.claim.credentials.client_id)
        .collect();
    let requests: Vec<_> = opened
        .iter()
        .map(|(_, new, _)| new.request_id.as_deref())
        .collect();
    let scopes: Vec<_> = opened
        .iter()
        .map(|(_, _, issue)| issue.scopes.joined())
        .collect();
    let audience: Vec<_> = opened
        .iter()
        .map(|(_, _, issue)| issue.audience.joined())
        .collect();
    let thumbprints: Vec<_> = opened
        .iter()
        .map(|(_, _, issue)| issue.dpop_jkt.as_deref())
        .collect();
    let keys: Vec<_> = opened
        .iter()
        .map(|(_, new, _)| i64::from(new.refresh.key().id().0))
        .collect();
    let salts: Vec<_> = opened
        .iter()
        .map(|(_, new, _)| new.salt.as_slice())
        .collect();
    let changed = connection
        .execute(
            statements::SESSIONS_GRANT,
            &[
                &sessions,
                &clients,
                &subjects,
                &openers,
                &requests,
                &scopes,
                &audience,
                &thumbprints,
                &keys,
                &salts,
                &times,
                &expires,
            ],
        )
        .await?;
    expect(statements::SESSIONS_GRANT, changed, opened.len())
}
