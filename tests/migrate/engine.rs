//! The engine on a database without documented tables.

use std::time::Duration;

use countersign::store::{
    catalog::{Extent, Severity},
    migrate::{self, MigrateError, SchemaState, schema_state},
};

use super::{check, fingerprint, lines, migrated, options, run, text, try_migrate};
use crate::support::fresh_database;

#[tokio::test]
async fn an_empty_database_is_exact_after_migrating_and_migrating_again_changes_nothing() {
    let database = fresh_database().await;
    let mut client = database.client().await;
    assert_eq!(
        schema_state(&mut client).await.expect("a state"),
        SchemaState::NotMigrated
    );
    let before = check(&database).await;
    assert!(!before.is_exact());
    assert_eq!(before.foreign_rows, None);

    let report = migrated(&database).await;
    assert_eq!(
        report.applied,
        [
            "0001_documented_tables",
            "0002_countersign",
            "0003_identities",
            "0004_dpop",
            "0005_replicas"
        ]
    );
    assert_eq!(report.repaired, [""; 0]);
    assert_eq!(report.tolerated, []);
    let exact = check(&database).await;
    assert_eq!(exact.differences, [], "{exact}");
    assert!(exact.is_exact());
    assert_eq!(
        exact.to_string(),
        "foreign rows: 0, of them holding a token in the clear: 0\n"
    );
    assert_eq!(
        schema_state(&mut client).await.expect("a state"),
        SchemaState::Current
    );

    let once = fingerprint(&client).await;
    let again = migrated(&database).await;
    assert!(!again.changed(), "{again:?}");
    assert_eq!(fingerprint(&client).await, once);
}

#[tokio::test]
async fn the_search_path_of_the_database_changes_nothing() {
    let database = fresh_database().await;
    let client = database.client().await;
    run(
        &client,
        &format!(
            "CREATE SCHEMA odd; ALTER DATABASE {} SET search_path = odd, auth, pg_catalog",
            database.name
        ),
    )
    .await;
    run(&client, super::kept::TABLES).await;
    run(
        &client,
        "DROP INDEX auth.refresh_tokens_parent_idx; DROP TABLE public.oauth_access_tokens",
    )
    .await;
    migrated(&database).await;
    let report = check(&database).await;
    assert!(report.is_exact(), "{report}");
    assert!(!migrated(&database).await.changed());
}

#[tokio::test]
async fn a_dry_run_writes_nothing_and_its_text_does_what_migrating_does() {
    let database = fresh_database().await;
    let client = database.client().await;
    let before = fingerprint(&client).await;
    let steps = migrate::dry_run(&database.config(), &options(&database))
        .await
        .expect("a dry run");
    assert_eq!(fingerprint(&client).await, before);
    let role = format!(
        "SELECT count(*)::text FROM pg_roles WHERE rolname = '{}'",
        database.serving_role
    );
    assert_eq!(text(&client, &role).await, "0");

    let script: String = steps.iter().map(ToString::to_string).collect();
    // The history is refinery's to write; nothing else is missing.
    let script = script.replace(
        "-- migration 0001_documented_tables\n",
        "CREATE TABLE countersign.migration_history \
         (version int4 PRIMARY KEY, name varchar(255), applied_on varchar(255), checksum varchar(255));\n",
    );
    run(&client, &script).await;
    let report = check(&database).await;
    assert_eq!(report.differences, [], "{report}");
    let by_hand = fingerprint(&client).await;
    run(&client, "DROP SCHEMA countersign CASCADE").await;
    migrated(&database).await;
    let by_engine = fingerprint(&client).await;
    assert_eq!(by_hand, by_engine);
}

#[tokio::test]
async fn rights_are_given_before_what_may_take_long_and_each_is_told_once() {
    let database = fresh_database().await;
    let client = database.client().await;
    run(&client, super::kept::TABLES).await;
    for (taken, made_first) in [
        (
            "DROP INDEX auth.refresh_tokens_parent_idx",
            "migration 0001",
        ),
        (
            "DROP INDEX auth.refresh_tokens_parent_idx; DROP TABLE public.oauth_access_tokens",
            "make what is missing",
        ),
    ] {
        run(&client, taken).await;
        let plan = migrate::dry_run(&database.config(), &options(&database))
            .await
            .expect("a dry run");
        let mut told = Vec::new();
        let progress = |line: &str| told.push(line.to_owned());
        migrate::migrate(&database.config(), &options(&database), progress)
            .await
            .expect("a migration");

        let place = |words: &str| told.iter().position(|line| line.starts_with(words));
        let first = place(made_first);
        let granted = place("GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE public.oauth_access");
        let built = place("build the index auth.refresh_tokens_parent_idx");
        assert!(first.is_some() && first < granted, "{told:?}");
        assert!(granted < built, "{told:?}");
        // A right is told by its statement alone.
        let planned = plan.iter().map(|step| {
            let right = step.title.starts_with("run `");
            if right { &step.sql } else { &step.title }
        });
        let planned: Vec<_> = planned
            .filter(|title| *title != "create the schema countersign")
            .collect();
        assert_eq!(planned, told.iter().collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn two_migrations_at_once_both_succeed() {
    let database = fresh_database().await;
    run(&database.client().await, super::kept::TABLES).await;
    run(
        &database.client().await,
        "DROP INDEX auth.refresh_tokens_parent_idx",
    )
    .await;
    let (one, other) = tokio::join!(try_migrate(&database), try_migrate(&database));
    let (one, other) = (one.expect("the one"), other.expect("the other"));
    assert!(one.changed() ^ other.changed(), "{one:?} {other:?}");
    assert!(check(&database).await.is_exact());
}

#[tokio::test]
async fn a_migration_that_waits_says_so_and_gives_up_in_the_end() {
    let database = fresh_database().await;
    let holder = database.client().await;
    let taken = format!("SELECT pg_advisory_lock({})::text", migrate::LOCK_KEY);
    text(&holder, &taken).await;
    let mut options = options(&database);
    options.patience = Duration::from_millis(1);
    let mut told = Vec::new();
    let error = migrate::migrate(&database.config(), &options, |line| {
        told.push(line.to_owned());
    })
    .await
    .expect_err("the lock is held");
    assert!(matches!(error, MigrateError::Busy { .. }), "{error}");
    assert_eq!(
        told,
        ["another migration of this database is running; waiting for it"]
    );
}

#[tokio::test]
async fn a_locked_table_is_waited_for_a_bounded_number_of_times() {
    let database = fresh_database().await;
    let mut holder = database.client().await;
    run(&holder, super::kept::TABLES).await;
    run(
        &holder,
        "ALTER TABLE public.oauth_access_tokens DROP CONSTRAINT scopes_token_chars",
    )
    .await;
    let mut options = options(&database);
    options.last_lock_timeout = Duration::from_millis(20);
    options.attempts = 3;
    let transaction = holder.transaction().await.expect("a transaction");
    transaction
        .batch_execute("LOCK TABLE public.oauth_access_tokens IN ROW EXCLUSIVE MODE")
        .await
        .expect("a lock");
    let error = migrate::migrate(&database.config(), &options, |_| {})
        .await
        .expect_err("the table is locked");
    assert!(matches!(error, MigrateError::Busy { .. }), "{error}");
    transaction.rollback().await.expect("the end of the lock");
    migrate::migrate(&database.config(), &options, |_| {})
        .await
        .expect("nobody is in the way");
    assert!(check(&database).await.is_exact());
}

#[tokio::test]
async fn another_text_of_a_migration_and_a_newer_schema_are_refused() {
    let database = fresh_database().await;
    let mut client = database.client().await;
    migrated(&database).await;

    run(
        &client,
        "UPDATE countersign.migration_history SET checksum = '1' WHERE version = 2",
    )
    .await;
    let error = try_migrate(&database).await.expect_err("another text");
    assert!(
        matches!(error, MigrateError::Divergent { version: 2, .. }),
        "{error}"
    );

    run(
        &client,
        "DELETE FROM countersign.migration_history WHERE version = 1",
    )
    .await;
    let error = try_migrate(&database).await.expect_err("a gap");
    assert!(matches!(error, MigrateError::Gap(_)), "{error}");

    run(
        &client,
        "INSERT INTO countersign.migration_history VALUES (7, 'later', '2030-01-01T00:00:00Z', '1');
         UPDATE countersign.authority SET schema_version = 7, lowest_binary = '0.2.0'",
    )
    .await;
    let error = try_migrate(&database).await.expect_err("a newer schema");
    assert!(
        matches!(
            error,
            MigrateError::NewerSchema {
                found: 7,
                newest: 5
            }
        ),
        "{error}"
    );
    assert_eq!(
        schema_state(&mut client).await.expect("a state"),
        SchemaState::Newer {
            found: 7,
            lowest_binary: String::from("0.2.0")
        }
    );
    let report = check(&database).await;
    assert_eq!(lines(&report, Severity::Refused).len(), 1, "{report}");

    run(
        &client,
        "UPDATE countersign.authority SET schema_version = 6, lowest_binary = '0.1.0'",
    )
    .await;
    assert_eq!(
        schema_state(&mut client).await.expect("a state"),
        SchemaState::Next { found: 6 }
    );
    let report = try_migrate(&database).await.expect("nothing to do");
    assert_eq!(report.next, Some(6));
    assert!(!report.changed(), "{report:?}");
    run(
        &client,
        "UPDATE countersign.authority SET schema_version = 1",
    )
    .await;
    assert_eq!(
        schema_state(&mut client).await.expect("a state"),
        SchemaState::Older { found: 1 }
    );
}

#[tokio::test]
async fn what_keeps_a_migration_from_beginning_has_its_own_kind() {
    let database = fresh_database().await;
    let mut nowhere = database.config();
    nowhere.dbname("countersign_no_such_database");
    let error = migrate::check(&nowhere, Extent::Catalogue)
        .await
        .expect_err("no such database");
    assert!(matches!(error, MigrateError::NoSuchDatabase(_)), "{error}");

    let mut nobody = database.config();
    nobody.user("countersign_nobody");
    let error = migrate::check(&nobody, Extent::Catalogue)
        .await
        .expect_err("no such role");
    assert!(matches!(error, MigrateError::WrongPassword(_)), "{error}");

    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = closed.local_addr().expect("its number").port();
    drop(closed);
    let mut away = tokio_postgres::Config::new();
    away.host("127.0.0.1").port(port).user("anyone");
    let error = migrate::check(&away, Extent::Catalogue)
        .await
        .expect_err("nothing listens");
    assert!(matches!(error, MigrateError::Unreachable(_)), "{error}");
}
