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
    /// What removes it. `None`: it is not ours, or not due yet, and passed over.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        collections::BTreeSet,
        sync::atomic::{AtomicUsize, Ordering},
    };

    /// A table of rows by expiry in seconds and a number, foreign below 1,000,000.
    #[derive(Default)]
    struct Table {
        rows: BTreeSet<(i64, u32)>,
        held: Option<u32>,
        looks: AtomicUsize,
    }

    const OURS: u32 = 1_000_000;

    fn time(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    impl Expiring for Table {
        type Id = (i64, u32);

        async fn look(&self, from: DateTime<Utc>) -> Result<Vec<Seen<Self::Id>>, StoreError> {
            self.looks.fetch_add(1, Ordering::Relaxed);
            let rows = self.rows.iter().filter(|(at, _)| time(*at) >= from);
            Ok(rows
                .take(WINDOW)
                .map(|&(at, row)| Seen {
                    id: (row >= OURS).then_some((at, row)),
                    expires_at: time(at),
                    now: time(1_000_000),
                })
                .collect())
        }

        async fn remove(
            &mut self,
            ids: &[Self::Id],
            _: &(dyn Fn() -> bool + Sync),
        ) -> Result<Option<HashSet<Self::Id>>, StoreError> {
            let free = ids.iter().filter(|(_, row)| self.held != Some(*row));
            let gone: HashSet<_> = free.copied().collect();
            self.rows.retain(|row| !gone.contains(row));
            Ok(Some(gone))
        }
    }

    /// Walks once, with at most so many looks, and says how many there were.
    async fn pass(table: &mut Table, place: &mut Walk, looks: usize) -> usize {
        let left = AtomicUsize::new(looks);
        let spent = || {
            left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_err()
        };
        table.looks.store(0, Ordering::Relaxed);
        walk(table, place, 100, &spent).await.expect("no database");
        table.looks.load(Ordering::Relaxed)
    }

    fn ours(table: &Table) -> usize {
        table.rows.iter().filter(|(_, row)| *row >= OURS).count()
    }

    #[tokio::test]
    async fn a_wall_is_walked_once_in_bounded_passes_and_not_again_in_the_next() {
        let mut table = Table::default();
        table
            .rows
            .extend((0..50_000).map(|row| (1 + i64::from(row) / 10, row)));
        // And one of a single instant, longer than a window.
        table.rows.extend((50_000..55_000).map(|row| (6_000, row)));
        table.rows.insert((7_000, OURS));
        let mut place = Walk::default();
        let mut passes = 0;
        while ours(&table) > 0 {
            assert!(pass(&mut table, &mut place, 5).await <= 7);
            passes += 1;
            assert!(passes < 20, "it is stuck at {}", place.from);
        }
        assert_eq!(table.rows.len(), 55_000);
        pass(&mut table, &mut place, 5).await;
        table.rows.insert((8_000, OURS + 1));
        assert!(pass(&mut table, &mut place, 5).await <= 3);
        assert_eq!((ours(&table), place.lag()), (0, Duration::ZERO));
    }

    #[tokio::test]
    async fn a_row_that_someone_holds_is_left_told_and_looked_at_again() {
        let mut table = Table::default();
        table
            .rows
            .extend((0..2_500).map(|row| (1 + i64::from(row), OURS + row)));
        table.held = Some(OURS + 3);
        let mut place = Walk::default();
        pass(&mut table, &mut place, 1000).await;
        assert_eq!(ours(&table), 1);
        assert_eq!(place.lag(), Duration::from_secs(1_000_000 - 4));
        table.held = None;
        pass(&mut table, &mut place, 1000).await;
        assert_eq!((ours(&table), place.lag()), (0, Duration::ZERO));
    }
}
