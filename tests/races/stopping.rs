//! An administrator against a client that issues without a pause.

use crate::support::server::{Deployment, answer, settings};
use countersign::proto::v1::{self, Role};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};
use uuid::Uuid;

/// As many batches as several replicas have in the database at once.
const BATCHES: u32 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_issues_without_a_pause_is_changed_and_stopped() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let id = Uuid::parse_str(&issuer.id).unwrap();
    let (over, locked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU32::new(0)),
    );
    let mut batches = Vec::new();
    for batch in 0..BATCHES {
        let sql = at.database.client().await;
        let (over, locked) = (Arc::clone(&over), Arc::clone(&locked));
        // The lock of a batch that is issued, and the time that it takes: of each another, so
        // that there is no moment at which none holds it.
        let issue = format!(
            "BEGIN;
             SELECT FROM countersign.client WHERE client_id = '{id}' FOR KEY SHARE SKIP LOCKED;
             SELECT pg_sleep({});
             COMMIT",
            0.03 + 0.003 * f64::from(batch)
        );
        batches.push(tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                sql.batch_execute(&issue).await.unwrap();
                locked.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    // Each of them is at it.
    while locked.load(Ordering::Relaxed) < 2 * BATCHES {
        tokio::task::yield_now().await;
    }
    let admin = at.admin();
    let mut directory = admin.directory();
    let added = v1::RotateClientSecretRequest {
        client_id: issuer.id.clone(),
    };
    answer(directory.rotate_client_secret(admin.request(added)).await).unwrap();
    let disable = v1::DisableClientRequest {
        client_id: issuer.id.clone(),
    };
    answer(directory.disable_client(admin.request(disable)).await).unwrap();
    over.store(true, Ordering::Relaxed);
    for batch in batches {
        batch.await.unwrap();
    }
    let refused = issuer.issue(v1::IssueTokenRequest::default()).await;
    assert!(refused.is_err());
}

/// Both want the name, and the table of clients.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_administrators_who_want_one_name_do_not_deadlock() {
    let at = Deployment::start_with(2, &super::PATIENT).await;
    let admins = [at.admin(), at.at(1, &at.admin())];
    let other = at.client(&[Role::Issuer]).await;
    for round in 0..super::times(20) {
        let named = v1::ClientSettings {
            spiffe_ids: vec![format!("spiffe://mesh/ns/prod/sa/{round}")],
            ..settings()
        };
        let create = v1::CreateClientRequest {
            settings: Some(named.clone()),
            ..Default::default()
        };
        let update = v1::UpdateClientRequest {
            client_id: other.id.clone(),
            settings: Some(named),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["spiffe_ids".into()],
            }),
        };
        let (mut one, mut two) = (admins[0].directory(), admins[1].directory());
        let (created, updated) = tokio::join!(
            one.create_client(admins[0].request(create)),
            two.update_client(admins[1].request(update)),
        );
        assert!(created.is_ok() != updated.is_ok(), "one of them has it");
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    let deadlocks: i64 = at.sql.query_one(deadlocks, &[]).await.unwrap().get(0);
    assert_eq!(deadlocks, 0);
}

#[tokio::test]
async fn behind_a_search_that_holds_another_client_nobody_waits() {
    let at = Deployment::start().await;
    let [searched, leaking] = [
        at.client(&[Role::Issuer]).await,
        at.client(&[Role::Issuer]).await,
    ];
    let mut other = at.database.client().await;
    let search = other.transaction().await.unwrap();
    let lock = "SELECT FROM countersign.client WHERE client_id = $1 FOR UPDATE";
    let id = Uuid::parse_str(&searched.id).unwrap();
    search.query_one(lock, &[&id]).await.unwrap();
    let admin = at.admin();
    let disable = v1::DisableClientRequest {
        client_id: leaking.id.clone(),
    };
    answer(
        admin
            .directory()
            .disable_client(admin.request(disable))
            .await,
    )
    .unwrap();
    assert!(
        leaking
            .issue(v1::IssueTokenRequest::default())
            .await
            .is_err()
    );
    search.rollback().await.unwrap();
    assert!(
        searched
            .issue(v1::IssueTokenRequest::default())
            .await
            .is_ok()
    );
}
