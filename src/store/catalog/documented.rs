//! The three documented tables as data: what the documents say, and no more.
//!
//! Definitions are in the catalogue's own words, with schema `public` unnamed and
//! every other schema named, because that is how the catalogue is read.

use super::describe::{Column, Constraint, Fill, Index, Role, Table, Trigger};

/// The documented tables.
pub const DOCUMENTED: [&Table; 3] = [&REFRESH_SESSION, &REFRESH_TOKENS, &OAUTH_ACCESS_TOKENS];

/// The labels of the enum `public.token_type`, in order.
pub const TOKEN_TYPE_LABELS: [&str; 2] = ["Bearer", "DPoP"];

/// The functions that the documents name: name, arguments, result.
pub const FUNCTIONS: [(&str, &str, &str); 3] = [
    ("are_valid_oauth_uris_or_null", "text[]", "boolean"),
    ("scopes_all_valid", "text[]", "boolean"),
    ("trigger_set_timestamp", "", "trigger"),
];

const NOW: Fill = Fill::Default("now()");
const RANDOM_UUID: Fill = Fill::Default("gen_random_uuid()");
const TIME: &str = "timestamp with time zone";

/// `auth.refresh_session`: one row is one session.
pub static REFRESH_SESSION: Table = Table {
    key: "auth.refresh_session",
    sql_name: "auth.refresh_session",
    comment: None,
    columns: &[
        Column::required("id", "integer", Fill::Identity),
        Column::required("jti", "uuid", RANDOM_UUID),
        Column::required("user_id", "integer", Fill::Nothing),
        Column::required("refresh_version", "integer", Fill::Default("0")),
        Column::required("created_at", TIME, NOW),
        Column::required("last_used_at", TIME, NOW),
        Column::required("expires_at", TIME, Fill::Nothing),
        Column::nullable("user_agent", "text"),
        Column::nullable("ip_address", "inet"),
    ],
    indexes: &[
        Index::new("refresh_session_pkey", Role::PrimaryKey("id"), "btree (id)"),
        Index::new(
            "refresh_session_expires_at_idx",
            Role::Plain,
            "btree (expires_at)",
        ),
        Index::new(
            "refresh_session_jti_key",
            Role::UniqueConstraint("jti"),
            "btree (jti)",
        ),
        Index::new(
            "refresh_session_user_id_idx",
            Role::Plain,
            "btree (user_id)",
        ),
    ],
    constraints: &[Constraint {
        name: "refresh_session_user_id_fkey",
        definition: r#"FOREIGN KEY (user_id) REFERENCES auth."user"(id) ON DELETE CASCADE"#,
    }],
    triggers: &[],
};

/// `auth.refresh_tokens`: the ledger of the families.
pub static REFRESH_TOKENS: Table = Table {
    key: "auth.refresh_tokens",
    sql_name: "auth.refresh_tokens",
    comment: None,
    columns: &[
        Column::nullable("instance_id", "uuid"),
        Column::required("id", "bigint", Fill::Increments),
        Column::nullable("token", "character varying"),
        Column::nullable("user_id", "character varying"),
        Column::nullable("revoked", "boolean"),
        Column::nullable("created_at", TIME),
        Column::nullable("updated_at", TIME),
        Column::nullable("parent", "character varying"),
        Column::nullable("session_id", "uuid"),
    ],
    indexes: &[
        Index::new("refresh_tokens_pkey", Role::PrimaryKey("id"), "btree (id)"),
        Index::new(
            "refresh_tokens_instance_id_idx",
            Role::Plain,
            "btree (instance_id)",
        ),
        Index::new(
            "refresh_tokens_instance_id_user_id_idx",
            Role::Plain,
            "btree (instance_id, user_id)",
        ),
        Index::new("refresh_tokens_parent_idx", Role::Plain, "btree (parent)"),
        Index::new(
            "refresh_tokens_session_id_revoked_idx",
            Role::Plain,
            "btree (session_id, revoked)",
        ),
        Index::new("refresh_tokens_token_unique", Role::Unique, "btree (token)"),
        Index::new(
            "refresh_tokens_updated_at_idx",
            Role::Plain,
            "btree (updated_at DESC)",
        ),
    ],
    constraints: &[],
    triggers: &[],
};

/// `public.oauth_access_tokens`: access tokens, by digest.
pub static OAUTH_ACCESS_TOKENS: Table = Table {
    key: "public.oauth_access_tokens",
    sql_name: "public.oauth_access_tokens",
    comment: Some("Access tokens (opaque, hashed at rest). May be Bearer or DPoP-bound."),
    columns: &[
        Column::nullable("audience", "text[]")
            .saying("Optional audience constraint (array of URIs)."),
        Column::required("client_id", "uuid", Fill::Nothing).saying("Client that owns this token."),
        Column::required("created_at", TIME, NOW).saying("Creation timestamp."),
        Column::required("digest", "bytea", Fill::Nothing)
            .saying("Hashed token value; plaintext only exists at issuance time."),
        Column::nullable("dpop_jkt", "text")
            .saying("When DPoP, RFC 7638 JWK thumbprint bound to this token."),
        Column::required("expires_at", TIME, Fill::Nothing).saying("Expiration time."),
        Column::required("jti", "uuid", RANDOM_UUID)
            .saying("Unique token identifier for logs/trace."),
        Column::required("metadata", "jsonb", Fill::Default("'{}'::jsonb"))
            .saying("Free-form JSON: device, ip, hints."),
        Column::required("scopes", "text[]", Fill::Default("'{}'::text[]"))
            .saying("Scopes granted to this access token."),
        Column::required(
            "token_type",
            "token_type",
            Fill::Default("'Bearer'::token_type"),
        )
        .saying("Bearer (no sender constraint) or DPoP (sender-constrained)."),
        Column::required("updated_at", TIME, NOW)
            .saying("Last update timestamp (maintained by trigger)."),
        Column::nullable("user_id", "uuid").saying(
            "Subject (end-user) on whose behalf the token was issued; NULL for client-only flows.",
        ),
    ],
    indexes: &[
        Index::new(
            "oauth_access_tokens_pkey",
            Role::PrimaryKey("digest"),
            "btree (digest)",
        ),
        Index::new(
            "idx_oauth_access_tokens_expires_at",
            Role::Plain,
            "btree (expires_at)",
        )
        .saying("Speeds eviction and queries by token expiration."),
        Index::new(
            "idx_oauth_access_tokens_user_client",
            Role::Plain,
            "btree (user_id, client_id)",
        )
        .saying("Speeds per-user/per-client token lookups."),
    ],
    constraints: &[
        Constraint {
            name: "access_token_dpop_consistency_chk",
            definition: "CHECK ((((token_type = 'Bearer'::token_type) AND (dpop_jkt IS NULL)) OR \
                         ((token_type = 'DPoP'::token_type) AND (dpop_jkt IS NOT NULL) AND \
                         ((length(dpop_jkt) >= 43) AND (length(dpop_jkt) <= 128)))))",
        },
        Constraint {
            name: "audience_uris_valid",
            definition: "CHECK (are_valid_oauth_uris_or_null(audience))",
        },
        Constraint {
            name: "oauth_access_tokens_client_id_fkey",
            definition: "FOREIGN KEY (client_id) REFERENCES oauth_clients(id) ON DELETE CASCADE",
        },
        Constraint {
            name: "oauth_access_tokens_user_id_fkey",
            definition: "FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE",
        },
        Constraint {
            name: "scopes_token_chars",
            definition: "CHECK (scopes_all_valid(scopes))",
        },
    ],
    triggers: &[Trigger {
        name: "set_timestamp_oauth_access_tokens",
        definition: "BEFORE UPDATE ON public.oauth_access_tokens FOR EACH ROW \
                     EXECUTE FUNCTION trigger_set_timestamp()",
    }],
};
