//! One batch of rotations: lock, read, decide, write.

use super::{
    end::{self, Ending},
    read::{self, Ask, Read},
};
use crate::domain::{
    event::Origin,
    policy::Defaults,
    refusal::Refusal,
    rotation::{self, Decision, EndReason, Family, Presented, Success},
};
use crate::store::pool::Pool;
use crate::store::{
    callers,
    coalescer::{Job, Outcome},
    columns::Columns,
    connection::{Connection, transaction},
    error::StoreError,
    statements::{self, Statement},
    tokens::{self, NewToken},
};
use chrono::{DateTime, Utc};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// What a presented refresh token got.
#[derive(Debug)]
pub struct Rotated {
    /// What it hands out, or why it was refused.
    pub result: Result<Success, Refusal>,
    /// No step was taken: the same successor again.
    pub replayed: bool,
    /// What the audit record tells: client and user of the family, if known.
    pub family: Option<(Uuid, Uuid)>,
}

/// Rotates a batch in one transaction.
pub(crate) async fn rotate(
    pool: &Pool,
    jobs: &[Job<Presented>],
    defaults: &Defaults,
) -> Result<Vec<Outcome<Rotated>>, StoreError> {
    let sent = Instant::now();
    transaction(pool, async |connection| {
        let (locked, mut reads) = lock_and_read(connection, jobs, defaults).await?;
        let on_the_way = sent.elapsed();
        let mut writes = Writes::default();
        let mut outcomes = Vec::with_capacity(jobs.len());
        for at in 0..jobs.len() {
            let Job { ask, waited, .. } = &jobs[at];
            let session_id = ask.token.session();
            let read = &reads[at];
            if read.family.session.is_some() && !locked.contains(&session_id) {
                outcomes.push(Outcome::Busy);
                continue;
            }
            if let Some(minted_at) = read.committed {
                outcomes.push(committed(ask, &read.family, minted_at));
                continue;
            }
            let decision = rotation::decide(ask, &read.family, *waited + on_the_way);
            carry_forward(&mut reads, jobs, session_id, &decision);
            outcomes.push(Outcome::Done(writes.add(ask, &reads[at].family, decision)));
        }
        writes.run(connection).await?;
        Ok(outcomes)
    })
    .await
}

async fn lock_and_read(
    connection: &Connection,
    jobs: &[Job<Presented>],
    defaults: &Defaults,
) -> Result<(HashSet<Uuid>, Vec<Read>), StoreError> {
    let mut sessions: Vec<_> = jobs.iter().map(|job| job.ask.token.session()).collect();
    sessions.sort_unstable();
    sessions.dedup();
    let asks: Vec<_> = jobs
        .iter()
        .map(|job| Ask {
            session_id: job.ask.token.session(),
            ledger: Some(job.ask.token.digest().0),
            doubt: job.in_doubt.then(|| job.ask.access.digest().0),
        })
        .collect();
    connection
        .prepare(&[
            statements::SESSIONS_LOCK_TO_ROTATE,
            statements::SESSIONS_READ,
            statements::CALLERS_STANDING,
        ])
        .await?;
    let ((), locked, mut reads, callers) = futures_util::try_join!(
        connection.begin(),
        ids(connection, statements::SESSIONS_LOCK_TO_ROTATE, &sessions),
        read::read(connection, &asks, defaults),
        callers::standing(
            connection,
            jobs.iter().map(|job| &job.ask.claim.credentials)
        ),
    )?;
    for (read, job) in reads.iter_mut().zip(jobs) {
        read.family.caller = callers.get(&job.ask.claim.credentials).cloned();
    }
    Ok((locked, reads))
}

/// Runs a statement that returns ids.
pub(super) async fn ids(
    connection: &Connection,
    statement: Statement,
    ids: &[Uuid],
) -> Result<HashSet<Uuid>, StoreError> {
    let rows = connection.query(statement, &[&ids]).await?;
    rows.iter()
        .map(|row| Columns::of(row, statement.name).take())
        .collect()
}

/// An earlier attempt of this call was committed after all: its answer once more. If the
/// session has ended since, the tokens are as dead as they would be in the caller's hands; but
/// where it lives, and what came after the step refuses it, that nothing was done would be
/// untrue.
fn committed(presented: &Presented, family: &Family, minted_at: DateTime<Utc>) -> Outcome<Rotated> {
    let mut before = family.clone();
    let mut replayed = false;
    if let Some(session) = &mut before.session {
        // A step bears the time of the token that it minted; a replay does not.
        replayed = session.life.last_used_at != minted_at;
        session.version = presented.token.counter();
    }
    // What it says of times was true then.
    before.standing.now = minted_at;
    let result = match rotation::decide(presented, &before, Duration::ZERO) {
        Decision::Rotate(success) | Decision::Replay(success) => Ok(success),
        Decision::EndReused => Err(Refusal::RefreshTokenReused),
        Decision::Refuse(_) if before.session.is_some() => return Outcome::Untold,
        Decision::Refuse(refusal) => Err(refusal),
    };
    Outcome::Done(Rotated {
        result,
        replayed,
        family: known(family),
    })
}

/// The client and user of a family, for the audit record.
fn known(family: &Family) -> Option<(Uuid, Uuid)> {
    family
        .grant
        .as_ref()
        .map(|grant| (grant.client_id, grant.subject))
}

/// What one call does to a session, the later calls of its batch must see.
fn carry_forward(
    reads: &mut [Read],
    jobs: &[Job<Presented>],
    session_id: Uuid,
    decision: &Decision,
) {
    let same = reads
        .iter_mut()
        .zip(jobs)
        .filter(|(_, job)| job.ask.token.session() == session_id)
        .map(|(read, _)| &mut read.family);
    match decision {
        Decision::Rotate(success) => {
            for family in same {
                if let Some(session) = &mut family.session {
                    session.version += 1;
                    session.life.last_used_at = success.at;
                }
            }
        }
        Decision::EndReused => {
            for family in same {
                family.session = None;
                if let Some(grant) = &mut family.grant {
                    grant.ended = Some(EndReason::Reused);
                }
            }
        }
        Decision::Replay(_) | Decision::Refuse(_) => {}
    }
}

/// Everything that a batch writes.
#[derive(Default)]
struct Writes {
    steps: Vec<Step>,
    tokens: Vec<NewToken>,
    endings: Vec<Ending>,
}

struct Step {
    session_id: Uuid,
    version: i32,
    parent: String,
    child: String,
    client_id: Uuid,
    subject: Uuid,
    at: DateTime<Utc>,
    user_agent: Option<String>,
    ip_address: Option<std::net::IpAddr>,
}

impl Writes {
    fn add(&mut self, ask: &Presented, family: &Family, decision: Decision) -> Rotated {
        let known = known(family);
        let replayed = matches!(decision, Decision::Replay(_));
        let result = match decision {
            Decision::Rotate(success) => {
                self.step(ask, &success);
                self.token(ask, &success);
                Ok(success)
            }
            Decision::Replay(success) => {
                self.token(ask, &success);
                Ok(success)
            }
            Decision::EndReused => {
                if let Some((client_id, subject)) = known {
                    self.endings.push(Ending {
                        session_id: ask.token.session(),
                        client_id,
                        subject,
                        reason: EndReason::Reused,
                        origin: Origin {
                            actor: family.caller.as_ref().map(|caller| caller.client_id),
                            call: Some(ask.claim.call),
                        },
                    });
                }
                Err(Refusal::RefreshTokenReused)
            }
            Decision::Refuse(refusal) => Err(refusal),
        };
        Rotated {
            result,
            replayed,
            family: known,
        }
    }

    fn step(&mut self, ask: &Presented, success: &Success) {
        self.steps.push(Step {
            session_id: ask.token.session(),
            // Counters come from this column and stay within it.
            version: i32::try_from(ask.token.counter()).unwrap_or(i32::MAX),
            parent: ask.token.digest().0,
            child: success.successor.digest().0,
            client_id: success.client_id,
            subject: success.subject,
            at: success.at,
            user_agent: ask.user_agent.clone(),
            ip_address: ask.ip_address,
        });
    }

    fn token(&mut self, ask: &Presented, success: &Success) {
        self.tokens.push(NewToken {
            digest: ask.access.digest(),
            token_id: ask.token_id,
            client_id: success.client_id,
            subject: Some(success.subject),
            scopes: success.scopes.clone(),
            audience: success.audience.clone(),
            dpop_jkt: success.dpop_jkt.clone(),
            session_id: Some(ask.token.session()),
            key_id: ask.access.key_id(),
            created_at: success.at,
            expires_at: success.access_expires_at,
        });
    }

    /// Writes it, and commits in the same flight where no session ends.
    async fn run(self, connection: &Connection) -> Result<(), StoreError> {
        const STATEMENTS: [Statement; 2] = [statements::SESSIONS_ROTATE, statements::TOKENS_INSERT];
        // Apart from what awaits it: what a batch does is not small.
        let write = Box::pin(async {
            futures_util::try_join!(
                step(connection, self.steps),
                tokens::insert(connection, self.tokens),
            )
        });
        if self.endings.is_empty() {
            connection.commit_with(&STATEMENTS, write).await?;
            return Ok(());
        }
        connection.prepare(&STATEMENTS).await?;
        write.await?;
        end::end(connection, &self.endings).await
    }
}

async fn step(connection: &Connection, mut steps: Vec<Step>) -> Result<(), StoreError> {
    if steps.is_empty() {
        return Ok(());
    }
    steps.sort_unstable_by_key(|step| step.session_id);
    let sessions: Vec<_> = steps.iter().map(|step| step.session_id).collect();
    let versions: Vec<_> = steps.iter().map(|step| step.version).collect();
    let parents: Vec<_> = steps.iter().map(|step| step.parent.as_str()).collect();
    let children: Vec<_> = steps.iter().map(|step| step.child.as_str()).collect();
    let clients: Vec<_> = steps.iter().map(|step| step.client_id).collect();
    let subjects: Vec<_> = steps.iter().map(|step| step.subject).collect();
    let times: Vec<_> = steps.iter().map(|step| step.at).collect();
    let agents: Vec<_> = steps
        .iter()
        .map(|step| step.user_agent.as_deref())
        .collect();
    let addresses: Vec<_> = steps.iter().map(|step| step.ip_address).collect();
    // It fails where one of them does not step.
    connection
        .query(
            statements::SESSIONS_ROTATE,
            &[
                &sessions, &versions, &parents, &children, &clients, &subjects, &times, &agents,
                &addresses,
            ],
        )
        .await
        .map(drop)
}
