//! What was applied to a database, against what this binary holds.

use tokio_postgres::Client;

use super::{
    error::MigrateError,
    files::{FILES, MigrationFile, newest_version},
    state::STANDING,
};

const HISTORY: &str = include_str!("../../../sql/migrate/history.sql");

/// The migrations that were not applied yet, in order.
///
/// # Errors
/// [`MigrateError::NewerSchema`], [`MigrateError::Divergent`] and [`MigrateError::Gap`]
/// where the history is not a beginning of what this binary holds.
pub(super) async fn pending(client: &Client) -> Result<Vec<&'static MigrationFile>, MigrateError> {
    let failed = |error| MigrateError::of("read the history of migrations", HISTORY, error);
    let standing = client
        .query_typed_one(STANDING, &[])
        .await
        .map_err(failed)?;
    if !standing.try_get::<_, bool>("history").map_err(failed)? {
        return Ok(FILES.iter().collect());
    }

    let mut applied = Vec::new();
    for row in client.query_typed(HISTORY, &[]).await.map_err(failed)? {
        applied.push(Applied {
            version: row.try_get("version").map_err(failed)?,
            name: row.try_get("name").map_err(failed)?,
            checksum: row.try_get("checksum").map_err(failed)?,
        });
    }
    unapplied(&applied)
}

/// A row of the history.
struct Applied {
    version: i32,
    name: String,
    checksum: String,
}

fn unapplied(applied: &[Applied]) -> Result<Vec<&'static MigrationFile>, MigrateError> {
    let newest_applied = applied.iter().map(|row| row.version).max().unwrap_or(0);
    if newest_applied > newest_version() {
        return Err(MigrateError::NewerSchema {
            found: newest_applied,
            newest: newest_version(),
        });
    }
    let mut pending = Vec::new();
    for file in &FILES {
        let Some(row) = applied.iter().find(|row| row.version == file.version) else {
            if file.version < newest_applied {
                return Err(MigrateError::Gap(file.title()));
            }
            pending.push(file);
            continue;
        };
        let known = file
            .migration()
            .map_err(|error| MigrateError::of_refinery("read its migrations", error))?;
        if row.name != file.name || row.checksum != known.checksum().to_string() {
            return Err(MigrateError::Divergent {
                version: row.version,
                applied: row.name.clone(),
            });
        }
    }
    Ok(pending)
}
