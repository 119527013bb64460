//! Istio's sidecars and tunnels, through the policies.

use super::{list, named, only, policy::allowed, rendered};
use serde_json::{Value, json};

/// Where a policy lets a port go.
fn peers(policy: &Value, port: u64) -> Vec<Value> {
    let rules = list(policy, "/spec/egress").iter();
    let rules = rules.filter(|rule| list(rule, "/ports").iter().any(|it| it["port"] == port));
    rules.flat_map(|rule| list(rule, "/to")).cloned().collect()
}

#[test]
fn in_a_mesh_every_pod_reaches_its_control_plane_and_tunnels_come_through() {
    let policies = |words: &[&str]| {
        let objects = rendered("default", words);
        ["server", "migrate", "test"].map(|of| only(&objects, "NetworkPolicy", of).clone())
    };
    for policy in policies(&[]) {
        let mut open = allowed(list(&policy, "/spec/ingress"));
        open.extend(allowed(list(&policy, "/spec/egress")));
        assert!(!open.contains(&15008) && !open.contains(&15012), "{policy}");
    }
    let plane = json!({ "namespaceSelector": {
        "matchLabels": { "kubernetes.io/metadata.name": "istio-system" },
    } });
    for part in [
        "authorizationPolicy",
        "peerAuthentication",
        "destinationRule",
    ] {
        let on = format!("istio.{part}.enabled=true,istio.authorizationPolicy.namespaces={{prod}}");
        let words = ["--set", &on];
        let [server, migrate, test] = policies(&words);
        for policy in [&server, &migrate, &test] {
            let name = named(policy);
            assert_eq!(
                peers(policy, 15012),
                std::slice::from_ref(&plane),
                "{part} {name}"
            );
            let out = allowed(list(policy, "/spec/egress"));
            assert!(out.contains(&15008), "{part} {name}");
        }
        assert!(
            allowed(list(&server, "/spec/ingress")).contains(&15008),
            "{part}"
        );
        // Nobody comes by a tunnel who may not come without it.
        for rule in list(&server, "/spec/ingress") {
            let ports = allowed(std::slice::from_ref(rule));
            assert!(
                !ports.contains(&15008) || !list(rule, "/from").is_empty(),
                "{part}"
            );
        }
    }
    let elsewhere = [
        "--set",
        "istio.peerAuthentication.enabled=true",
        "--set-json",
        "networkPolicy.mesh=[{\"ipBlock\":{\"cidr\":\"10.0.0.0/8\"}}]",
    ];
    for policy in policies(&elsewhere) {
        assert_eq!(
            peers(&policy, 15012),
            [json!({ "ipBlock": { "cidr": "10.0.0.0/8" } })]
        );
    }
}
