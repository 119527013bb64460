//! Tests of the configuration as a whole, through its public face.

use std::{fs, path::Path, time::Duration};

use clap::Command;

use super::{table::SETTINGS, *};

mod chart;
mod texts;

const URL: (&str, &str) = ("COUNTERSIGN_DATABASE_URL", "postgres://u:hunter2@db/c");
const KEYS: (&str, &str) = ("COUNTERSIGN_KEYS_FILE", "keys");

fn load(
    file: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[&str],
) -> Result<Config, ConfigError> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("c.toml");
    if let Some(text) = file {
        fs::write(&path, text).expect("the file is written");
    }
    let variables = environment
        .iter()
        .map(|(name, value)| ((*name).into(), (*value).into()));
    let matches = add_flags(Command::new("serve"))
        .try_get_matches_from(["serve"].iter().chain(flags))
        .expect("flags that clap knows");
    Config::load(
        file.map(|_| path.as_path()),
        variables,
        read_flags(&matches),
    )
}

/// The lines of a refusal, without the directory of the file.
fn refused(file: Option<&str>, environment: &[(&str, &str)], flags: &[&str]) -> Vec<String> {
    let error = load(file, environment, flags).expect_err("it is refused");
    let text = error.to_string();
    assert!(!text.contains("hunter2"), "{text}");
    text.lines()
        .skip(1)
        .map(|line| match (line.find('('), line.find("c.toml")) {
            (Some(open), Some(file)) if open < file => {
                format!("{}{}", line[..=open].trim_start(), &line[file..])
            }
            _ => line.trim_start().to_owned(),
        })
        .collect()
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let config = load(None, &[URL, KEYS], &[]).expect("it loads");
    assert_eq!(config.listen.to_string(), "127.0.0.1:7300");
    assert_eq!(config.issuer, "countersign");
    assert_eq!(config.database.url.expose(), URL.1);
    assert_eq!(config.database.connections, 8);
    assert!(!config.database.allow_asynchronous_commit);
    assert_eq!(config.tokens.access_token_ttl, Duration::from_mins(10));
    assert_eq!(config.sessions.ttl, Duration::from_hours(30 * 24));
    assert_eq!(config.sessions.per_user, 0);
    assert_eq!(config.rotation.grace, Duration::from_secs(30));
    assert_eq!(config.rotation.deadline, Duration::from_secs(3));
    assert_eq!(config.calls.max_message_bytes, 4 << 20);
    assert_eq!(config.log.level, LogLevel::Info);
    assert_eq!(config.audit.output, AuditOutput::Stderr);
}

#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let file = "[rotation]\ngrace = \"40s\"\ndeadline = \"1s\"\n[batch]\nmax_calls = 0x10\n";
    let environment = [URL, KEYS, ("COUNTERSIGN_ROTATION_GRACE", "50s")];
    let grace = |config: Config| config.rotation.grace.as_secs();

    let from_file = load(Some(file), &[URL, KEYS], &[]).expect("it loads");
    assert_eq!(from_file.rotation.deadline, Duration::from_secs(1));
    assert_eq!(from_file.batch.max_calls, 16);
    assert_eq!(grace(from_file), 40);
    assert_eq!(
        grace(load(Some(file), &environment, &[]).expect("it loads")),
        50
    );
    let flags = ["--rotation-grace", "1m"];
    assert_eq!(
        grace(load(Some(file), &environment, &flags).expect("it loads")),
        60
    );
}

#[test]
fn every_problem_of_every_source_is_told_at_once() {
    let file = "listen = 7300\n[rotatoin]\ngrace = \"30s\"\n[database]\nconnections = 0\n";
    let environment = [
        ("COUNTERSIGN_LOG_LEVEL", "loud"),
        ("COUNTERSIGN_ROTATION_GRAC", "30s"),
        ("OTHER", "ignored"),
    ];
    let flags = ["--calls-max-message-bytes", "1KiB", "--shutdown-drain=-1s"];
    assert_eq!(
        refused(Some(file), &environment, &flags),
        [
            "rotatoin.grace (c.toml line 3): there is no such setting; did you mean \
             rotation.grace?",
            "COUNTERSIGN_ROTATION_GRAC (environment variable COUNTERSIGN_ROTATION_GRAC): there \
             is no such setting; did you mean COUNTERSIGN_ROTATION_GRACE?",
            "database.connections (c.toml line 5): 0 is less than 1; accepted: a whole number \
             from 1 to 200",
            "listen (c.toml line 1): 7300 has the wrong type; accepted: an IP address and a \
             port, such as \"127.0.0.1:7300\"",
            "log.level (environment variable COUNTERSIGN_LOG_LEVEL): \"loud\" is none of the \
             words; accepted: error, warn, info, debug, trace",
            "calls.max_message_bytes (flag --calls-max-message-bytes): \"1KiB\" is less than \
             64KiB; accepted: a number of bytes from 64KiB to 64MiB",
            "shutdown.drain (flag --shutdown-drain): \"-1s\" is not a duration with its unit; \
             accepted: a duration from 0s to 10m",
            "database.url (not set): it is required, or database.url_file instead; set it in \
             the file, or by COUNTERSIGN_DATABASE_URL; accepted: a text, which is never shown",
            "keys.file (not set): it is required; set it in the file, or by \
             COUNTERSIGN_KEYS_FILE or --keys-file; accepted: a path",
        ]
    );
}

#[test]
fn a_bad_value_is_told_even_where_a_better_source_overrides_it() {
    let lines = refused(
        Some("[rotation]\ngrace = \"3x\""),
        &[URL, KEYS],
        &["--rotation-grace=9s"],
    );
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("rotation.grace (c.toml line 2): \"3x\" is not a duration"));
}

#[test]
fn a_secret_never_shows() {
    let config = load(None, &[URL, KEYS], &[]).expect("it loads");
    assert!(!format!("{config:?} {} {}", config.database.url, config.print()).contains("hunter2"));

    // `refused` looks for the secret in each.
    for file in [
        "[database]\nurl = [\"hunter2\"]",
        "[database]\nurl = \"hunter2\nx = 1",
        "[database]\nurl = \"a\"\nurl = \"hunter2\"",
        "[database]\nurl = hunter2",
        "[database]\nulr = \"hunter2\"",
        "[database]\nurl_file = \"postgres://u:hunter2@db/c\"",
        "[database.url]\npassword = \"hunter2\"",
    ] {
        assert!(!refused(Some(file), &[KEYS], &[]).is_empty());
    }
    assert!(!refused(None, &[KEYS, ("COUNTERSIGN_DATABASE_ULR", "hunter2")], &[]).is_empty());
    assert!(!refused(None, &[URL, ("COUNTERSIGN_DATABASE_URL_FILE", "x")], &[]).is_empty());
    assert!(
        SETTINGS
            .iter()
            .all(|setting| setting.is_secret() == setting.flag().is_none())
    );
}

#[test]
fn the_database_url_comes_from_exactly_one_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("url");
    fs::write(&path, "host=db user=c\n").expect("the file is written");
    let path = path.to_str().expect("UTF-8");
    let flags = ["--database-url-file", path];

    let config = load(None, &[KEYS], &flags).expect("it loads");
    assert_eq!(config.database.url.expose(), "host=db user=c");
    let again = load(Some(&config.print()), &[], &[]).expect("the URL is in its file");
    assert_eq!(again.database.url.expose(), "host=db user=c");

    let both = refused(None, &[KEYS, URL], &flags);
    assert_eq!(
        both,
        [
            "database.url (environment variable COUNTERSIGN_DATABASE_URL): database.url_file (flag \
          --database-url-file) is set too; accepted: exactly one of the two"
        ]
    );
    let neither = refused(None, &[KEYS], &[]);
    assert_eq!(
        neither,
        [
            "database.url (not set): it is required, or database.url_file instead; set it in the \
          file, or by COUNTERSIGN_DATABASE_URL; accepted: a text, which is never shown"
        ]
    );
    fs::write(path, " \n").expect("the file is written");
    let empty = refused(None, &[KEYS], &flags);
    assert_eq!(
        empty,
        [
            "database.url_file (flag --database-url-file): the file that it names is empty; \
          accepted: the path of a file that holds database.url"
        ]
    );
}

#[test]
fn a_grace_above_zero_covers_three_deadlines() {
    let ok = |grace| {
        load(
            None,
            &[URL, KEYS, ("COUNTERSIGN_ROTATION_GRACE", grace)],
            &[],
        )
        .is_ok()
    };
    assert!(ok("0s") && ok("9s") && !ok("8999ms") && !ok("1ms"));
    let lines = refused(None, &[URL, KEYS], &["--rotation-deadline", "11s"]);
    assert_eq!(
        lines,
        [
            "rotation.grace (the default): 30s is above zero but less than 3 times \
          rotation.deadline, 11s (flag --rotation-deadline); accepted: 0s, or 33s and more"
        ]
    );
}

#[test]
fn an_idle_timeout_is_within_the_lifetime() {
    assert!(
        load(
            None,
            &[URL, KEYS],
            &["--sessions-ttl=1h", "--sessions-idle-timeout=1h"]
        )
        .is_ok()
    );
    let lines = refused(
        None,
        &[URL, KEYS],
        &["--sessions-ttl=1h", "--sessions-idle-timeout=61m"],
    );
    assert_eq!(
        lines,
        [
            "sessions.idle_timeout (flag --sessions-idle-timeout): 61m is more than sessions.ttl, \
          1h (flag --sessions-ttl); accepted: at most 1h"
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_hides_no_other_problem() {
    let environment = [("COUNTERSIGN_ISSUER".to_owned(), String::new())].into_iter();
    let error = Config::load(Some(Path::new("none.toml")), environment, Flags::default())
        .expect_err("it is refused");
    let keys: Vec<_> = error
        .problems
        .iter()
        .map(|problem| problem.key.as_str())
        .collect();
    assert_eq!(keys, ["the configuration file", "issuer"]);
}

#[test]
fn the_audit_cannot_be_switched_off() {
    assert_eq!(
        refused(None, &[URL, KEYS], &["--audit-output=off"]).len(),
        1
    );
}

#[test]
fn only_sections_and_settings_stand_in_the_file() {
    let file = "rotation = 3\n\"rotation.grace\" = \"1m\"\ngrace = \"1m\"\nx = {}\n[log]\n";
    assert_eq!(
        refused(Some(file), &[URL, KEYS], &[]),
        [
            "grace (c.toml line 3): there is no such setting; did you mean rotation.grace?",
            "rotation (c.toml line 1): is a section, not a setting",
            "rotation.grace (c.toml line 2): there is no such setting; a dotted key takes no \
             quotes",
            "x (c.toml line 4): there is no such setting",
        ]
    );
}

/// The problems of some flags beside what is needed, without their origins.
fn problems(flags: &[&str]) -> Vec<String> {
    let lines = refused(None, &[URL, KEYS], flags);
    let key = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    lines.iter().map(|line| key(line)).collect()
}

#[test]
fn certificates_come_whole_and_from_one_source() {
    let pair = ["--tls-certificate-file=a", "--tls-key-file=b"];
    let required = "--tls-client-certificates=required";
    let with = |more: &[&'static str]| [pair.as_slice(), more].concat();
    for fine in [
        with(&[]),
        with(&["--tls-client-ca-file=c", required]),
        vec!["--tls-workload-api=unix:///a", required],
    ] {
        assert!(load(None, &[URL, KEYS], &fine).is_ok(), "{fine:?}");
    }
    for (flags, keys) in [
        (vec![pair[0]], vec!["tls.certificate_file"]),
        (vec![pair[1]], vec!["tls.key_file"]),
        (with(&[required]), vec!["tls.client_certificates"]),
        (vec![required], vec!["tls.client_certificates"]),
        (vec!["--tls-client-ca-file=c"], vec!["tls.client_ca_file"]),
        (
            vec!["--tls-workload-api=unix:///a", "--tls-trust-domain=a"],
            vec!["tls.trust_domain"],
        ),
        (
            with(&["--tls-workload-api=unix:///a"]),
            vec!["tls.certificate_file", "tls.key_file"],
        ),
        (vec!["--tls-min-version=1.1"], vec!["tls.min_version"]),
    ] {
        assert_eq!(problems(&flags), keys, "{flags:?}");
    }
}

#[test]
fn a_proxy_is_named_or_near() {
    let peers = |peers| {
        let flags = [
            "--tls-certificate-file=a",
            "--tls-key-file=b",
            "--tls-client-ca-file=c",
            "--tls-client-certificates=optional",
            peers,
        ];
        load(None, &[URL, KEYS], &flags).is_ok()
    };
    assert!(peers("--forwarded-peers=spiffe://a/b,dns:c.d"));
    assert!(!peers("--forwarded-peers=gateway"));
    assert!(!peers("--forwarded-peers=spiffe://a"));
    assert_eq!(problems(&["--forwarded-peers=dns:a"]), ["forwarded.peers"]);
    let listen = |at: &str| {
        let flag = format!("--forwarded-listen={at}");
        load(None, &[URL, KEYS], &[&flag]).is_ok()
    };
    assert!(listen("127.0.0.1:0") && listen("[::1]:7301") && listen("unix:/run/x"));
    for bad in [
        "0.0.0.0:7301",
        "10.0.0.1:1",
        "unix:x",
        "/run/x",
        "localhost:1",
    ] {
        assert!(!listen(bad), "{bad}");
    }
}
