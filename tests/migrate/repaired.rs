//! What documented tables lack is completed, and nothing else.

use countersign::store::{catalog::Severity, migrate::MigrateError};

use super::{check, fingerprint, kept::TABLES, lines, migrated, run, text, try_migrate};
use crate::cli::binary::countersign;
use crate::support::fresh_database;

#[tokio::test]
async fn whatever_single_object_is_taken_away_is_made_again_exactly() {
    let database = fresh_database().await;
    let client = database.client().await;
    migrated(&database).await;
    let whole = fingerprint(&client).await;
    for (taken, missing) in [
        (
            "DROP INDEX auth.refresh_tokens_parent_idx",
            "index auth.refresh_tokens.refresh_tokens_parent_idx",
        ),
        (
            "DROP INDEX auth.refresh_tokens_token_unique",
            "index auth.refresh_tokens.refresh_tokens_token_unique",
        ),
        (
            "DROP INDEX auth.refresh_tokens_updated_at_idx",
            "index auth.refresh_tokens.refresh_tokens_updated_at_idx",
        ),
        (
            "ALTER TABLE auth.refresh_tokens DROP CONSTRAINT refresh_tokens_pkey",
            "refresh_tokens_pkey",
        ),
        (
            "ALTER TABLE auth.refresh_session DROP CONSTRAINT refresh_session_jti_key",
            "refresh_session_jti_key",
        ),
        (
            "ALTER TABLE auth.refresh_session DROP CONSTRAINT refresh_session_user_id_fkey",
            "refresh_session_user_id_fkey",
        ),
        (
            "DROP INDEX public.idx_oauth_access_tokens_user_client",
            "idx_oauth_access_tokens_user_client: has no comment",
        ),
        (
            "ALTER TABLE public.oauth_access_tokens DROP CONSTRAINT access_token_dpop_consistency_chk",
            "dpop_consistency_chk",
        ),
        (
            "ALTER TABLE public.oauth_access_tokens DROP CONSTRAINT audience_uris_valid",
            "audience_uris_valid",
        ),
        (
            "ALTER TABLE public.oauth_access_tokens DROP CONSTRAINT oauth_access_tokens_client_id_fkey",
            "client_id_fkey",
        ),
        (
            "DROP TRIGGER set_timestamp_oauth_access_tokens ON public.oauth_access_tokens",
            "trigger public.oauth_access_tokens",
        ),
        (
            "COMMENT ON TABLE public.oauth_access_tokens IS NULL",
            "table public.oauth_access_tokens: has no comment",
        ),
        (
            "COMMENT ON COLUMN public.oauth_access_tokens.jti IS NULL",
            "oauth_access_tokens.jti: has no comment",
        ),
        (
            "DROP FUNCTION public.scopes_all_valid CASCADE",
            "function public.scopes_all_valid",
        ),
        (
            "DROP TABLE public.oauth_access_tokens",
            "table public.oauth_access_tokens: does not exist",
        ),
    ] {
        run(&client, taken).await;
        let report = check(&database).await;
        let told = lines(&report, Severity::Missing).join("\n");
        assert!(told.contains(missing), "{taken}: {missing} in {told}");
        let repaired = migrated(&database).await.repaired;
        assert!(!repaired.is_empty(), "{taken}");
        assert_eq!(fingerprint(&client).await, whole, "{taken}");
        assert_eq!(check(&database).await.differences, [], "{taken}");
    }
}

#[tokio::test]
async fn a_column_that_rows_can_get_is_added() {
    let database = fresh_database().await;
    let client = database.client().await;
    run(&client, TABLES).await;
    for column in [
        "auth.refresh_session DROP COLUMN user_agent",
        "auth.refresh_session DROP COLUMN jti",
        "auth.refresh_session DROP COLUMN refresh_version",
        "auth.refresh_tokens DROP COLUMN session_id",
        "public.oauth_access_tokens DROP COLUMN token_type",
        "public.oauth_access_tokens DROP COLUMN metadata",
    ] {
        run(&client, &format!("ALTER TABLE {column}")).await;
    }
    migrated(&database).await;
    let report = check(&database).await;
    assert!(report.is_exact(), "{report}");
}

#[tokio::test]
async fn an_invalid_index_is_dropped_and_built_again() {
    let database = fresh_database().await;
    let client = database.client().await;
    run(&client, TABLES).await;
    run(
        &client,
        "ALTER TABLE auth.refresh_tokens DROP CONSTRAINT refresh_tokens_token_unique;
         INSERT INTO auth.refresh_tokens (token) VALUES ('twice'), ('twice')",
    )
    .await;
    client
        .batch_execute(
            "CREATE UNIQUE INDEX CONCURRENTLY refresh_tokens_token_unique ON auth.refresh_tokens (token)",
        )
        .await
        .expect_err("two rows are equal");
    run(&client, "UPDATE auth.refresh_tokens SET token = id::text").await;
    let report = check(&database).await;
    assert!(
        report.to_string().contains("an interrupted build left it"),
        "{report}"
    );
    let repaired = migrated(&database).await.repaired;
    assert!(
        repaired.contains(&String::from(
            "drop the invalid index auth.refresh_tokens_token_unique"
        )),
        "{repaired:?}"
    );
    assert!(check(&database).await.is_exact());
}

#[tokio::test]
async fn rows_that_contradict_a_documented_object_stop_the_migration_which_leaves_nothing_half_done()
 {
    let database = fresh_database().await;
    let client = database.client().await;
    run(&client, TABLES).await;
    run(
        &client,
        "ALTER TABLE auth.refresh_tokens DROP CONSTRAINT refresh_tokens_token_unique;
         INSERT INTO auth.refresh_tokens (token) VALUES ('a-foreign-token'), ('a-foreign-token')",
    )
    .await;
    let error = try_migrate(&database)
        .await
        .expect_err("two rows are equal");
    assert!(
        matches!(error, MigrateError::Contradicted { .. }),
        "{error}"
    );
    let left = "SELECT count(*)::text FROM pg_class WHERE relname = 'refresh_tokens_token_unique'";
    assert_eq!(text(&client, left).await, "0");

    // What stands in the rows is told to nobody.
    let words = ["migrate", "--serving-role", &database.serving_role];
    let environment = [("COUNTERSIGN_DATABASE_URL", database.url())];
    let environment = environment
        .each_ref()
        .map(|(name, url)| (*name, url.as_str()));
    let told = countersign(&words, &environment, "").await;
    assert_eq!(told.code, 65, "{}", told.stderr);
    assert!(!told.stderr.contains("a-foreign-token"), "{}", told.stderr);
    for word in ["refresh_tokens_token_unique", "table auth.refresh_tokens"] {
        assert!(told.stderr.contains(word), "{}", told.stderr);
    }

    run(
        &client,
        "DELETE FROM auth.refresh_tokens;
           ALTER TABLE auth.refresh_session DROP CONSTRAINT refresh_session_user_id_fkey;
           INSERT INTO auth.refresh_session (user_id, expires_at) VALUES (77, now())",
    )
    .await;
    let error = try_migrate(&database).await.expect_err("a user is missing");
    assert!(
        matches!(error, MigrateError::Contradicted { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("refresh_session_user_id_fkey"),
        "{error}"
    );
    let left =
        "SELECT count(*)::text FROM pg_constraint WHERE conname = 'refresh_session_user_id_fkey'";
    assert_eq!(text(&client, left).await, "0");
}

#[tokio::test]
async fn an_unvalidated_constraint_is_validated() {
    let database = fresh_database().await;
    let client = database.client().await;
    run(&client, TABLES).await;
    run(
        &client,
        r#"ALTER TABLE auth.refresh_session DROP CONSTRAINT refresh_session_user_id_fkey;
           ALTER TABLE auth.refresh_session ADD CONSTRAINT refresh_session_user_id_fkey
               FOREIGN KEY (user_id) REFERENCES auth."user" (id) ON DELETE CASCADE NOT VALID"#,
    )
    .await;
    let report = check(&database).await;
    assert!(
        report.to_string().contains("was never validated"),
        "{report}"
    );
    migrated(&database).await;
    assert!(check(&database).await.is_exact());
}

#[tokio::test]
async fn what_is_beyond_the_documents_and_harmless_is_told_and_stays() {
    let database = fresh_database().await;
    let client = database.client().await;
    run(&client, TABLES).await;
    run(
        &client,
        "ALTER TABLE auth.refresh_session ADD COLUMN note text, ADD COLUMN tries integer NOT NULL DEFAULT 1;
         CREATE INDEX mine ON auth.refresh_tokens (user_id);
         CREATE TABLE public.theirs (jti uuid REFERENCES auth.refresh_session (jti) ON DELETE SET NULL);
         DROP INDEX public.idx_oauth_access_tokens_expires_at;
         CREATE INDEX idx_oauth_access_tokens_expires_at ON public.oauth_access_tokens (expires_at)
             WITH (fillfactor = 70);
         COMMENT ON COLUMN public.oauth_access_tokens.jti IS 'theirs'",
    )
    .await;
    migrated(&database).await;
    let report = check(&database).await;
    assert!(report.is_exact(), "{report}");
    let told = lines(&report, Severity::Tolerated).join("\n");
    for expected in [
        "tolerated: column auth.refresh_session.note: is not documented",
        "tolerated: column auth.refresh_session.tries: is not documented",
        "tolerated: index auth.refresh_tokens.mine: is not documented",
        "tolerated: foreign key theirs.theirs_jti_fkey: refers to auth.refresh_session",
        "idx_oauth_access_tokens_expires_at: has storage parameters of its own: fillfactor='70'",
        "oauth_access_tokens.jti: has a comment of its own",
    ] {
        assert!(told.contains(expected), "{expected} in {told}");
    }
}
