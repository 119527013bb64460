//! The role that serves: what has to be done so that it exists with its least rights.
//!
//! The table of rights is in `sql/roles/statements.sql`, and the server quotes the names.

use tokio_postgres::{Client, Error as DriverError, error::SqlState, types::Type};

use super::{
    MigrateOptions,
    error::MigrateError,
    session,
    statement::{Statement, brief},
};

const STATEMENTS: &str = include_str!("../../../sql/roles/statements.sql");
const PASSWORD: &str = include_str!("../../../sql/roles/password.sql");

/// The step of `roles.statements` that creates the role.
const CREATE_ROLE: i32 = 1;

/// The step that is told, and run by nobody but a person.
const THROUGH_OTHERS: i32 = 12;

/// What stands between a role and the rights of serving.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    /// The statements that would give it what it lacks, and take what it has more.
    pub pending: Vec<String>,
    /// The statements that would take what it has more through everybody or through a group.
    pub through_others: Vec<String>,
}

/// Reads both.
pub(in crate::store) async fn examine(client: &Client, role: &str) -> Result<Rights, DriverError> {
    let mut rights = Rights::default();
    for (step, sql) in read(client, role).await? {
        if step == THROUGH_OTHERS {
            rights.through_others.push(sql);
        } else {
            rights.pending.push(sql);
        }
    }
    Ok(rights)
}

/// The statements that have still to be run for the role that serves; none: it is as it
/// has to be. Each comes with the number of its step.
pub(super) async fn pending(
    client: &Client,
    role: &str,
) -> Result<Vec<(i32, Statement)>, MigrateError> {
    let failed = |error| MigrateError::of("read the rights of the serving role", "", error);
    let statements = read(client, role).await.map_err(failed)?;
    let run = statements
        .into_iter()
        .filter(|(step, _)| *step != THROUGH_OTHERS);
    let titled = run.map(|(step, sql)| {
        let title = format!("run `{sql}`");
        (step, brief(title, sql))
    });
    Ok(titled.collect())
}

/// What the role has more, and not by a right of its own.
pub(super) async fn through_others(
    client: &Client,
    role: &str,
) -> Result<Vec<String>, MigrateError> {
    let failed = |error| MigrateError::of("read the rights of the serving role", "", error);
    Ok(examine(client, role).await.map_err(failed)?.through_others)
}

/// The same as [`pending`], as plain SQL, with what is not run.
async fn read(client: &Client, role: &str) -> Result<Vec<(i32, String)>, DriverError> {
    let rows = client
        .query_typed(STATEMENTS, &[(&role, Type::TEXT)])
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("step")?, row.try_get("text")?)))
        .collect()
}

/// Creates the role where it is missing, takes what it has more and gives what it lacks.
/// Returns the statements that were run.
pub(super) async fn complete(
    client: &Client,
    options: &MigrateOptions,
) -> Result<Vec<String>, MigrateError> {
    let mut ran = Vec::new();
    let statements = pending(client, &options.serving_role).await?;
    if let Some((_, create)) = statements.iter().find(|(step, _)| *step == CREATE_ROLE) {
        match client.batch_execute(&create.sql).await {
            Ok(()) => ran.push(create.sql.clone()),
            // Roles belong to the whole cluster: the migration of another database was first.
            Err(error)
                if matches!(
                    error.code(),
                    Some(&SqlState::DUPLICATE_OBJECT | &SqlState::UNIQUE_VIOLATION)
                ) => {}
            Err(error) => {
                return Err(lacking(
                    &statements,
                    MigrateError::of(&create.title, "", error),
                ));
            }
        }
    }

    // Asked again: a role that was made meanwhile may have rights already.
    let statements = pending(client, &options.serving_role).await?;
    if statements.is_empty() {
        return Ok(ran);
    }
    let together = Statement {
        // In one transaction, so that nobody sees a right between taking and giving.
        sql: joined(&statements),
        ..brief(
            String::from("give the serving role its rights"),
            String::new(),
        )
    };
    session::run(client, options, &together)
        .await
        .map_err(|error| lacking(&statements, error))?;
    ran.extend(statements.into_iter().map(|(_, statement)| statement.sql));

    // Who may not grant is told so by a warning only.
    let left = pending(client, &options.serving_role).await?;
    if left.is_empty() {
        Ok(ran)
    } else {
        Err(MigrateError::InsufficientRights {
            doing: together.title,
            statements: lines(&left),
            source: None,
        })
    }
}

/// Gives the role a password; for a private server, where nobody else does.
pub(super) async fn set_password(
    client: &Client,
    role: &str,
    password: &str,
) -> Result<(), MigrateError> {
    let failed = |error| MigrateError::of("give the serving role a password", "", error);
    let row = client
        .query_typed_one(PASSWORD, &[(&role, Type::TEXT), (&password, Type::TEXT)])
        .await
        .map_err(failed)?;
    let statement: String = row.try_get("text").map_err(failed)?;
    client.batch_execute(&statement).await.map_err(failed)
}

/// The same error with all the statements that somebody else has to run.
fn lacking(statements: &[(i32, Statement)], error: MigrateError) -> MigrateError {
    match error {
        MigrateError::InsufficientRights { doing, source, .. } => {
            MigrateError::InsufficientRights {
                doing,
                statements: lines(statements),
                source,
            }
        }
        other => other,
    }
}

fn joined(statements: &[(i32, Statement)]) -> String {
    lines(statements).join("\n")
}

fn lines(statements: &[(i32, Statement)]) -> Vec<String> {
    statements
        .iter()
        .map(|(_, statement)| format!("{};", statement.sql))
        .collect()
}
