//! The dashboard and the rules, as the chart gives them to Grafana and Prometheus.

use super::{only, rendered, root, text};
use crate::alerts::promtool;
use countersign::domain::instruments::TABLE;
use serde_json::{Value, json};
use std::fs;

fn dashboard() -> Value {
    let objects = rendered("production", &[]);
    let maps = super::kind(&objects, "ConfigMap");
    let map = maps
        .into_iter()
        .find(|it| it["metadata"]["labels"]["grafana_dashboard"] == "1");
    let json = &map.expect("the dashboard")["data"]["countersign.json"];
    serde_json::from_str(text(json)).expect("JSON")
}

/// Every query: of panels, annotations and variables.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(query) if key == "expr" => found.push(query.to_owned()),
                    _ => queries(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| queries(value, found)),
        _ => (),
    }
}

#[test]
fn every_query_of_the_dashboard_is_parsed_and_asks_for_what_there_is() {
    let mut found = Vec::new();
    let dashboard = dashboard();
    queries(&dashboard, &mut found);
    assert!(found.len() > 30, "{}", found.len());
    let rules: Vec<_> = found
        .iter()
        .map(|query| {
            let query = query
                .replace("$__rate_interval", "5m")
                .replace("$job", ".*");
            json!({"record": "a:b", "expr": query, "labels": {"n": query}})
        })
        .collect();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("rules.yaml");
    let groups = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    fs::write(&file, groups.to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()]);

    let known: Vec<_> = TABLE.iter().flat_map(crate::alerts::series).collect();
    for query in &found {
        for metric in crate::alerts::metrics(query) {
            assert!(
                known.iter().any(|name| name == metric),
                "{metric} in {query}"
            );
        }
    }
    // What an operator needs stands there: every instrument but the build's parts.
    let all = found.concat() + &dashboard.to_string();
    for row in TABLE {
        let name = row.prometheus();
        assert!(
            all.contains(&name) || name == "countersign_key_dependents",
            "{name}"
        );
    }
}

#[test]
fn panels_do_not_lie_on_each_other() {
    let dashboard = dashboard();
    let mut taken = std::collections::BTreeSet::new();
    let mut ids = std::collections::BTreeSet::new();
    for panel in super::list(&dashboard, "/panels") {
        assert!(ids.insert(panel["id"].as_u64()), "{}", panel["title"]);
        let side = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(side("x") + side("w") <= 24, "{}", panel["title"]);
        for x in side("x")..side("x") + side("w") {
            for y in side("y")..side("y") + side("h") {
                assert!(taken.insert((x, y)), "{}", panel["title"]);
            }
        }
    }
}

#[test]
fn the_rules_of_the_chart_are_those_of_the_handbook() {
    let objects = rendered("production", &[]);
    let rule = only(&objects, "PrometheusRule", "metrics");
    let spec = &rule["spec"];
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("rules.yaml");
    fs::write(&file, spec.to_string()).unwrap();
    promtool(&["check", "rules", file.to_str().unwrap()]);

    let source = fs::read_to_string(root().join("helm/countersign/files/alerts.yaml")).unwrap();
    let mut source = super::yaml(&source).remove(0);
    let rules = source["groups"][0]["rules"].as_array_mut().unwrap();
    assert_eq!(rules.len(), super::list(spec, "/groups/0/rules").len());
    for (source, chart) in rules.iter().zip(super::list(spec, "/groups/0/rules")) {
        for key in ["alert", "expr", "for", "labels"] {
            assert_eq!(source[key], chart[key], "{chart}");
        }
        let page = text(&chart["annotations"]["runbook_url"]).to_owned();
        let (_, page) = page
            .split_once("/blob/main/")
            .expect("a page of the handbook");
        assert!(root().join(page).exists(), "{page}");
    }
}

#[test]
fn an_alert_that_is_switched_off_is_not_there_and_one_of_the_users_is() {
    let objects = rendered("everything", &[]);
    let rule = only(&objects, "PrometheusRule", "metrics").to_string();
    assert!(!rule.contains("CountersignKeyOld") && rule.contains("CountersignKeyUnknown"));
    assert!(
        rule.contains("\"alert\":\"Ours\"") && rule.contains("https://handbook.example.org/docs/")
    );
}
