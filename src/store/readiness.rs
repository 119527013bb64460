//! Whether a database can serve, looked at before the first call: reachable, migrated,
//! the documented tables as documented, and commits durable.

use super::{
    catalog::{self, Extent, Severity},
    columns::Columns,
    connect::{self, ConnectError},
    migrate::{self, SchemaState},
    statements,
    url::DatabaseUrl,
};
use std::fmt;
use thiserror::Error;
use tokio_postgres::Client;

/// What an examination came to.
#[derive(Debug)]
pub enum Verdict {
    /// It can serve.
    Ready,
    /// It cannot yet; the sentence says why.
    Waiting(String),
    /// It never will, as it is.
    Refused(Refused),
}

/// Why a database will never serve this binary, as both are.
#[derive(Debug, Clone, Error)]
#[error("{why}")]
pub struct Refused {
    /// What kind of reason it is, for the exit code.
    pub kind: RefusedKind,
    /// The sentence.
    pub why: String,
}

/// The kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusedKind {
    /// The role, its password or its rights.
    Credentials,
    /// A schema beyond what this binary knows.
    Schema,
    /// The documented tables differ from the documents.
    Tables,
    /// Commits are not durable, and the configuration does not allow that.
    Durability,
}

/// Examines a database over a connection of its own, to the server that calls would go to.
pub async fn examine(url: &DatabaseUrl, allow_asynchronous_commit: bool) -> Verdict {
    match try_examine(url, allow_asynchronous_commit).await {
        Ok(verdict) => verdict,
        Err(error) => of_error(&error),
    }
}

async fn try_examine(
    url: &DatabaseUrl,
    allow_asynchronous_commit: bool,
) -> Result<Verdict, tokio_postgres::Error> {
    let mut client = match connect::connect(url.that_writes()).await {
        Ok(client) => client,
        Err(error) => return Ok(not_connected(&error)),
    };
    let waiting = |why: &str| Ok(Verdict::Waiting(why.to_owned()));
    match migrate::schema_state(&mut client).await? {
        SchemaState::Current | SchemaState::Next { .. } => {}
        SchemaState::NotMigrated => {
            return waiting("the database is not migrated yet: run `countersign migrate`");
        }
        SchemaState::NotGranted => {
            return waiting("this role has no rights yet: run `countersign migrate` for it");
        }
        SchemaState::Older { found } => {
            return Ok(Verdict::Waiting(format!(
                "the database has schema {found}, an older one: run `countersign migrate`"
            )));
        }
        SchemaState::Newer {
            found,
            lowest_binary,
        } => {
            return Ok(refused(
                RefusedKind::Schema,
                format!(
                    "the database has schema {found}, which supports binaries from \
                     {lowest_binary} on; this one is {}",
                    env!("CARGO_PKG_VERSION")
                ),
            ));
        }
        SchemaState::Damaged => {
            let why = "countersign.authority has lost its row; restore it from a backup";
            return Ok(refused(RefusedKind::Schema, why));
        }
    }
    let report = catalog::check(&mut client, Extent::Catalogue).await?;
    let differences: Vec<_> = report
        .of(Severity::Refused)
        .map(ToString::to_string)
        .collect();
    if !differences.is_empty() {
        let list = differences.join("; ");
        let why = format!("the documented tables are not as documented: {list}");
        return Ok(refused(RefusedKind::Tables, why));
    }
    durability(&client, allow_asynchronous_commit).await
}

async fn durability(
    client: &Client,
    allow_asynchronous_commit: bool,
) -> Result<Verdict, tokio_postgres::Error> {
    let statement = statements::AUTHORITY_READ;
    let row = client.query_typed_one(statement.text, &[]).await?;
    let mut columns = Columns::of(&row, statement.name);
    let read = |columns: &mut Columns<'_>| -> Result<(bool, String), super::StoreError> {
        let _: i32 = columns.take()?;
        let _: String = columns.take()?;
        Ok((columns.take()?, columns.take()?))
    };
    let (read_only, synchronous_commit) = match read(&mut columns) {
        Ok(settings) => settings,
        Err(error) => return Ok(Verdict::Waiting(error.to_string())),
    };
    if read_only {
        return Ok(Verdict::Waiting(
            "the database is a read-only standby".to_owned(),
        ));
    }
    if matches!(synchronous_commit.as_str(), "off" | "local") && !allow_asynchronous_commit {
        return Ok(refused(
            RefusedKind::Durability,
            format!(
                "synchronous_commit is {synchronous_commit}: what is acknowledged could be lost; \
                 set it to on, or database.allow_asynchronous_commit to true"
            ),
        ));
    }
    Ok(Verdict::Ready)
}

fn refused(kind: RefusedKind, why: impl fmt::Display) -> Verdict {
    Verdict::Refused(Refused {
        kind,
        why: why.to_string(),
    })
}

/// Why there is no connection. The chain says what of TLS, of which file or of which host;
/// PostgreSQL's own words are left out.
fn not_connected(error: &ConnectError) -> Verdict {
    match error {
        ConnectError::ReadOnly(_) => {
            Verdict::Waiting("the database is a read-only standby".to_owned())
        }
        ConnectError::Driver { source, .. } if source.code().is_some() => of_error(source),
        ConnectError::Driver { .. } | ConnectError::Silent(_) | ConnectError::Unresolved { .. } => {
            Verdict::Waiting("the database cannot be reached".to_owned())
        }
        _ => Verdict::Waiting(chain(error)),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line = format!("{line}: {cause}");
        next = cause.source();
    }
    line
}

fn of_error(error: &tokio_postgres::Error) -> Verdict {
    let Some(code) = error.code() else {
        return Verdict::Waiting("the database cannot be reached".to_owned());
    };
    match code.code() {
        code if code.starts_with("28") => refused(
            RefusedKind::Credentials,
            "the database refuses the role or its password (database.url, database.password_file)",
        ),
        "42501" => refused(
            RefusedKind::Credentials,
            "the role lacks rights that serving needs: run `countersign migrate` for it",
        ),
        "3D000" => Verdict::Waiting("the database does not exist yet".to_owned()),
        _ => Verdict::Waiting("the database does not take connections now".to_owned()),
    }
}
