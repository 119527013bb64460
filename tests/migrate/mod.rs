//! Migrating: an empty database, one with documented tables and rows, one that is refused.

mod documents;
mod engine;
mod kept;
mod refused;
mod repaired;
mod serving;
mod under_load;

use countersign::store::{
    catalog::{CheckReport, Extent, Severity},
    migrate::{self, MigrateError, MigrateOptions, MigrationReport},
};
use tokio_postgres::Client;

use crate::support::TestDatabase;

fn options(database: &TestDatabase) -> MigrateOptions {
    MigrateOptions {
        serving_role: database.serving_role.clone(),
        ..MigrateOptions::default()
    }
}

async fn try_migrate(database: &TestDatabase) -> Result<MigrationReport, MigrateError> {
    migrate::migrate(&database.config(), &options(database), |_| {}).await
}

async fn migrated(database: &TestDatabase) -> MigrationReport {
    try_migrate(database).await.expect("a migration")
}

async fn check(database: &TestDatabase) -> CheckReport {
    migrate::check(&database.config(), Extent::CountForeignRows)
        .await
        .expect("a check")
}

fn lines(report: &CheckReport, severity: Severity) -> Vec<String> {
    report.of(severity).map(ToString::to_string).collect()
}

/// Every object, column, default, comment and right of the database, as one text.
async fn fingerprint(client: &Client) -> String {
    text(
        client,
        "SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
             SELECT format('%s %s %s %s', c.oid::regclass, c.relkind, c.relacl, obj_description(c.oid, 'pg_class')) AS line
             FROM pg_class c WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
               AND relkind <> 't' AND relname NOT LIKE 'pg_toast%'
             UNION ALL
             SELECT format('%s %s %s %s %s %s', attrelid::regclass, attnum, attname, format_type(atttypid, atttypmod),
                           attnotnull, col_description(attrelid, attnum))
             FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
             WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND relkind = 'r'
             UNION ALL
             SELECT format('%s %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid), convalidated) FROM pg_constraint
             WHERE conrelid <> 0
             UNION ALL
             SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
             UNION ALL
             SELECT pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
             UNION ALL
             SELECT format('%s %s', nspname, nspacl) FROM pg_namespace WHERE nspname !~ '^pg_'
             UNION ALL
             SELECT setconfig::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
             WHERE datname = current_database()
         ) AS lines",
    )
    .await
}

async fn text(client: &Client, query: &str) -> String {
    client
        .query_one(query, &[])
        .await
        .unwrap_or_else(|error| panic!("{query}: {error:?}"))
        .try_get::<_, Option<String>>(0)
        .expect("a text")
        .unwrap_or_default()
}

async fn run(client: &Client, statements: &str) {
    client
        .batch_execute(statements)
        .await
        .unwrap_or_else(|error| panic!("{statements}: {error:?}"));
}
