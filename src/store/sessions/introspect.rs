//! One batch of introspections: read, decide. Never writes.

use super::read::{self, Ask};
use crate::domain::{
    introspection::{self, Description, Question, Record},
    policy::Defaults,
    refusal::Refusal,
    tokens::Token,
};
use crate::store::pool::Pool;
use crate::store::{
    callers,
    coalescer::{Job, Outcome},
    connection::Connection,
    error::StoreError,
    statements, tokens,
};

/// Answers a batch of questions; `Ok(None)` is `active: false`.
pub(crate) async fn introspect(
    pool: &Pool,
    jobs: &[Job<Question>],
    defaults: &Defaults,
) -> Result<Vec<Outcome<Result<Option<Description>, Refusal>>>, StoreError> {
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
        .prepare(&[
            statements::TOKENS_READ,
            statements::SESSIONS_READ,
            statements::CALLERS_STANDING,
        ])
        .await?;
    let (access, families, callers) = futures_util::try_join!(
        tokens::read(&connection, &digests, defaults.idle_timeout),
        read::read(&connection, &families, defaults),
        callers::standing(
            &connection,
            jobs.iter().map(|job| &job.ask.claim.credentials)
        ),
    )?;
    drop(connection);

    let (mut access, mut families) = (access.into_iter(), families.into_iter());
    Ok(jobs
        .iter()
        .map(|job| {
            let record = match &job.ask.token {
                Token::Access(_) => Record::Access(access.next().flatten().map(Box::new)),
                Token::Refresh(_) => families.next().map_or(Record::Access(None), |read| {
                    Record::Refresh(Box::new(read.family))
                }),
            };
            let caller = callers.get(&job.ask.claim.credentials);
            Outcome::Done(introspection::decide(&job.ask, caller, &record))
        })
        .collect())
}
