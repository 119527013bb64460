//! The chart: what it renders holds against Kubernetes' own schemas, keeps the rules of the
//! house, refuses what cannot be meant, and runs.

mod cluster;
mod dashboard;
mod examples;
mod image;
mod mesh;
mod policy;
mod refusals;
mod running;
mod schemas;
mod snapshots;
mod values;

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The release of which everything is rendered, and its namespace.
const RELEASE: [&str; 4] = ["test", "--namespace", "prod", "--kube-version=1.37.0"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn chart() -> PathBuf {
    root().join("helm/countersign")
}

/// A file of the chart.
fn file(name: &str) -> String {
    fs::read_to_string(chart().join(name)).expect(name)
}

/// Runs helm, which tests/run provides.
fn helm(words: &[&str]) -> Output {
    let Some(helm) = std::env::var_os("COUNTERSIGN_TEST_HELM") else {
        panic!("no helm: run tests/run, which provides it");
    };
    let home = tempfile::tempdir().unwrap();
    Command::new(helm)
        .args(words)
        .current_dir(root())
        .env("HELM_CACHE_HOME", home.path())
        .env("HELM_CONFIG_HOME", home.path())
        .env("HELM_DATA_HOME", home.path())
        .output()
        .unwrap()
}

/// The values files of the matrix, by name.
fn matrix() -> Vec<String> {
    let entries = fs::read_dir(chart().join("ci")).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix("-values.yaml").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 6, "{names:?}");
    names
}

/// What a values file renders, with more words for helm, as text.
fn template(values: &str, more: &[&str]) -> Result<String, String> {
    let values = format!("helm/countersign/ci/{values}-values.yaml");
    let mut words = vec!["template"];
    words.extend(RELEASE);
    words.extend(["helm/countersign", "--values", &values]);
    words.extend(more);
    let run = helm(&words);
    if run.status.success() {
        Ok(String::from_utf8(run.stdout).unwrap())
    } else {
        Err(String::from_utf8(run.stderr).unwrap())
    }
}

/// The objects of a rendering.
fn objects(text: &str) -> Vec<Value> {
    yaml(text).into_iter().filter(|it| !it.is_null()).collect()
}

/// The documents of a YAML text.
fn yaml(text: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    yaml_serde::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("YAML"))
        .collect()
}

/// What a values file renders, with more words for helm.
fn rendered(values: &str, more: &[&str]) -> Vec<Value> {
    let text = template(values, more).unwrap_or_else(|error| panic!("{values}: {error}"));
    objects(&text)
}

/// The objects of a kind.
fn kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|it| it["kind"] == kind).collect()
}

/// The one object of a kind and component.
fn only<'a>(objects: &'a [Value], of: &str, component: &str) -> &'a Value {
    let mut found = kind(objects, of);
    found.retain(|it| it["metadata"]["labels"]["app.kubernetes.io/component"] == component);
    assert_eq!(found.len(), 1, "{of} {component}");
    found[0]
}

/// The list at a path, empty where there is none.
fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    object
        .pointer(path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// What an object is called when something is wrong with it.
fn named(object: &Value) -> String {
    format!(
        "{} {}",
        text(&object["kind"]),
        text(&object["metadata"]["name"])
    )
}

/// The pods that objects make: whose they are, their labels and their spec.
fn pods(objects: &[Value]) -> Vec<(String, &Value, &Value)> {
    let pods = objects.iter().filter_map(|object| {
        let pod = match text(&object["kind"]) {
            "Deployment" | "Job" => &object["spec"]["template"],
            "Pod" => object,
            _ => return None,
        };
        Some((named(object), &pod["metadata"]["labels"], &pod["spec"]))
    });
    pods.collect()
}

/// Every container of a pod.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let init = list(pod, "/initContainers").iter();
    init.chain(list(pod, "/containers"))
}

/// The server's container.
fn server(objects: &[Value]) -> &Value {
    let pod = &only(objects, "Deployment", "server")["spec"]["template"]["spec"];
    containers(pod)
        .find(|it| it["name"] == "countersign")
        .unwrap()
}

/// The configuration that the server reads.
fn configuration(objects: &[Value]) -> toml::Table {
    let file = &only(objects, "ConfigMap", "server")["data"]["countersign.toml"];
    text(file).parse().unwrap()
}
