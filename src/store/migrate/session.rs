//! The connection of a migration: its settings, the lock that keeps migrations apart, and
//! statements that give way to others.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_postgres::{Client, types::Type};

use super::{
    MigrateOptions,
    error::{MigrateError, Trouble},
    statement::Statement,
};
use crate::store::{connect::connect, url::DatabaseUrl};

/// The advisory lock that every migration of a database holds: "csmigrat" in ASCII.
pub const LOCK_KEY: i64 = 0x6373_6D69_6772_6174;

/// How often a migration that waits asks for the lock.
const POLL: Duration = Duration::from_millis(250);

/// The longest pause between two attempts of a statement.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How many attempts wait for longer, at the end.
const LAST: u32 = 3;

const TRY_LOCK: &str = include_str!("../../../sql/migrate/try_lock.sql");
const UNLOCK: &str = include_str!("../../../sql/migrate/unlock.sql");

/// Connects under a name that shows in `pg_stat_activity`.
pub(super) async fn open(database: &DatabaseUrl) -> Result<Client, MigrateError> {
    let database = database.map(|config| {
        if config.get_application_name().is_none() {
            config.application_name("countersign migrate");
        }
    });
    connect(&database)
        .await
        .map_err(MigrateError::of_connecting)
}

/// Makes the session one for changing: names without a schema mean schema public, and no
/// timeout of the role's or the database's ends a long build.
pub(super) async fn prepare(client: &Client) -> Result<(), MigrateError> {
    client
        .query_typed(include_str!("../../../sql/migrate/session.sql"), &[])
        .await
        .map_err(|error| MigrateError::of("prepare its connection", "", error))?;
    Ok(())
}

/// Waits until no other migration runs on this database.
///
/// It asks again and again instead of waiting inside the server: a statement that waits
/// holds a snapshot, and the concurrent index build of the one who has the lock would wait
/// for that snapshot to end, which is a deadlock.
pub(super) async fn lock(
    client: &Client,
    options: &MigrateOptions,
    progress: &mut impl FnMut(&str),
) -> Result<(), MigrateError> {
    let doing = "take the lock of migrations";
    let began = Instant::now();
    let mut told = false;
    loop {
        let row = client
            .query_typed_one(TRY_LOCK, &[(&LOCK_KEY, Type::INT8)])
            .await
            .and_then(|row| row.try_get::<_, bool>(0))
            .map_err(|error| MigrateError::of(doing, TRY_LOCK, error))?;
        if row {
            return Ok(());
        }
        if !told {
            progress("another migration of this database is running; waiting for it");
            told = true;
        }
        if began.elapsed() >= options.patience {
            return Err(MigrateError::Busy {
                doing: String::from(doing),
                source: None,
            });
        }
        sleep(POLL).await;
    }
}

/// Gives the lock back. The end of the connection would do so too, only later.
pub(super) async fn unlock(client: &Client) -> Result<(), MigrateError> {
    client
        .query_typed(UNLOCK, &[(&LOCK_KEY, Type::INT8)])
        .await
        .map_err(|error| MigrateError::of("give back the lock of migrations", UNLOCK, error))?;
    Ok(())
}

/// Sets how long the next statements may wait for a lock, and others behind them.
pub(super) async fn lock_timeout(client: &Client, limit: Duration) -> Result<(), MigrateError> {
    let limit = limit.as_millis().to_string();
    client
        .query_typed(
            include_str!("../../../sql/migrate/lock_timeout.sql"),
            &[(&limit, Type::TEXT)],
        )
        .await
        .map_err(|error| MigrateError::of("set the lock timeout", "", error))?;
    Ok(())
}

/// Runs one statement, again and again while others hold its locks, as long as the
/// options allow. What rows that stand contradict is taken back.
pub(super) async fn run(
    client: &Client,
    options: &MigrateOptions,
    statement: &Statement,
) -> Result<(), MigrateError> {
    let mut attempts = Attempts::new(options);
    loop {
        let limit = if statement.patient {
            Duration::ZERO
        } else {
            attempts.lock_timeout()
        };
        lock_timeout(client, limit).await?;
        let Err(error) = client.batch_execute(&statement.sql).await else {
            return Ok(());
        };
        let trouble = Trouble::of(&error);
        if trouble == Trouble::Locked && attempts.again().await {
            if statement.anew {
                take_back(client, options, statement).await?;
            }
            continue;
        }
        if trouble == Trouble::Contradicted {
            take_back(client, options, statement).await?;
        }
        return Err(MigrateError::of(&statement.title, &statement.sql, error));
    }
}

/// An index build that failed leaves an invalid index, a validation its constraint.
async fn take_back(
    client: &Client,
    options: &MigrateOptions,
    statement: &Statement,
) -> Result<(), MigrateError> {
    match &statement.undo {
        // Which has none of its own.
        Some(undo) => Box::pin(run(client, options, undo)).await,
        None => Ok(()),
    }
}

/// A bounded number of attempts with growing pauses between them.
pub(super) struct Attempts<'o> {
    options: &'o MigrateOptions,
    left: u32,
    pause: Duration,
}

impl<'o> Attempts<'o> {
    pub(super) fn new(options: &'o MigrateOptions) -> Self {
        Self {
            options,
            left: options.attempts.saturating_sub(1),
            pause: Duration::from_millis(50),
        }
    }

    /// How long this attempt may wait for a lock.
    pub(super) fn lock_timeout(&self) -> Duration {
        if self.left < LAST {
            self.options.last_lock_timeout
        } else {
            self.options.lock_timeout
        }
    }

    /// Whether there may be another attempt; pauses before it.
    pub(super) async fn again(&mut self) -> bool {
        let Some(pause) = self.next() else {
            return false;
        };
        sleep(pause).await;
        true
    }

    /// The pause before another attempt, if there may be one.
    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_queue_for_moments_behind_all_attempts_but_the_last_three() {
        let options = MigrateOptions::default();
        let mut attempts = Attempts::new(&options);
        let mut limits = vec![attempts.lock_timeout()];
        let mut pauses = Duration::ZERO;
        while let Some(pause) = attempts.next() {
            pauses += pause;
            limits.push(attempts.lock_timeout());
        }
        let (first, last) = limits.split_at(limits.len() - 3);
        assert!(
            first
                .iter()
                .all(|limit| *limit == Duration::from_millis(50))
        );
        assert!(
            last.iter()
                .all(|limit| *limit == Duration::from_millis(1500))
        );
        let patience = pauses + limits.iter().sum::<Duration>();
        assert!((80..100).contains(&patience.as_secs()), "{patience:?}");
    }
}
