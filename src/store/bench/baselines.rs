//! One statement a call, or one transaction, over a pool like the server's.

use crate::domain::{
    issuance::{Issue, Order},
    policy::Defaults,
    refusal::Refusal,
    rotation::Presented,
    tokens::{AccessDigest, LedgerDigest, SALT_BYTES},
};
use crate::store::{
    callers::Asking,
    coalescer::{Job, Outcome},
    connection::{Connection, Params},
    error::StoreError,
    expect,
    ids::IdSource,
    pool::{self, Pool, PoolOptions},
    sessions::{self, Premises, Rotated},
    statements::{self, Statement},
};
use std::{sync::Arc, time::Duration};
use uuid::Uuid;

/// The pool that the baselines share.
#[derive(Debug, Clone)]
pub struct Baselines {
    pool: Pool,
    terms: Arc<super::Terms>,
    own: Arc<Own>,
}

/// What the server's own transactions need beside a connection.
#[derive(Debug)]
struct Own {
    defaults: Defaults,
    id_source: IdSource,
    premises: Premises,
}

/// An access token of nobody's, as [`Baselines::insert`] writes it.
#[derive(Debug, Clone, Copy)]
pub struct NewRow {
    /// Its digest.
    pub digest: AccessDigest,
    /// Its public id.
    pub token_id: Uuid,
}

/// A login, as [`Baselines::open_session`] writes it.
#[derive(Debug, Clone)]
pub struct NewLogin {
    /// The session.
    pub session_id: Uuid,
    /// The registered user.
    pub subject: Uuid,
    /// The digest of the first refresh token.
    pub refresh: LedgerDigest,
    /// The grant's salt.
    pub salt: [u8; SALT_BYTES],
    /// The access token.
    pub access: NewRow,
}

/// One step of a session, as [`Baselines::rotate`] writes it.
#[derive(Debug, Clone)]
pub struct Step {
    /// The session.
    pub session_id: Uuid,
    /// The counter that it must stand at.
    pub version: u32,
    /// The presented token's digest.
    pub parent: LedgerDigest,
    /// The successor's.
    pub child: LedgerDigest,
    /// The session's user.
    pub subject: Uuid,
    /// The new access token.
    pub access: NewRow,
}

impl Baselines {
    /// Opens the pool; what is written bears these terms.
    pub fn open(
        options: PoolOptions,
        terms: super::Terms,
        defaults: Defaults,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            pool: pool::open(options)?,
            terms: Arc::new(terms),
            own: Arc::new(Own {
                defaults,
                id_source: IdSource::default(),
                premises: Premises::default(),
            }),
        })
    }

    /// Looks one token up by its digest: its own row alone. Whether it was found.
    pub async fn select(&self, digest: &AccessDigest) -> Result<bool, StoreError> {
        let digest = digest.0.as_slice();
        Ok(self.rows(statements::BENCH_SELECT, &[&digest]).await? == 1)
    }

    /// Reads tokens with all that decides about them: the statement of introspection, with no
    /// caller to judge. How many were found.
    pub async fn read(&self, digests: &[AccessDigest]) -> Result<usize, StoreError> {
        let digests: Vec<&[u8]> = digests.iter().map(|digest| digest.0.as_slice()).collect();
        let nobody = Asking::default();
        let params: Params<'_> = &[&digests, &nobody.ids, &nobody.digests, &nobody.identities];
        self.rows(statements::TOKENS_READ, params).await
    }

    /// Inserts one client-only token.
    pub async fn insert(&self, row: &NewRow) -> Result<(), StoreError> {
        let terms = &*self.terms;
        let (digest, key) = (row.digest.0.as_slice(), i64::from(terms.key_id.0));
        let statement = statements::BENCH_INSERT;
        let changed = Connection::take(&self.pool)
            .await?
            .execute(
                statement,
                &[
                    &digest,
                    &row.token_id,
                    &terms.client_id,
                    &terms.scopes,
                    &terms.audience,
                    &key,
                ],
            )
            .await?;
        expect(statement, changed, 1)
    }

    /// Opens one session.
    pub async fn open_session(&self, login: &NewLogin) -> Result<(), StoreError> {
        let terms = &*self.terms;
        let (digest, key) = (login.access.digest.0.as_slice(), i64::from(terms.key_id.0));
        self.one(
            statements::BENCH_OPEN,
            &[
                &login.session_id,
                &login.subject,
                &terms.client_id,
                &login.refresh.0,
                &terms.scopes,
                &terms.audience,
                &key,
                &login.salt.as_slice(),
                &digest,
                &login.access.token_id,
            ],
        )
        .await
    }

    /// Takes one step of one session.
    pub async fn rotate(&self, step: &Step) -> Result<(), StoreError> {
        let terms = &*self.terms;
        let (digest, key) = (step.access.digest.0.as_slice(), i64::from(terms.key_id.0));
        self.one(
            statements::BENCH_ROTATE,
            &[
                &step.session_id,
                &i32::try_from(step.version).unwrap_or(i32::MAX),
                &step.parent.0,
                &terms.client_id,
                &step.child.0,
                &step.subject,
                &digest,
                &step.access.token_id,
                &terms.scopes,
                &terms.audience,
                &key,
            ],
        )
        .await
    }

    /// The rows of [`Self::open_session`] by one transaction of plain statements, each waited
    /// for, as a service without coalescing would write them.
    pub async fn open_session_in_steps(&self, login: &NewLogin) -> Result<(), StoreError> {
        let terms = &*self.terms;
        let (client, key) = (&terms.client_id, i64::from(terms.key_id.0));
        let (session, subject) = (&login.session_id, &login.subject);
        let (scopes, audience, salt) = (&terms.scopes, &terms.audience, login.salt.as_slice());
        let steps: [(Statement, Params<'_>); 3] = [
            (statements::BENCH_INSERT_SESSION, &[session, subject]),
            (
                statements::BENCH_INSERT_LEDGER,
                &[client, &login.refresh.0, subject, &None::<&str>, session],
            ),
            (
                statements::BENCH_INSERT_GRANT,
                &[session, client, subject, scopes, audience, &key, &salt],
            ),
        ];
        self.in_steps(&steps, &login.access, subject, session).await
    }

    /// The same for the rows of [`Self::rotate`].
    pub async fn rotate_in_steps(&self, step: &Step) -> Result<(), StoreError> {
        let client = &self.terms.client_id;
        let version = i32::try_from(step.version).unwrap_or(i32::MAX);
        let (session, subject) = (&step.session_id, &step.subject);
        let parent = Some(&step.parent.0);
        let steps: [(Statement, Params<'_>); 4] = [
            (statements::BENCH_LOCK_SESSION, &[session, &version]),
            (statements::BENCH_STEP_SESSION, &[session]),
            (statements::BENCH_MARK_PARENT, &[&step.parent.0, session]),
            (
                statements::BENCH_INSERT_LEDGER,
                &[client, &step.child.0, subject, &parent, session],
            ),
        ];
        self.in_steps(&steps, &step.access, subject, session).await
    }

    /// Steps that touch one row each, the access token, and the commit.
    async fn in_steps(
        &self,
        steps: &[(Statement, Params<'_>)],
        access: &NewRow,
        subject: &Uuid,
        session: &Uuid,
    ) -> Result<(), StoreError> {
        let terms = &*self.terms;
        let (digest, key) = (access.digest.0.as_slice(), i64::from(terms.key_id.0));
        let connection = Connection::take(&self.pool).await?;
        let done = async {
            connection.begin().await?;
            for (statement, params) in steps {
                let changed = connection.execute(*statement, params).await?;
                expect(*statement, changed, 1)?;
            }
            let last: Params<'_> = &[
                &digest,
                &access.token_id,
                &terms.client_id,
                subject,
                &terms.scopes,
                &terms.audience,
                &key,
                session,
            ];
            let statement = statements::BENCH_INSERT_ACCESS;
            expect(statement, connection.execute(statement, last).await?, 1)?;
            connection.commit().await
        };
        let done = done.await;
        if done.is_err() {
            connection.abandon().await;
        }
        done
    }

    /// Issues one token by the server's own transaction, with all that it reads and judges; again
    /// while another transaction holds what it needs.
    pub async fn issue_one(&self, order: Order) -> Result<Result<Issue, Refusal>, StoreError> {
        let Own {
            defaults,
            id_source,
            premises,
        } = &*self.own;
        let jobs = [alone(order)];
        loop {
            let outcomes = sessions::issue(&self.pool, &jobs, defaults, id_source, premises);
            if let Some(Outcome::Done(issued)) = outcomes.await?.pop() {
                return Ok(issued);
            }
        }
    }

    /// Rotates one refresh token likewise.
    pub async fn rotate_one(&self, presented: Presented) -> Result<Rotated, StoreError> {
        let jobs = [alone(presented)];
        loop {
            let outcomes = sessions::rotate(&self.pool, &jobs, &self.own.defaults);
            if let Some(Outcome::Done(rotated)) = outcomes.await?.pop() {
                return Ok(rotated);
            }
        }
    }

    /// Ends one session.
    pub async fn revoke(&self, session_id: Uuid) -> Result<(), StoreError> {
        self.one(statements::BENCH_REVOKE, &[&session_id]).await
    }

    async fn one(&self, statement: Statement, params: Params<'_>) -> Result<(), StoreError> {
        let rows = self.rows(statement, params).await?;
        expect(statement, rows as u64, 1)
    }

    async fn rows(&self, statement: Statement, params: Params<'_>) -> Result<usize, StoreError> {
        let connection = Connection::take(&self.pool).await?;
        Ok(connection.query(statement, params).await?.len())
    }
}

/// One call as a batch.
fn alone<A>(ask: A) -> Job<A> {
    Job {
        ask: Arc::new(ask),
        waited: Duration::ZERO,
        in_doubt: false,
    }
}
