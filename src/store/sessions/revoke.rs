//! Revocation: of sessions in batches, of a user in a transaction of its own.

use super::{
    end::{self, Ending},
    read::{self, Ask, Read},
};
use crate::domain::{
    caller::{Caller, Claim},
    event::{Event, EventKind, Origin},
    introspection::AccessRecord,
    policy::Defaults,
    refusal::Refusal,
    revocation::{Target, may_end},
    rotation::{EndReason, Family},
    standing::Life,
    tokens::AccessDigest,
};
use crate::store::pool::Pool;
use crate::store::{
    callers::{self, Asking},
    coalescer::{Job, Outcome},
    connection::{Connection, transaction},
    error::StoreError,
    events, statements,
    tokens::{self, Marking},
};
use std::collections::HashSet;
use uuid::Uuid;

/// What someone asks to end.
#[derive(Debug, Clone)]
pub struct Revocation {
    /// Who asks.
    pub claim: Claim,
    /// What is to end.
    pub target: Target,
}

/// What a revocation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    /// Live sessions that ended.
    pub sessions: u32,
    /// It was another client's, and the caller may not end it.
    pub not_theirs: bool,
    /// What it was about, for the audit record: session, client, user.
    pub session_id: Option<Uuid>,
    /// Its client.
    pub client_id: Option<Uuid>,
    /// Its user.
    pub subject: Option<Uuid>,
}

/// Revokes a batch of sessions and tokens in one transaction.
pub(crate) async fn revoke(
    pool: &Pool,
    jobs: &[Job<Revocation>],
    defaults: &Defaults,
) -> Result<Vec<Outcome<Result<Revoked, Refusal>>>, StoreError> {
    transaction(pool, async |connection| {
        let records = access_records(connection, jobs, defaults).await?;
        let asks: Vec<_> = jobs
            .iter()
            .zip(&records)
            .map(|(job, record)| ask(&job.ask.target, record.as_ref()))
            .collect();
        let (locked, reads, callers) = lock_and_read(connection, jobs, &asks, defaults).await?;

        let mut ended = HashSet::new();
        let mut endings = Vec::new();
        let mut single = Vec::new();
        let mut outcomes = Vec::with_capacity(jobs.len());
        for (at, Job { ask, .. }) in jobs.iter().enumerate() {
            let caller = callers.get(&ask.claim.credentials);
            let caller = match Caller::admit(caller, ask.claim.access) {
                Ok(caller) => caller,
                Err(refusal) => {
                    outcomes.push(Outcome::Done(Err(refusal)));
                    continue;
                }
            };
            let origin = Origin {
                actor: Some(caller.client_id),
                call: Some(ask.claim.call),
            };
            if let Target::Access(token) = &ask.target {
                let revoked = records[at]
                    .as_ref()
                    .map_or_else(Revoked::default, |record| {
                        let theirs = may_end(caller, record.client_id);
                        if theirs {
                            single.push((at, token.digest(), record.clone(), origin));
                        }
                        about_token(record, !theirs)
                    });
                outcomes.push(Outcome::Done(Ok(revoked)));
                continue;
            }
            let (Some(wanted), Some(Read { family, .. })) = (&asks[at], &reads[at]) else {
                outcomes.push(Outcome::Done(Ok(Revoked::default())));
                continue;
            };
            outcomes.push(end_one(
                caller,
                wanted,
                family,
                locked.contains(&wanted.session_id),
                &mut ended,
                &mut endings,
                origin,
            ));
        }
        end::end(connection, &endings).await?;
        for held in revoke_tokens(connection, &single).await? {
            outcomes[held] = Outcome::Busy;
        }
        Ok(outcomes)
    })
    .await
}

/// Begins the transaction, and reads the access tokens by which sessions are named.
async fn access_records(
    connection: &Connection,
    jobs: &[Job<Revocation>],
    defaults: &Defaults,
) -> Result<Vec<Option<AccessRecord>>, StoreError> {
    let named: Vec<_> = jobs
        .iter()
        .enumerate()
        .filter_map(|(at, job)| match &job.ask.target {
            Target::AccessSession(token) | Target::Access(token) => Some((at, token.digest())),
            _ => None,
        })
        .collect();
    let digests: Vec<&[u8]> = named
        .iter()
        .map(|(_, digest)| digest.0.as_slice())
        .collect();
    let mut records: Vec<Option<AccessRecord>> = jobs.iter().map(|_| None).collect();
    if digests.is_empty() {
        connection.begin().await?;
        return Ok(records);
    }
    connection.prepare(&[statements::TOKENS_READ]).await?;
    let nobody = Asking::default();
    let ((), (found, _)) = futures_util::try_join!(
        connection.begin(),
        tokens::read(connection, &digests, &nobody, defaults.idle_timeout),
    )?;
    for ((at, _), record) in named.iter().zip(found) {
        records[*at] = record;
    }
    Ok(records)
}

/// The session that a target names. `None`: it names none.
fn ask(target: &Target, record: Option<&AccessRecord>) -> Option<Ask> {
    match target {
        Target::Session(session_id) => Some(Ask {
            session_id: *session_id,
            ledger: None,
            doubt: None,
        }),
        Target::Refresh(token) => Some(Ask {
            session_id: token.session(),
            ledger: Some(token.digest().0),
            doubt: None,
        }),
        Target::AccessSession(_) => {
            record
                .and_then(|record| record.session.as_ref())
                .map(|(session_id, _)| Ask {
                    session_id: *session_id,
                    ledger: None,
                    doubt: None,
                })
        }
        Target::Access(_) | Target::Subject { .. } => None,
    }
}

async fn lock_and_read(
    connection: &Connection,
    jobs: &[Job<Revocation>],
    asks: &[Option<Ask>],
    defaults: &Defaults,
) -> Result<(HashSet<Uuid>, Vec<Option<Read>>, callers::Callers), StoreError> {
    let places: Vec<_> = asks
        .iter()
        .enumerate()
        .filter_map(|(at, ask)| ask.as_ref().map(|_| at))
        .collect();
    let named: Vec<Ask> = asks.iter().flatten().cloned().collect();
    let ids: Vec<_> = named.iter().map(|ask| ask.session_id).collect();
    connection
        .prepare(&[
            statements::SESSIONS_LOCK_TO_END,
            statements::SESSIONS_READ,
            statements::CALLERS_STANDING,
        ])
        .await?;
    let (locked, found, callers) = futures_util::try_join!(
        end::lock(connection, &ids),
        read::read(connection, &named, defaults),
        callers::standing(
            connection,
            jobs.iter().map(|job| &job.ask.claim.credentials)
        ),
    )?;
    let mut reads: Vec<Option<Read>> = asks.iter().map(|_| None).collect();
    for (at, read) in places.into_iter().zip(found) {
        reads[at] = Some(read);
    }
    Ok((locked, reads, callers))
}

/// Judges one session; what it ends is added to `endings`.
pub(super) fn end_one(
    caller: &Caller,
    wanted: &Ask,
    family: &Family,
    locked: bool,
    ended: &mut HashSet<Uuid>,
    endings: &mut Vec<Ending>,
    origin: Origin,
) -> Outcome<Result<Revoked, Refusal>> {
    // A refresh token that the ledger does not know proves nothing.
    let authentic = wanted.ledger.is_none() || family.ledger.is_some();
    let Some(grant) = family.grant.as_ref().filter(|_| authentic) else {
        return Outcome::Done(Ok(Revoked::default()));
    };
    let mut revoked = Revoked {
        sessions: 0,
        not_theirs: !may_end(caller, grant.client_id),
        session_id: Some(wanted.session_id),
        client_id: Some(grant.client_id),
        subject: Some(grant.subject),
    };
    let session = family
        .session
        .as_ref()
        .filter(|_| !ended.contains(&wanted.session_id));
    let Some(session) = session.filter(|_| !revoked.not_theirs) else {
        return Outcome::Done(Ok(revoked));
    };
    if !locked {
        return Outcome::Busy;
    }
    let life = Life {
        expires_at: None,
        created_at: None,
        session: Some(&session.life),
        has_user: true,
        scopes: &grant.scopes,
    };
    revoked.sessions = u32::from(family.standing.alive(life).is_ok());
    ended.insert(wanted.session_id);
    endings.push(Ending {
        session_id: wanted.session_id,
        client_id: grant.client_id,
        subject: grant.subject,
        reason: EndReason::Revoked,
        origin,
    });
    Outcome::Done(Ok(revoked))
}

fn about_token(record: &AccessRecord, not_theirs: bool) -> Revoked {
    Revoked {
        sessions: 0,
        not_theirs,
        session_id: record.session.as_ref().map(|(id, _)| *id),
        client_id: Some(record.client_id),
        subject: record.subject,
    }
}

/// An access token to revoke: the place of its call, and what its event tells.
type Single = (usize, AccessDigest, AccessRecord, Origin);

/// Revokes access tokens, and returns the places of those that another transaction holds.
async fn revoke_tokens(
    connection: &Connection,
    single: &[Single],
) -> Result<Vec<usize>, StoreError> {
    if single.is_empty() {
        return Ok(Vec::new());
    }
    let digests: Vec<&[u8]> = single
        .iter()
        .map(|(_, digest, ..)| digest.0.as_slice())
        .collect();
    let mut markings = tokens::revoke(connection, &digests).await?;
    let mut held = Vec::new();
    let mut told = Vec::new();
    for (place, digest, record, origin) in single {
        match markings.get(digest) {
            Some(Marking::Held) => held.push(*place),
            // Of several calls for one token, the first revoked it.
            Some(Marking::Now) => {
                markings.insert(*digest, Marking::Before);
                told.push(Event {
                    token_id: Some(record.token_id),
                    session_id: record.session.as_ref().map(|(id, _)| *id),
                    client_id: Some(record.client_id),
                    subject: record.subject,
                    ..Event::new(EventKind::TokenRevoked, *origin)
                });
            }
            Some(Marking::Before) | None => {}
        }
    }
    events::record(connection, &told).await?;
    Ok(held)
}
