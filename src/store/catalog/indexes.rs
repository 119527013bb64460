//! Compares the indexes of a documented table, and the constraints above them.

use super::{
    compare::compare_comment,
    describe::{Index, Table},
    difference::{Finding, IndexLack, Repair},
    live::{LiveIndex, Relation},
};
use crate::store::template;

/// What differs of the indexes.
pub fn compare(table: &'static Table, relation: &Relation, findings: &mut Vec<Finding>) {
    for documented in table.indexes {
        let object = format!("index {}.{}", table.key, documented.name);
        let lack = |lack| Some(Repair::Index(table, documented, lack));
        let live = relation
            .indexes
            .iter()
            .find(|index| index.name == documented.name);
        match live {
            None => findings.push(Finding::missing(
                object.clone(),
                "does not exist",
                lack(IndexLack::Whole),
            )),
            Some(live) => compare_index(table, documented, live, &object, findings),
        }
        compare_comment(
            object,
            documented.comment,
            live.and_then(|live| live.comment.as_deref()),
            Repair::IndexComment(table, documented),
            findings,
        );
    }
    let documented = |name: &str| table.indexes.iter().any(|index| index.name == name);
    for extra in &relation.indexes {
        if !documented(&extra.name) {
            findings.push(extra_index(table, extra));
        }
    }
}

fn compare_index(
    table: &'static Table,
    documented: &'static Index,
    live: &LiveIndex,
    object: &str,
    findings: &mut Vec<Finding>,
) {
    let lack = |lack| Some(Repair::Index(table, documented, lack));
    let (definition, options) = without_options(&live.definition);
    let expected = definition_of(table, documented);
    if definition != expected {
        findings.push(Finding::refused(
            object.to_owned(),
            format!("is {definition}, not {expected}"),
        ));
        return;
    }
    if let Some(options) = options {
        findings.push(Finding::tolerated(
            object.to_owned(),
            format!("has storage parameters of its own: {options}"),
        ));
    }
    if !live.valid {
        findings.push(Finding::missing(
            object.to_owned(),
            "is invalid: an interrupted build left it",
            lack(IndexLack::Valid),
        ));
        return;
    }
    match (documented.role.constraint(), live.constraint.as_deref()) {
        (Some((kind, _)), None) => findings.push(Finding::missing(
            object.to_owned(),
            format!("has no {kind} constraint above it"),
            lack(IndexLack::Constraint),
        )),
        (Some((_, expected)), Some(found)) if found != expected => {
            findings.push(Finding::refused(
                object.to_owned(),
                format!("carries the constraint {found}, not {expected}"),
            ));
        }
        // A unique index may carry its constraint, unless that defers its judgement.
        (None, Some(found)) if found.contains("DEFERRABLE") => findings.push(Finding::refused(
            object.to_owned(),
            format!("carries the constraint {found}"),
        )),
        _ => {}
    }
}

/// The definition as `pg_get_indexdef` writes it.
fn definition_of(table: &Table, index: &Index) -> String {
    template::definition(
        template::BUILD_INDEX,
        &[
            ("kind", index.role.sql_kind()),
            ("name", index.name),
            ("table", table.sql_name),
            ("method", index.method),
        ],
    )
}

/// A definition without its storage parameters, and these.
fn without_options(definition: &str) -> (&str, Option<&str>) {
    match definition.split_once(" WITH (") {
        Some((definition, options)) if !options.contains(") ") => {
            (definition, Some(options.trim_end_matches(')')))
        }
        _ => (definition, None),
    }
}

/// One more index costs time, but only a unique or excluding one could fail a write.
fn extra_index(table: &Table, extra: &LiveIndex) -> Finding {
    let object = format!("index {}.{}", table.key, extra.name);
    if extra.unique || extra.exclusion {
        Finding::refused(
            object,
            format!(
                "is not documented and could fail a write: {}",
                extra.definition
            ),
        )
    } else {
        Finding::tolerated(object, "is not documented")
    }
}
