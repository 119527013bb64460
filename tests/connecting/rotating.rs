//! Credentials that change under a server that runs.

use crate::support::server::Deployment;
use countersign::proto::v1::Role;
use futures_util::future::join_all;
use std::time::{Duration, Instant};
use tonic::Code;

async fn change_password(at: &Deployment, password: &str) {
    let role = &at.database.serving_role;
    let sql = format!("ALTER ROLE {role} PASSWORD '{password}'");
    at.sql.batch_execute(&sql).await.unwrap();
}

async fn terminate(at: &Deployment) {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1";
    at.sql
        .query_one(sql, &[&at.database.serving_role])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rotated_password_holds_without_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("password");
    std::fs::write(&file, "only-for-this-test\n").unwrap();
    let setting = ("COUNTERSIGN_DATABASE_PASSWORD_FILE", file.to_str().unwrap());
    let at = Deployment::start_with(1, &[setting]).await;
    let caller = at.client(&[Role::Issuer, Role::Introspector]).await;
    let token = caller.open(&at.user().await).await.access_token;

    // The file is behind: no new connection is let in, and those that stand carry every call.
    change_password(&at, "the-next").await;
    let calls = (0..40).map(|_| async {
        assert!(caller.active(&token).await);
        caller.open(&at.user().await).await;
    });
    join_all(calls).await;

    // Those end too: refused, until the file follows.
    terminate(&at).await;
    let refused = loop {
        // A connection may be taken a moment before its end is seen.
        match caller.issue(Default::default()).await {
            Err(refused) => break refused,
            Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert_eq!(refused.code, Code::Unavailable);
    assert!(refused.retry);
    std::fs::write(&file, "the-next").unwrap();
    let began = Instant::now();
    while caller.issue(Default::default()).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(15));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(caller.active(&token).await);
}
