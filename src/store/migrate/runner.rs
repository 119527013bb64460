//! Runs a migration from the first look to the last, or only tells what it would run.

use refinery::Runner;
use tokio_postgres::Client;

use super::{
    MigrateOptions, MigrationReport, Step,
    error::{MigrateError, Trouble, driver_error},
    files::FILES,
    history, roles,
    session::{self, Attempts},
    state::{STANDING, SchemaState, schema_state},
    statement::{self, Statement, brief},
};
use crate::store::{
    catalog::{self, Difference, Extent, Finding, Repair, Severity},
    url::DatabaseUrl,
};

/// Where refinery remembers what it applied.
const HISTORY_TABLE: &str = "countersign.migration_history";

/// Migrates a database: see [`super::migrate`].
pub(super) async fn migrate(
    database: &DatabaseUrl,
    options: &MigrateOptions,
    progress: &mut (impl FnMut(&str) + Send),
) -> Result<MigrationReport, MigrateError> {
    let mut client = session::open(database).await?;
    session::prepare(&client).await?;
    session::lock(&client, options, progress).await?;

    if let Some(found) = next_schema(&mut client).await? {
        session::unlock(&client).await?;
        return Ok(MigrationReport {
            next: Some(found),
            ..MigrationReport::default()
        });
    }
    let pending = history::pending(&client).await?;
    refuse(&examine(&mut client).await?)?;

    let mut report = MigrationReport::default();
    if !pending.is_empty() {
        session::run(&client, options, &create_schema()).await?;
        for file in &pending {
            progress(&format!("migration {}", file.title()));
        }
        apply(&mut client, options).await?;
        report.applied = pending.iter().map(|file| file.title()).collect();
    }

    // A repair may make room for the next: a table made anew, a column for its index. Servers
    // that stand on the new schema wait for rights, but not for indexes to be built.
    let Repairs { base, rest } = repairs(&examine(&mut client).await?, true);
    mend(&client, options, base, &mut report, progress).await?;
    grant(&client, options, &mut report, progress).await?;
    mend(&client, options, rest, &mut report, progress).await?;

    let findings = examine(&mut client).await?;
    refuse(&findings)?;
    let (tolerated, missing): (Vec<_>, Vec<_>) = differences(&findings)
        .into_iter()
        .partition(|difference| difference.severity == Severity::Tolerated);
    if !missing.is_empty() {
        return Err(MigrateError::Incomplete(missing));
    }
    report.tolerated = tolerated;

    // For what the repairs have made.
    grant(&client, options, &mut report, progress).await?;
    report.through_others = roles::through_others(&client, &options.serving_role).await?;
    session::unlock(&client).await?;
    Ok(report)
}

/// Runs repairs.
async fn mend(
    client: &Client,
    options: &MigrateOptions,
    statements: Vec<Statement>,
    report: &mut MigrationReport,
    progress: &mut (impl FnMut(&str) + Send),
) -> Result<(), MigrateError> {
    for statement in statements {
        progress(&statement.title);
        session::run(client, options, &statement).await?;
        report.repaired.push(statement.title);
    }
    Ok(())
}

/// Gives the serving role what it lacks.
async fn grant(
    client: &Client,
    options: &MigrateOptions,
    report: &mut MigrationReport,
    progress: &mut (impl FnMut(&str) + Send),
) -> Result<(), MigrateError> {
    let granted = roles::complete(client, options).await?;
    for statement in &granted {
        progress(statement);
    }
    report.granted.extend(granted);
    Ok(())
}

/// The schema, if it is the next one, which supports this binary: it was rolled back, and
/// the schema stays.
async fn next_schema(client: &mut Client) -> Result<Option<i32>, MigrateError> {
    match schema_state(client).await {
        Ok(SchemaState::Next { found }) => Ok(Some(found)),
        Ok(_) => Ok(None),
        Err(error) => Err(MigrateError::of(
            "read the schema's version",
            STANDING,
            error,
        )),
    }
}

/// Tells what [`migrate`] would run: see [`super::dry_run`].
pub(super) async fn dry_run(
    database: &DatabaseUrl,
    options: &MigrateOptions,
) -> Result<Vec<Step>, MigrateError> {
    let mut client = session::open(database).await?;
    if next_schema(&mut client).await?.is_some() {
        return Ok(Vec::new());
    }
    let pending = history::pending(&client).await?;
    let findings = examine(&mut client).await?;
    refuse(&findings)?;

    let mut steps = Vec::new();
    if !pending.is_empty() {
        steps.push(Step::from(create_schema()));
    }
    // The first migration makes whole what a repair would make.
    let with_base = pending.iter().all(|file| file.version != FILES[0].version);
    steps.extend(pending.iter().map(|file| Step {
        title: format!("migration {}", file.title()),
        sql: file.sql.to_owned(),
    }));
    let Repairs { base, rest } = repairs(&findings, with_base);
    let granted = roles::pending(&client, &options.serving_role).await?;
    let granted = granted.into_iter().map(|(_, statement)| statement);
    let statements = base.into_iter().chain(granted).chain(rest);
    steps.extend(statements.map(Step::from));
    Ok(steps)
}

/// Has refinery apply what is pending, each migration in its own transaction.
async fn apply(client: &mut Client, options: &MigrateOptions) -> Result<(), MigrateError> {
    let doing = "apply its migrations";
    let migrations = FILES
        .iter()
        .map(super::files::MigrationFile::migration)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| MigrateError::of_refinery("read its migrations", error))?;
    let mut runner = Runner::new(&migrations);
    runner.set_migration_table_name(HISTORY_TABLE);

    let mut attempts = Attempts::new(options);
    loop {
        session::lock_timeout(client, attempts.lock_timeout()).await?;
        let Err(error) = runner.run_async(client).await else {
            return Ok(());
        };
        let locked = driver_error(&error).map(Trouble::of) == Some(Trouble::Locked);
        if !(locked && attempts.again().await) {
            return Err(MigrateError::of_refinery(doing, error));
        }
    }
}

async fn examine(client: &mut Client) -> Result<Vec<Finding>, MigrateError> {
    let (findings, _) = catalog::examine(client, Extent::Catalogue)
        .await
        .map_err(|error| MigrateError::of("read the catalogue", "", error))?;
    Ok(findings)
}

/// Nothing is changed in a database that has something in the way.
fn refuse(findings: &[Finding]) -> Result<(), MigrateError> {
    let mut refused = differences(findings);
    refused.retain(|difference| difference.severity == Severity::Refused);
    if refused.is_empty() {
        Ok(())
    } else {
        Err(MigrateError::Refused(refused))
    }
}

/// The statements that complete what is missing, in order.
struct Repairs {
    /// What makes tables, types and functions, in a moment: rights can be given after it.
    base: Vec<Statement>,
    /// Everything else, which may take long.
    rest: Vec<Statement>,
}

/// What completes what is missing. `with_base`: whether the first migration is part of it,
/// where a table, type or function of it is missing.
fn repairs(findings: &[Finding], with_base: bool) -> Repairs {
    let mut repairs: Vec<&Repair> = findings
        .iter()
        .filter_map(|finding| finding.repair.as_ref())
        .collect();
    repairs.sort_by_key(|repair| repair.order());
    repairs.dedup_by(|one, other| matches!((one, other), (Repair::Base, Repair::Base)));
    let (base, rest): (Vec<_>, Vec<_>) = repairs
        .into_iter()
        .partition(|repair| matches!(repair, Repair::Base));
    let base = base.into_iter().filter(|_| with_base);
    Repairs {
        base: base.flat_map(statement::repair).collect(),
        rest: rest.into_iter().flat_map(statement::repair).collect(),
    }
}

fn differences(findings: &[Finding]) -> Vec<Difference> {
    findings
        .iter()
        .map(|finding| finding.difference.clone())
        .collect()
}

/// Refinery makes its history before the first migration, so the schema comes before both.
fn create_schema() -> Statement {
    brief(
        String::from("create the schema countersign"),
        include_str!("../../../sql/migrate/create_schema.sql").to_owned(),
    )
}
