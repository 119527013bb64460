//! The documents, word for word, so that migration and description cannot be wrong together.

use tokio_postgres::Client;

use super::{migrated, run};
use crate::support::fresh_database;

/// `refresh_session.md`: columns with type, nullability and default.
const REFRESH_SESSION: &str = "\
id | integer | not null | generated always as identity
jti | uuid | not null | gen_random_uuid()
user_id | integer | not null |\x20
refresh_version | integer | not null | 0
created_at | timestamp with time zone | not null | now()
last_used_at | timestamp with time zone | not null | now()
expires_at | timestamp with time zone | not null |\x20
user_agent | text |  |\x20
ip_address | inet |  |\x20";

/// `refresh_tokens.md`: columns; `id` "automatically increments".
const REFRESH_TOKENS: &str = "\
instance_id | uuid |  |\x20
id | bigint | not null | nextval('auth.refresh_tokens_id_seq'::regclass)
token | character varying |  |\x20
user_id | character varying |  |\x20
revoked | boolean |  |\x20
created_at | timestamp with time zone |  |\x20
updated_at | timestamp with time zone |  |\x20
parent | character varying |  |\x20
session_id | uuid |  |\x20";

/// `oauth_access_tokens.md`: columns.
const OAUTH_ACCESS_TOKENS: &str = "\
audience | text[] |  |\x20
client_id | uuid | not null |\x20
created_at | timestamp with time zone | not null | now()
digest | bytea | not null |\x20
dpop_jkt | text |  |\x20
expires_at | timestamp with time zone | not null |\x20
jti | uuid | not null | gen_random_uuid()
metadata | jsonb | not null | '{}'::jsonb
scopes | text[] | not null | '{}'::text[]
token_type | token_type | not null | 'Bearer'::token_type
updated_at | timestamp with time zone | not null | now()
user_id | uuid |  |\x20";

const INDEXES: &str = "\
CREATE INDEX idx_oauth_access_tokens_expires_at ON public.oauth_access_tokens USING btree (expires_at)
CREATE INDEX idx_oauth_access_tokens_user_client ON public.oauth_access_tokens USING btree (user_id, client_id)
CREATE INDEX refresh_session_expires_at_idx ON auth.refresh_session USING btree (expires_at)
CREATE INDEX refresh_session_user_id_idx ON auth.refresh_session USING btree (user_id)
CREATE INDEX refresh_tokens_instance_id_idx ON auth.refresh_tokens USING btree (instance_id)
CREATE INDEX refresh_tokens_instance_id_user_id_idx ON auth.refresh_tokens USING btree (instance_id, user_id)
CREATE INDEX refresh_tokens_parent_idx ON auth.refresh_tokens USING btree (parent)
CREATE INDEX refresh_tokens_session_id_revoked_idx ON auth.refresh_tokens USING btree (session_id, revoked)
CREATE INDEX refresh_tokens_updated_at_idx ON auth.refresh_tokens USING btree (updated_at DESC)
CREATE UNIQUE INDEX oauth_access_tokens_pkey ON public.oauth_access_tokens USING btree (digest)
CREATE UNIQUE INDEX refresh_session_jti_key ON auth.refresh_session USING btree (jti)
CREATE UNIQUE INDEX refresh_session_pkey ON auth.refresh_session USING btree (id)
CREATE UNIQUE INDEX refresh_tokens_pkey ON auth.refresh_tokens USING btree (id)
CREATE UNIQUE INDEX refresh_tokens_token_unique ON auth.refresh_tokens USING btree (token)";

const CONSTRAINTS: &str = r#"access_token_dpop_consistency_chk CHECK ((((token_type = 'Bearer'::token_type) AND (dpop_jkt IS NULL)) OR ((token_type = 'DPoP'::token_type) AND (dpop_jkt IS NOT NULL) AND ((length(dpop_jkt) >= 43) AND (length(dpop_jkt) <= 128)))))
audience_uris_valid CHECK (are_valid_oauth_uris_or_null(audience))
oauth_access_tokens_client_id_fkey FOREIGN KEY (client_id) REFERENCES oauth_clients(id) ON DELETE CASCADE
oauth_access_tokens_pkey PRIMARY KEY (digest)
oauth_access_tokens_user_id_fkey FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE
refresh_session_jti_key UNIQUE (jti)
refresh_session_pkey PRIMARY KEY (id)
refresh_session_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth."user"(id) ON DELETE CASCADE
refresh_tokens_pkey PRIMARY KEY (id)
scopes_token_chars CHECK (scopes_all_valid(scopes))"#;

const TRIGGERS: &str = "\
CREATE TRIGGER set_timestamp_oauth_access_tokens BEFORE UPDATE ON public.oauth_access_tokens FOR EACH ROW EXECUTE FUNCTION trigger_set_timestamp()";

const COMMENTS: &str = "\
idx_oauth_access_tokens_expires_at  Speeds eviction and queries by token expiration.
idx_oauth_access_tokens_user_client  Speeds per-user/per-client token lookups.
oauth_access_tokens  Access tokens (opaque, hashed at rest). May be Bearer or DPoP-bound.
oauth_access_tokens audience Optional audience constraint (array of URIs).
oauth_access_tokens client_id Client that owns this token.
oauth_access_tokens created_at Creation timestamp.
oauth_access_tokens digest Hashed token value; plaintext only exists at issuance time.
oauth_access_tokens dpop_jkt When DPoP, RFC 7638 JWK thumbprint bound to this token.
oauth_access_tokens expires_at Expiration time.
oauth_access_tokens jti Unique token identifier for logs/trace.
oauth_access_tokens metadata Free-form JSON: device, ip, hints.
oauth_access_tokens scopes Scopes granted to this access token.
oauth_access_tokens token_type Bearer (no sender constraint) or DPoP (sender-constrained).
oauth_access_tokens updated_at Last update timestamp (maintained by trigger).
oauth_access_tokens user_id Subject (end-user) on whose behalf the token was issued; NULL for client-only flows.";

/// The relations of the documents.
const RELATIONS: &str = "('auth.refresh_session'::regclass, 'auth.refresh_tokens'::regclass, 'public.oauth_access_tokens'::regclass)";

async fn column(client: &Client, query: &str) -> String {
    let rows = client.query(query, &[]).await.expect(query);
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    lines.join("\n")
}

async fn columns(client: &Client, table: &str) -> String {
    let query = format!(
        "SELECT format('%s | %s | %s | %s', attname, format_type(atttypid, atttypmod),
                CASE WHEN attnotnull THEN 'not null' END,
                CASE attidentity WHEN 'a' THEN 'generated always as identity'
                                 WHEN 'd' THEN 'generated by default as identity'
                                 ELSE pg_get_expr(adbin, adrelid) END)
         FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE attrelid = '{table}'::regclass AND attnum > 0 ORDER BY attnum"
    );
    column(client, &query).await
}

#[tokio::test]
async fn a_new_database_has_the_documented_tables_word_for_word() {
    let database = fresh_database().await;
    let client = database.client().await;
    migrated(&database).await;
    run(&client, "SET search_path = public").await;

    assert_eq!(
        columns(&client, "auth.refresh_session").await,
        REFRESH_SESSION
    );
    assert_eq!(
        columns(&client, "auth.refresh_tokens").await,
        REFRESH_TOKENS
    );
    assert_eq!(
        columns(&client, "public.oauth_access_tokens").await,
        OAUTH_ACCESS_TOKENS
    );
    for (query, documented) in [
        (format!("SELECT pg_get_indexdef(indexrelid) AS line FROM pg_index WHERE indrelid IN {RELATIONS}"), INDEXES),
        (format!("SELECT conname || ' ' || pg_get_constraintdef(oid) AS line FROM pg_constraint WHERE contype <> 'n' AND conrelid IN {RELATIONS}"), CONSTRAINTS),
        (format!("SELECT pg_get_triggerdef(oid) AS line FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN {RELATIONS}"), TRIGGERS),
        (format!(
            "SELECT concat_ws(' ', objoid::regclass, COALESCE(attname, ''), description) AS line
             FROM pg_description LEFT JOIN pg_attribute ON attrelid = objoid AND attnum = objsubid AND attnum > 0
             WHERE classoid = 'pg_class'::regclass AND objoid IN (
                 SELECT indexrelid FROM pg_index WHERE indrelid IN {RELATIONS}
                 UNION SELECT unnest(ARRAY[{}]))", RELATIONS.trim_matches(['(', ')'])), COMMENTS),
    ] {
        let sorted = format!("SELECT line FROM ({query}) AS lines ORDER BY line COLLATE \"C\"");
        assert_eq!(column(&client, &sorted).await, documented);
    }
    assert_eq!(
        column(&client, "SELECT enumlabel::text FROM pg_enum WHERE enumtypid = 'token_type'::regtype ORDER BY enumsortorder").await,
        "Bearer\nDPoP"
    );
}

#[tokio::test]
async fn the_checks_take_what_the_standards_allow_and_nothing_else() {
    let database = fresh_database().await;
    let client = database.client().await;
    migrated(&database).await;
    for (call, expected) in [
        ("scopes_all_valid('{}')", true),
        ("scopes_all_valid('{openid,a:b/c.d~!#[]}')", true),
        ("scopes_all_valid(NULL)", false),
        ("scopes_all_valid('{NULL}')", false),
        ("scopes_all_valid(ARRAY[''])", false),
        ("scopes_all_valid(ARRAY['a b'])", false),
        ("scopes_all_valid(ARRAY['a\"b'])", false),
        (r"scopes_all_valid(ARRAY['a\b'])", false),
        (r"scopes_all_valid(ARRAY[E'a\n'])", false),
        ("scopes_all_valid(ARRAY['é'])", false),
        ("are_valid_oauth_uris_or_null(NULL)", true),
        ("are_valid_oauth_uris_or_null('{}')", true),
        (
            "are_valid_oauth_uris_or_null('{https://a.example/b?c=d,urn:x:y,spiffe://a/b}')",
            true,
        ),
        (
            "are_valid_oauth_uris_or_null('{https://a.example/#b}')",
            false,
        ),
        ("are_valid_oauth_uris_or_null('{/relative}')", false),
        ("are_valid_oauth_uris_or_null('{1a:b}')", false),
        (
            "are_valid_oauth_uris_or_null('{https://a.example,NULL}')",
            false,
        ),
        ("are_valid_oauth_uris_or_null(ARRAY['https://a b'])", false),
        (
            r"are_valid_oauth_uris_or_null(ARRAY[E'https://a\n'])",
            false,
        ),
    ] {
        let row = client
            .query_one(&format!("SELECT {call}"), &[])
            .await
            .expect(call);
        assert_eq!(row.get::<_, bool>(0), expected, "{call}");
    }
}
