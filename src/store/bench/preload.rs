//! Rows by the million, as the calls would have written them, by binary COPY.

use crate::domain::{
    keys::KeyId,
    tokens::{AccessDigest, LedgerDigest, SALT_BYTES},
};
use crate::store::{
    connect::connect,
    error::StoreError,
    statements::{self, Statement},
    url::DatabaseUrl,
};
use chrono::{DateTime, Utc};
use futures_util::pin_mut;
use serde_json::json;
use std::time::Duration;
use tokio_postgres::{
    Client,
    binary_copy::BinaryCopyInWriter,
    types::{ToSql, Type},
};
use uuid::Uuid;

/// How long what was preloaded lives: no run of a kept database outlasts it.
const LIFE: Duration = Duration::from_hours(24 * 366);

/// What all rows share.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The client that everything belongs to.
    pub client_id: Uuid,
    /// The key under which it was minted.
    pub key_id: KeyId,
    /// The scopes of every token.
    pub scopes: Vec<String>,
    /// Its audience.
    pub audience: Vec<String>,
}

/// A session with its first refresh token.
#[derive(Debug, Clone)]
pub struct Login {
    /// Its id.
    pub session_id: Uuid,
    /// The user.
    pub subject: Uuid,
    /// The user's integer, the one that [`Preload::users`] gave them.
    pub user_id: i32,
    /// The first refresh token.
    pub refresh: LedgerDigest,
    /// The grant's salt.
    pub salt: [u8; SALT_BYTES],
    /// When it was opened.
    pub at: DateTime<Utc>,
}

/// An access token.
#[derive(Debug, Clone)]
pub struct TokenRow {
    /// Its digest.
    pub digest: AccessDigest,
    /// Its public id.
    pub token_id: Uuid,
    /// Its session and user; none: it is client-only.
    pub session: Option<(Uuid, Uuid)>,
    /// When it was minted.
    pub at: DateTime<Utc>,
}

/// Copies rows, each as a list of values.
macro_rules! copied {
    ($copy:ident, $rows:expr, |$row:pat_param| [$($value:expr),+]) => {
        let writer = $copy.await?;
        pin_mut!(writer);
        for $row in $rows {
            let values: &[&(dyn ToSql + Sync)] = &[$(&$value),+];
            writer.as_mut().write(values).await?;
        }
        writer.finish().await?;
    };
}

/// One connection that copies. Several may work side by side.
pub struct Preload {
    client: Client,
    terms: Terms,
}

impl Preload {
    /// Connects; with `unchecked`, which only a superuser may, foreign keys are not
    /// looked up for every row.
    pub async fn connect(
        owner: &DatabaseUrl,
        terms: Terms,
        unchecked: bool,
    ) -> Result<Self, StoreError> {
        let owner = owner.map(|config| {
            if unchecked {
                config.options("-c session_replication_role=replica");
            }
        });
        Ok(Self {
            client: connect(&owner).await?,
            terms,
        })
    }

    /// Registers users, whose integers are 1 and so on in their order.
    pub async fn users(&self, subjects: &[Uuid]) -> Result<(), StoreError> {
        let rows = || (1_i32..).zip(subjects);
        let copy = self.start(statements::BENCH_COPY_USERS, &[Type::UUID]);
        copied!(copy, subjects, |subject| [*subject]);
        let copy = self.start(statements::BENCH_COPY_BRIDGES, &[Type::INT4, Type::UUID]);
        copied!(copy, rows(), |(id, subject)| [id, *subject]);
        let copy = self.start(statements::BENCH_COPY_ACCOUNTS, &[Type::UUID, Type::INT4]);
        copied!(copy, rows(), |(id, subject)| [*subject, id]);
        let last = i64::try_from(subjects.len()).unwrap_or(i64::MAX);
        self.client
            .query(statements::BENCH_BRIDGE.text, &[&last])
            .await?;
        Ok(())
    }

    /// Writes sessions, their ledger rows and grants.
    pub async fn logins(&self, logins: &[Login]) -> Result<(), StoreError> {
        const TIME: Type = Type::TIMESTAMPTZ;
        let terms = &self.terms;
        let key = i64::from(terms.key_id.0);
        let types = [Type::UUID, Type::INT4, TIME, TIME, TIME];
        let copy = self.start(statements::BENCH_COPY_SESSIONS, &types);
        copied!(copy, logins, |row| [
            row.session_id,
            row.user_id,
            row.at,
            row.at,
            row.at + LIFE
        ]);
        let (id, text) = (Type::UUID, Type::VARCHAR);
        let types = [id.clone(), text.clone(), text, Type::BOOL, TIME, TIME, id];
        let copy = self.start(statements::BENCH_COPY_LEDGER, &types);
        copied!(copy, logins, |row| [
            terms.client_id,
            row.refresh.0,
            row.subject.to_string(),
            false,
            row.at,
            row.at,
            row.session_id
        ]);
        let (id, texts) = (Type::UUID, Type::TEXT_ARRAY);
        let ids = [id.clone(), id.clone(), id.clone(), id];
        let types = [texts.clone(), texts, Type::INT8, Type::BYTEA, TIME, TIME];
        let types = [&ids[..], &types].concat();
        let copy = self.start(statements::BENCH_COPY_GRANTS, &types);
        copied!(copy, logins, |row| [
            row.session_id,
            terms.client_id,
            row.subject,
            terms.client_id,
            terms.scopes,
            terms.audience,
            key,
            row.salt.as_slice(),
            row.at,
            row.at + LIFE
        ]);
        Ok(())
    }

    /// Writes access tokens.
    pub async fn tokens(&self, tokens: &[TokenRow]) -> Result<(), StoreError> {
        const TIME: Type = Type::TIMESTAMPTZ;
        let terms = &self.terms;
        let key = terms.key_id.0;
        let ids = [Type::BYTEA, Type::UUID, Type::UUID, Type::UUID];
        let texts = Type::TEXT_ARRAY;
        let types = [texts.clone(), texts, Type::JSONB, TIME, TIME, TIME];
        let types = [&ids[..], &types].concat();
        let copy = self.start(statements::BENCH_COPY_TOKENS, &types);
        copied!(copy, tokens, |row| [
            row.digest.0.as_slice(),
            row.token_id,
            terms.client_id,
            row.session.map(|(_, subject)| subject),
            terms.scopes,
            terms.audience,
            match row.session {
                None => json!({ "countersign": key }),
                Some((session, _)) => json!({ "countersign": key, "session_id": session }),
            },
            row.at,
            row.at,
            row.at + LIFE
        ]);
        Ok(())
    }

    async fn start(
        &self,
        statement: Statement,
        types: &[Type],
    ) -> Result<BinaryCopyInWriter, StoreError> {
        let sink = self.client.copy_in(statement.text).await?;
        Ok(BinaryCopyInWriter::new(sink, types))
    }
}
