//! The exit codes of commands with database rights, and what they tell of a refusal.

use crate::{
    cli::binary::{Run, countersign},
    support::{process::write_keys, server::Deployment},
};
use countersign::domain::keys::{KeyRing, new_key_line};
use std::fs;

/// Every command that talks to the database for an operator, but `migrate`.
struct Commands {
    place: tempfile::TempDir,
    words: Vec<Vec<String>>,
}

impl Commands {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("keys");
        let lines = [6, 8].map(|byte| new_key_line(&[byte; 36]));
        write_keys(&file, &lines.concat());
        let ring = KeyRing::parse(&lines.concat()).unwrap();
        let second = ring.ids().nth(1).unwrap().to_string();
        let file = file.to_str().unwrap();
        let words = [
            vec!["fence", "--yes"],
            vec!["purge"],
            vec!["keys", "check", "--file", file],
            vec!["keys", "promote", "--file", file, &second],
            vec!["keys", "retire", "--file", file, &second],
            vec!["client", "bootstrap"],
        ];
        let words = words.map(|words| words.into_iter().map(str::to_owned).collect());
        Self {
            words: words.to_vec(),
            place,
        }
    }

    /// Runs each, and wants this exit code and these words.
    async fn all_end(&self, code: i32, told: &str, environment: &[(&str, &str)]) {
        let keys = self.place.path().join("keys");
        let mut all = vec![
            ("COUNTERSIGN_KEYS_FILE", keys.to_str().unwrap()),
            ("COUNTERSIGN_AUDIT_OUTPUT", "/dev/null"),
        ];
        all.extend(environment);
        for words in &self.words {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let Run {
                code: found,
                stderr,
                ..
            } = countersign(&words, &all, "").await;
            assert_eq!(found, code, "{words:?}: {stderr}");
            assert!(stderr.contains(told), "{words:?}: {told} in {stderr}");
        }
    }
}

#[tokio::test]
async fn who_is_refused_exits_with_77_from_every_command() {
    let at = Deployment::start_with(0, &[]).await;
    let commands = Commands::new();
    let url = at.serving_url();
    let wrong = url.replace("only-for-this-test", "another");
    assert_ne!(url, wrong);
    let wrong = [("COUNTERSIGN_DATABASE_URL", wrong.as_str())];
    commands.all_end(77, "SQLSTATE 28P01", &wrong).await;

    let role = &at.database.serving_role;
    let nobody = format!("{role}_nobody");
    let made = format!("CREATE ROLE {nobody} LOGIN PASSWORD 'only-for-this-test'");
    at.sql.batch_execute(&made).await.unwrap();
    let without = url.replacen(role, &nobody, 1);
    assert!(without.contains(&nobody));
    let without = [("COUNTERSIGN_DATABASE_URL", without.as_str())];
    commands.all_end(77, "SQLSTATE 42501", &without).await;
}

#[tokio::test]
async fn a_file_for_the_database_that_is_of_no_use_exits_with_64_from_every_command() {
    let at = Deployment::start_with(0, &[]).await;
    let commands = Commands::new();
    let url = at.serving_url();
    let url = ("COUNTERSIGN_DATABASE_URL", url.as_str());
    let file = commands.place.path().join("of-no-use");
    fs::write(&file, "").unwrap();
    for name in [
        "COUNTERSIGN_DATABASE_PASSWORD_FILE",
        "COUNTERSIGN_DATABASE_CA_FILE",
    ] {
        let file = (name, file.to_str().unwrap());
        commands.all_end(64, "of-no-use", &[url, file]).await;
    }
}

#[tokio::test]
async fn a_refusal_of_the_database_is_told_without_the_row_that_it_quotes() {
    let at = Deployment::start_with(0, &[]).await;
    let refuse = "
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'not this row' USING ERRCODE = 'check_violation',
                DETAIL = 'Failing row contains (a-foreign-token).', HINT = 'a-foreign-token',
                TABLE = 'authority', SCHEMA = 'countersign', CONSTRAINT = 'theirs';
        END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON countersign.authority
            FOR EACH ROW EXECUTE FUNCTION refuse()";
    at.sql.batch_execute(refuse).await.unwrap();
    let url = at.database.url();
    let environment = [("COUNTERSIGN_DATABASE_URL", url.as_str())];
    let run = countersign(&["fence", "--yes"], &environment, "").await;
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(!run.stderr.contains("a-foreign-token"), "{}", run.stderr);
    let told =
        "ERROR: not this row (SQLSTATE 23514, table countersign.authority, constraint theirs)";
    assert!(run.stderr.contains(told), "{}", run.stderr);
}
