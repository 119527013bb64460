//! Big tables, filled fast; ids are made from numbers, so that tests can name them.

use tokio_postgres::Client;

/// The tables that are big where the authority is; a statement reads them by an index.
pub const BIG: [&str; 9] = [
    "auth.refresh_session",
    "auth.refresh_tokens",
    "auth.user",
    "public.oauth_access_tokens",
    "public.users",
    "countersign.account",
    "countersign.event",
    "countersign.session_grant",
    "countersign.dpop_proof",
];

/// Fills them with so many users, sessions, access tokens and events, and twice as many
/// ledger rows. No statistics are gathered, now or later by themselves.
pub async fn fill(sql: &Client, rows: u32) {
    for table in BIG {
        let table = table.replace("auth.user", "auth.\"user\"");
        let quiet = format!("ALTER TABLE {table} SET (autovacuum_enabled = off)");
        sql.batch_execute(&quiet).await.unwrap();
    }
    let statements = include_str!("fill.sql").replace(":n", &rows.to_string());
    sql.batch_execute(&statements).await.unwrap();
}
