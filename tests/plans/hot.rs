//! Rotation stays a HOT update: it changes no indexed column, and finds room in its page.

use super::fill::fill;
use crate::support::server::Deployment;
use countersign::proto::v1;
use futures_util::{StreamExt as _, stream};
use std::time::{Duration, Instant};

const SESSIONS: usize = 200;
const STEPS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_stays_a_hot_update() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    fill(&at.sql, 5_000).await;
    let user = at.user().await;
    let rotated = stream::iter(0..SESSIONS)
        .map(|_| async {
            let mut token = issuer.open(&user).await.refresh_token;
            for _ in 0..STEPS {
                token = issuer.rotate(&token).await.unwrap().refresh_token;
            }
        })
        // New sessions stand on a few pages, unlike those of a table in use: more at once would
        // measure how soon each other's old versions can be pruned.
        .buffer_unordered(4)
        .count()
        .await;
    assert_eq!(rotated, SESSIONS);
    // A backend tells its last statistics when it ends.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let read = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables
        WHERE relid = 'auth.refresh_session'::regclass";
    let started = Instant::now();
    let (updates, hot) = loop {
        at.sql.query(end, &[]).await.unwrap();
        let row = at.sql.query_one(read, &[]).await.unwrap();
        let (updates, hot): (i64, i64) = (row.get(0), row.get(1));
        if updates >= i64::try_from(SESSIONS * STEPS).unwrap() {
            break (updates, hot);
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{updates}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    eprintln!("{hot} of {updates} updates were HOT");
    assert!(hot * 100 >= updates * 95, "{hot} of {updates} were HOT");
}
