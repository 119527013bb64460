//! The alerts: each fires when it should and is silent when it should be, knows its metrics,
//! and has its page.

use countersign::domain::instruments::{Instrument, InstrumentKind, TABLE};
use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const RULES: &str = "helm/countersign/files/alerts.yaml";

/// An alert, what it is looked at after how long, and series in the notation of promtool:
/// name, values while it fires, values while all is well.
struct Case(
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str, &'static str)],
);

const CASES: &[Case] = &[
    Case(
        "CountersignAbsent",
        "10m",
        &[("countersign_build{version=\"1\"}", "_x20", "1x20")],
    ),
    Case(
        "CountersignNobodyReady",
        "10m",
        &[
            ("countersign_ready{instance=\"a\"}", "0x20", "0x20"),
            ("countersign_ready{instance=\"b\"}", "0x20", "1x20"),
        ],
    ),
    Case(
        "CountersignNotReady",
        "10m",
        &[("countersign_ready{instance=\"a\"}", "0x20", "0x3 1x20")],
    ),
    Case(
        "CountersignDatabaseAway",
        "5m",
        &[("countersign_breaker_open", "1x20", "0x2 1 0x20")],
    ),
    Case(
        "CountersignCallsFail",
        "20m",
        &[
            (
                "countersign_calls_total{code=\"OK\"}",
                "0+600x30",
                "0+600x30",
            ),
            (
                "countersign_calls_total{code=\"UNAVAILABLE\"}",
                "0+60x30",
                "0+1x30",
            ),
            (
                "countersign_calls_total{code=\"UNAUTHENTICATED\"}",
                "0x30",
                "0+600x30",
            ),
        ],
    ),
    Case(
        "CountersignSlow",
        "30m",
        &[
            (
                "countersign_call_duration_seconds_bucket{method=\"/I\",le=\"0.1\"}",
                "0+50x40",
                "0+100x40",
            ),
            (
                "countersign_call_duration_seconds_bucket{method=\"/I\",le=\"1\"}",
                "0+100x40",
                "0+100x40",
            ),
            (
                "countersign_call_duration_seconds_bucket{method=\"/I\",le=\"+Inf\"}",
                "0+100x40",
                "0+100x40",
            ),
            (
                "countersign_call_duration_seconds_bucket{method=\"/ListSessions\",le=\"1\"}",
                "0x40",
                "0x40",
            ),
            (
                "countersign_call_duration_seconds_bucket{method=\"/ListSessions\",le=\"+Inf\"}",
                "0x40",
                "0+9x40",
            ),
        ],
    ),
    Case(
        "CountersignSheds",
        "20m",
        &[(
            "countersign_batch_shed_total{kind=\"open\",cause=\"wait\"}",
            "0+5x30",
            "5x30",
        )],
    ),
    Case(
        "CountersignPoolExhausted",
        "20m",
        &[("countersign_pool_timeouts_total", "0+1x30", "7x30")],
    ),
    Case(
        "CountersignPurgeLags",
        "60m",
        &[(
            "countersign_purge_lag_seconds{kind=\"family\"}",
            "8000x90",
            "600x90",
        )],
    ),
    Case(
        "CountersignPurgeFails",
        "60m",
        &[("countersign_purge_failures_total", "0+1x90", "0x20 1x90")],
    ),
    Case(
        "CountersignTokensReused",
        "20m",
        &[(
            "countersign_rotations_total{outcome=\"reused\"}",
            "0+2x30",
            "0x10 5x20",
        )],
    ),
    Case(
        "CountersignTokensUnknown",
        "20m",
        &[
            (
                "countersign_rotations_total{outcome=\"unknown\"}",
                "0x15 1x30",
                "0x30",
            ),
            (
                "countersign_rotations_total{outcome=\"rotated\"}",
                "0+5x30",
                "0+5x30",
            ),
        ],
    ),
    Case(
        "CountersignTokensForged",
        "20m",
        &[
            (
                "countersign_tokens_malformed_total{cause=\"mac\"}",
                "0+90x30",
                "0+30x30",
            ),
            (
                "countersign_tokens_malformed_total{cause=\"form\"}",
                "0x30",
                "0+900x30",
            ),
        ],
    ),
    Case(
        "CountersignKeyUnknown",
        "20m",
        &[(
            "countersign_tokens_malformed_total{cause=\"unknown_key\"}",
            "0+60x30",
            "0+1x30",
        )],
    ),
    Case(
        "CountersignKeysDiffer",
        "60m",
        &[
            ("countersign_keys{instance=\"a\"}", "2x90", "2x90"),
            ("countersign_keys{instance=\"b\"}", "1x90", "1x10 2x90"),
        ],
    ),
    Case(
        "CountersignKeyOld",
        "2h",
        &[
            (
                "countersign_key_age_seconds{key=\"minting\"}",
                "34600000x200",
                "34000000x200",
            ),
            (
                "countersign_key_age_seconds{key=\"oldest\"}",
                "34600000x200",
                "34600000x200",
            ),
        ],
    ),
    Case(
        "CountersignCertificateEnds",
        "5m",
        &[("countersign_certificate_left_seconds", "500x20", "1800x20")],
    ),
    Case(
        "CountersignCertificateEndsSoon",
        "8h",
        &[(
            "countersign_certificate_left_seconds",
            "700000 200000x600",
            // A SPIFFE identity, of an hour.
            "3600x600",
        )],
    ),
    Case(
        "CountersignReloadFails",
        "20m",
        &[(
            "countersign_reloads_total{what=\"keys\",outcome=\"failed\"}",
            "0x11 3x30",
            "3x30",
        )],
    ),
    Case(
        "CountersignAuditDropped",
        "20m",
        &[("countersign_audit_dropped_total", "0x15 2x30", "2x30")],
    ),
    Case(
        "CountersignIdsRunOut",
        "30m",
        &[
            (
                "countersign_ids_left{table=\"auth.user\"}",
                "2000000000x60",
                "2000000000x60",
            ),
            (
                "countersign_ids_left{table=\"auth.refresh_session\"}",
                "900x60",
                "20000000x60",
            ),
        ],
    ),
    Case(
        "CountersignVersionsDiffer",
        "2h",
        &[
            ("countersign_build{version=\"1\"}", "1x200", "1x200"),
            ("countersign_build{version=\"2\"}", "1x200", "1x20 stale"),
        ],
    ),
    Case(
        "CountersignForwardedIgnored",
        "40m",
        &[(
            "countersign_forwarded_ignored_total{cause=\"untrusted\"}",
            "0+1x60",
            "9x60",
        )],
    ),
    Case(
        "CountersignTelemetryDropped",
        "60m",
        &[(
            "countersign_telemetry_dropped_total{signal=\"spans\",cause=\"export\"}",
            "0+1x90",
            "9x90",
        )],
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rules() -> String {
    fs::read_to_string(root().join(RULES)).unwrap()
}

/// Runs promtool, which tests/run provides.
fn promtool(words: &[&str]) -> String {
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
    let tested: Vec<_> = CASES.iter().map(|case| case.0).collect();
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
fn series(row: &Instrument) -> Vec<String> {
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
fn metrics(text: &str) -> BTreeSet<&str> {
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
