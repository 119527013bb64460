//! Locks and reads what decides about the orders of a batch.

use super::{
    open,
    premises::{Premises, Printed},
};
use crate::domain::{
    issuance::{EarlierOpening, Order, Situation},
    policy::{Client, Defaults, User},
};
use crate::store::{
    callers, coalescer::Job, columns::Columns, connection::Connection, directory,
    error::StoreError, expect, statements,
};
use chrono::{DateTime, Utc};
use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};
use tokio_postgres::types::{FromSqlOwned, ToSql};
use uuid::Uuid;

/// What was read for one order.
pub(super) struct Reading {
    pub(super) situation: Situation,
    /// When the access token in doubt dies, which is there: the earlier attempt was committed.
    pub(super) committed: Option<DateTime<Utc>>,
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
    let limit = |client: &Arc<Client>| client.settings.sessions_per_user(defaults);
    order.opening.is_some() && reading.situation.client.as_ref().and_then(limit).is_some()
}

/// Begins the transaction, and locks and reads what decides about each order.
pub(super) async fn lock_and_read(
    connection: &Connection,
    jobs: &[Job<Order>],
    defaults: &Defaults,
    premises: &Premises,
) -> Result<(Locked, Vec<Reading>), StoreError> {
    let parties = |job: &Job<Order>| [job.ask.client_id, job.ask.claim.credentials.client_id];
    let clients = distinct(jobs.iter().flat_map(parties));
    let users = distinct(jobs.iter().filter_map(|job| job.ask.subject));
    let requests: Vec<_> = jobs.iter().filter_map(|job| request(&job.ask)).collect();
    connection
        .prepare(&[
            statements::ISSUANCE_LOCK_CLIENTS,
            statements::ISSUANCE_LOCK_USERS,
            statements::ISSUANCE_LOCK_REQUESTS,
            statements::ISSUANCE_CLIENTS,
            statements::ISSUANCE_READ,
            statements::CALLERS_STANDING,
        ])
        .await?;
    let ((), locked, users, requests, clients, own, callers) = futures_util::try_join!(
        connection.begin(),
        lock(connection, statements::ISSUANCE_LOCK_CLIENTS, &clients),
        lock(connection, statements::ISSUANCE_LOCK_USERS, &users),
        lock(connection, statements::ISSUANCE_LOCK_REQUESTS, &requests),
        self::clients(connection, &clients),
        read(connection, jobs),
        callers::standing(
            connection,
            jobs.iter().map(|job| &job.ask.claim.credentials)
        ),
    )?;
    premises.learn(jobs, &clients, &callers);
    let mut readings: Vec<_> = own
        .into_iter()
        .zip(jobs)
        .map(|(own, job)| Reading {
            situation: Situation {
                now: clients.now,
                fence: clients.fence,
                caller: callers.get(&job.ask.claim.credentials).cloned(),
                client: (clients.known.get(&job.ask.client_id))
                    .map(|printed| Arc::clone(&printed.client)),
                user: own.user,
                sessions: Vec::new(),
                earlier: own.earlier,
            },
            committed: own.committed,
        })
        .collect();
    let counted = count(connection, jobs, &mut readings, defaults).await?;
    Ok((
        Locked {
            clients: locked,
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

/// Each id once, in order.
fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<_> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The lock of an opening's request id. That others may have the same only makes one wait.
fn request(order: &Order) -> Option<i32> {
    let request_id = request_id(order)?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(order.claim.credentials.client_id.as_bytes());
    hasher.update(request_id.as_bytes());
    let [a, b, c, d, ..] = *hasher.finalize().as_bytes();
    Some(i32::from_le_bytes([a, b, c, d]))
}

/// What holds for every order of a batch: the time, the fence, and each client once.
pub(super) struct Clients {
    pub(super) now: DateTime<Utc>,
    pub(super) fence: Option<DateTime<Utc>>,
    pub(super) known: HashMap<Uuid, Printed>,
}

async fn clients(connection: &Connection, wanted: &[Uuid]) -> Result<Clients, StoreError> {
    let statement = statements::ISSUANCE_CLIENTS;
    let rows = connection.query(statement, &[&wanted]).await?;
    let mut clients = None;
    for row in &rows {
        let mut columns = Columns::of(row, statement.name);
        let (now, fence) = (columns.take()?, columns.take()?);
        let clients = clients.get_or_insert_with(|| Clients {
            now,
            fence,
            known: HashMap::with_capacity(rows.len()),
        });
        let row: Option<&str> = columns.take()?;
        let client = directory::client_or_null(&mut columns)?;
        if let (Some(row), Some(client)) = (row, client) {
            let printed = Printed {
                row: row.into(),
                client: Arc::new(client),
            };
            clients.known.insert(printed.client.client_id, printed);
        }
    }
    clients.ok_or(StoreError::Corrupt {
        statement: statement.name,
        column: 0,
        source: None,
    })
}

/// What was read of one order alone.
#[derive(Default)]
struct Own {
    committed: Option<DateTime<Utc>>,
    user: Option<User>,
    earlier: Option<EarlierOpening>,
}

/// Reads what decides about single orders, in their order: of those that name nothing of
/// their own and are not in doubt there is nothing to read.
async fn read(connection: &Connection, jobs: &[Job<Order>]) -> Result<Vec<Own>, StoreError> {
    let mut own: Vec<Own> = jobs.iter().map(|_| Own::default()).collect();
    let asked: Vec<(usize, &Job<Order>)> = jobs
        .iter()
        .enumerate()
        .filter(|(_, job)| {
            job.in_doubt || job.ask.subject.is_some() || request_id(&job.ask).is_some()
        })
        .collect();
    if asked.is_empty() {
        return Ok(own);
    }
    let subjects: Vec<_> = asked.iter().map(|(_, job)| job.ask.subject).collect();
    let askers: Vec<_> = asked
        .iter()
        .map(|(_, job)| job.ask.claim.credentials.client_id)
        .collect();
    let requests: Vec<_> = asked.iter().map(|(_, job)| request_id(&job.ask)).collect();
    let doubts: Vec<_> = asked
        .iter()
        .map(|(_, job)| job.in_doubt.then(|| job.ask.access.digest().0))
        .collect();
    let doubts: Vec<_> = doubts
        .iter()
        .map(|doubt| doubt.as_ref().map(<[u8; 32]>::as_slice))
        .collect();
    let statement = statements::ISSUANCE_READ;
    let rows = connection
        .query(statement, &[&subjects, &askers, &requests, &doubts])
        .await?;
    let mut answered = 0;
    for row in &rows {
        let mut columns = Columns::of(row, statement.name);
        let place = columns.place()?;
        let (place, _) = asked.get(place).ok_or_else(|| columns.corrupt())?;
        own[*place] = Own {
            committed: columns.take()?,
            user: user(&mut columns)?,
            earlier: earlier(&mut columns)?,
        };
        answered += 1;
    }
    expect(statement, answered, asked.len())?;
    Ok(own)
}

fn request_id(order: &Order) -> Option<&str> {
    order.opening.as_ref()?.request_id.as_deref()
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
