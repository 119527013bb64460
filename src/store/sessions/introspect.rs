//! One batch of introspections: read, decide. Never writes, but for the proofs that came
//! along, where all replicas remember them together.

use super::read::{self, Ask};
use crate::domain::{
    dpop::{BindingFailure, Use},
    introspection::{self, Finding, Question, Record},
    policy::Defaults,
    refusal::Refusal,
    tokens::Token,
};
use crate::store::pool::Pool;
use crate::store::{
    callers::Asking,
    coalescer::{Job, Outcome},
    connection::Connection,
    error::StoreError,
    proofs, statements, tokens,
};
use std::time::Duration;

/// Answers a batch of questions. `shared`: how long a proof is remembered, where the database
/// remembers them.
pub(crate) async fn introspect(
    pool: &Pool,
    jobs: &[Job<Question>],
    defaults: &Defaults,
    shared: Option<Duration>,
) -> Result<Vec<Outcome<Result<Finding, Refusal>>>, StoreError> {
    let connection = Connection::take(pool).await?;
    let digests: Vec<_> = jobs
        .iter()
        .filter_map(|job| match &job.ask.token {
            Token::Access(token) => Some(token.digest()),
            Token::Refresh(_) => None,
        })
        .collect();
    let digests: Vec<&[u8]> = digests.iter().map(|digest| digest.0.as_slice()).collect();
    let families: Vec<_> = jobs
        .iter()
        .filter_map(|job| match &job.ask.token {
            Token::Access(_) => None,
            Token::Refresh(token) => Some(Ask {
                session_id: token.session(),
                ledger: Some(token.digest().0),
                doubt: None,
            }),
        })
        .collect();
    connection
        .prepare(&[statements::TOKENS_READ, statements::SESSIONS_READ])
        .await?;
    let asking = Asking::of(jobs.iter().map(|job| &job.ask.claim.credentials));
    let ((access, callers), families) = futures_util::try_join!(
        tokens::read(&connection, &digests, &asking, defaults.idle_timeout),
        read::read(&connection, &families, defaults),
    )?;
    let (mut access, mut families) = (access.into_iter(), families.into_iter());
    let mut findings: Vec<_> = jobs
        .iter()
        .map(|job| {
            let record = match &job.ask.token {
                Token::Access(_) => Record::Access(access.next().flatten().map(Box::new)),
                Token::Refresh(_) => families.next().map_or(Record::Access(None), |read| {
                    Record::Refresh(Box::new(read.family))
                }),
            };
            let caller = callers.get(&job.ask.claim.credentials);
            introspection::decide(&job.ask, caller, &record)
        })
        .collect();
    if let Some(life) = shared {
        remember(&connection, jobs, &mut findings, life).await?;
    }
    Ok(findings.into_iter().map(Outcome::Done).collect())
}

/// Remembers the proofs of what was found active; one that was used before finds nothing.
async fn remember(
    connection: &Connection,
    jobs: &[Job<Question>],
    findings: &mut [Result<Finding, Refusal>],
    life: Duration,
) -> Result<(), StoreError> {
    let mut used: Vec<(Use, usize)> = Vec::new();
    for (place, (job, finding)) in jobs.iter().zip(&*findings).enumerate() {
        if let (Ok(Finding::Active(_)), Some(Ok(proof))) = (finding, &job.ask.proof) {
            used.push((proof.used(), place));
        }
    }
    used.sort_unstable();
    let mut firsts: Vec<Use> = used.iter().map(|(digest, _)| *digest).collect();
    firsts.dedup();
    let mut firsts = proofs::remember(connection, &firsts, life).await?;
    for (digest, place) in used {
        // Of several in one batch, the first in line is the first.
        if !firsts.remove(&digest) {
            findings[place] = Ok(Finding::Unproven(BindingFailure::Replayed));
        }
    }
    Ok(())
}
