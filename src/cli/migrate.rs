//! `countersign migrate`: makes the database ready, or says what is missing.

use super::{exit::Exit, failure::Failure, output};
use crate::store::{
    DatabaseFiles, DatabaseUrl,
    catalog::Extent,
    migrate::{self, MigrateError, MigrateOptions},
};
use clap::Args;
use std::path::PathBuf;

/// Forward only and safe to repeat. On a database that holds the documented tables already,
/// nothing of them is touched but what is missing. The role that serves is created and
/// given its least rights.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  countersign migrate --database-url-file /etc/countersign/migrate-url
  countersign migrate --check")]
pub(super) struct MigrateArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Compare the live catalogue with the documents, print each difference, and change
    /// nothing; exit 0 means exact
    #[arg(long, conflicts_with = "dry_run")]
    check: bool,
    /// Print the SQL that would run, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The role that serves
    #[arg(long, value_name = "ROLE", default_value = "countersign_server")]
    serving_role: String,
}

/// Where the database is, for commands with database rights. There is no flag for the URL
/// itself, since command lines are visible to everyone on the machine.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "they name the flags")]
pub(super) struct DatabaseArgs {
    /// A file that holds the database's URL; or set `COUNTERSIGN_DATABASE_URL`
    #[arg(long, env = "COUNTERSIGN_DATABASE_URL_FILE", value_name = "PATH")]
    database_url_file: Option<PathBuf>,
    /// The authorities that sign the database's certificate (PEM), or `system`; without
    /// sslmode in the URL this means verify-full
    #[arg(long, env = "COUNTERSIGN_DATABASE_CA_FILE", value_name = "PATH")]
    database_ca_file: Option<PathBuf>,
    /// A client certificate for the database (PEM)
    #[arg(
        long,
        env = "COUNTERSIGN_DATABASE_CERTIFICATE_FILE",
        value_name = "PATH"
    )]
    database_certificate_file: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, env = "COUNTERSIGN_DATABASE_KEY_FILE", value_name = "PATH")]
    database_key_file: Option<PathBuf>,
    /// A file that holds the role's password, over that of the URL
    #[arg(long, env = "COUNTERSIGN_DATABASE_PASSWORD_FILE", value_name = "PATH")]
    database_password_file: Option<PathBuf>,
}

impl DatabaseArgs {
    /// Reads the URL from the file or from the environment.
    pub(super) fn read(&self) -> Result<DatabaseUrl, Failure> {
        let configuration = |message: String| Failure::new(Exit::BadInput, message);
        let variable = std::env::var("COUNTERSIGN_DATABASE_URL").ok();
        let text = match (&self.database_url_file, variable) {
            // Not the path: somebody may have put the URL itself there.
            (Some(path), _) => std::fs::read_to_string(path).map_err(|error| {
                configuration(format!(
                    "--database-url-file: the file that it names cannot be read: {error}"
                ))
            })?,
            (None, Some(url)) => url,
            (None, None) => {
                return Err(configuration(
                    "which database? Give --database-url-file, or set COUNTERSIGN_DATABASE_URL"
                        .to_owned(),
                ));
            }
        };
        let files = DatabaseFiles {
            ca: self.database_ca_file.clone(),
            certificate: self.database_certificate_file.clone(),
            key: self.database_key_file.clone(),
            password: self.database_password_file.clone(),
        };
        DatabaseUrl::with_files(text.trim(), files)
            .map_err(|error| configuration(format!("the database's URL {error}")))
    }
}

/// Migrates, or tells what would be done.
pub(super) async fn run(args: MigrateArgs) -> Result<Exit, Failure> {
    let url = args.database.read()?;
    let options = MigrateOptions {
        serving_role: args.serving_role,
        ..MigrateOptions::default()
    };
    if args.check {
        let report = migrate::check(&url, Extent::CountForeignRows).await?;
        output::write(report.to_string().as_bytes())?;
        return if report.is_exact() {
            output::write(b"exact: the database is as documented\n")
        } else {
            let message = "the database is not as documented; each difference stands above";
            Err(Failure::new(Exit::Refused, message))
        };
    }
    if args.dry_run {
        for step in migrate::dry_run(&url, &options).await? {
            output::write(format!("{step}\n").as_bytes())?;
        }
        return Ok(Exit::Ok);
    }
    let progress = |line: &str| output::say(&format!("{line}\n"));
    let report = migrate::migrate(&url, &options, progress).await?;
    for difference in &report.tolerated {
        output::write(format!("{difference}\n").as_bytes())?;
    }
    for statement in &report.through_others {
        let line = format!(
            "the serving role may do more than it needs, through others; if nobody else needs it: \
             {statement};\n"
        );
        output::write(line.as_bytes())?;
    }
    if let Some(found) = report.next {
        let line = format!(
            "nothing to do: the database has schema {found}, the next after this version's, \
             which serves on it\n"
        );
        return output::write(line.as_bytes());
    }
    output::write(if report.changed() {
        b"migrated\n"
    } else {
        b"nothing to do\n"
    })
}

impl From<MigrateError> for Failure {
    fn from(error: MigrateError) -> Self {
        let exit = match &error {
            MigrateError::Files(_) => Exit::BadInput,
            MigrateError::Unreachable(_) | MigrateError::NoSuchDatabase(_) => Exit::Unreachable,
            MigrateError::WrongPassword(_) | MigrateError::InsufficientRights { .. } => {
                Exit::Credentials
            }
            MigrateError::NewerSchema { .. } => Exit::SchemaBeyond,
            MigrateError::Refused(_)
            | MigrateError::Incomplete(_)
            | MigrateError::Divergent { .. }
            | MigrateError::Gap(_)
            | MigrateError::Contradicted { .. } => Exit::Unsuitable,
            MigrateError::Busy { .. } | MigrateError::Failed { .. } => Exit::Refused,
        };
        Self::with_causes(exit, &error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_in_the_place_of_its_file_is_not_told() {
        let args = DatabaseArgs {
            database_url_file: Some("postgres://u:hunter2@h/d".into()),
            database_ca_file: None,
            database_certificate_file: None,
            database_key_file: None,
            database_password_file: None,
        };
        let Err(Failure::Command { exit, message }) = args.read() else {
            panic!("it is read");
        };
        assert_eq!(exit, Exit::BadInput);
        assert!(message.starts_with("--database-url-file: "), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}
