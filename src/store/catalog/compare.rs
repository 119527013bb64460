//! Compares the live catalogue with the documents.

use super::{
    columns,
    describe::Table,
    difference::{Finding, Repair},
    documented::{DOCUMENTED, FUNCTIONS, TOKEN_TYPE_LABELS},
    indexes,
    live::{Live, Relation},
    ours, referred,
};
use crate::store::template;

/// Every difference, documented tables first, then what they refer to, then ours.
///
/// `migrated`: whether all migrations of this binary were applied. `first_migration`: its
/// text, to tell our functions from those of others.
pub fn compare(live: &Live, migrated: bool, first_migration: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for table in DOCUMENTED {
        match live.relations.get(table.key) {
            Some(relation) => compare_table(table, relation, &mut findings),
            None => findings.push(Finding::missing(
                format!("table {}", table.key),
                "does not exist",
                Some(Repair::Base),
            )),
        }
    }
    referred::compare(live, &mut findings);
    compare_token_type(live, &mut findings);
    compare_functions(live, first_migration, &mut findings);
    ours::compare(live, migrated, &mut findings);
    findings
}

fn compare_table(table: &'static Table, relation: &Relation, findings: &mut Vec<Finding>) {
    let object = || format!("table {}", table.key);
    if relation.kind != "r" {
        findings.push(Finding::refused(object(), "is not an ordinary table"));
        return;
    }
    if relation.persistence != "p" {
        findings.push(Finding::refused(
            object(),
            "is not permanent: its rows do not survive a crash",
        ));
    }
    if relation.row_security {
        findings.push(Finding::refused(object(), "row level security is enabled"));
    }
    compare_comment(
        object(),
        table.comment,
        relation.comment.as_deref(),
        Repair::TableComment(table),
        findings,
    );
    columns::compare(table, relation, findings);
    indexes::compare(table, relation, findings);
    compare_constraints(table, relation, findings);
    compare_triggers(table, relation, findings);
}

/// A missing comment is set; another one is somebody's word and stays.
pub fn compare_comment(
    object: String,
    documented: Option<&str>,
    live: Option<&str>,
    repair: Repair,
    findings: &mut Vec<Finding>,
) {
    match (documented, live) {
        (Some(_), None) => {
            findings.push(Finding::missing(object, "has no comment", Some(repair)));
        }
        (Some(documented), Some(live)) if documented != live => {
            findings.push(Finding::tolerated(object, "has a comment of its own"));
        }
        _ => {}
    }
}

fn compare_constraints(table: &'static Table, relation: &Relation, findings: &mut Vec<Finding>) {
    for documented in table.constraints {
        let object = format!("constraint {}.{}", table.key, documented.name);
        let lack = |validate_only| Some(Repair::Constraint(table, documented, validate_only));
        let live = relation
            .constraints
            .iter()
            .find(|constraint| constraint.name == documented.name);
        match live {
            None => findings.push(Finding::missing(object, "does not exist", lack(false))),
            Some(live) => {
                let definition = live.definition.trim_end_matches(" NOT VALID");
                if definition != documented.definition {
                    findings.push(Finding::refused(
                        object,
                        format!("is {definition}, not {}", documented.definition),
                    ));
                } else if !live.validated {
                    findings.push(Finding::missing(object, "was never validated", lack(true)));
                }
            }
        }
    }
    let documented = |name: &str| table.constraints.iter().any(|known| known.name == name);
    for extra in &relation.constraints {
        if !documented(&extra.name) {
            let kind = if extra.kind == "f" {
                "foreign key"
            } else {
                "check"
            };
            findings.push(Finding::refused(
                format!("{kind} {}.{}", table.key, extra.name),
                format!(
                    "is not documented and could fail a write: {}",
                    extra.definition
                ),
            ));
        }
    }
    for reference in &relation.references {
        let object = format!("foreign key {}.{}", reference.referrer, reference.name);
        findings.push(if reference.holds {
            Finding::refused(
                object,
                format!("would hold rows of {} against deletion", table.key),
            )
        } else {
            Finding::tolerated(object, format!("refers to {}", table.key))
        });
    }
}

fn compare_triggers(table: &'static Table, relation: &Relation, findings: &mut Vec<Finding>) {
    for documented in table.triggers {
        let object = format!("trigger {}.{}", table.key, documented.name);
        let live = relation
            .triggers
            .iter()
            .find(|trigger| trigger.name == documented.name && trigger.kind == "trigger");
        let definition = template::definition(
            template::CREATE_TRIGGER,
            &[
                ("name", documented.name),
                ("definition", documented.definition),
            ],
        );
        match live {
            None => findings.push(Finding::missing(
                object,
                "does not exist",
                Some(Repair::Trigger(documented)),
            )),
            Some(live) if live.definition != definition => findings.push(Finding::refused(
                object,
                format!("is {}, not {definition}", live.definition),
            )),
            Some(live) if !live.enabled => {
                findings.push(Finding::refused(object, "is not enabled"));
            }
            Some(_) => {}
        }
    }
    let documented = |name: &str| table.triggers.iter().any(|known| known.name == name);
    for extra in &relation.triggers {
        if extra.kind == "rule" || !documented(&extra.name) {
            findings.push(Finding::refused(
                format!("{} {}.{}", extra.kind, table.key, extra.name),
                "is not documented and could change or fail a write",
            ));
        }
    }
}

fn compare_token_type(live: &Live, findings: &mut Vec<Finding>) {
    let object = String::from("type public.token_type");
    match &live.token_type {
        None => findings.push(Finding::missing(
            object,
            "does not exist",
            Some(Repair::Base),
        )),
        Some(found) if found.kind != "e" => {
            findings.push(Finding::refused(object, "is not an enum"));
        }
        Some(found) if found.labels != TOKEN_TYPE_LABELS => findings.push(Finding::refused(
            object,
            format!(
                "its labels are {}, not {}",
                found.labels.join(", "),
                TOKEN_TYPE_LABELS.join(", ")
            ),
        )),
        Some(_) => {}
    }
}

/// A function of a documented name may have a body of its own: it is not ours to judge.
fn compare_functions(live: &Live, first_migration: &str, findings: &mut Vec<Finding>) {
    for (name, arguments, result) in FUNCTIONS {
        let object = format!("function public.{name}");
        let found = live
            .functions
            .iter()
            .find(|function| function.name == name && function.arguments == arguments);
        match found {
            None => findings.push(Finding::missing(
                object,
                "does not exist",
                Some(Repair::Base),
            )),
            Some(function) if function.result != result => findings.push(Finding::refused(
                object,
                format!("returns {}, not {result}", function.result),
            )),
            Some(function) if !first_migration.contains(&function.body) => {
                findings.push(Finding::tolerated(object, "has a body of its own"));
            }
            Some(_) => {}
        }
    }
}
