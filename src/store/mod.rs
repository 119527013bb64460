//! The only room that knows PostgreSQL.
//!
//! Hot calls pass a coalescer each; administrative calls are transactions of their
//! own. No work that was sent is cancelled by a caller that hangs up.

mod administration;
pub mod bench;
mod breaker;
mod callers;
pub mod catalog;
mod coalescer;
mod columns;
pub mod condition;
pub mod connect;
mod connection;
mod directory;
mod error;
mod events;
mod fence;
mod ids;
mod instruments;
pub mod migrate;
pub mod parameters;
mod pool;
mod prepared;
mod proofs;
mod purge;
pub mod readiness;
mod replicas;
mod sessions;
mod spans;
pub mod statements;
mod template;
mod tls;
mod tokens;
mod url;

pub use coalescer::BatchLimits;
pub use directory::{ClientEntry, NewClient};
pub use error::{StoreError, words_of};
pub use fence::fence;
pub use pool::{PoolOptions, PreparedStatements};
pub use purge::{PurgeLag, PurgeOptions, Purged, Purger};
pub use replicas::{KeyUse, Replica, look as look_at_keys};
pub use sessions::{ListQuery, ListedSession, Place, Revocation, Revoked, Rotated};
pub use tls::Mode;
pub use url::{DatabaseFiles, DatabaseUrl, InvalidUrl};

use crate::domain::{
    caller::Claim,
    identity::Identity,
    introspection::{Finding, Question},
    issuance::{Issue, Order},
    keys::KeyId,
    policy::Defaults,
    refusal::Refusal,
    rotation::Presented,
};
use coalescer::{Coalescer, Job, Outcome};
use connection::Connection;
use ids::IdSource;
use pool::Pool;
use sessions::Premises;
use spans::BatchSpans;
use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use uuid::Uuid;

/// The outer error is the database's, the inner one a rule's.
pub type Answer<T> = Result<Result<T, Refusal>, StoreError>;

/// How the store is opened.
#[derive(Debug)]
pub struct StoreOptions {
    /// The connections.
    pub pool: PoolOptions,
    /// How calls gather.
    pub batches: BatchLimits,
    /// The authority's defaults.
    pub defaults: Defaults,
    /// How long the database remembers a DPoP proof; `None`: it remembers none.
    pub remember_proofs: Option<Duration>,
}

/// The database, as the authority uses it.
#[derive(Debug)]
pub struct Store {
    pool: Pool,
    defaults: Arc<Defaults>,
    id_source: Arc<IdSource>,
    patience: Duration,
    /// Of the batches that are a call of their own.
    spans: Option<Arc<BatchSpans>>,
    introspections: Coalescer<Question, Result<Finding, Refusal>>,
    tokens: Coalescer<Order, Result<Issue, Refusal>>,
    openings: Coalescer<Order, Result<Issue, Refusal>>,
    rotations: Coalescer<Presented, Rotated>,
    revocations: Coalescer<Revocation, Result<Revoked, Refusal>>,
}

impl Store {
    /// Opens the store; no connection is made before the first call. Needs a running
    /// tokio runtime.
    pub fn open(options: StoreOptions) -> Result<Self, StoreError> {
        let pool = pool::open(options.pool)?;
        let defaults = Arc::new(options.defaults);
        let id_source = Arc::new(IdSource::default());
        let limits = options.batches;
        let shared = options.remember_proofs;
        let breaker = || pool.breaker().clone();

        let (p, d) = (pool.clone(), Arc::clone(&defaults));
        let introspections = Coalescer::start("introspect", limits, breaker(), move |jobs| {
            let (pool, defaults) = (p.clone(), Arc::clone(&d));
            async move { sessions::introspect(&pool, &jobs, &defaults, shared).await }
        });
        let (p, d) = (pool.clone(), Arc::clone(&defaults));
        let rotations = Coalescer::start("rotate", limits, breaker(), move |jobs| {
            let (pool, defaults) = (p.clone(), Arc::clone(&d));
            async move { sessions::rotate(&pool, &jobs, &defaults).await }
        });
        let (p, d) = (pool.clone(), Arc::clone(&defaults));
        let revocations = Coalescer::start("revoke", limits, breaker(), move |jobs| {
            let (pool, defaults) = (p.clone(), Arc::clone(&d));
            async move { sessions::revoke(&pool, &jobs, &defaults).await }
        });
        // Gathered apart, so that plain tokens do not wait for the work of sessions.
        let premises = Arc::new(Premises::default());
        let issuing = |kind, limits| {
            let (p, d, i) = (pool.clone(), Arc::clone(&defaults), Arc::clone(&id_source));
            let known = Arc::clone(&premises);
            Coalescer::start(kind, limits, breaker(), move |jobs| {
                let (pool, defaults, id_source) = (p.clone(), Arc::clone(&d), Arc::clone(&i));
                let known = Arc::clone(&known);
                async move { sessions::issue(&pool, &jobs, &defaults, &id_source, &known).await }
            })
        };
        Ok(Self {
            tokens: issuing(
                "issue",
                BatchLimits {
                    in_flight: with_one_more(limits.in_flight),
                    ..limits
                },
            ),
            openings: issuing("open", limits),
            introspections,
            rotations,
            revocations,
            patience: limits.patience,
            spans: BatchSpans::of("introspect", limits.traced).map(Arc::new),
            pool,
            defaults,
            id_source,
        })
    }

    /// Answers one introspection.
    pub async fn introspect(&self, question: Arc<Question>, arrived: Instant) -> Answer<Finding> {
        self.introspections.ask(question, arrived).await
    }

    /// Answers several introspections, in order; they are a batch of their own.
    pub async fn introspect_all(
        &self,
        questions: Vec<Question>,
    ) -> Result<Vec<Result<Finding, Refusal>>, StoreError> {
        let (pool, defaults) = (self.pool.clone(), Arc::clone(&self.defaults));
        let jobs: Vec<_> = questions
            .into_iter()
            .map(|question| Job {
                ask: Arc::new(question),
                waited: Duration::ZERO,
                in_doubt: false,
            })
            .collect();
        let spans = self.spans.clone();
        let call = spans::of_call(spans.is_some());
        let answers = self
            .spawned(async move {
                let answers = pin!(sessions::introspect(&pool, &jobs, &defaults, None));
                match &spans {
                    None => answers.await,
                    Some(spans) => spans.around(call.iter(), jobs.len(), answers).await,
                }
            })
            .await?;
        Ok(answers
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Done(answer) => answer,
                // Reading locks nothing.
                Outcome::Busy | Outcome::Untold => Ok(Finding::Inactive),
            })
            .collect())
    }

    /// Whose these identities are; one that is nobody's is left out.
    pub async fn clients_of(
        &self,
        identities: &[Identity],
    ) -> Result<Vec<(Identity, Uuid)>, StoreError> {
        // A caller whose deadline passes would leave a connection that still waits for the
        // answer, and the pool hands out first what came back last.
        let (pool, identities) = (self.pool.clone(), identities.to_vec());
        self.spawned(async move {
            let connection = Connection::take(&pool).await?;
            directory::clients_of(&connection, &identities).await
        })
        .await
    }

    /// Issues one token, with or without a session.
    pub async fn issue(&self, order: Arc<Order>, arrived: Instant) -> Answer<Issue> {
        let queue = if order.opening.is_some() {
            &self.openings
        } else {
            &self.tokens
        };
        queue.ask(order, arrived).await
    }

    /// Rotates one refresh token.
    pub async fn rotate(
        &self,
        presented: Arc<Presented>,
        arrived: Instant,
    ) -> Result<Rotated, StoreError> {
        self.rotations.ask(presented, arrived).await
    }

    /// Revokes one session or token.
    pub async fn revoke(&self, revocation: Revocation, arrived: Instant) -> Answer<Revoked> {
        self.revocations.ask(Arc::new(revocation), arrived).await
    }

    /// Revokes a user's sessions, all or all but one, and their other tokens.
    pub async fn revoke_of_user(
        &self,
        claim: Claim,
        subject: Uuid,
        except: Option<Uuid>,
    ) -> Answer<Revoked> {
        let (pool, defaults) = (self.pool.clone(), Arc::clone(&self.defaults));
        let claim = Arc::new(claim);
        self.patiently(move || {
            let (pool, defaults, claim) = (pool.clone(), Arc::clone(&defaults), Arc::clone(&claim));
            async move { sessions::revoke_of_user(&pool, &claim, subject, except, &defaults).await }
        })
        .await
    }

    /// Tells that a server runs, and with which keys.
    pub async fn present(&self, replica: Uuid, keys: &[KeyId]) -> Result<(), StoreError> {
        let connection = Connection::take(&self.pool).await?;
        replicas::beat(&connection, replica, keys).await
    }

    /// What lives under each key. It goes through everything that lives.
    pub async fn key_uses(&self) -> Result<Vec<KeyUse>, StoreError> {
        replicas::key_uses(Connection::take(&self.pool).await?).await
    }

    /// Tells that a server has ended.
    pub async fn absent(&self, replica: Uuid) -> Result<(), StoreError> {
        let connection = Connection::take(&self.pool).await?;
        replicas::leave(&connection, replica).await
    }

    /// One page of a user's live sessions, and whether there are more.
    pub async fn list_sessions(&self, query: &ListQuery) -> Answer<(Vec<ListedSession>, bool)> {
        let listed = sessions::list(&self.pool, query, &self.defaults);
        self.pool.breaker().guard(listed).await
    }

    /// A purge over this store's connections.
    pub fn purger(&self, options: PurgeOptions) -> Purger {
        Purger::new(self.pool.clone(), options)
    }

    /// Reads what the database is; the cheapest proof that it can serve. Where it has become
    /// read-only, what stands of connections is given up, to find the one that is not.
    pub async fn probe(&self) -> Result<Probe, StoreError> {
        let probe = self.pool.breaker().guard(self.look()).await?;
        if probe.read_only {
            self.pool.breaker().renew();
        }
        Ok(probe)
    }

    async fn look(&self) -> Result<Probe, StoreError> {
        let connection = Connection::take(&self.pool).await?;
        let (sessions, users) = self.id_source.look(&connection).await?;
        let statement = statements::AUTHORITY_READ;
        let rows = connection.query(statement, &[]).await?;
        let row = rows.first().ok_or(StoreError::RowCount {
            statement: statement.name,
            found: 0,
            expected: 1,
        })?;
        self.id_source.estimate(&connection).await?;
        let mut columns = columns::Columns::of(row, statement.name);
        Ok(Probe {
            schema_version: columns.count()?,
            lowest_binary: columns.take()?,
            read_only: columns.take()?,
            synchronous_commit: columns.take()?,
            session_ids_left: sessions,
            user_ids_left: users,
        })
    }

    /// Runs work that no caller's departure may cancel, nor an outage: it is only not waited
    /// for any more.
    async fn spawned<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pool.breaker().check()?;
        let work = tokio::spawn(work);
        let done = async { work.await.unwrap_or(Err(StoreError::Unavailable(None))) };
        self.pool.breaker().guard(done).await
    }

    /// Does the work, and again while other transactions get in its way.
    async fn patiently<T, F, R>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn() -> R + Send + 'static,
        R: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let patience = self.patience;
        self.spawned(async move {
            let started = Instant::now();
            let mut pause = Duration::from_millis(1);
            loop {
                match work().await {
                    Err(error) if error.is_transient() && started.elapsed() < patience => {
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(Duration::from_millis(64));
                    }
                    done => return done,
                }
            }
        })
        .await
    }
}

/// Where several batches may be in the database, one more of those that write plain tokens: each
/// is one statement, and a good part of its time there is the flush of the log.
fn with_one_more(in_flight: usize) -> usize {
    in_flight + usize::from(in_flight > 1)
}

/// What the database is.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Number of the newest migration.
    pub schema_version: u32,
    /// The lowest binary that the schema supports.
    pub lowest_binary: String,
    /// It is a standby.
    pub read_only: bool,
    /// PostgreSQL's `synchronous_commit`.
    pub synchronous_commit: String,
    /// Ids that are left for sessions.
    pub session_ids_left: i64,
    /// Ids that are left for users.
    pub user_ids_left: i64,
}

/// Gives a row count its meaning.
fn expect(statement: statements::Statement, found: u64, expected: usize) -> Result<(), StoreError> {
    let found = usize::try_from(found).unwrap_or(usize::MAX);
    if found == expected {
        Ok(())
    } else {
        Err(StoreError::RowCount {
            statement: statement.name,
            found,
            expected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_tokens_may_have_one_batch_more_where_several_are_allowed() {
        assert_eq!([1, 2, 64].map(with_one_more), [1, 3, 65]);
    }
}
