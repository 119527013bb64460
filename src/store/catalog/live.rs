//! The live catalogue, as far as it concerns us.

use std::collections::BTreeMap;

/// What was read of the live catalogue, on one snapshot.
#[derive(Debug, Default)]
pub struct Live {
    /// Relations by `schema.name`.
    pub relations: BTreeMap<String, Relation>,
    /// Functions of schema public that have a documented name.
    pub functions: Vec<Function>,
    /// `public.token_type`, where a type of that name stands.
    pub token_type: Option<TokenType>,
}

/// A relation of one of the names that we look for.
#[derive(Debug, Default)]
pub struct Relation {
    /// `relkind`: `r` is an ordinary table.
    pub kind: String,
    /// `relpersistence`: `p` is permanent.
    pub persistence: String,
    /// Whether row level security is enabled.
    pub row_security: bool,
    /// Whether it takes any room: one that is empty may, too, until it is vacuumed.
    pub filled: bool,
    /// Its comment.
    pub comment: Option<String>,
    /// Its columns, in order.
    pub columns: Vec<LiveColumn>,
    /// Its indexes.
    pub indexes: Vec<LiveIndex>,
    /// Its checks and foreign keys.
    pub constraints: Vec<LiveConstraint>,
    /// Its triggers and rules.
    pub triggers: Vec<LiveTrigger>,
    /// Foreign keys of other tables that refer to it.
    pub references: Vec<Reference>,
}

/// A column.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they mirror pg_attribute")]
pub struct LiveColumn {
    pub name: String,
    /// As `format_type` writes it.
    pub kind: String,
    pub not_null: bool,
    pub identity: bool,
    pub identity_always: bool,
    pub generated: bool,
    /// Whether it has another collation than its type's.
    pub collated: bool,
    /// Default or generating expression, as `pg_get_expr` writes it.
    pub fill: Option<String>,
    pub comment: Option<String>,
}

/// An index.
#[derive(Debug)]
pub struct LiveIndex {
    pub name: String,
    /// As `pg_get_indexdef` writes it.
    pub definition: String,
    pub unique: bool,
    pub exclusion: bool,
    /// Valid, ready and live.
    pub valid: bool,
    /// The constraint above it, as `pg_get_constraintdef` writes it.
    pub constraint: Option<String>,
    /// The column that it alone makes unique, for all rows.
    pub sole_key: Option<String>,
    pub comment: Option<String>,
}

/// A check or a foreign key.
#[derive(Debug)]
pub struct LiveConstraint {
    pub name: String,
    /// `c`: check; `f`: foreign key.
    pub kind: String,
    /// As `pg_get_constraintdef` writes it.
    pub definition: String,
    pub validated: bool,
}

/// A trigger or a rule.
#[derive(Debug)]
pub struct LiveTrigger {
    pub name: String,
    /// `trigger` or `rule`.
    pub kind: String,
    /// As `pg_get_triggerdef` or `pg_get_ruledef` writes it.
    pub definition: String,
    pub enabled: bool,
}

/// A foreign key of another table that refers to the relation.
#[derive(Debug)]
pub struct Reference {
    pub name: String,
    /// The table that refers.
    pub referrer: String,
    /// Whether it holds the row that it refers to against deletion.
    pub holds: bool,
}

/// A function.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    /// Its argument types, with commas between.
    pub arguments: String,
    pub result: String,
    pub body: String,
}

/// The type `public.token_type`.
#[derive(Debug)]
pub struct TokenType {
    /// `typtype`: `e` is an enum.
    pub kind: String,
    pub labels: Vec<String>,
}

impl Relation {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&LiveColumn> {
        self.columns.iter().find(|column| column.name == name)
    }
}
