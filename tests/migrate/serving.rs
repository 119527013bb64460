//! The role that serves has what it needs and no more.

use countersign::{
    proto::v1::{self, Role},
    store::{
        catalog::Extent,
        connect::connect,
        migrate::{self, MigrateError, SchemaState, schema_state},
    },
};
use tokio_postgres::error::SqlState;

use super::{check, migrated, options, run, text, try_migrate};
use crate::support::{fresh_database, server::Deployment};

#[tokio::test]
async fn the_serving_role_changes_no_schema_and_no_event() {
    let database = fresh_database().await;
    migrated(&database).await;
    let serving = database.serving_client().await;
    for forbidden in [
        "CREATE TABLE countersign.mine (id int)",
        "CREATE TABLE auth.mine (id int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE auth.refresh_session ADD COLUMN mine int",
        "DROP INDEX auth.refresh_tokens_parent_idx",
        "TRUNCATE auth.refresh_tokens",
        "UPDATE countersign.event SET kind = 'other'",
        "DELETE FROM countersign.event",
        "UPDATE countersign.authority SET not_before = now()",
        "DELETE FROM countersign.client",
        "DELETE FROM public.users",
        "UPDATE public.users SET created_at = now()",
        "INSERT INTO countersign.migration_history VALUES (9)",
        "INSERT INTO countersign.id_cursor VALUES ('x', 1)",
    ] {
        let error = serving.batch_execute(forbidden).await.expect_err(forbidden);
        assert_eq!(
            error.code(),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE),
            "{forbidden}"
        );
    }
}

#[tokio::test]
async fn the_serving_role_does_what_serving_needs() {
    let database = fresh_database().await;
    migrated(&database).await;
    let serving = database.serving_client().await;
    run(
        &serving,
        r#"INSERT INTO public.users (id) VALUES ('00000000-0000-7000-8000-000000000001');
           INSERT INTO public.oauth_clients (id) VALUES ('00000000-0000-7000-8000-000000000002');
           INSERT INTO auth."user" (sub) VALUES ('00000000-0000-7000-8000-000000000001');
           INSERT INTO countersign.client (client_id, name) VALUES ('00000000-0000-7000-8000-000000000002', 'a');
           INSERT INTO countersign.account (subject, user_id) SELECT sub, id FROM auth."user";
           SELECT FROM public.users FOR KEY SHARE;
           SELECT FROM auth."user" FOR UPDATE;
           SELECT FROM countersign.client FOR KEY SHARE;
           INSERT INTO auth.refresh_session (id, user_id, expires_at) OVERRIDING SYSTEM VALUE
               SELECT 7, id, now() FROM auth."user";
           INSERT INTO auth.refresh_session (user_id, expires_at) SELECT id, now() FROM auth."user";
           INSERT INTO auth.refresh_tokens (token) VALUES ('digest');
           INSERT INTO public.oauth_access_tokens (digest, client_id, user_id, expires_at, scopes, audience)
               VALUES ('\x00', '00000000-0000-7000-8000-000000000002', '00000000-0000-7000-8000-000000000001',
                       now(), '{a,b:c}', '{https://a.example/b}');
           UPDATE public.oauth_access_tokens SET metadata = '{"a": 1}';
           INSERT INTO countersign.event (kind) VALUES ('tried');
           UPDATE countersign.id_cursor SET next_id = 2;
           SELECT last_value FROM auth.refresh_session_id_seq;
           SELECT last_value FROM auth.user_id_seq;
           DELETE FROM auth.refresh_session;
           DELETE FROM auth.refresh_tokens;
           DELETE FROM public.oauth_access_tokens;
           DELETE FROM countersign.session_grant"#,
    )
    .await;
    let settings = format!(
        "SELECT setconfig::text FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = setrole
         WHERE rolname = '{}'",
        database.serving_role
    );
    assert_eq!(
        text(&serving, &settings).await,
        "{enable_seqscan=off,jit=off,plan_cache_mode=force_generic_plan,\
         \"default_transaction_isolation=read committed\",statement_timeout=5000,\
         lock_timeout=2000,idle_in_transaction_session_timeout=5000}"
    );
}

#[tokio::test]
async fn a_column_of_others_that_a_sequence_fills_stops_no_issuing() {
    let at = Deployment::start().await;
    run(
        &at.sql,
        "ALTER TABLE auth.refresh_session ADD COLUMN seq bigserial;
         ALTER TABLE public.oauth_access_tokens ADD COLUMN seq bigserial,
             ADD COLUMN shared bigint DEFAULT nextval('auth.refresh_session_seq_seq')",
    )
    .await;
    let role = &at.database.serving_role;
    let expected = [
        "auth.refresh_session_seq_seq",
        "public.oauth_access_tokens_seq_seq",
    ]
    .map(|sequence| format!("GRANT USAGE, SELECT ON SEQUENCE {sequence} TO {role}"));
    assert_eq!(migrated(&at.database).await.granted, expected);
    let caller = at.client(&[Role::Issuer]).await;
    caller.open(&at.user().await).await;
    let alone = caller.issue(v1::IssueTokenRequest::default()).await;
    assert!(alone.is_ok(), "{alone:?}");
    assert!(!migrated(&at.database).await.changed());
}

#[tokio::test]
async fn what_the_serving_role_may_do_through_others_is_told_and_left() {
    let database = fresh_database().await;
    assert_eq!(migrated(&database).await.through_others, [""; 0]);
    let role = &database.serving_role;
    let (group, above) = (format!("{role}_group"), format!("{role}_above"));
    run(
        &database.client().await,
        &format!(
            "CREATE ROLE {above}; CREATE ROLE {group} IN ROLE {above}; GRANT {group} TO {role};
             GRANT SELECT, DELETE ON countersign.event TO {group};
             GRANT TRUNCATE, INSERT ON public.oauth_access_tokens TO {above};
             GRANT UPDATE (id, created_at) ON public.users TO PUBLIC"
        ),
    )
    .await;
    let report = migrated(&database).await;
    assert!(!report.changed(), "{report:?}");
    let told = [
        format!("REVOKE TRUNCATE ON TABLE public.oauth_access_tokens FROM {above}"),
        "REVOKE UPDATE (created_at) ON TABLE public.users FROM PUBLIC".to_owned(),
        format!("REVOKE DELETE ON TABLE countersign.event FROM {group}"),
    ];
    assert_eq!(report.through_others, told);
    let steps = migrate::dry_run(&database.config(), &options(&database)).await;
    assert_eq!(steps.expect("a plan"), []);

    run(&database.client().await, &told.join(";")).await;
    assert_eq!(migrated(&database).await.through_others, [""; 0]);
    let over = format!("DROP OWNED BY {group}, {above}; DROP ROLE {group}, {above}");
    run(&database.client().await, &over).await;
}

#[tokio::test]
async fn the_check_works_as_the_serving_role() {
    let database = fresh_database().await;
    migrated(&database).await;
    let config = database.config_as(&database.serving_role);
    let report = migrate::check(&config, Extent::CountForeignRows)
        .await
        .expect("a check");
    assert_eq!(report, check(&database).await);
    assert!(report.is_exact());
    assert!(report.foreign_rows.is_some());
}

#[tokio::test]
async fn a_role_that_has_no_rights_yet_waits_for_them() {
    let database = fresh_database().await;
    migrated(&database).await;
    let role = format!("{}_later", database.serving_role);
    run(
        &database.client().await,
        &format!("CREATE ROLE {role}; GRANT {role} TO CURRENT_USER"),
    )
    .await;
    let mut client = connect(&database.config_as(&role))
        .await
        .expect("a connection");
    let state = schema_state(&mut client).await.expect("a state");
    assert_eq!(state, SchemaState::NotGranted);
    let mut client = database.serving_client().await;
    let state = schema_state(&mut client).await.expect("a state");
    assert_eq!(state, SchemaState::Current);
}

#[tokio::test]
async fn a_right_too_much_is_taken_and_a_right_too_few_is_given() {
    let database = fresh_database().await;
    let client = database.client().await;
    migrated(&database).await;
    let role = &database.serving_role;
    run(
        &client,
        &format!(
            "GRANT DELETE ON countersign.event TO {role}; GRANT UPDATE (created_at) ON public.users TO {role};
             REVOKE INSERT ON auth.refresh_session FROM {role}; GRANT CREATE ON SCHEMA auth TO {role};
             ALTER ROLE {role} IN DATABASE {} RESET jit",
            database.name
        ),
    )
    .await;
    let granted = migrated(&database).await.granted;
    let expected = [
        format!("REVOKE CREATE ON SCHEMA auth FROM {role}"),
        format!("REVOKE ALL ON TABLE public.users FROM {role}"),
        format!("REVOKE ALL ON TABLE countersign.event FROM {role}"),
        format!("GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE auth.refresh_session TO {role}"),
        format!("GRANT SELECT, INSERT ON TABLE public.users TO {role}"),
        format!("GRANT SELECT, INSERT ON TABLE countersign.event TO {role}"),
        format!("GRANT UPDATE (id) ON TABLE public.users TO {role}"),
        format!(
            "ALTER ROLE {role} IN DATABASE {} SET jit = 'off'",
            database.name
        ),
    ];
    assert_eq!(granted, expected);
    assert!(!migrated(&database).await.changed());
}

#[tokio::test]
async fn a_serving_role_of_any_name_is_quoted() {
    let database = fresh_database().await;
    let mut options = options(&database);
    options.serving_role = format!("{} \"x\"; DROP $$'", database.serving_role);
    let granted = migrate::migrate(&database.config(), &options, |_| {})
        .await
        .expect("a migration")
        .granted;
    assert!(
        granted[0].ends_with("\"\"x\"\"; DROP $$'\" LOGIN"),
        "{}",
        granted[0]
    );
}

#[tokio::test]
async fn who_may_not_create_the_role_is_told_what_to_have_run() {
    let database = fresh_database().await;
    let client = database.client().await;
    let owner = format!("{}_o", database.serving_role);
    run(
        &client,
        &format!(
            "CREATE ROLE {owner}; ALTER DATABASE {} OWNER TO {owner}; GRANT {owner} TO CURRENT_USER",
            database.name
        ),
    )
    .await;
    let config = database.config_as(&owner);
    let error = migrate::migrate(&config, &options(&database), |_| {})
        .await
        .expect_err("no right to create roles");
    assert!(
        matches!(error, MigrateError::InsufficientRights { .. }),
        "{error}"
    );
    let needed = format!("CREATE ROLE {} LOGIN;", database.serving_role);
    assert!(error.to_string().contains(&needed), "{error}");

    // The administrator does so, and what else only an administrator may.
    let role = &database.serving_role;
    run(&client, &format!("CREATE ROLE {role} LOGIN")).await;
    let error = migrate::migrate(&config, &options(&database), |_| {})
        .await
        .expect_err("no right to set for other roles");
    assert!(
        error.to_string().contains("SET enable_seqscan = 'off';"),
        "{error}"
    );
    for (setting, value) in [
        ("enable_seqscan", "off"),
        ("jit", "off"),
        ("plan_cache_mode", "force_generic_plan"),
        ("default_transaction_isolation", "'read committed'"),
        ("statement_timeout", "5000"),
        ("lock_timeout", "2000"),
        ("idle_in_transaction_session_timeout", "5000"),
    ] {
        let statement = format!(
            "ALTER ROLE {role} IN DATABASE {} SET {setting} = {value}",
            database.name
        );
        run(&client, &statement).await;
    }
    let report = migrate::migrate(&config, &options(&database), |_| {})
        .await
        .expect("the rest is the owner's right");
    assert!(report.applied.is_empty() && !report.granted.is_empty());
    assert!(!try_migrate(&database).await.expect("again").changed());
}
