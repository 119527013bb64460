//! The rows of the benchmark: their names, in the order in which a round runs them, and
//! what each is compared with.

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its name, in tables and JSON.
    pub name: &'static str,
    /// What it does, for people.
    pub what: &'static str,
    /// The rows that it is compared with, the main one first.
    pub baselines: &'static [&'static str],
    /// Who answers.
    pub by: By,
}

/// Who answers a row's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The bare echo, in a process of its own.
    Echo,
    /// The database, asked by the load generator itself.
    Database,
    /// The authority, asked for what it has.
    Authority,
    /// The authority, asked by somebody who may check.
    Checks,
    /// The authority, asked to write about a user's sessions.
    Sessions,
}

const fn row(
    name: &'static str,
    by: By,
    baselines: &'static [&'static str],
    what: &'static str,
) -> Row {
    Row {
        name,
        what,
        baselines,
        by,
    }
}

/// All rows. Each stands next to what it is compared with, so that both see the same machine.
pub const ROWS: &[Row] = &[
    row("echo", By::Echo, &[], "a bare tonic echo"),
    row(
        "pg-select",
        By::Database,
        &[],
        "one prepared lookup of a token's own row",
    ),
    row(
        "pg-read",
        By::Database,
        &[],
        "one prepared lookup with all that introspection joins",
    ),
    row(
        "introspect",
        By::Authority,
        &["echo", "pg-select", "pg-read"],
        "Introspect of a session's token",
    ),
    row(
        "check",
        By::Checks,
        &["introspect", "echo"],
        "Envoy's Check of a request with a session's token",
    ),
    row(
        "introspect-client",
        By::Authority,
        &["echo", "pg-select"],
        "Introspect of a client-only token",
    ),
    row(
        "introspect-unknown",
        By::Authority,
        &["echo", "pg-select"],
        "Introspect of an authentic token that no table holds",
    ),
    row(
        "introspect-forged",
        By::Authority,
        &["echo"],
        "Introspect of a forged token",
    ),
    row(
        "pg-batch",
        By::Database,
        &[],
        "the array statement of introspection over 100 tokens",
    ),
    row(
        "batch-introspect",
        By::Authority,
        &["pg-batch"],
        "BatchIntrospect of 100 tokens",
    ),
    row(
        "pg-insert",
        By::Database,
        &[],
        "one autocommit insert of a token",
    ),
    row(
        "issue",
        By::Authority,
        &["pg-insert"],
        "IssueToken, client-only",
    ),
    row(
        "pg-open",
        By::Database,
        &[],
        "one autocommit statement that opens a session",
    ),
    row(
        "pg-open-tx",
        By::Database,
        &[],
        "the same rows by plain statements in one transaction",
    ),
    row(
        "pg-open-one",
        By::Database,
        &[],
        "the server's own transaction over one opening",
    ),
    row(
        "open",
        By::Sessions,
        &["pg-open-tx", "pg-open-one", "pg-open"],
        "IssueToken with a refresh token",
    ),
    row(
        "pg-rotate",
        By::Database,
        &[],
        "one autocommit statement that rotates",
    ),
    row(
        "pg-rotate-tx",
        By::Database,
        &[],
        "the same rows by plain statements in one transaction",
    ),
    row(
        "pg-rotate-one",
        By::Database,
        &[],
        "the server's own transaction over one rotation",
    ),
    row(
        "rotate",
        By::Sessions,
        &["pg-rotate-tx", "pg-rotate-one", "pg-rotate"],
        "RotateRefresh",
    ),
    row(
        "pg-revoke",
        By::Database,
        &[],
        "one autocommit statement that ends a session",
    ),
    row("revoke", By::Sessions, &["pg-revoke"], "RevokeSession"),
    row(
        "mix",
        By::Sessions,
        &["echo", "introspect"],
        "90 % Introspect, 3 % IssueToken, 2 % opening, 3 % RotateRefresh, 2 % RevokeSession",
    ),
];

/// The row of that name.
pub fn find(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// The rows of these names, in the order in which they run, with their baselines: without
/// them there is no ratio. Fails with the first name that no row has.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Row>, String> {
    if names.is_empty() {
        return Ok(ROWS.iter().collect());
    }
    let mut wanted = Vec::new();
    for name in names {
        let row = find(name).ok_or_else(|| name.clone())?;
        wanted.push(row.name);
        wanted.extend(row.baselines);
    }
    Ok(ROWS
        .iter()
        .filter(|row| wanted.contains(&row.name))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_baseline_is_a_row_that_runs_before() {
        for (at, row) in ROWS.iter().enumerate() {
            for baseline in row.baselines {
                assert!(
                    ROWS[..at].iter().any(|one| one.name == *baseline),
                    "{row:?}"
                );
            }
            assert!(ROWS[..at].iter().all(|one| one.name != row.name));
        }
    }

    #[test]
    fn a_row_brings_its_baselines_and_an_unknown_one_is_named() {
        let names = |names: &[&str]| -> Result<Vec<&str>, String> {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            Ok(chosen(&names)?.into_iter().map(|row| row.name).collect())
        };
        assert_eq!(
            names(&["rotate"]).unwrap(),
            ["pg-rotate", "pg-rotate-tx", "pg-rotate-one", "rotate"]
        );
        assert_eq!(
            names(&["issue", "echo"]).unwrap(),
            ["echo", "pg-insert", "issue"]
        );
        assert_eq!(names(&["issue", "isue"]).unwrap_err(), "isue");
        assert_eq!(names(&[]).unwrap().len(), ROWS.len());
    }
}
