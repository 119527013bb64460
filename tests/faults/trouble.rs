//! Trouble of every kind, drawn by lot, until it is told to stop.

use super::site::{Site, connect};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// What happens to a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// A server is killed (SIGKILL) and started again.
    ServerKilled,
    /// PostgreSQL is stopped at once, as by a crash, and started again.
    PostgresStopped,
    /// Every connection of the servers is terminated by PostgreSQL.
    BackendsTerminated,
    /// Every connection between a server and PostgreSQL breaks.
    DatabaseCut,
    /// Every connection between the callers and a server breaks.
    CallersCut,
    /// A table is locked for longer than a statement may take.
    TableLocked,
    /// Sessions, users and clients are locked for longer than a lock may take.
    RowsLocked,
}

/// How often each of a hundred.
const LOT: &[(u8, Trouble)] = &[
    (22, Trouble::ServerKilled),
    (6, Trouble::PostgresStopped),
    (18, Trouble::BackendsTerminated),
    (18, Trouble::DatabaseCut),
    (18, Trouble::CallersCut),
    (8, Trouble::TableLocked),
    (10, Trouble::RowsLocked),
];

/// Makes trouble until `stop` is set, and counts it.
pub async fn make(site: &mut Site, stop: &AtomicBool) -> BTreeMap<Trouble, u64> {
    let mut made = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        // The pause is the subject: work goes on between two troubles.
        tokio::time::sleep(Duration::from_millis(fastrand::u64(200..1600))).await;
        let trouble = draw();
        happen(site, trouble).await;
        *made.entry(trouble).or_default() += 1;
    }
    made
}

fn draw() -> Trouble {
    let shares: u8 = LOT.iter().map(|(share, _)| share).sum();
    let mut lot = fastrand::u8(..shares);
    for &(share, trouble) in LOT {
        if lot < share {
            return trouble;
        }
        lot -= share;
    }
    unreachable!("the lot is below the sum of the shares")
}

async fn happen(site: &mut Site, trouble: Trouble) {
    let victim = fastrand::usize(..site.servers.len());
    match trouble {
        Trouble::ServerKilled => site.servers[victim].kill().await,
        Trouble::PostgresStopped => {
            site.postgres.stop_immediately().await.unwrap();
            site.postgres.start_again().await.unwrap();
        }
        Trouble::BackendsTerminated => {
            let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                             WHERE usename = 'countersign_faults'";
            let sql = site.sql().await.unwrap();
            sql.query_one(terminate, &[]).await.unwrap();
        }
        Trouble::DatabaseCut => site.servers[victim].database.cut(),
        Trouble::CallersCut => site.servers[victim].callers.cut(),
        Trouble::TableLocked => {
            hold(
                site,
                "BEGIN; LOCK TABLE auth.refresh_session IN ACCESS EXCLUSIVE MODE; \
                 SELECT pg_sleep(0.6); ROLLBACK",
            )
            .await;
        }
        Trouble::RowsLocked => {
            hold(
                site,
                "BEGIN; \
                 SELECT FROM countersign.client ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED; \
                 SELECT FROM countersign.account ORDER BY created_at DESC LIMIT 10 \
                     FOR UPDATE SKIP LOCKED; \
                 SELECT FROM auth.refresh_session ORDER BY id DESC LIMIT 50 \
                     FOR UPDATE SKIP LOCKED; \
                 SELECT pg_sleep(0.6); ROLLBACK",
            )
            .await;
        }
    }
}

/// Holds locks; no other trouble comes meanwhile.
async fn hold(site: &Site, statements: &str) {
    let sql = connect(&site.postgres.superuser_url()).await.unwrap();
    sql.batch_execute(statements).await.unwrap();
}
