//! The walk along an index on an expiry, past foreign rows and rows that others hold.

use crate::store::error::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::HashSet,
    hash::Hash,
    time::{Duration, Instant},
};

/// The literal limit of the statements that look; under a parameter the generic plan
/// scans whole tables.
const WINDOW: usize = 1000;

/// How often a walk begins at the very beginning again, for what was left behind it.
const WHOLE_EVERY: Duration = Duration::from_hours(1);

/// A row that a walk came by.
pub(super) struct Seen<I> {
    /// What removes it. `None`: it is not ours.
    pub(super) id: Option<I>,
    pub(super) expires_at: DateTime<Utc>,
    /// The database's clock.
    pub(super) now: DateTime<Utc>,
}

/// What expires, and how it is looked at and removed.
pub(super) trait Expiring {
    type Id: Clone + Eq + Hash;

    /// At most a window of due rows from a place on, in order of expiry.
    async fn look(&self, from: DateTime<Utc>) -> Result<Vec<Seen<Self::Id>>, StoreError>;

    /// Removes rows in short transactions, and says which are gone; those that others hold
    /// are left. `None`: the budget was spent before all was done.
    async fn remove(
        &mut self,
        ids: &[Self::Id],
        spent: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<HashSet<Self::Id>>, StoreError>;
}

/// How far a walk came.
#[derive(Debug)]
pub(super) struct Walk {
    /// Everything of ours before it is gone, but for what was passed over.
    from: DateTime<Utc>,
    began: Instant,
    lag: Duration,
}

impl Default for Walk {
    /// At the beginning. Nothing of ours expired before there was a clock to say so, and
    /// the places that stand for "never" in foreign rows lie before it.
    fn default() -> Self {
        Self {
            from: DateTime::UNIX_EPOCH + TimeDelta::microseconds(1),
            began: Instant::now(),
            lag: Duration::ZERO,
        }
    }
}

impl Walk {
    /// How long ago the oldest row expired that the last walk left, as seen then.
    pub(super) fn lag(&self) -> Duration {
        self.lag
    }
}

/// Walks on from where the last walk stopped, to the end or until the budget is spent.
pub(super) async fn walk<E: Expiring>(
    expiring: &mut E,
    walk: &mut Walk,
    batch: usize,
    spent: &(dyn Fn() -> bool + Sync),
) -> Result<(), StoreError> {
    if walk.began.elapsed() >= WHOLE_EVERY {
        *walk = Walk {
            lag: walk.lag,
            ..Walk::default()
        };
    }
    let mut left: Option<DateTime<Utc>> = None;
    loop {
        let window = expiring.look(walk.from).await?;
        let ours: Vec<_> = window
            .iter()
            .filter_map(|seen| Some((seen.id.clone()?, seen.expires_at)))
            .collect();
        for chunk in ours.chunks(batch) {
            let ids: Vec<_> = chunk.iter().map(|(id, _)| id.clone()).collect();
            let gone = if spent() {
                None
            } else {
                expiring.remove(&ids, spent).await?
            };
            let Some(gone) = gone else {
                walk.from = chunk[0].1;
                return stop(expiring, walk).await;
            };
            let kept = chunk.iter().find(|(id, _)| !gone.contains(id));
            left = left.or(kept.map(|(_, expires_at)| *expires_at));
        }
        match window.last() {
            Some(last) if window.len() == WINDOW => {
                // More rows of one instant than a window are an import of somebody's; ours
                // share theirs with their batch at most.
                walk.from = if last.expires_at == walk.from {
                    last.expires_at + TimeDelta::microseconds(1)
                } else {
                    last.expires_at
                };
            }
            last => {
                let reached = last.map_or(walk.from, |last| last.expires_at);
                walk.from = left.map_or(reached, |left| left.min(reached));
                return stop(expiring, walk).await;
            }
        }
        if spent() {
            return stop(expiring, walk).await;
        }
    }
}

/// Looks once more at what is left.
async fn stop<E: Expiring>(expiring: &E, walk: &mut Walk) -> Result<(), StoreError> {
    let window = expiring.look(walk.from).await?;
    let oldest = window.iter().find(|seen| seen.id.is_some());
    // Behind a whole window of foreign rows nobody knows; then ours are no older than that.
    let oldest = oldest.or(window.last().filter(|_| window.len() == WINDOW));
    walk.lag = oldest.map_or(Duration::ZERO, |seen| {
        (seen.now - seen.expires_at).to_std().unwrap_or_default()
    });
    Ok(())
}
