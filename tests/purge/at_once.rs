//! Several purges at once, purging beside every call, budgets and walls.

use super::{count, expire, purger, quiet, tokens};
use countersign::{proto::v1, store::Purged};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use tonic::Code;

#[tokio::test]
async fn two_purges_at_once_remove_each_row_once() {
    let at = quiet().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let user = at.user().await;
    let mut sessions = Vec::new();
    for _ in 0..40 {
        sessions.push(issuer.open(&user).await.session_id);
    }
    expire(&at, &sessions).await;
    tokens(&at, 4000, 3600, true).await;
    let (mut one, mut other) = (purger(&at, 7, None), purger(&at, 7, None));
    let (one, other) = futures_util::try_join!(one.pass(&|| true), other.pass(&|| true)).unwrap();
    let sum = |of: fn(&Purged) -> u64| of(&one.0) + of(&other.0);
    assert_eq!(sum(|purged| purged.sessions), 40);
    assert_eq!(sum(|purged| purged.grants), 40);
    assert_eq!(sum(|purged| purged.ledger), 40);
    assert_eq!(sum(|purged| purged.access_tokens), 4000);
}

/// Every call that meets rows which are being purged is answered as if it were alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn purging_beside_every_call_fails_none_and_deadlocks_nobody() {
    let at = quiet().await;
    let issuer = at.client(&[v1::Role::Issuer, v1::Role::Revoker]).await;
    let mut users = Vec::new();
    for _ in 0..4 {
        users.push(at.user().await);
    }
    tokens(&at, 20_000, 3600, true).await;
    let over = AtomicBool::new(false);
    let purging = async {
        let mut all = Purged::default();
        let mut sweeper = purger(&at, 5, Some(Duration::from_millis(200)));
        while !over.load(Ordering::Relaxed) {
            let (purged, _) = sweeper.pass(&|| true).await.unwrap();
            all.grants += purged.grants;
            all.access_tokens += purged.access_tokens;
        }
        all
    };
    let calling = |user: &String| {
        let (issuer, user) = (issuer.clone(), user.clone());
        let at = &at;
        async move {
            let started = Instant::now();
            let mut round = 0;
            while started.elapsed() < Duration::from_secs(3) {
                round += 1;
                let mut logins = Vec::new();
                for name in ["x", "y", "z"] {
                    let request = v1::IssueTokenRequest {
                        subject: user.clone(),
                        with_refresh_token: true,
                        // The opening before it had the same, and may be being purged.
                        request_id: format!("{user}-{name}"),
                        ..v1::IssueTokenRequest::default()
                    };
                    logins.push(issuer.issue(request).await.unwrap());
                }
                let live = issuer.rotate(&logins[0].refresh_token).await.unwrap();
                let old: Vec<_> = logins
                    .iter()
                    .map(|login| login.session_id.clone())
                    .collect();
                if round % 2 == 0 {
                    let ids: Vec<uuid::Uuid> = old.iter().map(|id| id.parse().unwrap()).collect();
                    let repeatable_no_more = "UPDATE countersign.session_grant
                        SET opened_at = now() - interval '2 days' WHERE session_id = ANY ($1)";
                    at.sql.execute(repeatable_no_more, &[&ids]).await.unwrap();
                }
                expire(at, &old).await;
                let refused = issuer.rotate(&live.refresh_token).await.unwrap_err();
                assert_eq!(refused.code, Code::Unauthenticated, "{refused:?}");
                assert!(
                    ["SESSION_EXPIRED", "SESSION_REVOKED"].contains(&refused.reason.as_str()),
                    "{refused:?}"
                );
                for login in &logins[1..] {
                    let session = login.session_id.clone();
                    issuer
                        .revoke(v1::revoke_session_request::Target::SessionId(session))
                        .await;
                }
            }
        }
    };
    let calls = async {
        futures_util::future::join_all(users.iter().map(calling)).await;
        over.store(true, Ordering::Relaxed);
    };
    let (purged, ()) = futures_util::join!(purging, calls);
    assert!(purged.grants > 10, "{purged:?}");
    assert!(purged.access_tokens > 100, "{purged:?}");
    // A backend tells its last statistics when it ends.
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while count(&at, end).await > 0 {
        tokio::task::yield_now().await;
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(count(&at, deadlocks).await, 0);
}

#[tokio::test]
async fn a_pass_keeps_its_budget_and_the_next_goes_on_where_it_stopped() {
    let at = quiet().await;
    tokens(&at, 20_000, 3600, true).await;
    let mut sweeper = purger(&at, 100, Some(Duration::from_millis(20)));
    let started = Instant::now();
    let (first, lag) = sweeper.pass(&|| true).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(first.access_tokens < 20_000, "{first:?}");
    assert!(lag.access_tokens > Duration::from_secs(3599), "{lag:?}");
    let mut removed = first.access_tokens;
    while removed < 20_000 {
        let (purged, _) = sweeper.pass(&|| true).await.unwrap();
        removed += purged.access_tokens;
        assert!(started.elapsed() < Duration::from_mins(1), "{removed}");
    }
    let (last, lag) = sweeper.pass(&|| true).await.unwrap();
    assert_eq!(
        (last, lag.access_tokens),
        (Purged::default(), Duration::ZERO)
    );
    let (none, _) = sweeper.pass(&|| false).await.unwrap();
    assert_eq!(none, Purged::default());
}

#[tokio::test]
async fn what_lies_behind_a_wall_of_foreign_rows_is_purged_within_a_few_small_passes() {
    let at = quiet().await;
    tokens(&at, 30_000, 7200, false).await;
    at.sql
        .execute(
            "UPDATE public.oauth_access_tokens SET expires_at = now() - interval '2 hours'
             WHERE get_byte(digest, 0) < 64",
            &[],
        )
        .await
        .unwrap();
    tokens(&at, 10, 3600, true).await;
    let mut sweeper = purger(&at, 100, Some(Duration::from_millis(20)));
    let mut removed = 0;
    for _ in 0..100 {
        let (purged, _) = sweeper.pass(&|| true).await.unwrap();
        removed += purged.access_tokens;
        if removed == 10 {
            break;
        }
    }
    assert_eq!(removed, 10);
    let left = "SELECT count(*) FROM public.oauth_access_tokens";
    assert_eq!(count(&at, left).await, 30_000);
}

#[tokio::test]
async fn the_lag_is_the_age_of_the_oldest_row_that_was_left() {
    let at = quiet().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let held = issuer.open(&at.user().await).await;
    let free = issuer.open(&at.user().await).await;
    expire(&at, &[held.session_id.clone(), free.session_id]).await;
    tokens(&at, 300, 400, true).await;
    tokens(&at, 1, 7200, true).await;
    let holder = at.database.client().await;
    holder
        .batch_execute(&format!(
            "BEGIN;
             SELECT FROM auth.refresh_session WHERE jti = '{}' FOR UPDATE;
             SELECT FROM public.oauth_access_tokens WHERE expires_at < now() - interval '1 hour' FOR UPDATE",
            held.session_id
        ))
        .await
        .unwrap();
    let mut sweeper = purger(&at, 50, None);
    let (purged, lag) = sweeper.pass(&|| true).await.unwrap();
    assert_eq!((purged.grants, purged.access_tokens), (1, 300));
    assert!((3600..3700).contains(&lag.families.as_secs()), "{lag:?}");
    assert!(
        (7200..7300).contains(&lag.access_tokens.as_secs()),
        "{lag:?}"
    );
    holder.batch_execute("COMMIT").await.unwrap();
    let (purged, lag) = sweeper.pass(&|| true).await.unwrap();
    assert_eq!((purged.grants, purged.access_tokens), (1, 1));
    assert_eq!(lag, countersign::store::PurgeLag::default());
}
