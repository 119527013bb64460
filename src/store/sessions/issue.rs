//! One batch of tokens, with or without sessions: lock, read, decide, write.

use super::{
    end::{self, Ending},
    open,
    premises::Premises,
    situation::{Reading, limited, lock_and_read},
};
use crate::domain::{
    event::Origin,
    issuance::{self, Issue, Order},
    policy::Defaults,
    refusal::Refusal,
};
use crate::store::pool::Pool;
use crate::store::{
    coalescer::{Job, Outcome},
    connection::{Connection, transaction},
    directory,
    error::StoreError,
    ids::IdSource,
    statements,
    tokens::{self, NewToken},
};
use std::collections::HashSet;
use uuid::Uuid;

/// Issues a batch in one transaction; of client-only tokens in one statement, where what is
/// known of those whom it concerns still holds.
pub(crate) async fn issue(
    pool: &Pool,
    jobs: &[Job<Order>],
    defaults: &Defaults,
    id_source: &IdSource,
    premises: &Premises,
) -> Result<Vec<Outcome<Result<Issue, Refusal>>>, StoreError> {
    if let Some(outcomes) = premises.issue(pool, jobs, defaults).await? {
        return Ok(outcomes);
    }
    transaction(pool, async |connection| {
        // Apart from what awaits them: what a batch does is not small.
        let (locked, readings) =
            Box::pin(lock_and_read(connection, jobs, defaults, premises)).await?;
        let mut taken = HashSet::new();
        let mut outcomes = Vec::with_capacity(jobs.len());
        let mut issues = Vec::new();
        for (Job { ask, .. }, reading) in jobs.iter().zip(&readings) {
            let alone = alone(&mut taken, ask, reading, defaults);
            if !alone || !locked.holds(ask, reading, defaults) {
                outcomes.push(Outcome::Busy);
                continue;
            }
            let decided = issuance::decide(ask, &reading.situation, defaults);
            outcomes.push(match (decided, reading.committed) {
                (Ok(issue), Some(expires_at)) => Outcome::Done(Ok(issue.as_written(expires_at))),
                // Refused by what came after it: that nothing was done would be untrue.
                (Err(_), Some(_)) => Outcome::Untold,
                (Ok(issue), None) => {
                    issues.push((outcomes.len(), ask.as_ref(), issue.clone()));
                    Outcome::Done(Ok(issue))
                }
                (Err(refusal), None) => Outcome::Done(Err(refusal)),
            });
        }
        for (place, at) in Box::pin(write(connection, issues, id_source, jobs.len())).await? {
            outcomes[place] = at;
        }
        Ok(outcomes)
    })
    .await
}

/// What one opening does, another must see that counts sessions, registers the same user
/// or bears the same request id; so only one of each is in a batch, and the next one goes
/// out with the next batch.
fn alone(
    taken: &mut HashSet<(Uuid, Option<String>)>,
    ask: &Order,
    reading: &Reading,
    defaults: &Defaults,
) -> bool {
    let request = ask
        .opening
        .as_ref()
        .and_then(|opening| opening.request_id.clone());
    if request.is_some() && !taken.insert((ask.claim.credentials.client_id, request)) {
        return false;
    }
    let Some(subject) = ask.subject else {
        return true;
    };
    let known = reading.situation.user.is_some();
    (known && !limited(ask, reading, defaults)) || taken.insert((subject, None))
}

type Decided<'a> = (usize, &'a Order, Issue);

/// Writes what was decided. Returns the places whose calls found something held by
/// another transaction and are to be tried again.
async fn write(
    connection: &Connection,
    mut issues: Vec<Decided<'_>>,
    id_source: &IdSource,
    calls: usize,
) -> Result<Vec<(usize, Outcome<Result<Issue, Refusal>>)>, StoreError> {
    let mut again = Vec::new();
    let ending: Vec<_> = issues
        .iter()
        .flat_map(|(_, _, issue)| issue.ends.iter().map(|(id, _)| *id))
        .collect();
    if !ending.is_empty() {
        let locked = end::lock(connection, &ending).await?;
        issues.retain(|(place, _, issue)| {
            let ready = issue.ends.iter().all(|(id, _)| locked.contains(id));
            if !ready {
                again.push((*place, Outcome::Busy));
            }
            ready
        });
    }
    let register: Vec<_> = issues
        .iter()
        .filter(|(_, _, issue)| issue.register)
        .filter_map(|(_, order, _)| order.subject.map(|subject| (subject, origin(order))))
        .collect();
    let registered = directory::register_users(connection, &register, id_source).await?;
    match registered {
        directory::Registration::Done(registered) => issues.retain(|(place, order, issue)| {
            let ready = !issue.register
                || order
                    .subject
                    .is_some_and(|subject| registered.contains(&subject));
            if !ready {
                again.push((*place, Outcome::Busy));
            }
            ready
        }),
        // Alone, it is the caller's own user whom the table refuses; among others each is
        // sent again by itself, since nothing of this transaction will stand.
        directory::Registration::Refused(refusal, _) if calls == 1 => {
            return Ok(vec![(0, Outcome::Done(Err(refusal)))]);
        }
        directory::Registration::Refused(_, error) => return Err(error),
    }
    end::end(connection, &endings(&issues)).await?;
    let new = issues
        .iter()
        .map(|(_, order, issue)| new_token(order, issue));
    let new = new.collect();
    let ids = open::ids(connection, &issues, id_source).await?;
    let [open, grant] = open::STATEMENTS;
    let write = Box::pin(async {
        futures_util::try_join!(
            open::open(connection, &issues, ids, id_source),
            tokens::insert(connection, new),
        )
    });
    connection
        .commit_with(&[open, grant, statements::TOKENS_INSERT], write)
        .await?;
    Ok(again)
}

pub(super) fn origin(order: &Order) -> Origin {
    Origin {
        actor: Some(order.claim.credentials.client_id),
        call: Some(order.claim.call),
    }
}

fn endings(issues: &[Decided<'_>]) -> Vec<Ending> {
    issues
        .iter()
        .flat_map(|(_, order, issue)| {
            issue.ends.iter().filter_map(|(session_id, reason)| {
                Some(Ending {
                    session_id: *session_id,
                    client_id: order.client_id,
                    subject: order.subject?,
                    reason: *reason,
                    origin: origin(order),
                })
            })
        })
        .collect()
}

fn new_token(order: &Order, issue: &Issue) -> NewToken {
    NewToken {
        digest: order.access.digest(),
        token_id: order.token_id,
        client_id: order.client_id,
        subject: order.subject,
        scopes: issue.scopes.clone(),
        audience: issue.audience.clone(),
        dpop_jkt: issue.dpop_jkt.clone(),
        session_id: order
            .opening
            .as_ref()
            .map(|opening| opening.refresh.session()),
        key_id: order.access.key_id(),
        created_at: issue.created_at,
        expires_at: issue.access_expires_at,
    }
}
