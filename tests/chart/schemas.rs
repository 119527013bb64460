//! Lint, and the schemas of the three newest versions of Kubernetes and of what is not core.

use super::{helm, matrix, rendered, root};
use serde_json::Value;
use std::{
    io::Write as _,
    process::{Command, Stdio},
};

/// What is wrong with objects, by lines.
pub fn validate(objects: &[Value]) -> String {
    let Some(python) = std::env::var_os("COUNTERSIGN_TEST_PYTHON") else {
        panic!("no Python: run tests/run, which provides it");
    };
    let mut run = Command::new(python)
        .arg(root().join("tests/chart/validate.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = serde_json::to_vec(objects).unwrap();
    run.stdin.take().unwrap().write_all(&text).unwrap();
    let done = run.wait_with_output().unwrap();
    assert!(done.status.success());
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn every_rendering_is_what_kubernetes_takes() {
    for values in matrix() {
        let objects = rendered(&values, &[]);
        assert!(objects.len() >= 3, "{values}");
        assert_eq!(validate(&objects), "", "{values}");
    }
}

#[test]
fn the_schemas_find_a_misspelt_field_and_a_wrong_type() {
    let mut objects = rendered("everything", &[]);
    for object in &mut objects {
        match object["kind"].as_str().unwrap() {
            "Deployment" => object["spec"]["template"]["spec"]["hostnames"] = true.into(),
            "NetworkPolicy" => object["spec"]["egress"][0]["ports"][0]["port"] = true.into(),
            "ServiceMonitor" => object["spec"]["endpoints"][0]["portt"] = "x".into(),
            "GRPCRoute" => object["spec"]["rules"][0]["backendRefs"][0]["port"] = "x".into(),
            _ => (),
        }
    }
    let told = validate(&objects);
    for (kind, what) in [
        ("Deployment", "hostnames"),
        ("NetworkPolicy", "True"),
        ("ServiceMonitor", "portt"),
        ("GRPCRoute", "integer"),
    ] {
        let found = told
            .lines()
            .any(|it| it.contains(kind) && it.contains(what));
        assert!(found, "{kind}: {told}");
    }
}

#[test]
fn lint_has_nothing_to_say() {
    for values in matrix() {
        let values = format!("helm/countersign/ci/{values}-values.yaml");
        let run = helm(&["lint", "--strict", "helm/countersign", "--values", &values]);
        let told = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
        assert!(run.status.success(), "{values}: {told}");
        assert!(!told.contains("WARNING"), "{values}: {told}");
    }
}
