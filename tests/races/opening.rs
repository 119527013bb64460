//! Openings with one request id at two servers.

use super::{
    PATIENT, actives, both,
    pairs::{ONE_IN_FLIGHT, counted, none_since},
    times, two_servers,
};
use crate::support::server::{Caller, Deployment};
use countersign::proto::v1::{self, Role};
use futures_util::future::join_all;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn repeats_of_one_opening_all_succeed_and_leave_one_session() {
    let at = two_servers().await;
    let issuers = both(&at, &at.client(&[Role::Issuer]).await);
    let subject = at.user().await;
    for round in 0..times(50) {
        let calls = (0..6).map(|n: usize| {
            let request = v1::IssueTokenRequest {
                subject: subject.clone(),
                with_refresh_token: true,
                request_id: format!("r{round}"),
                ..Default::default()
            };
            issuers[n % 2].issue(request)
        });
        let opened: Vec<_> = join_all(calls)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let tokens = opened.into_iter().map(|login| login.access_token).collect();
        let active = actives(&issuers[0], tokens).await;
        assert_eq!(active.iter().filter(|active| **active).count(), 1);
    }
}

/// A batch that takes over the last of its request ids, while another batch holds the first
/// and is on its way to the last: nobody waits for a request id, so nobody waits in a ring.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_a_request_id() {
    let settings = [PATIENT.as_slice(), &[ONE_IN_FLIGHT]].concat();
    let at = Deployment::start_with(2, &settings).await;
    let [first, second] = both(&at, &at.client(&[Role::Issuer]).await);
    let subject = at.user().await;
    let before = counted(&at.sql).await;
    let open = |caller: &Caller, request_id: &str| {
        let request = v1::IssueTokenRequest {
            subject: subject.clone(),
            with_refresh_token: true,
            request_id: request_id.into(),
            ..Default::default()
        };
        let caller = caller.clone();
        tokio::spawn(async move { caller.issue(request).await })
    };
    let mut calls = Vec::new();
    let held = |request_id: &'static str| hold(&at, &first.id, request_id);

    // The first server's batch: a, c and e, that waits for c with a in its hands.
    let (gate, c) = (held("gate").await, held("c").await);
    calls.push(open(&first, "gate"));
    waiting(&at.sql, 1).await;
    calls.extend(["a", "c", "e"].map(|id| open(&first, id)));
    gathered().await;
    release(gate).await;
    calls.remove(0).await.unwrap().unwrap();
    waiting(&at.sql, 1).await;

    // The second server's batch: a, and e for the second time.
    calls.push(open(&second, "e"));
    gathered().await;
    let gate = held("other-gate").await;
    calls.push(open(&second, "other-gate"));
    waiting(&at.sql, 2).await;
    calls.extend(["a", "e"].map(|id| open(&second, id)));
    gathered().await;
    release(gate).await;
    gathered().await;

    release(c).await;
    for call in join_all(calls).await {
        call.unwrap().unwrap();
    }
    drop((first, second));
    none_since(before, &at.stop()).await;
}

/// Another opening with the request id that does not end.
async fn hold(at: &Deployment, client_id: &str, request_id: &str) -> Client {
    let sql = at.database.client().await;
    sql.batch_execute(&format!(
        "BEGIN; INSERT INTO countersign.session_grant \
             (session_id, client_id, subject, opened_by, request_id, scopes, key_id, salt, \
              opened_at, expires_at) \
         VALUES (gen_random_uuid(), '{client_id}', gen_random_uuid(), '{client_id}', \
             '{request_id}', '{{}}', 1, decode(repeat('00', 16), 'hex'), now(), now())"
    ))
    .await
    .unwrap();
    sql
}

async fn release(held: Client) {
    held.batch_execute("ROLLBACK").await.unwrap();
}

/// Waits until so many connections wait for another's transaction.
async fn waiting(sql: &Client, connections: i64) {
    let query = "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let started = Instant::now();
    while sql.query_one(query, &[]).await.unwrap().get::<_, i64>(0) < connections {
        assert!(started.elapsed() < Duration::from_mins(1), "{connections}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Long enough for calls to reach the queue, or the database. Were it not, the test would
/// pass.
async fn gathered() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}
