//! Tests of what is written from the table: files, flags, and its own order.

use std::{fs, path::Path};

use clap::Command;

use super::{KEYS, URL, load};
use crate::config::{
    setting::{Kind, Need, Setting},
    table::SETTINGS,
    *,
};

#[test]
fn what_is_printed_loads_again_as_it_was() {
    let flags = [
        "--listen=[::1]:1",
        "--issuer=a \"b\" \\ ü",
        "--calls-max-message-bytes=65537",
        "--rotation-grace=0",
        "--rotation-deadline=1500ms",
        "--database-allow-asynchronous-commit",
        "--log-format=json",
        "--audit-output=/var/log/audit",
    ];
    let config = load(None, &[URL, KEYS], &flags).expect("it loads");
    assert!(config.database.allow_asynchronous_commit);
    assert_eq!(
        config.audit.output,
        AuditOutput::File("/var/log/audit".into())
    );
    let again = load(Some(&config.print()), &[URL], &[]).expect("it loads again");
    assert_eq!(format!("{again:?}"), format!("{config:?}"));
    assert_eq!(again.print(), config.print());
}

#[test]
fn each_key_has_a_section_at_most_and_names_of_its_own() {
    let mut names = Vec::new();
    for setting in SETTINGS {
        assert!(setting.key.matches('.').count() <= 1, "{}", setting.key);
        assert!(setting.documentation().ends_with('.'), "{}", setting.key);
        names.push(setting.variable());
        names.extend(setting.flag());
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// Compares a generated file with what stands in the repository.
fn assert_generated(path: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("COUNTERSIGN_TEST_BLESS").is_some() {
        fs::write(&path, generated).expect("the file is written");
    }
    let standing = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        standing == generated,
        "{} is stale: run with COUNTERSIGN_TEST_BLESS=1",
        path.display()
    );
}

#[test]
fn the_handbook_page_is_the_table() {
    assert_generated("docs/configuration.md", &handbook());
}

#[test]
fn the_example_file_is_the_table_and_loads() {
    let example = example();
    assert_generated("countersign.example.toml", &example);

    let config = load(Some(&example), &[], &[]).expect("the example loads");
    let defaults = load(
        None,
        &[("COUNTERSIGN_DATABASE_URL", config.database.url.expose())],
        &["--keys-file=/etc/countersign/keys"],
    )
    .expect("the defaults load");
    assert_eq!(config.print(), defaults.print());

    // Every commented setting loads too, and is the default.
    let optional = |setting: &&Setting| matches!(setting.need, Need::Optional(_));
    let mut all = example.clone();
    for setting in SETTINGS.iter().filter(|setting| !optional(setting)) {
        let (commented, line) = (
            format!("\n#{} = ", setting.name()),
            format!("\n{} = ", setting.name()),
        );
        // The same name may stand in several sections.
        let heading = setting.section().map(|section| format!("\n[{section}]\n"));
        let from = heading.map_or(0, |heading| all.find(&heading).expect(setting.key));
        let to = all[from + 1..]
            .find("\n[")
            .map_or(all.len(), |end| from + 1 + end);
        let own = &all[from..to];
        assert!(
            own.contains(&commented) || own.contains(&line),
            "{}",
            setting.key
        );
        all.replace_range(from..to, &own.replace(&commented, &line));
    }
    assert_eq!(
        load(Some(&all), &[], &[]).expect("all of it loads").print(),
        config.print()
    );
}

#[test]
fn the_clients_limits_are_the_bounds_of_the_table() {
    let limits = limits();
    let durations = [
        ("tokens.access_token_ttl", limits.access_token_ttl),
        ("sessions.ttl", limits.session_ttl),
        ("sessions.idle_timeout", limits.idle_timeout),
        ("rotation.grace", limits.rotation_grace),
    ];
    for (key, range) in durations {
        let setting = SETTINGS.iter().find(|setting| setting.key == key);
        assert!(
            matches!(setting, Some(Setting { kind: Kind::Duration(bounds), .. }) if *bounds == range),
            "{key}"
        );
    }
    assert_eq!(limits.sessions_per_user, 1..=10_000);
}

#[test]
fn the_flags_stand_under_their_heading_with_their_defaults() {
    let help = add_flags(Command::new("serve"))
        .render_long_help()
        .to_string();
    assert!(help.contains("Configuration:"), "{help}");
    assert!(help.contains("--rotation-grace <DURATION>"), "{help}");
    assert!(help.contains("[default: 30s]"), "{help}");
    assert!(!help.contains("--database-url "), "{help}");
}
