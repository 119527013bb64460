//! The values: documented, in the schema, in the README's table, and used, each of them.

use super::{chart, file, matrix, root, template, yaml};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};

const README: &str = "README.md";
const MARKS: [&str; 2] = [
    "<!-- values: COUNTERSIGN_TEST_BLESS=1 -->\n",
    "<!-- end -->\n",
];

fn values() -> Value {
    yaml(&file("values.yaml")).remove(0)
}

/// The values by path: those that are no map, and empty maps.
fn leaves(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            for (key, value) in map {
                let path = format!("{path}.{key}");
                leaves(value, path.trim_start_matches('.'), found);
            }
        }
        None => found.push((path.to_owned(), value.clone())),
    }
}

fn all_leaves() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    leaves(&values(), "", &mut found);
    assert!(found.len() > 180, "{}", found.len());
    found
}

/// The documentation in `values.yaml`, by path, in its order.
fn documented() -> Vec<(String, String)> {
    let text = file("values.yaml");
    let (mut stack, mut doc) = (Vec::<(usize, &str)>::new(), None::<String>);
    let mut rows = Vec::new();
    for line in text.lines() {
        let words = line.trim_start();
        let indent = line.len() - words.len();
        if let Some(begun) = words.strip_prefix("# -- ") {
            doc = Some(begun.to_owned());
        } else if let (Some(more), Some(doc)) = (words.strip_prefix("# "), doc.as_mut()) {
            doc.push(' ');
            doc.push_str(more);
        } else if let Some((key, _)) = words
            .split_once(':')
            .filter(|(key, _)| key.chars().all(|c| c.is_ascii_alphanumeric()))
        {
            stack.retain(|(outer, _)| *outer < indent);
            stack.push((indent, key));
            let path: Vec<_> = stack.iter().map(|(_, key)| *key).collect();
            if let Some(doc) = doc.take() {
                rows.push((path.join("."), doc));
            }
        }
    }
    rows
}

/// What stands at a path.
fn at<'a>(values: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(values, |value, key| value.get(key))
}

#[test]
fn every_value_says_what_it_is() {
    let documented = documented();
    for (path, doc) in &documented {
        assert!(
            at(&values(), path).is_some(),
            "{path} is documented, and not there"
        );
        assert!(doc.ends_with('.'), "{path}: {doc}");
    }
    for (path, _) in all_leaves() {
        let told = documented
            .iter()
            .any(|(known, _)| path == *known || path.starts_with(&format!("{known}.")));
        assert!(told, "{path} has no comment");
    }
}

#[test]
fn the_readmes_table_is_that_of_the_values() {
    let mut table = String::from("| value | default | what it is |\n|---|---|---|\n");
    for (path, doc) in documented() {
        let default = at(&values(), &path)
            .unwrap()
            .to_string()
            .replace('|', "\\|");
        let doc = doc.replace('|', "\\|");
        writeln!(table, "| `{path}` | `{default}` | {doc} |").unwrap();
    }
    let standing = file(README);
    let (before, rest) = standing.split_once(MARKS[0]).expect("the table's mark");
    let (_, after) = rest.split_once(MARKS[1]).expect("the table's end");
    let wanted = [before, MARKS[0], &table, MARKS[1], after].concat();
    if std::env::var_os("COUNTERSIGN_TEST_BLESS").is_some() {
        fs::write(chart().join(README), &wanted).unwrap();
    }
    assert!(
        file(README) == wanted,
        "the chart's README is stale: run with COUNTERSIGN_TEST_BLESS=1"
    );
}

/// Every object of the schema that has properties, by path.
fn objects<'a>(schema: &'a Value, path: &str, found: &mut BTreeMap<String, &'a Value>) {
    if let Some(properties) = schema["properties"].as_object() {
        found.insert(path.to_owned(), schema);
        for (key, schema) in properties {
            let path = format!("{path}.{key}");
            objects(schema, path.trim_start_matches('.'), found);
        }
    }
}

#[test]
fn the_schema_knows_every_value_and_takes_no_other() {
    let schema: Value = serde_json::from_str(&file("values.schema.json")).unwrap();
    let mut found = BTreeMap::new();
    objects(&schema, "", &mut found);
    let values = values();
    for (path, schema) in found {
        assert_eq!(schema["additionalProperties"], false, "{path}");
        let value = if path.is_empty() {
            Some(&values)
        } else {
            at(&values, &path)
        };
        let free = path.starts_with("settings") || path.ends_with("Probe");
        let keys = |value: &Value| -> BTreeSet<String> {
            value
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, _)| key.clone())
                .collect()
        };
        let mut known = keys(&schema["properties"]);
        // Helm's own, for charts above.
        known.remove("global");
        if !free && !path.ends_with("resources") {
            let value = value.unwrap_or_else(|| panic!("{path} is in the schema alone"));
            assert_eq!(known, keys(value), "{path}");
        }
        if let Some(names) = schema["propertyNames"]["enum"].as_array() {
            let names: BTreeSet<_> = names
                .iter()
                .map(|it| it.as_str().unwrap().to_owned())
                .collect();
            known.extend(
                schema["properties"]
                    .get("global")
                    .map(|_| "global".to_owned()),
            );
            assert_eq!(names, known, "{path}");
        }
    }
    for (path, _) in all_leaves() {
        let mut schema = &schema;
        for key in path.split('.') {
            let Some(properties) = schema["properties"].as_object() else {
                break;
            };
            schema = properties
                .get(key)
                .unwrap_or_else(|| panic!("{path} is not in the schema"));
        }
    }
}

/// Another value of the same kind.
fn another(path: &str, value: &Value) -> Value {
    match value {
        Value::Null => json!(7),
        Value::Bool(truth) => json!(!truth),
        Value::Number(number) => json!(number.as_i64().unwrap() + 1),
        Value::Object(_) => json!({"changed": "x"}),
        Value::Array(_) if path == "networkPolicy.database.ports" => json!([7777]),
        Value::Array(_) if path == "metrics.prometheusRule.disabled" => json!(["CountersignSlow"]),
        Value::Array(_) if path == "extraObjects" => json!(["kind: ConfigMap"]),
        Value::Array(_) if path == "tls.certManager.dnsNames" => json!(["changed.example"]),
        Value::Array(_) => json!([{"changed": "x"}]),
        Value::String(_) if path.rsplit('.').next() == Some("url") => {
            json!("postgres://changed:7777/x")
        }
        Value::String(_) => json!("changed"),
    }
}

#[test]
fn every_value_changes_what_is_rendered() {
    let bases: Vec<_> = matrix()
        .into_iter()
        .map(|values| (template(&values, &[]).unwrap(), values))
        .collect();
    for (path, value) in all_leaves() {
        let set = format!("{path}={}", another(&path, &value));
        let used = bases.iter().rev().any(|(base, values)| {
            // Of the wrong kind or not: what counts is whether anything looks at it.
            let more = ["--skip-schema-validation", "--set-json", &set];
            template(values, &more).as_ref() != Ok(base)
        });
        assert!(used, "{path} changes nothing");
    }
}

#[test]
fn every_value_that_a_template_uses_is_declared() {
    let values = values();
    let mut count = 0;
    for entry in ["templates", "templates/tests"] {
        for entry in fs::read_dir(chart().join(entry)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let mut aliases = vec![(".Values".to_owned(), String::new())];
            for (before, after) in text.lines().filter_map(|line| line.split_once(" := ")) {
                let name = before.rsplit(' ').next().unwrap();
                let target = after.trim_end_matches("}}").trim().trim_start_matches("$.");
                if let Some(path) = target.strip_prefix(".Values.") {
                    aliases.push((name.to_owned(), format!("{path}.")));
                }
            }
            for (alias, prefix) in aliases {
                for rest in text.split(&format!("{alias}.")).skip(1) {
                    let used: String = rest
                        .chars()
                        .take_while(|c| c.is_ascii_alphanumeric() || *c == '.')
                        .collect();
                    let used = format!("{prefix}{}", used.trim_end_matches('.'));
                    let settings = used.starts_with("settings.");
                    assert!(
                        settings || at(&values, &used).is_some(),
                        "{}: {used}",
                        path.display()
                    );
                    count += 1;
                }
            }
        }
    }
    assert!(count > 150, "{count}");
}

#[test]
fn the_chart_is_of_this_version_and_schema() {
    let chart = yaml(&file("Chart.yaml")).remove(0);
    assert_eq!(chart["apiVersion"], "v2");
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    let newest = fs::read_dir(root().join("sql/migrations")).unwrap().count();
    let schema = &chart["annotations"]["countersign/schema-version"];
    assert_eq!(schema.as_str().unwrap(), newest.to_string());
}
