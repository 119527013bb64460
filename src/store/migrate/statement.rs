//! Statements made of a template in `sql/documented/` and of what is described.

use super::files;
use crate::store::{
    catalog::{
        IndexLack, Repair,
        describe::{Column, Constraint, Fill, Index, Table},
    },
    template::{BUILD_INDEX, CREATE_TRIGGER, fill},
};

/// One statement to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What it does, for people.
    pub title: String,
    /// Its text.
    pub sql: String,
    /// Whether others may work on the table meanwhile: then it may wait for locks without
    /// limit, because nobody waits behind it.
    pub patient: bool,
    /// What takes it back, where rows that stand contradict it.
    pub undo: Option<Box<Statement>>,
    /// Whether another attempt has to begin with taking back: a failed build leaves an index.
    pub anew: bool,
}

/// The statements of a repair, in order.
pub fn repair(repair: &Repair) -> Vec<Statement> {
    match *repair {
        Repair::Base => vec![brief(
            format!("make what is missing of {}", files::first().title()),
            files::first().sql.to_owned(),
        )],
        Repair::Column(table, column) => vec![add_column(table, column)],
        Repair::Index(table, index, lack) => index_statements(table, index, lack),
        Repair::Constraint(table, constraint, validate_only) => {
            constraint_statements(table, constraint, validate_only)
        }
        Repair::Trigger(trigger) => vec![brief(
            format!("create the trigger {}", trigger.name),
            fill(
                CREATE_TRIGGER,
                &[("name", trigger.name), ("definition", trigger.definition)],
            ),
        )],
        Repair::TableComment(table) => {
            vec![comment(&format!("TABLE {}", table.sql_name), table.comment)]
        }
        Repair::ColumnComment(table, column) => vec![comment(
            &format!("COLUMN {}.{}", table.sql_name, column.name),
            column.comment,
        )],
        Repair::IndexComment(table, index) => vec![comment(
            &format!("INDEX {}", beside(table, index.name)),
            index.comment,
        )],
    }
}

fn add_column(table: &Table, column: &Column) -> Statement {
    let mut definition = column.kind.to_owned();
    if let Fill::Default(expression) = column.fill {
        definition += " DEFAULT ";
        definition += expression;
    }
    if column.not_null {
        definition += " NOT NULL";
    }
    brief(
        format!("add the column {}.{}", table.key, column.name),
        fill(
            include_str!("../../../sql/documented/add_column.sql"),
            &[
                ("table", table.sql_name),
                ("name", column.name),
                ("definition", &definition),
            ],
        ),
    )
}

fn index_statements(table: &Table, index: &Index, lack: IndexLack) -> Vec<Statement> {
    let qualified = beside(table, index.name);
    let drop = fill(
        include_str!("../../../sql/documented/drop_index.sql"),
        &[("index", &qualified)],
    );
    let drop = Statement {
        title: format!("drop the invalid index {qualified}"),
        sql: drop,
        patient: true,
        undo: None,
        anew: false,
    };
    let mut statements = Vec::new();
    if lack == IndexLack::Valid {
        statements.push(drop.clone());
    }
    if lack != IndexLack::Constraint {
        statements.push(Statement {
            title: format!("build the index {qualified}"),
            sql: fill(
                BUILD_INDEX,
                &[
                    ("kind", index.role.sql_kind()),
                    ("name", index.name),
                    ("table", table.sql_name),
                    ("method", index.method),
                ],
            ),
            patient: true,
            undo: Some(Box::new(drop)),
            anew: true,
        });
    }
    if let Some((kind, _)) = index.role.constraint() {
        statements.push(brief(
            format!("make {qualified} the index of a constraint"),
            fill(
                include_str!("../../../sql/documented/attach_index.sql"),
                &[
                    ("table", table.sql_name),
                    ("name", index.name),
                    ("kind", kind),
                ],
            ),
        ));
    }
    statements
}

fn constraint_statements(
    table: &Table,
    constraint: &Constraint,
    validate_only: bool,
) -> Vec<Statement> {
    let values = [
        ("table", table.sql_name),
        ("name", constraint.name),
        ("definition", constraint.definition),
    ];
    let named = format!("{}.{}", table.key, constraint.name);
    let mut statements = Vec::new();
    if !validate_only {
        statements.push(brief(
            format!("add the constraint {named}"),
            fill(
                include_str!("../../../sql/documented/add_constraint.sql"),
                &values,
            ),
        ));
    }
    let drop = brief(
        format!("take back the constraint {named}"),
        fill(
            include_str!("../../../sql/documented/drop_constraint.sql"),
            &values,
        ),
    );
    statements.push(Statement {
        title: format!("validate the constraint {named}"),
        sql: fill(
            include_str!("../../../sql/documented/validate_constraint.sql"),
            &values,
        ),
        patient: true,
        // One that stood before, unvalidated, is not ours to take away.
        undo: (!validate_only).then(|| Box::new(drop)),
        anew: false,
    });
    statements
}

fn comment(object: &str, text: Option<&str>) -> Statement {
    let literal = format!("'{}'", text.unwrap_or_default().replace('\'', "''"));
    let sql = fill(
        include_str!("../../../sql/documented/set_comment.sql"),
        &[("object", object), ("text", &literal)],
    );
    brief(format!("comment the {object}"), sql)
}

/// A statement that locks the table for a moment.
pub fn brief(title: String, sql: String) -> Statement {
    Statement {
        title,
        sql,
        patient: false,
        undo: None,
        anew: false,
    }
}

/// A name in the schema of the table.
fn beside(table: &Table, name: &str) -> String {
    let schema = table.key.split('.').next().unwrap_or_default();
    format!("{schema}.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::catalog::documented::DOCUMENTED;

    #[test]
    fn no_repair_leaves_a_name_unfilled() {
        for table in DOCUMENTED {
            let mut repairs = vec![Repair::TableComment(table)];
            for column in table.columns {
                repairs.push(Repair::Column(table, column));
                repairs.push(Repair::ColumnComment(table, column));
            }
            for index in table.indexes {
                repairs.push(Repair::Index(table, index, IndexLack::Valid));
                repairs.push(Repair::IndexComment(table, index));
            }
            for constraint in table.constraints {
                repairs.push(Repair::Constraint(table, constraint, false));
            }
            repairs.extend(table.triggers.iter().map(Repair::Trigger));
            for statement in repairs.iter().flat_map(repair) {
                for name in [
                    "table",
                    "name",
                    "definition",
                    "kind",
                    "method",
                    "index",
                    "object",
                ] {
                    assert!(
                        !statement.sql.contains(&format!(" :{name}")),
                        "{}",
                        statement.sql
                    );
                }
            }
        }
    }
}
