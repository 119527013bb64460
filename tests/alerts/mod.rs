//! The alerts: each fires when it should and is silent when it should be, knows its metrics,
//! and has its page.

mod cases;

use cases::{CASES, Case};
use countersign::domain::instruments::{Instrument, InstrumentKind, TABLE};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const RULES: &str = "helm/countersign/files/alerts.yaml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rules() -> String {
    fs::read_to_string(root().join(RULES)).unwrap()
}

/// Runs promtool, which tests/run provides.
pub fn promtool(words: &[&str]) -> String {
    let Some(promtool) = std::env::var_os("COUNTERSIGN_TEST_PROMTOOL") else {
        panic!("no promtool: run tests/run, which provides it");
    };
    let run = Command::new(promtool).args(words).output().unwrap();
    let told = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
    assert!(run.status.success(), "{words:?}: {told}");
    told
}

/// The names of the alerts, in their order.
fn alerts() -> Vec<String> {
    let names = rules();
    let names = names
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn each_alert_fires_when_it_should_and_is_silent_when_all_is_well() {
    let mut tested: Vec<_> = CASES.iter().map(|case| case.0).collect();
    tested.dedup();
    assert_eq!(tested, alerts(), "every alert, and no other");
    let rules = root().join(RULES).display().to_string();
    promtool(&["check", "rules", &rules]);
    let mut tests = format!("rule_files: [{rules:?}]\nevaluation_interval: 1m\ntests:\n");
    for Case(alert, at, series) in CASES {
        for fires in [true, false] {
            writeln!(tests, "- interval: 1m\n  input_series:").unwrap();
            for (name, firing, well) in *series {
                let values = if fires { firing } else { well };
                writeln!(tests, "  - {{series: '{name}', values: '{values}'}}").unwrap();
            }
            let samples = if fires {
                "[{labels: '{}', value: 1}]"
            } else {
                "[]"
            };
            writeln!(
                tests,
                "  promql_expr_test:\n  - expr: group(ALERTS{{alertname='{alert}', \
                 alertstate='firing'}})\n    eval_time: {at}\n    exp_samples: {samples}"
            )
            .unwrap();
        }
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("tests.yaml");
    fs::write(&file, tests).unwrap();
    promtool(&["test", "rules", file.to_str().unwrap()]);
}

/// The names of a table row on the page of metrics, with those that a histogram has.
pub fn series(row: &Instrument) -> Vec<String> {
    let name = row.prometheus();
    if row.kind == InstrumentKind::Histogram {
        ["_bucket", "_sum", "_count"]
            .iter()
            .map(|suffix| format!("{name}{suffix}"))
            .collect()
    } else {
        vec![name]
    }
}

/// The words of a text that begin as our metrics do.
pub fn metrics(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("countersign_"))
        .collect()
}

#[test]
fn rules_and_pages_name_only_metrics_that_exist() {
    let known: BTreeSet<_> = TABLE.iter().flat_map(series).collect();
    let text = rules();
    let named = metrics(&text);
    assert!(named.len() > 15, "{named:?}");
    for metric in named {
        assert!(known.contains(metric), "{metric}");
    }
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for metric in metrics(&text) {
            let metric = metric.trim_end_matches('_');
            // The role that serves, and what histograms are called as a whole.
            let whole = known.iter().any(|name| name.starts_with(metric));
            assert!(
                whole || metric == "countersign_server",
                "{}: {metric}",
                page.display()
            );
        }
    }
}

/// The pages of alerts.
fn pages() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("docs/alerts")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| !path.ends_with("index.md")).collect()
}

#[test]
fn each_alert_has_a_page_with_its_expression_and_each_page_an_alert() {
    let pages: BTreeSet<_> = pages()
        .iter()
        .map(|page| page.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let alerts = alerts();
    assert_eq!(pages, alerts.iter().cloned().collect());
    let rules = rules();
    let index = fs::read_to_string(root().join("docs/alerts/index.md")).unwrap();
    for (alert, rule) in alerts.iter().zip(rules.split("- alert: ").skip(1)) {
        let runbook = format!("runbook: docs/alerts/{alert}.md");
        assert!(rule.contains(&runbook), "{alert}");
        let expression = rule.split_once("expr: ").unwrap().1;
        let expression = expression.split_once("for: ").unwrap().0.trim();
        let expression = expression.trim_start_matches(">-").trim();
        let page = fs::read_to_string(root().join(format!("docs/alerts/{alert}.md"))).unwrap();
        assert!(
            page.contains(&format!("```text\n{expression}\n```")),
            "{alert}: {expression}"
        );
        let severity = rule
            .split_once("severity: ")
            .unwrap()
            .1
            .lines()
            .next()
            .unwrap();
        let summary = rule
            .split_once("summary: ")
            .unwrap()
            .1
            .lines()
            .next()
            .unwrap();
        let row = format!("| [{alert}]({alert}.md) | {severity} | {summary} |");
        assert!(index.contains(&row), "{row}");
        assert!(
            page.contains(&format!("{summary} Severity: {severity}.")),
            "{alert}"
        );
    }
}
