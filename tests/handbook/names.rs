//! Settings and metrics that a page names are those of the generated pages.

use super::{BESIDE, code, files, root};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What stands first, between backticks, in the rows of a page's tables.
fn first_cells(page: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("docs").join(page)).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split('`').next().unwrap().to_owned())
        .collect()
}

/// The name of a setting of one of these sections, where a text is one with or without a value.
fn setting<'t>(text: &'t str, sections: &BTreeSet<&str>) -> Option<&'t str> {
    let name = text.split([' ', '=']).next().unwrap_or_default();
    let (section, key) = name.split_once('.')?;
    let plain = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (plain && sections.contains(section)).then_some(name)
}

/// The name of a metric, where a text is one with or without labels.
fn metric(text: &str) -> Option<&str> {
    let name = text.split(['{', ' ', '[']).next().unwrap_or_default();
    let tail = name.strip_prefix("countersign_")?;
    // The roles that serve, of servers and of `dev`, are called so.
    (!tail.is_empty() && !["server", "dev"].contains(&tail)).then_some(name)
}

#[test]
fn every_setting_and_metric_of_the_pages_exists() {
    let settings = first_cells("configuration.md");
    let sections = settings.iter().filter_map(|name| name.split_once('.'));
    let sections: BTreeSet<_> = sections.map(|(section, _)| section).collect();
    let metrics = first_cells("metrics.md");
    assert!(settings.len() > 60 && metrics.len() > 25);
    let histogram = |name: &str| {
        let parts = ["_bucket", "_sum", "_count"];
        let mut stems = parts.iter().filter_map(|part| name.strip_suffix(part));
        stems.any(|stem| metrics.contains(stem))
    };
    let docs = files(&root().join("docs"), "md");
    let docs = docs.iter().map(|page| Path::new("docs").join(page));
    let beside = BESIDE.iter().map(PathBuf::from);
    let (mut unknown, mut seen) = (Vec::new(), 0);
    for page in docs.chain(beside) {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        let (lines, spans) = code(&text);
        // In a block a metric is one word of an expression; a setting is TOML's affair there.
        let words = lines
            .iter()
            .flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
        let words = words.filter(|word| metric(word).is_some());
        for span in spans.into_iter().chain(words) {
            let known = if let Some(name) = setting(span, &sections) {
                settings.contains(name)
            } else if let Some(name) = metric(span) {
                metrics.contains(name) || histogram(name)
            } else {
                continue;
            };
            seen += 1;
            if !known {
                unknown.push(format!("{}: `{span}`", page.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "\n{}", unknown.join("\n"));
    assert!(seen > 150, "{seen} names");
}

#[test]
fn every_metric_that_the_chart_or_an_example_names_exists() {
    let metrics = first_cells("metrics.md");
    let (mut unknown, mut seen) = (Vec::new(), 0);
    for place in ["helm/countersign", "examples"] {
        for file in files(&root().join(place), "yaml") {
            let file = Path::new(place).join(file);
            let text = fs::read_to_string(root().join(&file)).unwrap();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            for name in words
                .filter_map(metric)
                .filter(|name| !name.ends_with("_owner"))
            {
                seen += 1;
                if !metrics.contains(name) && !name.ends_with("_bucket") {
                    unknown.push(format!("{}: `{name}`", file.display()));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "\n{}", unknown.join("\n"));
    assert!(seen > 25, "{seen} names");
}

#[test]
fn a_setting_and_a_metric_are_told_from_other_words() {
    let sections = BTreeSet::from(["keys", "rotation"]);
    for (text, name) in [
        ("rotation.grace", Some("rotation.grace")),
        ("rotation.grace = 0s", Some("rotation.grace")),
        ("rotation.*", None),
        ("countersign.replica", None),
        ("rotation.rs/Grace", None),
    ] {
        assert_eq!(setting(text, &sections), name, "{text}");
    }
    for (text, name) in [
        (
            "countersign_calls_total{code=\"OK\"}",
            Some("countersign_calls_total"),
        ),
        ("countersign_server", None),
        ("countersign_dev", None),
        ("countersign.calls", None),
    ] {
        assert_eq!(metric(text), name, "{text}");
    }
}
