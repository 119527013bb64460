//! Our own schema: every table and column that the migrations make.

use super::{
    difference::Finding,
    live::{Live, Relation},
};

/// One of our tables.
#[derive(Debug)]
pub struct OwnTable {
    /// `schema.name`.
    pub key: &'static str,
    /// Its columns as lines of name and type.
    columns: &'static [(&'static str, &'static str)],
}

const TIME: &str = "timestamp with time zone";

/// Our tables at the newest migration. A newer schema may have more.
pub const OURS: [OwnTable; 11] = [
    OwnTable {
        key: "countersign.authority",
        columns: &[
            ("singleton", "boolean"),
            ("schema_version", "integer"),
            ("lowest_binary", "text"),
            ("not_before", TIME),
            ("purged_to", "uuid"),
        ],
    },
    OwnTable {
        key: "countersign.client",
        columns: &[
            ("client_id", "uuid"),
            ("name", "text"),
            ("roles", "text[]"),
            ("scopes", "text[]"),
            ("audience", "text[]"),
            ("default_audience", "text[]"),
            ("introspection_audience", "text[]"),
            ("access_token_ttl_ms", "bigint"),
            ("session_ttl_ms", "bigint"),
            ("idle_timeout_ms", "bigint"),
            ("rotation_grace_ms", "bigint"),
            ("sessions_per_user", "integer"),
            ("session_limit_policy", "text"),
            ("disabled_at", TIME),
            ("not_before", TIME),
            ("created_at", TIME),
            ("updated_at", TIME),
            ("bearer_allowed", "boolean"),
            ("dpop_required", "boolean"),
            ("dpop_nonce_required", "boolean"),
        ],
    },
    OwnTable {
        key: "countersign.client_secret",
        columns: &[
            ("secret_id", "uuid"),
            ("client_id", "uuid"),
            ("digest", "bytea"),
            ("key_id", "bigint"),
            ("created_at", TIME),
            ("retired_at", TIME),
        ],
    },
    OwnTable {
        key: "countersign.client_identity",
        columns: &[("identity", "text"), ("client_id", "uuid")],
    },
    OwnTable {
        key: "countersign.replica",
        columns: &[
            ("replica_id", "uuid"),
            ("version", "text"),
            ("key_ids", "text[]"),
            ("started_at", TIME),
            ("seen_at", TIME),
        ],
    },
    OwnTable {
        key: "countersign.dpop_proof",
        columns: &[("digest", "bytea"), ("expires_at", TIME)],
    },
    OwnTable {
        key: "countersign.account",
        columns: &[
            ("subject", "uuid"),
            ("user_id", "integer"),
            ("disabled_at", TIME),
            ("not_before", TIME),
            ("created_at", TIME),
        ],
    },
    OwnTable {
        key: "countersign.session_grant",
        columns: &[
            ("session_id", "uuid"),
            ("client_id", "uuid"),
            ("subject", "uuid"),
            ("opened_by", "uuid"),
            ("request_id", "text"),
            ("scopes", "text[]"),
            ("audience", "text[]"),
            ("dpop_jkt", "text"),
            ("key_id", "bigint"),
            ("salt", "bytea"),
            ("opened_at", TIME),
            ("expires_at", TIME),
            ("ended_at", TIME),
            ("end_reason", "text"),
        ],
    },
    OwnTable {
        key: "countersign.event",
        columns: &[
            ("id", "bigint"),
            ("transaction_id", "xid8"),
            ("at", TIME),
            ("kind", "text"),
            ("reason", "text"),
            ("session_id", "uuid"),
            ("token_id", "uuid"),
            ("client_id", "uuid"),
            ("subject", "uuid"),
            ("actor", "uuid"),
            ("request", "text"),
            ("detail", "jsonb"),
        ],
    },
    OwnTable {
        key: "countersign.id_cursor",
        columns: &[("table_name", "text"), ("next_id", "bigint")],
    },
    OwnTable {
        key: "countersign.migration_history",
        columns: &[
            ("version", "integer"),
            ("name", "character varying(255)"),
            ("applied_on", "character varying(255)"),
            ("checksum", "character varying(255)"),
        ],
    },
];

/// What differs of our own tables. `migrated`: whether they are due already; then what is
/// missing was taken away by someone, and no migration brings it back.
pub fn compare(live: &Live, migrated: bool, findings: &mut Vec<Finding>) {
    for table in &OURS {
        match live.relations.get(table.key) {
            Some(relation) if migrated => compare_table(table, relation, findings),
            Some(_) => {}
            None if migrated => findings.push(Finding::refused(
                format!("table {}", table.key),
                "is gone, though the migration that makes it was applied",
            )),
            None => findings.push(Finding::missing(
                format!("table {}", table.key),
                "does not exist",
                None,
            )),
        }
    }
}

fn compare_table(table: &OwnTable, relation: &Relation, findings: &mut Vec<Finding>) {
    for (name, kind) in table.columns {
        let object = format!("column {}.{name}", table.key);
        match relation.column(name) {
            None => findings.push(Finding::refused(
                object,
                "is gone, though the migration that makes it was applied",
            )),
            Some(live) if live.kind != *kind => findings.push(Finding::refused(
                object,
                format!("its type is {}, not {kind}", live.kind),
            )),
            Some(_) => {}
        }
    }
    let names = |column: &&super::live::LiveColumn| {
        !table.columns.iter().any(|(name, _)| *name == column.name)
    };
    for extra in relation.columns.iter().filter(names) {
        findings.push(Finding::tolerated(
            format!("column {}.{}", table.key, extra.name),
            "is not of this version",
        ));
    }
    if relation.row_security {
        findings.push(Finding::refused(
            format!("table {}", table.key),
            "row level security is enabled",
        ));
    }
}
