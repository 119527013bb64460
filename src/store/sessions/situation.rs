//! Locks and reads what decides about the orders of a batch.

use super::{issue::Kind, open, rotate::ids};
use crate::domain::{
    issuance::{EarlierOpening, OpenSession, Order, Situation},
    policy::User,
};
use crate::store::{
    callers, coalescer::Job, columns::Columns, connection::Connection, directory,
    error::StoreError, statements,
};
use std::collections::HashSet;
use uuid::Uuid;

/// What was read for one order.
pub(super) struct Reading {
    pub(super) situation: Situation,
    /// The access token in doubt is there: the earlier attempt was committed.
    pub(super) committed: bool,
}

/// Begins the transaction. Returns the clients and users that were locked, and what was
/// read for each order.
pub(super) async fn lock_and_read(
    connection: &Connection,
    kind: Kind,
    jobs: &[Job<Order>],
) -> Result<(HashSet<Uuid>, HashSet<Uuid>, Vec<Reading>), StoreError> {
    let lock_users = match kind {
        Kind::Token => statements::ISSUANCE_LOCK_USERS_TO_ISSUE,
        Kind::Session => statements::ISSUANCE_LOCK_USERS_TO_OPEN,
    };
    let clients: Vec<_> = jobs.iter().map(|job| job.ask.client_id).collect();
    let users: Vec<_> = jobs.iter().filter_map(|job| job.ask.subject).collect();
    connection
        .prepare(&[
            statements::ISSUANCE_LOCK_CLIENTS,
            lock_users,
            statements::ISSUANCE_READ,
            statements::SESSIONS_OF_USER,
            statements::CALLERS_STANDING,
        ])
        .await?;
    let ((), clients, users, mut readings, sessions, callers) = futures_util::try_join!(
        connection.begin(),
        ids(connection, statements::ISSUANCE_LOCK_CLIENTS, &clients),
        lock_some(connection, lock_users, &users),
        read(connection, jobs),
        sessions_of(connection, kind, jobs),
        callers::standing(
            connection,
            jobs.iter().map(|job| &job.ask.claim.credentials)
        ),
    )?;
    for (place, session) in sessions {
        readings[place].situation.sessions.push(session);
    }
    for (reading, job) in readings.iter_mut().zip(jobs) {
        reading.situation.caller = callers.get(&job.ask.claim.credentials).cloned();
    }
    Ok((clients, users, readings))
}

async fn lock_some(
    connection: &Connection,
    statement: statements::Statement,
    wanted: &[Uuid],
) -> Result<HashSet<Uuid>, StoreError> {
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    ids(connection, statement, wanted).await
}

async fn read(connection: &Connection, jobs: &[Job<Order>]) -> Result<Vec<Reading>, StoreError> {
    let clients: Vec<_> = jobs.iter().map(|job| job.ask.client_id).collect();
    let subjects: Vec<_> = jobs.iter().map(|job| job.ask.subject).collect();
    let askers: Vec<_> = jobs
        .iter()
        .map(|job| job.ask.claim.credentials.client_id)
        .collect();
    let requests: Vec<_> = jobs
        .iter()
        .map(|job| {
            job.ask
                .opening
                .as_ref()
                .and_then(|opening| opening.request_id.as_deref())
        })
        .collect();
    let digests: Vec<_> = jobs.iter().map(|job| job.ask.access.digest().0).collect();
    let doubts: Vec<_> = jobs
        .iter()
        .zip(&digests)
        .map(|(job, digest)| job.in_doubt.then_some(digest.as_slice()))
        .collect();
    let statement = statements::ISSUANCE_READ;
    let params: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&clients, &subjects, &askers, &requests, &doubts];
    let rows = connection.query(statement, &params).await?;
    let mut readings: Vec<Option<Reading>> = jobs.iter().map(|_| None).collect();
    for row in &rows {
        let mut columns = Columns::of(row, statement.name);
        let place = columns.place()?;
        readings[place] = Some(reading(&mut columns)?);
    }
    readings
        .into_iter()
        .map(|reading| {
            reading.ok_or(StoreError::Corrupt {
                statement: statement.name,
                column: 0,
                source: None,
            })
        })
        .collect()
}

fn reading(columns: &mut Columns<'_>) -> Result<Reading, StoreError> {
    let now = columns.take()?;
    let fence = columns.take()?;
    let committed = columns.take()?;
    let user = user(columns)?;
    let earlier = earlier(columns)?;
    let client = directory::client_or_null(columns)?;
    Ok(Reading {
        situation: Situation {
            now,
            fence,
            caller: None,
            client,
            user,
            sessions: Vec::new(),
            earlier,
        },
        committed,
    })
}

fn user(columns: &mut Columns<'_>) -> Result<Option<User>, StoreError> {
    let subject: Option<Uuid> = columns.take()?;
    let disabled_at = columns.take()?;
    let not_before = columns.take()?;
    let created_at: Option<_> = columns.take()?;
    Ok(subject.zip(created_at).map(|(subject, created_at)| User {
        subject,
        disabled_at,
        not_before,
        created_at,
    }))
}

fn earlier(columns: &mut Columns<'_>) -> Result<Option<EarlierOpening>, StoreError> {
    let session_id: Option<Uuid> = columns.take()?;
    let client_id: Option<Uuid> = columns.take()?;
    let subject: Option<Uuid> = columns.take()?;
    let opened_at: Option<_> = columns.take()?;
    let (Some(session_id), Some(client_id), Some(subject), Some(opened_at)) =
        (session_id, client_id, subject, opened_at)
    else {
        return Ok(None);
    };
    Ok(Some(EarlierOpening {
        session_id,
        client_id,
        subject,
        opened_at,
    }))
}

async fn sessions_of(
    connection: &Connection,
    kind: Kind,
    jobs: &[Job<Order>],
) -> Result<Vec<(usize, OpenSession)>, StoreError> {
    if kind == Kind::Token {
        return Ok(Vec::new());
    }
    let subjects: Vec<_> = jobs.iter().map(|job| job.ask.subject).collect();
    let clients: Vec<_> = jobs.iter().map(|job| Some(job.ask.client_id)).collect();
    open::of_users(connection, &subjects, &clients).await
}
