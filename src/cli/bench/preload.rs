//! Writes a population into the tables, over two connections.

use super::progress::Progress;
use crate::{
    bench::population::Population,
    cli::failure::Failure,
    store::{
        DatabaseUrl, StoreError,
        bench::{Login, Preload, Terms, TokenRow},
    },
};
use chrono::{DateTime, Utc};
use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Rows that are made at once.
const CHUNK: u64 = 20_000;
/// Connections that copy side by side.
const COPIERS: usize = 2;

/// Writes all of it.
pub(super) async fn run(
    owner: &DatabaseUrl,
    terms: &Terms,
    population: &Arc<Population>,
    unchecked: bool,
    progress: &Progress,
) -> Result<(), Failure> {
    let size = population.size();
    let mut copiers = Vec::new();
    for _ in 0..COPIERS {
        let copier = Preload::connect(owner, terms.clone(), unchecked).await?;
        copiers.push(Arc::new(copier));
    }
    progress.begins("preloading", size.tokens + size.sessions);
    let subjects: Vec<_> = (0..size.users).map(|n| population.subject(n)).collect();
    copiers[0].users(&subjects).await?;
    let of = Arc::clone(population);
    let logins = move |copier: Arc<Preload>, numbers: Range<u64>| {
        let rows: Vec<_> = numbers.map(|number| login(&of, number)).collect();
        async move { copier.logins(&rows).await }
    };
    side_by_side(&copiers, size.sessions, logins, progress).await?;
    let of = Arc::clone(population);
    let tokens = move |copier: Arc<Preload>, numbers: Range<u64>| {
        let rows: Vec<_> = numbers.map(|number| token(&of, number)).collect();
        async move { copier.tokens(&rows).await }
    };
    side_by_side(&copiers, size.tokens, tokens, progress).await
}

async fn side_by_side<F, R>(
    copiers: &[Arc<Preload>],
    count: u64,
    copy: F,
    progress: &Progress,
) -> Result<(), Failure>
where
    F: Fn(Arc<Preload>, Range<u64>) -> R + Clone + Send + 'static,
    R: Future<Output = Result<(), StoreError>> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for copier in copiers {
        let (copier, copy) = (Arc::clone(copier), copy.clone());
        let (next, progress) = (Arc::clone(&next), progress.clone());
        tasks.spawn(async move {
            loop {
                let from = next.fetch_add(CHUNK, Ordering::Relaxed);
                if from >= count {
                    return Ok(());
                }
                let numbers = from..(from + CHUNK).min(count);
                let done = numbers.end - numbers.start;
                copy(Arc::clone(&copier), numbers).await?;
                progress.adds(done);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap_or(Err(StoreError::Unavailable(None)))?;
    }
    Ok(())
}

fn login(of: &Population, number: u64) -> Login {
    let user = of.user_of(number);
    Login {
        session_id: of.session_id(number),
        subject: of.subject(user),
        // Users' integers count from 1.
        user_id: i32::try_from(user + 1).unwrap_or(i32::MAX),
        refresh: of.refresh(number).digest(),
        salt: of.salt(number),
        at: time(of.session_at_us(number)),
    }
}

fn token(of: &Population, number: u64) -> TokenRow {
    TokenRow {
        digest: of.access(number).digest(),
        token_id: of.token_id(number),
        session: of
            .session_of(number)
            .map(|session| (of.session_id(session), of.subject(of.user_of(session)))),
        at: time(of.token_at_us(number)),
    }
}

fn time(micros: u64) -> DateTime<Utc> {
    // Within the years of 32-bit seconds, which chrono has.
    DateTime::from_timestamp_micros(i64::try_from(micros).unwrap_or(i64::MAX)).unwrap_or_default()
}
