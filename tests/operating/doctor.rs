//! The doctor finds what is wrong, and says what to do.

use crate::{
    cli::binary::{Run, countersign},
    support::{
        certificates::{Authority, dns},
        process::write_keys,
        server::{Deployment, first_key},
    },
};
use countersign::{
    cli::postgres::{Cluster, ClusterOptions, home_for},
    domain::{clock, keys::new_key_line},
    proto::v1::Role,
    store::migrate::{MigrateOptions, migrate, set_password},
};
use std::{fs, path::Path};
use tempfile::TempDir;

/// What a doctor is asked to look at.
struct Patient {
    place: TempDir,
    variables: Vec<(String, String)>,
}

impl Patient {
    fn new(url: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        write_keys(&place.path().join("keys"), &first_key());
        let keys = place.path().join("keys").display().to_string();
        let mut patient = Self {
            place,
            variables: Vec::new(),
        };
        patient.set("KEYS_FILE", &keys);
        patient.set("DATABASE_URL", url);
        patient.set("METRICS_LISTEN", "127.0.0.1:0");
        patient
    }

    fn set(&mut self, name: &str, value: &str) -> &mut Self {
        let name = format!("COUNTERSIGN_{name}");
        self.variables.retain(|(known, _)| *known != name);
        self.variables.push((name, value.to_owned()));
        self
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.place.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    async fn run(&self, words: &[&str]) -> Run {
        let variables = self.variables.iter();
        let variables: Vec<_> = variables.map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let run = countersign(&[&["doctor"], words].concat(), &variables, "").await;
        for secret in [
            "only-for-this-test",
            first_key().split_whitespace().last().unwrap(),
        ] {
            assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret));
        }
        run
    }

    /// What it finds of these: state, and the words of finding and remedy.
    async fn look(&self, what: &str) -> (String, String) {
        let run = self.run(&["--json"]).await;
        let told = run.json();
        let findings = told["findings"].as_array().unwrap();
        let troubled = findings.iter().any(|one| one["state"] == "trouble");
        assert_eq!(run.code, i32::from(troubled), "{told}");
        let mut about = findings.iter().filter(|one| one["what"] == what);
        let worst = about
            .clone()
            .find(|one| one["state"] == "trouble")
            .or_else(|| about.next());
        let found = worst.unwrap_or_else(|| panic!("nothing about {what}: {told}"));
        let state = found["state"].as_str().unwrap().to_owned();
        let remedy = found["remedy"].as_str().unwrap_or_default();
        assert_eq!(state == "ok", remedy.is_empty(), "what to do: {found}");
        (
            state,
            format!("{} {remedy}", found["found"].as_str().unwrap()),
        )
    }

    async fn finds(&self, what: &str, state: &str, words: &str) {
        let (found, text) = self.look(what).await;
        assert_eq!(found, state, "{what}: {text}");
        assert!(text.contains(words), "{what}: {text}");
    }
}

#[tokio::test]
async fn a_database_is_followed_from_nothing_to_health() {
    let binaries = crate::postgres::binaries().await;
    let home = tempfile::tempdir().unwrap();
    let options = ClusterOptions::new(home_for(&home.path().join("pg")).unwrap());
    let mut cluster = Cluster::start(&binaries, options).await.unwrap();
    let (role, password) = ("doctor_test_server", "only-for-this-test");
    let mut patient = Patient::new(&cluster.superuser_url());

    patient
        .finds("database", "trouble", "run `countersign migrate`")
        .await;
    patient.finds("rights", "advice", "superuser").await;
    let options = MigrateOptions {
        serving_role: role.into(),
        ..MigrateOptions::default()
    };
    let owner: tokio_postgres::Config = cluster.superuser_url().parse().unwrap();
    migrate(&owner, &options, |_| {}).await.unwrap();
    set_password(&owner, role, password).await.unwrap();
    patient.set("DATABASE_URL", &cluster.url_for(role, password, "postgres"));

    let run = patient.run(&[]).await;
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    for line in [
        "ok      database: a server is ready with it\n",
        "ok      rights: doctor_test_server has those of serving, and no more\n",
        "ok      plans: made once a connection\n",
        "ok      connection: in the clear, on this machine\n",
        "advice  durability: synchronous_commit is on, and no standby is waited for\n        → ",
    ] {
        assert!(run.stdout.contains(line), "{line}{}", run.stdout);
    }
    patient.finds("clocks", "ok", "give or take").await;
    patient.finds("servers", "ok", "0 run").await;

    // A server's probe is one more than its connections.
    let connections = |each: &str| format!("may open {each}, their probes included");
    patient.set("DATABASE_CONNECTIONS", "96");
    patient.finds("connections", "ok", &connections("97")).await;
    patient.set("DATABASE_CONNECTIONS", "97");
    patient
        .finds("connections", "trouble", &connections("98"))
        .await;
    patient.set("DATABASE_CONNECTIONS", "200");
    patient
        .finds("connections", "trouble", "max_connections")
        .await;
    patient.set(
        "DATABASE_URL",
        &cluster.url_for(role, "another", "postgres"),
    );
    patient
        .finds("database", "trouble", "database.password_file")
        .await;
    cluster.stop_immediately().await.unwrap();
    patient
        .finds("database", "trouble", "cannot be reached")
        .await;
    patient
        .finds("connection", "trouble", "see that it runs")
        .await;
}

#[tokio::test]
async fn what_is_wrong_in_the_database_is_named_with_its_cure() {
    let at = Deployment::start().await;
    let mut patient = Patient::new(&at.serving_url());
    let role = at.database.serving_role.clone();
    // The tests' PostgreSQL runs so, and it is what a doctor must never let pass.
    patient
        .finds("durability", "trouble", "turn fsync on")
        .await;
    patient.finds("servers", "ok", "1 run").await;

    let everybody = "GRANT UPDATE ON countersign.event TO PUBLIC";
    at.sql.batch_execute(everybody).await.unwrap();
    let cure = "REVOKE UPDATE ON TABLE countersign.event FROM PUBLIC";
    patient.finds("rights", "advice", cure).await;
    at.sql.batch_execute(cure).await.unwrap();
    patient.finds("rights", "ok", "and no more").await;

    // What it could not look at is no good news.
    let blind = format!("REVOKE SELECT ON countersign.replica FROM {role}");
    at.sql.batch_execute(&blind).await.unwrap();
    patient.finds("keys", "trouble", "SQLSTATE 42501").await;
    let sees = format!("GRANT SELECT ON countersign.replica TO {role}");
    at.sql.batch_execute(&sees).await.unwrap();

    let less = format!("REVOKE DELETE ON countersign.session_grant FROM {role}");
    at.sql.batch_execute(&less).await.unwrap();
    patient
        .finds(
            "rights",
            "trouble",
            "DELETE ON TABLE countersign.session_grant TO",
        )
        .await;
    let more = format!(
        "GRANT DELETE ON countersign.session_grant, countersign.event TO {role};
         ALTER ROLE {role} IN DATABASE {} SET plan_cache_mode = auto",
        at.database.name
    );
    at.sql.batch_execute(&more).await.unwrap();
    patient
        .finds("rights", "trouble", "countersign.event")
        .await;
    patient
        .finds(
            "plans",
            "advice",
            &format!("let {role} have force_generic_plan"),
        )
        .await;

    // A file of keys that knows nothing of what lives.
    let issuer = at.client(&[Role::Issuer]).await;
    issuer.open(&at.user().await).await;
    write_keys(
        &patient.place.path().join("keys"),
        &new_key_line(&clock::random()),
    );
    patient
        .finds("keys", "trouble", "is dead without it: 1 sessions")
        .await;

    let column =
        "ALTER TABLE auth.refresh_session ADD CONSTRAINT shoe_size CHECK (jti IS NOT NULL)";
    at.sql.batch_execute(column).await.unwrap();
    patient.finds("database", "trouble", "shoe_size").await;
    patient.set("DATABASE_CA_FILE", "/nowhere/ca.pem");
    patient
        .finds("database", "trouble", "database.ca_file")
        .await;
}

#[tokio::test]
async fn what_is_wrong_on_this_machine_is_named_with_its_cure() {
    // Nobody is there; that is told as well.
    let mut patient = Patient::new("postgres://nobody@127.0.0.1:1/nothing");
    patient.finds("keys.file", "ok", "1 keys").await;
    patient
        .finds("database", "trouble", "cannot be reached")
        .await;
    let authority = Authority::new("spiffe://example.org");
    let pair = authority.sign(&[dns("localhost")]);
    let old = authority.sign_with(&[dns("localhost")], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let certificate = patient.file("crt", &pair.certificate);
    let key = patient.file("key", &pair.key);
    patient
        .set("TLS_CERTIFICATE_FILE", &certificate)
        .set("TLS_KEY_FILE", &key);
    patient.finds("tls", "ok", "is good for").await;
    patient.file("key", &old.key);
    patient
        .finds("tls", "trouble", "the certificate and its key")
        .await;
    patient.file("crt", &old.certificate);
    patient.finds("tls", "trouble", "has expired").await;
    let gone = format!("unix://{}", patient.place.path().join("none").display());
    patient
        .variables
        .retain(|(name, _)| !name.starts_with("COUNTERSIGN_TLS"));
    patient.set("TLS_WORKLOAD_API", &gone);
    patient.finds("tls", "trouble", "Workload API").await;
    patient
        .variables
        .retain(|(name, _)| !name.starts_with("COUNTERSIGN_TLS"));
    patient.set("LISTEN", "0.0.0.0:7300");
    patient
        .finds("tls", "advice", "in the clear to 0.0.0.0:7300")
        .await;

    patient.set("AUDIT_OUTPUT", "/nowhere/audit");
    patient
        .finds("audit.output", "trouble", "/nowhere: no such directory")
        .await;
    let audit = patient.file("audit", "");
    patient.set("AUDIT_OUTPUT", &audit);
    patient.finds("audit.output", "ok", "audit").await;
    assert_eq!(
        fs::read(Path::new(&audit)).unwrap(),
        b"",
        "nothing is written"
    );
    patient.set("TELEMETRY_ENDPOINT", "http://127.0.0.1:1");
    patient
        .finds("telemetry.endpoint", "advice", "127.0.0.1")
        .await;
    patient
        .variables
        .retain(|(name, _)| !name.ends_with("METRICS_LISTEN") && !name.contains("TELEMETRY"));
    patient.finds("watching", "advice", "metrics.listen").await;

    let dated = countersign::domain::keys::dated_key_line(
        &[7; 36],
        clock::now() - chrono::TimeDelta::days(400),
    );
    write_keys(&patient.place.path().join("keys"), &dated);
    patient.finds("keys.file", "advice", "400 days old").await;
    fs::remove_file(patient.place.path().join("keys")).unwrap();
    patient
        .finds("keys.file", "trouble", "cannot be read")
        .await;

    patient.set("ROTATION_GRACE", "5m");
    let run = patient.run(&[]).await;
    assert_eq!(run.code, 64, "{}", run.stderr);
    assert!(run.stderr.contains("rotation.grace"), "{}", run.stderr);
}
