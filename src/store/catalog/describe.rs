//! The words in which a documented table is described.

/// A documented table, column by column, as its document has it.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// `schema.name`, unquoted.
    pub key: &'static str,
    /// The table as SQL names it.
    pub sql_name: &'static str,
    /// Its comment, where one is documented.
    pub comment: Option<&'static str>,
    /// Its columns, in the documented order.
    pub columns: &'static [Column],
    /// Its indexes, those of its primary key and unique constraints included.
    pub indexes: &'static [Index],
    /// Its checks and foreign keys.
    pub constraints: &'static [Constraint],
    /// Its triggers.
    pub triggers: &'static [Trigger],
}

/// A documented column.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type, as `format_type` writes it.
    pub kind: &'static str,
    /// Whether it refuses NULL.
    pub not_null: bool,
    /// What fills it when nothing is given.
    pub fill: Fill,
    /// Its comment, where one is documented.
    pub comment: Option<&'static str>,
}

/// What fills a column that was not given.
#[derive(Debug, PartialEq, Eq)]
pub enum Fill {
    /// NULL.
    Nothing,
    /// A default expression, as `pg_get_expr` writes it.
    Default(&'static str),
    /// `GENERATED ALWAYS AS IDENTITY`.
    Identity,
    /// "Automatically increments": a sequence's next value or any identity.
    Increments,
}

/// A documented index.
#[derive(Debug, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// Method, columns and order, as `pg_get_indexdef` writes them after USING.
    pub method: &'static str,
    /// Unique or not, and for which constraint.
    pub role: Role,
    /// Its comment, where one is documented.
    pub comment: Option<&'static str>,
}

/// What an index is for.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Role {
    /// Finding rows.
    Plain,
    /// Uniqueness, with or without a constraint above it.
    Unique,
    /// The primary key over these columns.
    PrimaryKey(&'static str),
    /// A unique constraint over these columns.
    UniqueConstraint(&'static str),
}

/// A documented check or foreign key.
#[derive(Debug, PartialEq, Eq)]
pub struct Constraint {
    /// Its name.
    pub name: &'static str,
    /// Its definition, as `pg_get_constraintdef` writes it.
    pub definition: &'static str,
}

/// A documented trigger.
#[derive(Debug, PartialEq, Eq)]
pub struct Trigger {
    /// Its name.
    pub name: &'static str,
    /// Its definition, as `pg_get_triggerdef` writes it after the name.
    pub definition: &'static str,
}

impl Column {
    /// A column that takes NULL and has no default.
    pub const fn nullable(name: &'static str, kind: &'static str) -> Self {
        Self {
            name,
            kind,
            not_null: false,
            fill: Fill::Nothing,
            comment: None,
        }
    }

    /// A column that refuses NULL, filled by `fill`.
    pub const fn required(name: &'static str, kind: &'static str, fill: Fill) -> Self {
        Self {
            name,
            kind,
            not_null: true,
            fill,
            comment: None,
        }
    }

    /// The same with a documented comment.
    #[must_use]
    pub const fn saying(self, comment: &'static str) -> Self {
        Self {
            comment: Some(comment),
            ..self
        }
    }

    /// Whether rows that stand can get it: it takes NULL, or has a default.
    pub fn can_be_added(&self) -> bool {
        !self.not_null || matches!(self.fill, Fill::Default(_))
    }

    /// Whether its default is another for each row (a volatile function), so that to add it is
    /// to write every row anew, while nobody may read.
    pub fn differs_by_row(&self) -> bool {
        matches!(self.fill, Fill::Default("gen_random_uuid()"))
    }
}

impl Index {
    /// An index without a comment.
    pub const fn new(name: &'static str, role: Role, method: &'static str) -> Self {
        Self {
            name,
            method,
            role,
            comment: None,
        }
    }

    /// The same with a documented comment.
    #[must_use]
    pub const fn saying(self, comment: &'static str) -> Self {
        Self {
            comment: Some(comment),
            ..self
        }
    }
}

impl Role {
    /// Whether it forbids equal rows.
    pub fn is_unique(self) -> bool {
        self != Self::Plain
    }

    /// What SQL calls such an index.
    pub fn sql_kind(self) -> &'static str {
        if self.is_unique() {
            "UNIQUE INDEX"
        } else {
            "INDEX"
        }
    }

    /// The kind and the definition of the constraint that has to stand above the index.
    pub fn constraint(self) -> Option<(&'static str, String)> {
        match self {
            Self::Plain | Self::Unique => None,
            Self::PrimaryKey(columns) => Some(("PRIMARY KEY", format!("PRIMARY KEY ({columns})"))),
            Self::UniqueConstraint(columns) => Some(("UNIQUE", format!("UNIQUE ({columns})"))),
        }
    }
}
