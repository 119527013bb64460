//! Reads the live catalogue within one transaction.
//!
//! Everything is read by unnamed statements, so that it also works through `PgBouncer`.

use tokio_postgres::{
    Error, IsolationLevel, Row, Transaction,
    types::{ToSql, Type},
};

use super::{
    documented::{DOCUMENTED, FUNCTIONS},
    live::{
        Function, Live, LiveColumn, LiveConstraint, LiveIndex, LiveTrigger, Reference, Relation,
        TokenType,
    },
    ours::OURS,
    referred::REFERRED,
};

/// Opens the transaction that the catalogue is read in: read-only, on one snapshot, and
/// with the search path under which definitions are written as documented.
pub async fn begin(client: &mut tokio_postgres::Client) -> Result<Transaction<'_>, Error> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    rows(
        &transaction,
        include_str!("../../../sql/catalog/search_path.sql"),
        &[],
    )
    .await?;
    Ok(transaction)
}

/// Reads what the catalogue has of every object that is described.
pub async fn read(transaction: &Transaction<'_>) -> Result<Live, Error> {
    let keys: Vec<&str> = DOCUMENTED
        .iter()
        .map(|table| table.key)
        .chain(REFERRED.iter().map(|table| table.key))
        .chain(OURS.iter().map(|table| table.key))
        .collect();
    let named: [(&(dyn ToSql + Sync), Type); 1] = [(&keys, Type::TEXT_ARRAY)];
    let mut live = Live::default();

    for row in rows(transaction, RELATIONS, &named).await? {
        let relation = Relation {
            kind: row.try_get("kind")?,
            persistence: row.try_get("persistence")?,
            row_security: row.try_get("row_security")?,
            filled: row.try_get("filled")?,
            comment: row.try_get("comment")?,
            ..Relation::default()
        };
        live.relations.insert(row.try_get("relation")?, relation);
    }
    for row in rows(transaction, COLUMNS, &named).await? {
        if let Some(relation) = live.relation(&row)? {
            relation.columns.push(column(&row)?);
        }
    }
    for row in rows(transaction, INDEXES, &named).await? {
        if let Some(relation) = live.relation(&row)? {
            relation.indexes.push(index(&row)?);
        }
    }
    for row in rows(transaction, CONSTRAINTS, &named).await? {
        if let Some(relation) = live.relation(&row)? {
            relation.constraints.push(LiveConstraint {
                name: row.try_get("name")?,
                kind: row.try_get("kind")?,
                definition: row.try_get("definition")?,
                validated: row.try_get("validated")?,
            });
        }
    }
    for row in rows(transaction, TRIGGERS, &named).await? {
        if let Some(relation) = live.relation(&row)? {
            relation.triggers.push(LiveTrigger {
                name: row.try_get("name")?,
                kind: row.try_get("kind")?,
                definition: row.try_get("definition")?,
                enabled: row.try_get("enabled")?,
            });
        }
    }
    for row in rows(transaction, REFERENCES, &named).await? {
        if let Some(relation) = live.relation(&row)? {
            relation.references.push(Reference {
                name: row.try_get("name")?,
                referrer: row.try_get("referrer")?,
                holds: row.try_get("holds")?,
            });
        }
    }

    let functions: Vec<&str> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
    for row in rows(
        transaction,
        FUNCTION_ROWS,
        &[(&functions, Type::TEXT_ARRAY)],
    )
    .await?
    {
        live.functions.push(Function {
            name: row.try_get("name")?,
            arguments: row.try_get("arguments")?,
            result: row.try_get("result")?,
            body: row.try_get("body")?,
        });
    }
    for row in rows(transaction, TOKEN_TYPE, &[]).await? {
        live.token_type = Some(TokenType {
            kind: row.try_get("kind")?,
            labels: row.try_get("labels")?,
        });
    }
    Ok(live)
}

/// Counts rows of the ledger that are not ours: all, and those that hold a token in the
/// clear. `None` where there is no ledger that could be read.
pub async fn foreign_rows(
    transaction: &Transaction<'_>,
    live: &Live,
) -> Result<Option<(i64, i64)>, Error> {
    if !live.has("auth.refresh_tokens", &["token", "parent", "session_id"]) {
        return Ok(None);
    }
    let statement = if live.has("countersign.session_grant", &["session_id"]) {
        include_str!("../../../sql/catalog/foreign_rows.sql")
    } else {
        include_str!("../../../sql/catalog/foreign_rows_before.sql")
    };
    let row = transaction.query_typed_one(statement, &[]).await?;
    Ok(Some((
        row.try_get("foreign_rows")?,
        row.try_get("in_the_clear")?,
    )))
}

const RELATIONS: &str = include_str!("../../../sql/catalog/relations.sql");
const COLUMNS: &str = include_str!("../../../sql/catalog/columns.sql");
const INDEXES: &str = include_str!("../../../sql/catalog/indexes.sql");
const CONSTRAINTS: &str = include_str!("../../../sql/catalog/constraints.sql");
const TRIGGERS: &str = include_str!("../../../sql/catalog/triggers.sql");
const REFERENCES: &str = include_str!("../../../sql/catalog/references.sql");
const FUNCTION_ROWS: &str = include_str!("../../../sql/catalog/functions.sql");
const TOKEN_TYPE: &str = include_str!("../../../sql/catalog/token_type.sql");

async fn rows(
    transaction: &Transaction<'_>,
    statement: &str,
    parameters: &[(&(dyn ToSql + Sync), Type)],
) -> Result<Vec<Row>, Error> {
    transaction.query_typed(statement, parameters).await
}

fn column(row: &Row) -> Result<LiveColumn, Error> {
    Ok(LiveColumn {
        name: row.try_get("name")?,
        kind: row.try_get("type")?,
        not_null: row.try_get("not_null")?,
        identity: row.try_get("identity")?,
        identity_always: row.try_get("identity_always")?,
        generated: row.try_get("generated")?,
        collated: row.try_get("collated")?,
        fill: row.try_get("fill")?,
        comment: row.try_get("comment")?,
    })
}

fn index(row: &Row) -> Result<LiveIndex, Error> {
    Ok(LiveIndex {
        name: row.try_get("name")?,
        definition: row.try_get("definition")?,
        unique: row.try_get("is_unique")?,
        exclusion: row.try_get("exclusion")?,
        valid: row.try_get("valid")?,
        constraint: row.try_get("constraint_definition")?,
        sole_key: row.try_get("sole_key")?,
        comment: row.try_get("comment")?,
    })
}

impl Live {
    /// Whether an ordinary table of that name stands and has the columns.
    fn has(&self, table: &str, columns: &[&str]) -> bool {
        self.relations.get(table).is_some_and(|relation| {
            let has_column = |name: &&str| relation.column(name).is_some();
            relation.kind == "r" && columns.iter().all(has_column)
        })
    }

    /// The relation that a row speaks of.
    fn relation(&mut self, row: &Row) -> Result<Option<&mut Relation>, Error> {
        let name: &str = row.try_get("relation")?;
        Ok(self.relations.get_mut(name))
    }
}
