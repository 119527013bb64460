//! Which schema stands in a database, and whether this binary may serve on it.

use tokio_postgres::{Client, Error, Transaction};

use super::files::newest_version;
use crate::store::catalog::Finding;

/// The schema of a database, seen from this binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// There is none of ours: wait until somebody migrates.
    NotMigrated,
    /// An older one: wait until somebody migrates.
    Older {
        /// Its version.
        found: i32,
    },
    /// One that this role may not read: wait until the migration under way gives it rights.
    NotGranted,
    /// The one that this binary is made for.
    Current,
    /// The next one, which still supports this binary: serve.
    Next {
        /// Its version.
        found: i32,
    },
    /// One that this binary must not touch: exit.
    Newer {
        /// Its version.
        found: i32,
        /// The lowest version of the binary that it supports.
        lowest_binary: String,
    },
    /// `countersign.authority` has lost its row: exit.
    Damaged,
}

impl SchemaState {
    /// Judges a schema `found` that supports binaries from `lowest_binary` on.
    pub fn of(found: i32, lowest_binary: &str) -> Self {
        Self::judge(
            found,
            lowest_binary,
            newest_version(),
            env!("CARGO_PKG_VERSION"),
        )
    }

    fn judge(found: i32, lowest_binary: &str, newest: i32, binary: &str) -> Self {
        let newer = || Self::Newer {
            found,
            lowest_binary: lowest_binary.to_owned(),
        };
        if found < newest {
            return Self::Older { found };
        }
        let supported = match (parts(lowest_binary), parts(binary)) {
            (Some(lowest), Some(binary)) => lowest <= binary,
            // A version that we cannot read is no permission.
            _ => false,
        };
        match (found - newest, supported) {
            (0, true) => Self::Current,
            (1, true) => Self::Next { found },
            _ => newer(),
        }
    }

    /// Whether every migration of this binary was applied.
    pub(crate) fn is_migrated(&self) -> bool {
        !matches!(
            self,
            Self::NotMigrated | Self::NotGranted | Self::Older { .. }
        )
    }

    /// What the check has to say of it.
    pub(crate) fn lack(&self) -> Option<Finding> {
        let object = String::from("row countersign.authority");
        let newest = newest_version();
        match self {
            Self::Current => None,
            Self::NotMigrated => Some(Finding::missing(
                object,
                format!("no migration was applied, {newest} are known"),
                None,
            )),
            Self::NotGranted => Some(Finding::missing(object, "this role may not read it", None)),
            Self::Older { found } => Some(Finding::missing(
                object,
                format!("schema_version is {found}, not {newest}"),
                None,
            )),
            Self::Next { found } => Some(Finding::tolerated(
                object,
                format!("schema_version is {found}, the next after {newest}"),
            )),
            Self::Newer {
                found,
                lowest_binary,
            } => Some(Finding::refused(
                object,
                format!(
                    "schema_version is {found}, this binary knows {newest}; \
                     it supports binaries from {lowest_binary} on"
                ),
            )),
            Self::Damaged => Some(Finding::refused(object, "is gone")),
        }
    }
}

/// Reads which schema stands in the database that `client` is connected to.
pub async fn schema_state(client: &mut Client) -> Result<SchemaState, Error> {
    let transaction = client.build_transaction().read_only(true).start().await?;
    let state = read(&transaction).await?;
    transaction.commit().await?;
    Ok(state)
}

pub(crate) async fn read(transaction: &Transaction<'_>) -> Result<SchemaState, Error> {
    let standing = transaction.query_typed_one(STANDING, &[]).await?;
    if !standing.try_get::<_, bool>("authority")? {
        return Ok(SchemaState::NotMigrated);
    }
    if !standing.try_get::<_, bool>("readable")? {
        return Ok(SchemaState::NotGranted);
    }
    let authority = include_str!("../../../sql/catalog/authority.sql");
    match transaction.query_typed_opt(authority, &[]).await? {
        Some(row) => Ok(SchemaState::of(
            row.try_get("schema_version")?,
            row.try_get("lowest_binary")?,
        )),
        None => Ok(SchemaState::Damaged),
    }
}

/// Which of the tables that tell of migrations stand.
pub(super) const STANDING: &str = include_str!("../../../sql/migrate/standing.sql");

/// The numbers of `major.minor.patch`; what follows a hyphen or a plus does not count.
fn parts(version: &str) -> Option<[u64; 3]> {
    let core = version.split(['-', '+']).next()?;
    let mut numbers = core.split('.').map(|part| part.parse().ok());
    let parts = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binary_serves_on_its_own_schema_and_on_the_next_that_admits_it() {
        let newer = |found, lowest: &str| SchemaState::Newer {
            found,
            lowest_binary: lowest.to_owned(),
        };
        for (found, lowest, expected) in [
            (4, "0.9.0", SchemaState::Older { found: 4 }),
            (5, "1.2.3", SchemaState::Current),
            (5, "1.10.0", newer(5, "1.10.0")),
            (6, "1.2.3", SchemaState::Next { found: 6 }),
            (6, "0.10.9", SchemaState::Next { found: 6 }),
            (6, "1.2.4", newer(6, "1.2.4")),
            (6, "next", newer(6, "next")),
            (7, "0.1.0", newer(7, "0.1.0")),
        ] {
            assert_eq!(
                SchemaState::judge(found, lowest, 5, "1.2.3"),
                expected,
                "schema {found} from {lowest} on"
            );
        }
    }
}
