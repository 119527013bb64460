//! The plan of every statement on big tables: by an index, whatever the size of its
//! batch, with statistics or without, and with a plan made while the tables were empty.

pub mod fill;
mod hot;
mod parameters;
mod searches;

use crate::support::server::Deployment;
use countersign::store::statements;
use fill::{BIG, fill};
use parameters::{Ids, TABLE, WITHOUT};
use serde_json::Value;
use std::collections::HashMap;
use tokio_postgres::Client;

const ROWS: u32 = 100_000;
const SIZES: [usize; 4] = [1, 16, 256, 1000];

/// The first column of each index, by the name of the index.
type Leading = HashMap<String, String>;

async fn leading(sql: &Client) -> Leading {
    let rows = sql
        .query(
            "SELECT c.relname, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]",
            &[],
        )
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// What is wrong with a plan: a big table, or a whole index of one, read from end to end.
fn wrong(node: &Value, leading: &Leading, limited: bool, found: &mut Vec<String>) {
    let text = |key: &str| node[key].as_str().unwrap_or_default();
    let kind = text("Node Type");
    let table = format!("{}.{}", text("Schema"), text("Relation Name"));
    let big = BIG.contains(&table.as_str());
    let limited = limited || kind == "Limit";
    match kind {
        "Seq Scan" if big => found.push(format!("scans {table}")),
        "Index Scan" | "Index Only Scan" if big => {
            let index = text("Index Name");
            let cond = text("Index Cond");
            if cond.is_empty() && !limited {
                found.push(format!("reads the whole of {index}"));
            } else if !cond.is_empty() && !cond.contains(leading[index].as_str()) {
                found.push(format!("reads the whole of {index} for {cond}"));
            }
        }
        "Bitmap Index Scan" => {
            let index = text("Index Name");
            if !text("Index Cond").contains(leading[index].as_str()) {
                found.push(format!("reads the whole of {index}"));
            }
        }
        _ => {}
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        wrong(child, leading, limited, found);
    }
}

/// A connection as the serving role that plans in one way, with every statement prepared.
async fn prepared(at: &Deployment, mode: &str) -> Client {
    let client = at.database.serving_client().await;
    // What belongs to the role is read at login, and this login is the superuser's.
    let settings = format!("SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = {mode}");
    client.batch_execute(&settings).await.unwrap();
    for (name, _) in TABLE {
        let statement = statements::ALL
            .iter()
            .find(|statement| statement.name == *name);
        let text = statement.expect(name).text.trim_end().trim_end_matches(';');
        let prepare = format!("PREPARE {} AS {text}", name.replace('/', "_"));
        if let Err(error) = client.batch_execute(&prepare).await {
            panic!("{name}: {error:?}");
        }
    }
    client
}

/// The plan of what is executed.
async fn plan(client: &Client, execute: &str) -> Value {
    let explain = format!("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE {execute}");
    let plan: Value = match client.query_one(&explain, &[]).await {
        Ok(row) => row.get(0),
        Err(error) => panic!("{explain:.200}: {error:?}"),
    };
    plan[0]["Plan"].clone()
}

/// Every index of a plan, with its condition.
async fn explained_nodes(client: &Client, execute: &str) -> Vec<(String, String)> {
    fn walk(node: &Value, found: &mut Vec<(String, String)>) {
        let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
        if !text("Index Name").is_empty() {
            found.push((text("Index Name"), text("Index Cond")));
        }
        for child in node["Plans"].as_array().into_iter().flatten() {
            walk(child, found);
        }
    }
    let mut found = Vec::new();
    walk(&plan(client, execute).await, &mut found);
    found
}

/// Explains every statement for batches of this size, and says what is wrong with which.
async fn explained(client: &Client, ids: &Ids, leading: &Leading, calls: usize) -> Vec<String> {
    let mut all = Vec::new();
    for (name, parameters) in TABLE {
        let literals: Vec<_> = parameters
            .iter()
            .map(|parameter| ids.literal(*parameter, calls))
            .collect();
        let arguments = match literals.as_slice() {
            [] => String::new(),
            some => format!("({})", some.join(", ")),
        };
        let execute = format!("{}{arguments}", name.replace('/', "_"));
        let plan = plan(client, &execute).await;
        let mut found = Vec::new();
        wrong(&plan, leading, false, &mut found);
        found.dedup();
        all.extend(found.iter().map(|what| format!("{name} {what}")));
    }
    all
}

#[tokio::test]
async fn every_statement_has_its_row() {
    // The load generator's own are of no server.
    for statement in (statements::ALL.iter()).filter(|one| !one.name.starts_with("bench/")) {
        let rows = TABLE
            .iter()
            .filter(|(name, _)| *name == statement.name)
            .count();
        let without = WITHOUT
            .iter()
            .filter(|(name, _)| *name == statement.name)
            .count();
        assert_eq!(rows + without, 1, "{}", statement.name);
    }
}

#[tokio::test]
async fn no_statement_reads_a_big_table_or_index_from_end_to_end() {
    let at = Deployment::start_with(1, &[("COUNTERSIGN_PURGE_ENABLED", "false")]).await;
    let ids = Ids::read(&at.sql).await;
    let leading = leading(&at.sql).await;
    let mut all = Vec::new();
    let mut told = |when: &str, found: Vec<String>| {
        all.extend(found.into_iter().map(|what| format!("{when}: {what}")));
    };

    let early = prepared(&at, "force_generic_plan").await;
    explained(&early, &ids, &leading, 16).await;
    fill(&at.sql, ROWS).await;
    let found = explained(&early, &ids, &leading, 16).await;
    told("planned while the tables were empty", found);
    let unknown = prepared(&at, "force_custom_plan").await;
    let found = explained(&unknown, &ids, &leading, 256).await;
    told("without statistics", found);

    at.sql.batch_execute("ANALYZE").await.unwrap();
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let client = prepared(&at, mode).await;
        for calls in SIZES {
            let found = explained(&client, &ids, &leading, calls).await;
            told(&format!("{mode} of {calls}"), found);
        }
    }
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}
