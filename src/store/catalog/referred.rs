//! The tables that the documents only refer to: what we need of them, and no more.

use super::{
    difference::{Finding, Repair},
    live::{Live, Relation},
};

/// A table that documented ones refer to.
#[derive(Debug)]
pub struct ReferredTable {
    /// `schema.name`.
    pub key: &'static str,
    /// Its columns that we use: name and type. Each has to be unique by itself.
    keys: &'static [(&'static str, &'static str)],
}

/// The referred-to tables.
pub const REFERRED: [ReferredTable; 3] = [
    ReferredTable {
        key: "public.users",
        keys: &[("id", "uuid")],
    },
    ReferredTable {
        key: "public.oauth_clients",
        keys: &[("id", "uuid")],
    },
    ReferredTable {
        key: "auth.user",
        keys: &[("id", "integer"), ("sub", "uuid")],
    },
];

/// What differs of the referred-to tables.
pub fn compare(live: &Live, findings: &mut Vec<Finding>) {
    for table in &REFERRED {
        match live.relations.get(table.key) {
            Some(relation) => compare_table(table, relation, findings),
            None => findings.push(Finding::missing(
                format!("table {}", table.key),
                "does not exist",
                Some(Repair::Base),
            )),
        }
    }
}

fn compare_table(table: &ReferredTable, relation: &Relation, findings: &mut Vec<Finding>) {
    let object = || format!("table {}", table.key);
    if relation.kind != "r" {
        findings.push(Finding::refused(object(), "is not an ordinary table"));
        return;
    }
    if relation.row_security {
        findings.push(Finding::refused(object(), "row level security is enabled"));
    }
    for (name, kind) in table.keys {
        let object = format!("column {}.{name}", table.key);
        let Some(column) = relation.column(name) else {
            findings.push(Finding::refused(object, "does not exist"));
            continue;
        };
        if column.kind != *kind {
            findings.push(Finding::refused(
                object.clone(),
                format!("its type is {}, not {kind}", column.kind),
            ));
        }
        let unique = |index: &super::live::LiveIndex| index.sole_key.as_deref() == Some(*name);
        if !relation.indexes.iter().any(unique) {
            findings.push(Finding::refused(
                object,
                "is neither the primary key nor unique by itself",
            ));
        }
    }
    let used = |name: &str| table.keys.iter().any(|(key, _)| *key == name);
    for extra in relation.columns.iter().filter(|column| !used(&column.name)) {
        if extra.not_null && extra.fill.is_none() && !extra.identity {
            findings.push(Finding::tolerated(
                format!("column {}.{}", table.key, extra.name),
                "is required: registering can only link rows that stand",
            ));
        }
    }
}
