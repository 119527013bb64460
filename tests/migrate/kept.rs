//! Documented tables that stood before, with the rows of others.

use tokio_postgres::Client;

use super::{check, migrated, run, text};
use crate::support::fresh_database;

/// The documented tables as another system made them: what they refer to has more columns,
/// the ledger's token has its unique constraint.
pub const TABLES: &str = r#"
CREATE SCHEMA auth;
CREATE TABLE public.users (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text NOT NULL);
CREATE TABLE public.oauth_clients (id uuid PRIMARY KEY, title text NOT NULL);
CREATE TABLE auth."user" (id serial PRIMARY KEY, sub uuid NOT NULL UNIQUE, login text NOT NULL);
CREATE TABLE auth.refresh_session (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    jti uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    user_id integer NOT NULL REFERENCES auth."user" (id) ON DELETE CASCADE,
    refresh_version integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    user_agent text,
    ip_address inet
);
CREATE INDEX refresh_session_expires_at_idx ON auth.refresh_session (expires_at);
CREATE INDEX refresh_session_user_id_idx ON auth.refresh_session (user_id);
CREATE TABLE auth.refresh_tokens (
    instance_id uuid, id bigserial PRIMARY KEY, token varchar(255), user_id varchar(255), revoked boolean,
    created_at timestamptz, updated_at timestamptz, parent varchar(255), session_id uuid,
    CONSTRAINT refresh_tokens_token_unique UNIQUE (token)
);
CREATE INDEX refresh_tokens_instance_id_idx ON auth.refresh_tokens (instance_id);
CREATE INDEX refresh_tokens_instance_id_user_id_idx ON auth.refresh_tokens (instance_id, user_id);
CREATE INDEX refresh_tokens_parent_idx ON auth.refresh_tokens (parent);
CREATE INDEX refresh_tokens_session_id_revoked_idx ON auth.refresh_tokens (session_id, revoked);
CREATE INDEX refresh_tokens_updated_at_idx ON auth.refresh_tokens (updated_at DESC);
CREATE TYPE public.token_type AS ENUM ('Bearer', 'DPoP');
CREATE FUNCTION public.are_valid_oauth_uris_or_null(text[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION public.scopes_all_valid(text[]) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE FUNCTION public.trigger_set_timestamp() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.updated_at = clock_timestamp(); RETURN NEW; END';
CREATE TABLE public.oauth_access_tokens (
    digest bytea PRIMARY KEY,
    jti uuid NOT NULL DEFAULT gen_random_uuid(),
    client_id uuid NOT NULL REFERENCES public.oauth_clients (id) ON DELETE CASCADE,
    user_id uuid REFERENCES public.users (id) ON DELETE CASCADE,
    scopes text[] NOT NULL DEFAULT '{}',
    audience text[],
    token_type public.token_type NOT NULL DEFAULT 'Bearer',
    dpop_jkt text,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    CONSTRAINT access_token_dpop_consistency_chk CHECK (
        (token_type = 'Bearer' AND dpop_jkt IS NULL)
        OR (token_type = 'DPoP' AND dpop_jkt IS NOT NULL AND length(dpop_jkt) BETWEEN 43 AND 128)),
    CONSTRAINT audience_uris_valid CHECK (are_valid_oauth_uris_or_null(audience)),
    CONSTRAINT scopes_token_chars CHECK (scopes_all_valid(scopes))
);
CREATE INDEX idx_oauth_access_tokens_expires_at ON public.oauth_access_tokens (expires_at);
CREATE INDEX idx_oauth_access_tokens_user_client ON public.oauth_access_tokens (user_id, client_id);
CREATE TRIGGER set_timestamp_oauth_access_tokens BEFORE UPDATE ON public.oauth_access_tokens
    FOR EACH ROW EXECUTE FUNCTION trigger_set_timestamp();
"#;

/// A thousand rows of others in each table.
const ROWS: &str = r#"
INSERT INTO public.users (email) SELECT 'user' || n FROM generate_series(1, 1000) AS n;
INSERT INTO public.oauth_clients SELECT gen_random_uuid(), 'client' || n FROM generate_series(1, 1000) AS n;
INSERT INTO auth."user" (sub, login) SELECT id, email FROM public.users;
INSERT INTO auth.refresh_session (user_id, expires_at, ip_address)
    SELECT id, now() + interval '1 day', '192.0.2.1' FROM auth."user";
INSERT INTO auth.refresh_tokens (token, user_id, revoked, session_id)
    SELECT CASE WHEN id % 4 > 0 THEN 'clear' || id END, user_id, false, jti FROM auth.refresh_session;
INSERT INTO public.oauth_access_tokens (digest, client_id, expires_at)
    SELECT sha256(id::text::bytea), id, now() FROM public.oauth_clients;
"#;

async fn checksums(client: &Client) -> Vec<String> {
    let mut sums = Vec::new();
    for table in [
        "public.users",
        "public.oauth_clients",
        r#"auth."user""#,
        "auth.refresh_session",
        "auth.refresh_tokens",
        "public.oauth_access_tokens",
    ] {
        // With ctid and xmin: a row written again with the same values would show as well.
        let query = format!(
            "SELECT count(*) || md5(string_agg(t.ctid::text || t.xmin || t.tableoid || t::text, '' ORDER BY t.ctid)) \
             FROM {table} t"
        );
        sums.push(text(client, &query).await);
    }
    sums
}

#[tokio::test]
async fn documented_tables_that_stood_before_keep_every_row_and_become_exact() {
    let database = fresh_database().await;
    let client = database.client().await;
    run(&client, TABLES).await;
    run(&client, ROWS).await;
    let before = checksums(&client).await;
    assert!(
        before.iter().all(|sum| sum.starts_with("1000")),
        "{before:?}"
    );

    let report = migrated(&database).await;
    assert_eq!(report.repaired.len(), 15, "{:#?}", report.repaired);
    assert!(
        report
            .repaired
            .iter()
            .all(|title| title.starts_with("comment the "))
    );
    assert_eq!(checksums(&client).await, before);

    let exact = check(&database).await;
    assert!(exact.is_exact(), "{exact}");
    let told = exact.to_string();
    for expected in [
        "tolerated: column auth.refresh_tokens.token: its type is character varying(255), long enough\n",
        "tolerated: column public.users.email: is required",
        "tolerated: function public.scopes_all_valid: has a body of its own\n",
        "foreign rows: 1000, of them holding a token in the clear: 750\n",
    ] {
        assert!(told.contains(expected), "{expected} in {told}");
    }
    assert!(!migrated(&database).await.changed());
}

#[tokio::test]
async fn a_ledger_row_of_ours_is_not_counted_as_foreign() {
    let database = fresh_database().await;
    let client = database.client().await;
    migrated(&database).await;
    run(
        &client,
        "INSERT INTO countersign.session_grant
             (session_id, client_id, subject, opened_by, scopes, key_id, salt, opened_at, expires_at)
         VALUES ('00000000-0000-7000-8000-000000000001', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(),
                 '{}', 1, substr(sha256(''), 1, 16), now(), now());
         INSERT INTO auth.refresh_tokens (token, session_id)
         VALUES ('ours', '00000000-0000-7000-8000-000000000001'), ('foreign', NULL), (NULL, gen_random_uuid())",
    )
    .await;
    let foreign = check(&database).await.foreign_rows.expect("a count");
    assert_eq!((foreign.rows, foreign.in_the_clear), (2, 1));
}
