//! Client-only tokens by one statement: a batch is decided on what an earlier one has read, and
//! inserted only if all of that still stands as it did.
//!
//! Nothing is believed for having been read: the statement that inserts compares every client's
//! row, the fence and every caller's proof with what the batch was decided on, under the locks
//! that issuing takes. Where anything differs, or is locked, it inserts nothing, and the batch
//! is read and decided anew.

use super::situation::Clients;
use crate::domain::{
    caller::{Caller, Credentials},
    issuance::{self, Issue, Order, Situation},
    policy::{Client, Defaults},
    refusal::Refusal,
};
use crate::store::{
    callers::{Asking, Callers},
    coalescer::{Job, Outcome},
    columns::Columns,
    connection::{Connection, Params},
    error::StoreError,
    pool::Pool,
    statements,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};
use uuid::Uuid;

/// How many clients, and how many callers, are remembered.
const REMEMBERED: usize = 4096;

/// A client, and its row as PostgreSQL prints it.
#[derive(Debug, Clone)]
pub(super) struct Printed {
    pub(super) client: Arc<Client>,
    pub(super) row: Arc<str>,
}

/// What earlier batches have read.
#[derive(Debug, Default)]
pub(crate) struct Premises(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The database's time when something was read last, and the fence then.
    read: Option<(DateTime<Utc>, Option<DateTime<Utc>>)>,
    clients: HashMap<Uuid, Printed>,
    /// Of each caller the client, and the client of its identity.
    callers: HashMap<Credentials, (Uuid, Option<Uuid>)>,
}

/// What one batch is decided on.
struct Premise<'a> {
    now: DateTime<Utc>,
    fence: Option<DateTime<Utc>>,
    clients: BTreeMap<Uuid, Printed>,
    asking: Asking<'a>,
    callers: Vec<(Uuid, Option<Uuid>)>,
}

impl Premises {
    /// Remembers what a batch has read.
    pub(super) fn learn(&self, jobs: &[Job<Order>], clients: &Clients, callers: &Callers) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.clients.len().max(known.callers.len()) >= REMEMBERED {
            *known = Known::default();
        }
        known.read = Some((clients.now, clients.fence));
        for printed in clients.known.values() {
            let id = printed.client.client_id;
            known.clients.insert(id, printed.clone());
        }
        for Job { ask, .. } in jobs {
            let credentials = &ask.claim.credentials;
            let Some(caller) = callers.get(credentials) else {
                // Or it would send every batch that it is in to the database in vain.
                known.callers.remove(credentials);
                continue;
            };
            let is = (caller.client_id, caller.identity_of);
            if known.callers.get(credentials) != Some(&is) {
                known.callers.insert(credentials.clone(), is);
            }
        }
    }

    /// What is known of all that decides about a batch of client-only tokens.
    fn of<'a>(&self, jobs: &'a [Job<Order>]) -> Option<Premise<'a>> {
        let eligible = |job: &Job<Order>| {
            !job.in_doubt && job.ask.opening.is_none() && job.ask.subject.is_none()
        };
        if !jobs.iter().all(eligible) {
            return None;
        }
        let asking = Asking::of(jobs.iter().map(|job| &job.ask.claim.credentials));
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, fence) = known.read?;
        let mut callers = Vec::with_capacity(asking.ids.len());
        let mut clients = BTreeMap::new();
        for credentials in asking.distinct() {
            let is = known.callers.get(credentials)?;
            clients.insert(is.0, known.clients.get(&is.0)?.clone());
            callers.push(*is);
        }
        for Job { ask, .. } in jobs {
            if let Entry::Vacant(new) = clients.entry(ask.client_id) {
                new.insert(known.clients.get(&ask.client_id)?.clone());
            }
        }
        drop(known);
        Some(Premise {
            now,
            fence,
            clients,
            asking,
            callers,
        })
    }

    /// Issues a batch on what is known. `None`: that is not enough, or not so any more, and
    /// nothing was done.
    pub(super) async fn issue(
        &self,
        pool: &Pool,
        jobs: &[Job<Order>],
        defaults: &Defaults,
    ) -> Result<Option<Vec<Outcome<Result<Issue, Refusal>>>>, StoreError> {
        let Some(premise) = self.of(jobs) else {
            return Ok(None);
        };
        let decided: Vec<_> = jobs
            .iter()
            .map(|job| issuance::decide(&job.ask, &premise.situation(&job.ask), defaults))
            .collect();
        let Some(at) = Box::pin(insert(pool, jobs, &premise, &decided)).await? else {
            return Ok(None);
        };
        let issued = decided
            .into_iter()
            .map(|decided| Outcome::Done(decided.map(|issue| issue.at(premise.now, at))));
        Ok(Some(issued.collect()))
    }
}

impl Premise<'_> {
    fn situation(&self, order: &Order) -> Situation {
        let credentials = &order.claim.credentials;
        let caller = self.asking.place(credentials).and_then(|place| {
            let (client_id, identity_of) = self.callers[place];
            let printed = self.clients.get(&client_id)?;
            Some(Caller::of(&printed.client, identity_of))
        });
        let client = self.clients.get(&order.client_id);
        Situation {
            now: self.now,
            fence: self.fence,
            caller,
            client: client.map(|printed| Arc::clone(&printed.client)),
            user: None,
            sessions: Vec::new(),
            earlier: None,
        }
    }

    /// The last of the cut-offs that the tokens must come after.
    fn last_cut_off(&self) -> Option<DateTime<Utc>> {
        let clients = self.clients.values();
        let cut_offs = clients.filter_map(|printed| printed.client.not_before);
        cut_offs.chain(self.fence).max()
    }
}

/// Inserts what was decided, if it would be decided again. Returns the tokens' time.
async fn insert(
    pool: &Pool,
    jobs: &[Job<Order>],
    premise: &Premise<'_>,
    decided: &[Result<Issue, Refusal>],
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let mut tokens: Vec<_> = jobs
        .iter()
        .zip(decided)
        .filter_map(|(job, decided)| {
            let issue = decided.as_ref().ok()?;
            Some((job.ask.access.digest(), &*job.ask, issue))
        })
        .collect();
    tokens.sort_unstable_by_key(|(digest, ..)| *digest);
    let clients: Vec<_> = premise.clients.keys().collect();
    let rows: Vec<_> = premise.clients.values().map(|known| &*known.row).collect();
    let cut_off = premise.last_cut_off();
    let callers: Vec<_> = premise.callers.iter().map(|(client, _)| client).collect();
    let identity_of: Vec<_> = premise.callers.iter().map(|(_, client)| client).collect();

    let digests: Vec<_> = tokens
        .iter()
        .map(|(digest, ..)| digest.0.as_slice())
        .collect();
    let token_ids: Vec<_> = tokens.iter().map(|(_, order, _)| order.token_id).collect();
    let terms = tokens
        .iter()
        .map(|(_, order, issue)| Terms::of(order, issue, premise.now));
    let (terms, places) = distinct(terms);
    let owners: Vec<_> = terms.iter().map(|terms| terms.client_id).collect();
    let scopes: Vec<_> = terms.iter().map(|terms| terms.scopes.join(" ")).collect();
    let audience: Vec<_> = terms.iter().map(|terms| terms.audience.join(" ")).collect();
    let thumbprints: Vec<_> = terms.iter().map(|terms| terms.dpop_jkt).collect();
    let keys: Vec<_> = terms.iter().map(|terms| terms.key_id).collect();
    let lives: Vec<_> = terms.iter().map(|terms| terms.life).collect();
    let params: Params<'_> = &[
        &clients,
        &rows,
        &premise.fence,
        &cut_off,
        &premise.asking.ids,
        &premise.asking.digests,
        &premise.asking.identities,
        &callers,
        &identity_of,
        &digests,
        &token_ids,
        &places,
        &owners,
        &scopes,
        &audience,
        &thumbprints,
        &keys,
        &lives,
    ];
    let statement = statements::TOKENS_INSERT_UNCHANGED;
    let connection = Connection::take(pool).await?;
    let rows = connection.query_and_commit(statement, params).await?;
    let at = |row| Columns::of(row, statement.name).take();
    rows.first().map(at).transpose()
}

/// What many tokens of a batch have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Terms<'a> {
    client_id: Uuid,
    scopes: &'a [String],
    audience: &'a [String],
    dpop_jkt: Option<&'a str>,
    key_id: i64,
    /// In microseconds.
    life: i64,
}

impl<'a> Terms<'a> {
    fn of(order: &Order, issue: &'a Issue, now: DateTime<Utc>) -> Self {
        Self {
            client_id: order.client_id,
            scopes: issue.scopes.as_slice(),
            audience: issue.audience.as_slice(),
            dpop_jkt: issue.dpop_jkt.as_deref(),
            key_id: i64::from(order.access.key_id().0),
            life: micros(issue.access_expires_at - now),
        }
    }
}

/// Each once, and for each of them its place there, counted from 1.
fn distinct<'a>(all: impl Iterator<Item = Terms<'a>>) -> (Vec<Terms<'a>>, Vec<i64>) {
    let mut known = HashMap::new();
    let mut distinct = Vec::new();
    let places = all.map(|terms| {
        *known.entry(terms).or_insert_with(|| {
            distinct.push(terms);
            i64::try_from(distinct.len()).unwrap_or(i64::MAX)
        })
    });
    let places = places.collect();
    (distinct, places)
}

/// A length in PostgreSQL's resolution; what is longer than it can count is as good as for ever.
fn micros(length: TimeDelta) -> i64 {
    length.num_microseconds().unwrap_or(i64::MAX)
}
