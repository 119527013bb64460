//! Migrating while two servers work: no call fails, and none waits for long.

use super::{check, migrate, run};
use crate::support::server::{Caller, Deployment, Refused};
use countersign::{
    proto::v1::{self, Role, revoke_session_request::Target},
    store::migrate::{MigrateError, MigrateOptions},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// The four calls by many callers at once, until it is ended.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    callers: JoinSet<Duration>,
}

impl Load {
    async fn start(at: &Deployment) -> Self {
        let issuer = at
            .client(&[Role::Issuer, Role::Introspector, Role::Revoker])
            .await;
        let mut load = Self {
            stop: Arc::default(),
            done: Arc::default(),
            callers: JoinSet::new(),
        };
        for number in 0..8 {
            let caller = at.at(number % 2, &issuer);
            let subject = at.user().await;
            let (stop, done) = (Arc::clone(&load.stop), Arc::clone(&load.done));
            load.callers.spawn(async move {
                let mut longest = Duration::ZERO;
                while !stop.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    let turn = four_calls(&caller, &subject).await;
                    turn.expect("no call fails while the schema changes");
                    longest = longest.max(asked.elapsed());
                    done.fetch_add(1, Ordering::Relaxed);
                }
                longest
            });
        }
        load
    }

    /// Waits until every caller has had some turns more.
    async fn goes_on(&self) {
        let (from, started) = (self.done.load(Ordering::Relaxed), Instant::now());
        while self.done.load(Ordering::Relaxed) < from + 40 {
            assert!(
                started.elapsed() < Duration::from_mins(1),
                "nothing is done"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it; the longest turn of all.
    async fn end(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let turns = self.callers.join_all().await;
        turns.into_iter().max().unwrap()
    }
}

/// Opens, rotates, introspects and revokes, and believes no wrong answer.
async fn four_calls(caller: &Caller, subject: &str) -> Result<(), Refused> {
    let open = v1::IssueTokenRequest {
        subject: subject.to_owned(),
        with_refresh_token: true,
        ..v1::IssueTokenRequest::default()
    };
    let login = caller.issue(open).await?;
    let step = caller.rotate(&login.refresh_token).await?;
    assert!(caller.active(&step.access_token).await);
    let ended = caller.revoke(Target::SessionId(login.session_id)).await;
    assert_eq!(ended, 1);
    assert!(!caller.active(&step.access_token).await);
    Ok(())
}

/// What an operator, or the application beside us, has changed for the worse.
const DAMAGE: &str = "
    DROP INDEX auth.refresh_tokens_parent_idx;
    DROP INDEX public.idx_oauth_access_tokens_expires_at;
    ALTER TABLE public.oauth_access_tokens DROP CONSTRAINT scopes_token_chars;
    DROP INDEX countersign.client_secret_client_id_idx";

/// What the next version's expansion is like: it adds, and says whom it still supports.
const NEXT: &str = "
    BEGIN;
    SET LOCAL lock_timeout = '1500ms';
    CREATE TABLE countersign.hereafter (id bigint PRIMARY KEY);
    ALTER TABLE countersign.session_grant ADD COLUMN hereafter text;
    ALTER TABLE countersign.client ADD COLUMN hereafter boolean NOT NULL DEFAULT false;
    UPDATE countersign.authority SET schema_version = schema_version + 1;
    COMMIT";

#[tokio::test]
async fn nothing_fails_while_the_schema_is_repaired_and_goes_on_to_the_next() {
    let at = Deployment::start_with(2, &[]).await;
    let options = MigrateOptions {
        serving_role: at.database.serving_role.clone(),
        ..MigrateOptions::default()
    };
    let load = Load::start(&at).await;
    load.goes_on().await;
    // One at a time, as a migration does: together they would be in the order of nobody.
    for statement in DAMAGE.split(';') {
        run(
            &at.sql,
            &format!("SET lock_timeout = '1500ms'; {statement}"),
        )
        .await;
    }
    assert!(!check(&at.database).await.is_exact());
    let report = migrate::migrate(&at.database.config(), &options, |_| {}).await;
    assert!(report.expect("a migration").repaired.len() >= 3);
    assert!(check(&at.database).await.is_exact());
    load.goes_on().await;
    run(&at.sql, NEXT).await;
    load.goes_on().await;
    let longest = load.end().await;
    assert!(longest < Duration::from_secs(10), "a turn took {longest:?}");
}

#[tokio::test]
async fn a_table_that_somebody_holds_stops_the_migration_and_nobody_else() {
    let at = Deployment::start_with(2, &[]).await;
    let options = MigrateOptions {
        serving_role: at.database.serving_role.clone(),
        last_lock_timeout: Duration::from_millis(100),
        attempts: 4,
        ..MigrateOptions::default()
    };
    run(
        &at.sql,
        "ALTER TABLE public.oauth_access_tokens DROP CONSTRAINT scopes_token_chars",
    )
    .await;
    // An application's long transaction: its lock lets every call through, and no DDL.
    let mut holder = at.database.client().await;
    let held = holder.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE public.oauth_access_tokens IN ROW EXCLUSIVE MODE")
        .await
        .unwrap();
    let load = Load::start(&at).await;
    load.goes_on().await;
    let error = migrate::migrate(&at.database.config(), &options, |_| {})
        .await
        .expect_err("the table is held");
    assert!(matches!(error, MigrateError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("oauth_access_tokens"), "{error}");
    load.goes_on().await;
    held.rollback().await.unwrap();
    migrate::migrate(&at.database.config(), &options, |_| {})
        .await
        .expect("nobody is in the way");
    assert!(check(&at.database).await.is_exact());
    let longest = load.end().await;
    assert!(longest < Duration::from_secs(10), "a turn took {longest:?}");
}

#[tokio::test]
async fn beside_a_reader_for_long_callers_wait_for_moments() {
    let at = Deployment::start_with(0, &[]).await;
    let statement = "ALTER TABLE public.oauth_access_tokens DROP CONSTRAINT scopes_token_chars";
    run(&at.sql, statement).await;
    // As pg_dump does it.
    let mut dump = at.database.client().await;
    let dump = dump.transaction().await.unwrap();
    let held = "LOCK TABLE public.oauth_access_tokens IN ACCESS SHARE MODE";
    dump.batch_execute(held).await.unwrap();
    let (config, role) = (at.database.config(), at.database.serving_role.clone());
    let migrating = tokio::spawn(async move {
        let options = MigrateOptions {
            serving_role: role,
            ..MigrateOptions::default()
        };
        migrate::migrate(&config, &options, |_| {}).await
    });

    // Who waits behind an attempt is let through before the longest of them would be over.
    run(&at.sql, "SET lock_timeout = '1400ms'").await;
    let started = Instant::now();
    while at.database.lock_timeouts_logged() < 6 {
        assert!(started.elapsed() < Duration::from_mins(1), "nobody waits");
        run(&at.sql, "SELECT FROM public.oauth_access_tokens LIMIT 1").await;
    }
    dump.rollback().await.unwrap();
    let report = migrating.await.unwrap().expect("nobody is in the way");
    assert!(!report.repaired.is_empty());
}
