//! The chart takes the settings of the table: its schema is generated from it.

use crate::config::{
    setting::{Kind, Setting},
    table::SETTINGS,
};
use serde_json::{Map, Value, json};
use std::{fs, path::Path};

const SCHEMA: &str = "helm/countersign/values.schema.json";

/// What the chart decides itself: sections, and keys of sections that others set.
const OWNED: [&str; 12] = [
    "listen",
    "health",
    "metrics",
    "keys",
    "tls",
    "shutdown",
    "database.url",
    "database.url_file",
    "database.ca_file",
    "database.certificate_file",
    "database.key_file",
    "database.password_file",
];

fn is_owned(setting: &Setting) -> bool {
    OWNED.contains(&setting.key) || OWNED.contains(&setting.section().unwrap_or(setting.key))
}

/// What a value may be, as JSON Schema says it.
fn schema(setting: &Setting) -> Value {
    let mut schema = match &setting.kind {
        Kind::Socket | Kind::Secret | Kind::Path | Kind::WordsOrPath(_) => {
            json!({"type": "string"})
        }
        Kind::Text(range) => {
            json!({"type": "string", "minLength": range.start(), "maxLength": range.end()})
        }
        Kind::Duration(_) => json!({"type": "string", "pattern": "^([0-9]+ *[a-z]+ *)+$"}),
        Kind::Integer(range) => {
            json!({"type": "integer", "minimum": range.start(), "maximum": range.end()})
        }
        Kind::Bytes(_) => json!({"type": ["integer", "string"]}),
        Kind::Bool => json!({"type": "boolean"}),
        Kind::Ratio => json!({"type": "number", "minimum": 0, "maximum": 1}),
        Kind::Words(words) => json!({"enum": words}),
        Kind::List(range) => json!({
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": range.start(),
            "maxItems": range.end(),
        }),
    };
    let text = format!(
        "{} Accepted: {}.",
        setting.documentation(),
        setting.kind.accepts()
    );
    schema["description"] = text.into();
    schema
}

/// An object with these properties and no other; the names are told to whoever misspells one.
fn object(properties: Map<String, Value>) -> Value {
    let names: Vec<_> = properties.keys().cloned().collect();
    json!({
        "type": "object",
        "additionalProperties": false,
        "propertyNames": {"enum": names},
        "properties": properties,
    })
}

fn settings() -> Value {
    let mut top = Map::new();
    let mut sections: Map<String, Value> = Map::new();
    for setting in SETTINGS.iter().filter(|setting| !is_owned(setting)) {
        let keys = match setting.section() {
            Some(section) => sections
                .entry(section)
                .or_insert_with(|| Map::new().into())
                .as_object_mut()
                .expect("a section"),
            None => &mut top,
        };
        keys.insert(setting.name().to_owned(), schema(setting));
    }
    for (section, keys) in sections {
        let Value::Object(keys) = keys else {
            unreachable!()
        };
        top.insert(section, object(keys));
    }
    object(top)
}

/// The names of the alerts, of which some may be left out.
fn alerts() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("helm/countersign/files/alerts.yaml");
    let text = fs::read_to_string(path).expect("the alerts");
    let names = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn the_charts_schema_has_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCHEMA);
    let text = fs::read_to_string(&path).expect("the chart's schema");
    let mut standing: Value = serde_json::from_str(&text).expect("JSON");
    standing["properties"]["settings"] = settings();
    let rule = &mut standing["properties"]["metrics"]["properties"]["prometheusRule"];
    rule["properties"]["disabled"]["items"] = json!({"enum": alerts()});
    let wanted = format!("{standing:#}\n");
    if std::env::var_os("COUNTERSIGN_TEST_BLESS").is_some() {
        fs::write(&path, &wanted).expect("the file is written");
    }
    let standing = fs::read_to_string(&path).expect("the chart's schema");
    assert!(
        standing == wanted,
        "{SCHEMA} is stale: run with COUNTERSIGN_TEST_BLESS=1"
    );
}
