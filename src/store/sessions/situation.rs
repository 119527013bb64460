//! Locks and reads what decides about the orders of a batch.

use super::open;
use crate::domain::{
    issuance::{EarlierOpening, Order, Situation},
    policy::{Client, Defaults, User},
};
use crate::store::{
    callers, coalescer::Job, columns::Columns, connection::Connection, directory,
    error::StoreError, statements,
};
use std::{collections::HashSet, hash::Hash};
use tokio_postgres::types::{FromSqlOwned, ToSql};
use uuid::Uuid;

/// What was read for one order.
pub(super) struct Reading {
    pub(super) situation: Situation,
    /// The access token in doubt is there: the earlier attempt was committed.
    pub(super) committed: bool,
}

/// The rows that a batch has locked.
pub(super) struct Locked {
    clients: HashSet<Uuid>,
    users: HashSet<Uuid>,
    requests: HashSet<i32>,
    counted: HashSet<Uuid>,
}

impl Locked {
    /// Whether an order may be decided: what exists of its client and user is locked.
    pub(super) fn holds(&self, order: &Order, reading: &Reading, defaults: &Defaults) -> bool {
        let situation = &reading.situation;
        let client = situation.client.is_none() || self.clients.contains(&order.client_id);
        let users = if limited(order, reading, defaults) {
            &self.counted
        } else {
            &self.users
        };
        let user = situation.user.is_none() || order.subject.is_none_or(|id| users.contains(&id));
        let request = request(order).is_none_or(|request| self.requests.contains(&request));
        client && user && request
    }
}

/// Whether the order opens a session where their number is limited.
pub(super) fn limited(order: &Order, reading: &Reading, defaults: &Defaults) -> bool {
    let limit = |client: &Client| client.settings.sessions_per_user(defaults);
    order.opening.is_some() && reading.situation.client.as_ref().and_then(limit).is_some()
}

/// Begins the transaction, and locks and reads what decides about each order.
pub(super) async fn lock_and_read(
    connection: &Connection,
    jobs: &[Job<Order>],
    defaults: &Defaults,
) -> Result<(Locked, Vec<Reading>), StoreError> {
    let clients: Vec<_> = jobs.iter().map(|job| job.ask.client_id).collect();
    let users: Vec<_> = jobs.iter().filter_map(|job| job.ask.subject).collect();
    let requests: Vec<_> = jobs.iter().filter_map(|job| request(&job.ask)).collect();
    connection
        .prepare(&[
            statements::ISSUANCE_LOCK_CLIENTS,
            statements::ISSUANCE_LOCK_USERS,
            statements::ISSUANCE_LOCK_REQUESTS,
            statements::ISSUANCE_READ,
            statements::CALLERS_STANDING,
        ])
        .await?;
    let ((), clients, users, requests, mut readings, callers) = futures_util::try_join!(
        connection.begin(),
        lock(connection, statements::ISSUANCE_LOCK_CLIENTS, &clients),
        lock(connection, statements::ISSUANCE_LOCK_USERS, &users),
        lock(connection, statements::ISSUANCE_LOCK_REQUESTS, &requests),
        read(connection, jobs),
        callers::standing(
            connection,
            jobs.iter().map(|job| &job.ask.claim.credentials)
        ),
    )?;
    for (reading, job) in readings.iter_mut().zip(jobs) {
        reading.situation.caller = callers.get(&job.ask.claim.credentials).cloned();
    }
    let counted = count(connection, jobs, &mut readings, defaults).await?;
    Ok((
        Locked {
            clients,
            users,
            requests,
            counted,
        },
        readings,
    ))
}

/// Locks the users whose sessions are limited against each other's openings, and reads
/// those sessions.
async fn count(
    connection: &Connection,
    jobs: &[Job<Order>],
    readings: &mut [Reading],
    defaults: &Defaults,
) -> Result<HashSet<Uuid>, StoreError> {
    let of_limited = |value: fn(&Order) -> Option<Uuid>, readings: &[Reading]| -> Vec<_> {
        jobs.iter()
            .zip(readings)
            .map(|(job, reading)| {
                limited(&job.ask, reading, defaults)
                    .then(|| value(&job.ask))
                    .flatten()
            })
            .collect()
    };
    let subjects = of_limited(|order| order.subject, readings);
    let wanted: Vec<_> = subjects.iter().copied().flatten().collect();
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    let clients = of_limited(|order| Some(order.client_id), readings);
    let lock_to_count = statements::ISSUANCE_LOCK_USERS_TO_COUNT;
    connection
        .prepare(&[lock_to_count, statements::SESSIONS_OF_USER])
        .await?;
    let (counted, sessions) = futures_util::try_join!(
        lock(connection, lock_to_count, &wanted),
        open::of_users(connection, &subjects, &clients),
    )?;
    for (place, session) in sessions {
        readings[place].situation.sessions.push(session);
    }
    Ok(counted)
}

/// Locks some of what is wanted, and says which.
async fn lock<T>(
    connection: &Connection,
    statement: statements::Statement,
    wanted: &[T],
) -> Result<HashSet<T>, StoreError>
where
    T: ToSql + FromSqlOwned + Sync + Eq + Hash,
{
    if wanted.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = connection.query(statement, &[&wanted]).await?;
    rows.iter()
        .map(|row| Columns::of(row, statement.name).take())
        .collect()
}

/// The lock of an opening's request id. That others may have the same only makes one wait.
fn request(order: &Order) -> Option<i32> {
    let request_id = order.opening.as_ref()?.request_id.as_ref()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(order.claim.credentials.client_id.as_bytes());
    hasher.update(request_id.as_bytes());
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    Some(i32::from_le_bytes([a, b, c, d]))
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
    let stands = columns.take()?;
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
        stands,
    }))
}
