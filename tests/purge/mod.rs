//! Purging: what is due goes, what is not stays, whoever else is at work.

mod at_once;
mod by_hand;
mod due;
mod running;

use crate::support::server::Deployment;
use countersign::store::{
    DatabaseUrl, PoolOptions, PreparedStatements, PurgeOptions, Purged, Purger,
};
use std::time::Duration;

/// A server that does not purge by itself.
async fn quiet() -> Deployment {
    Deployment::start_with(1, &[("COUNTERSIGN_PURGE_ENABLED", "false")]).await
}

/// A purge as the serving role.
fn purger(at: &Deployment, batch: usize, budget: Option<Duration>) -> Purger {
    let connections = PoolOptions {
        url: DatabaseUrl::parse(&at.serving_url()).unwrap(),
        connections: 1,
        connect_timeout: Duration::from_secs(10),
        acquire_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(30),
        lock_timeout: Duration::from_secs(10),
        probe_timeout: Duration::from_secs(10),
        prepared_statements: PreparedStatements::Named,
    };
    Purger::open(connections, PurgeOptions { batch, budget }).unwrap()
}

/// One pass to the end.
async fn purge(at: &Deployment) -> Purged {
    purger(at, 250, None).pass(&|| true).await.unwrap().0
}

/// Access tokens that expired so many seconds ago, a microsecond apart, newest first; ours
/// or foreign.
async fn tokens(at: &Deployment, rows: i32, seconds_ago: i32, ours: bool) {
    let client = at.client(&[]).await;
    let client = uuid::Uuid::parse_str(&client.id).unwrap();
    let insert = "INSERT INTO public.oauth_access_tokens (digest, client_id, metadata, expires_at)
         SELECT decode(md5(concat_ws(' ', $2::float8, n)) || md5(n::text), 'hex'), $3,
                CASE WHEN $4 THEN '{\"countersign\": 7}'::jsonb ELSE '{}' END,
                now() - make_interval(secs => $2) - n * interval '1 microsecond'
         FROM generate_series(1, $1::int) n";
    let seconds = f64::from(seconds_ago);
    let inserted = at
        .sql
        .execute(insert, &[&rows, &seconds, &client, &ours])
        .await
        .unwrap();
    assert_eq!(inserted, u64::try_from(rows).unwrap());
}

/// Moves the end of sessions, and of their grants, into the past.
async fn expire(at: &Deployment, sessions: &[String]) {
    let sessions: Vec<_> = sessions
        .iter()
        .map(|id| uuid::Uuid::parse_str(id).unwrap())
        .collect();
    for statement in [
        "UPDATE auth.refresh_session SET expires_at = now() - interval '1 hour' WHERE jti = ANY ($1)",
        "UPDATE countersign.session_grant SET expires_at = now() - interval '1 hour'
         WHERE session_id = ANY ($1)",
    ] {
        at.sql.execute(statement, &[&sessions]).await.unwrap();
    }
}

/// The number that a query counts.
async fn count(at: &Deployment, query: &str) -> i64 {
    at.sql.query_one(query, &[]).await.unwrap().get(0)
}
