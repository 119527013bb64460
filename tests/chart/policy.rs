//! The rules of the house, asserted on what is rendered.

use super::{
    configuration, containers, kind, list, matrix, named, only, pods, rendered, server, text,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Calls a check with each rendering of the matrix.
fn each(check: impl Fn(&str, &[Value])) {
    for values in matrix() {
        check(&values, &rendered(&values, &[]));
    }
}

#[test]
fn no_container_is_root_or_writes_its_root_or_may_become_more() {
    each(|values, objects| {
        for (name, _, pod) in pods(objects) {
            let whole = &pod["securityContext"];
            assert_eq!(whole["runAsNonRoot"], true, "{values} {name}");
            assert_ne!(whole["runAsUser"], 0, "{values} {name}");
            assert_eq!(
                whole["seccompProfile"]["type"], "RuntimeDefault",
                "{values} {name}"
            );
            assert_eq!(
                pod["automountServiceAccountToken"], false,
                "{values} {name}"
            );
            assert_eq!(pod["enableServiceLinks"], false, "{values} {name}");
            for share in ["hostNetwork", "hostPID", "hostIPC"] {
                assert!(pod[share].is_null(), "{values} {name} {share}");
            }
            for container in containers(pod) {
                let own = &container["securityContext"];
                let what = format!("{values} {name} {}", container["name"]);
                assert_eq!(own["runAsNonRoot"], true, "{what}");
                assert_ne!(own["runAsUser"], 0, "{what}");
                assert_eq!(own["readOnlyRootFilesystem"], true, "{what}");
                assert_eq!(own["allowPrivilegeEscalation"], false, "{what}");
                assert_ne!(own["privileged"], true, "{what}");
                assert_eq!(list(own, "/capabilities/drop"), ["ALL"], "{what}");
                assert!(list(own, "/capabilities/add").is_empty(), "{what}");
            }
            let ours = ["countersign", "migrate", "calls"];
            for container in containers(pod).filter(|it| ours.contains(&text(&it["name"]))) {
                let memory = &container["resources"]["limits"]["memory"];
                assert!(memory.is_string(), "{values} {name}");
                assert!(
                    container["resources"]["requests"]["cpu"].is_string(),
                    "{values} {name}"
                );
            }
        }
    });
}

#[test]
fn probes_ask_ports_that_the_container_has_and_a_wait_is_no_failure() {
    each(|values, objects| {
        let server = server(objects);
        let ports: Vec<_> = list(server, "/ports")
            .iter()
            .map(|it| &it["containerPort"])
            .collect();
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            let asked = &server[probe]["grpc"];
            assert!(ports.contains(&&asked["port"]), "{values} {probe}");
            // A server without its schema is alive, and not ready.
            let alive = (probe != "readinessProbe").then_some("liveness");
            assert_eq!(asked["service"].as_str(), alive, "{values} {probe}");
        }
        let health = configuration(objects)["health"]["listen"].to_string();
        let port = server["readinessProbe"]["grpc"]["port"].to_string();
        assert!(health.ends_with(&format!(":{port}\"")), "{values} {health}");
    });
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().expect("a selector");
    !wanted.is_empty() && wanted.iter().all(|(key, value)| &labels[key] == value)
}

/// Whose pods a selector selects.
fn selected(objects: &[Value], selector: &Value) -> Vec<String> {
    let pods = pods(objects).into_iter();
    let found = pods.filter(|(_, labels, _)| selects(selector, labels));
    found.map(|(name, _, _)| name).collect()
}

#[test]
fn selectors_match_what_they_mean_and_nothing_else() {
    each(|values, objects| {
        let deployment = named(only(objects, "Deployment", "server"));
        let servers = std::slice::from_ref(&deployment);
        for object in objects {
            let component = &object["metadata"]["labels"]["app.kubernetes.io/component"];
            let spec = &object["spec"];
            let selector = match text(&object["kind"]) {
                "Service" => &spec["selector"],
                "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
                "Deployment"
                | "PodDisruptionBudget"
                | "PodMonitor"
                | "AuthorizationPolicy"
                | "PeerAuthentication" => &spec["selector"]["matchLabels"],
                "ServiceMonitor" => {
                    let services = kind(objects, "Service").into_iter();
                    let labels = &spec["selector"]["matchLabels"];
                    let found: Vec<_> = services
                        .filter(|it| selects(labels, &it["metadata"]["labels"]))
                        .collect();
                    assert_eq!(found.len(), 1, "{values}");
                    let port = &spec["endpoints"][0]["port"];
                    let ports = list(found[0], "/spec/ports");
                    assert!(ports.iter().any(|it| &it["name"] == port), "{values}");
                    continue;
                }
                _ => continue,
            };
            let found = selected(objects, selector);
            if object["kind"] == "NetworkPolicy" && component != "server" {
                assert_eq!(found.len(), 1, "{values} {} {found:?}", named(object));
                assert_ne!(found, servers, "{values} {}", named(object));
            } else {
                assert_eq!(found, servers, "{values} {}", named(object));
            }
        }
    });
}

#[test]
fn what_is_named_is_there() {
    each(|values, objects| {
        let there = |of: &str, name: &Value| {
            let found = kind(objects, of).into_iter();
            assert!(
                found.clone().any(|it| &it["metadata"]["name"] == name),
                "{values} {of} {name}"
            );
        };
        for (name, _, pod) in pods(objects) {
            let account = &pod["serviceAccountName"];
            if !account.is_null() && account != "default" {
                there("ServiceAccount", account);
            }
            let volumes = list(pod, "/volumes");
            let mounts = containers(pod).flat_map(|it| list(it, "/volumeMounts"));
            let mounted: BTreeSet<_> = mounts.map(|it| text(&it["name"])).collect();
            let declared: BTreeSet<_> = volumes.iter().map(|it| text(&it["name"])).collect();
            assert_eq!(mounted, declared, "{values} {name}");
            assert_eq!(
                declared.len(),
                volumes.len(),
                "{values} {name}: a volume twice"
            );
            for volume in volumes {
                let own = volume["secret"].is_object() || volume["configMap"].is_object();
                let mode = [&volume["secret"], &volume["configMap"]]
                    .into_iter()
                    .find_map(|it| it["defaultMode"].as_u64());
                // Nobody else's, and the group's to read: the server refuses keys otherwise.
                assert!(!own || mode == Some(0o440), "{values} {name} {volume}");
            }
            for container in containers(pod) {
                let ports = list(container, "/ports");
                let names: BTreeSet<_> = ports.iter().map(|it| text(&it["name"])).collect();
                assert_eq!(names.len(), ports.len(), "{values} {name}");
            }
        }
        let ports: Vec<_> = list(server(objects), "/ports")
            .iter()
            .map(|it| &it["name"])
            .collect();
        for service in kind(objects, "Service") {
            for port in list(service, "/spec/ports") {
                assert!(ports.contains(&&port["targetPort"]), "{values} {port}");
            }
        }
        for scaler in kind(objects, "HorizontalPodAutoscaler") {
            there("Deployment", &scaler["spec"]["scaleTargetRef"]["name"]);
            assert!(only(objects, "Deployment", "server")["spec"]["replicas"].is_null());
        }
        for route in kind(objects, "GRPCRoute") {
            let backend = &route["spec"]["rules"][0]["backendRefs"][0];
            let mut services = kind(objects, "Service").into_iter();
            let service = services.find(|it| it["metadata"]["name"] == backend["name"]);
            assert_eq!(
                service.unwrap()["spec"]["ports"][0]["port"],
                backend["port"]
            );
        }
    });
}

/// The paths that a text names under `/etc/countersign`.
fn paths(text: &str) -> BTreeSet<String> {
    let parts = text.split(['"', '\'', ' ', '\n']);
    let found = parts.filter(|part| part.starts_with("/etc/countersign/"));
    found.map(str::to_owned).collect()
}

#[test]
fn every_file_that_is_read_is_mounted_and_every_mount_is_read() {
    each(|values, objects| {
        for (name, _, pod) in pods(objects) {
            for container in containers(pod) {
                let mut words = serde_json::to_string(&container["args"]).unwrap();
                words += &serde_json::to_string(&container["env"]).unwrap();
                if container["name"] == "countersign" {
                    words += &configuration(objects).to_string();
                }
                let read = paths(&words);
                let mounts: BTreeSet<_> = list(container, "/volumeMounts")
                    .iter()
                    .map(|it| text(&it["mountPath"]))
                    .filter(|path| path.starts_with("/etc/countersign/"))
                    .collect();
                for path in &read {
                    let place = path.rsplit_once('/').unwrap().0;
                    assert!(mounts.contains(place), "{values} {name}: {path}");
                }
                for mount in mounts {
                    let is_read = read.iter().any(|it| it.starts_with(mount));
                    assert!(is_read, "{values} {name}: {mount}");
                }
                let rest = list(container, "/volumeMounts").iter();
                for mount in rest.filter(|it| text(&it["mountPath"]).starts_with("/etc")) {
                    assert_eq!(mount["readOnly"], true, "{values} {name}");
                    // A file by itself is never swapped for a new one.
                    assert!(mount["subPath"].is_null(), "{values} {name}");
                }
            }
        }
    });
}

/// The TCP ports that the rules of a policy allow.
pub fn allowed(rules: &[Value]) -> BTreeSet<u64> {
    let ports = rules.iter().flat_map(|it| list(it, "/ports"));
    ports
        .filter(|it| it["protocol"] != "UDP")
        .map(|it| it["port"].as_u64().unwrap())
        .collect()
}

fn port(address: &toml::Value) -> u64 {
    let text = address.as_str().unwrap();
    text.rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn the_network_policy_allows_exactly_what_the_configuration_connects_to() {
    each(|values, objects| {
        if values == "minimal" {
            assert!(kind(objects, "NetworkPolicy").is_empty());
            return;
        }
        let policy = only(objects, "NetworkPolicy", "server");
        assert_eq!(list(policy, "/spec/policyTypes"), ["Ingress", "Egress"]);
        let file = configuration(objects);
        let mut comes = BTreeSet::from([port(&file["listen"]), port(&file["health"]["listen"])]);
        comes.extend(file.get("metrics").map(|it| port(&it["listen"])));
        // Ambient's tunnels.
        comes.extend((values == "everything").then_some(15008));
        assert_eq!(allowed(list(policy, "/spec/ingress")), comes, "{values}");

        let (database, more) = match values {
            "everything" => (vec![6432, 5432], vec![443, 15008, 15012]),
            "production" => (vec![5432], vec![4317]),
            "init-container" => (vec![5432, 5433], vec![]),
            _ => (vec![5432], vec![]),
        };
        let endpoint = file.get("telemetry").and_then(|it| it.get("endpoint"));
        assert_eq!(endpoint.is_some(), !more.is_empty(), "{values}");
        let mut goes = BTreeSet::from([53]);
        goes.extend(database);
        goes.extend(more);
        let mut found = allowed(list(policy, "/spec/egress"));
        // A rule of that file's own.
        found.remove(&8125);
        assert_eq!(found, goes, "{values}");
        for rule in list(policy, "/spec/ingress")
            .iter()
            .chain(list(policy, "/spec/egress"))
        {
            assert!(
                !list(rule, "/ports").is_empty(),
                "{values}: a rule without ports"
            );
        }

        for (name, labels, _) in pods(objects) {
            let covered = kind(objects, "NetworkPolicy")
                .into_iter()
                .any(|it| selects(&it["spec"]["podSelector"]["matchLabels"], labels));
            assert!(covered, "{values} {name}");
        }
    });
}

#[test]
fn the_pod_outlives_its_drain() {
    each(|values, objects| {
        let pod = &only(objects, "Deployment", "server")["spec"]["template"]["spec"];
        let seconds = |value: &toml::Value| {
            let text = value.as_str().unwrap().strip_suffix('s').unwrap();
            text.parse::<u64>().unwrap()
        };
        let shutdown = &configuration(objects)["shutdown"];
        let sleep = server(objects)
            .pointer("/lifecycle/preStop/sleep/seconds")
            .map_or(0, |it| it.as_u64().unwrap());
        let needs = sleep + seconds(&shutdown["pause"]) + seconds(&shutdown["drain"]);
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace > needs, "{values}: {grace} {needs}");
    });
}

#[test]
fn nothing_is_a_hook_but_what_is_asked_to_be_one() {
    each(|values, objects| {
        for object in objects {
            let hook = &object["metadata"]["annotations"]["helm.sh/hook"];
            let component = object["metadata"]["labels"]["app.kubernetes.io/component"].as_str();
            match (component, values) {
                (Some("test"), _) => assert_eq!(hook, "test"),
                (Some("migrate"), "everything") => assert_eq!(hook, "pre-install,pre-upgrade"),
                _ => assert!(hook.is_null(), "{values} {}", named(object)),
            }
            assert_ne!(object["kind"], "Secret", "{values}: a secret is made");
        }
    });
}

#[test]
fn the_job_is_another_when_its_template_is_and_else_the_same() {
    let name = |more: &[&str]| {
        let objects = rendered("default", more);
        text(&only(&objects, "Job", "migrate")["metadata"]["name"]).to_owned()
    };
    let first = name(&[]);
    let (before, hash) = first.rsplit_once('-').unwrap();
    assert_eq!(before, "test-countersign-migrate-5");
    assert_eq!(hash.len(), 8);
    for same in [
        "replicas=5",
        "settings.issuer=x",
        "service.port=80",
        "podLabels.a=b",
    ] {
        assert_eq!(name(&["--set", same]), first, "{same}");
    }
    for other in [
        "image.tag=0.2.0",
        "migrations.rerun=again",
        "migrations.servingRole=x",
        "commonLabels.a=b",
    ] {
        assert_ne!(name(&["--set-string", other]), first, "{other}");
    }
    assert_ne!(name(&["--set", "migrations.backoffLimit=1"]), first);
}

#[test]
fn a_job_that_cannot_be_mended_is_not_tried_again() {
    let objects = rendered("default", &[]);
    let job = only(&objects, "Job", "migrate");
    let rules = list(job, "/spec/podFailurePolicy/rules");
    let codes = &rules.iter().find(|it| it["action"] == "FailJob").unwrap()["onExitCodes"];
    assert_eq!(codes["values"], serde_json::json!([2, 64, 65, 76]));
    assert_eq!(job["spec"]["template"]["spec"]["restartPolicy"], "Never");
    assert!(job["spec"]["ttlSecondsAfterFinished"].is_null());
}

#[test]
fn the_longest_names_stay_within_what_kubernetes_takes() {
    let long = "fullnameOverride=".to_owned() + &"n".repeat(60);
    for values in ["default", "production"] {
        for object in rendered(values, &["--set", &long]) {
            let name = text(&object["metadata"]["name"]).to_owned();
            assert!(name.len() <= 63, "{name}");
        }
    }
}

#[test]
fn what_changes_the_configuration_starts_the_servers_anew() {
    let template = |more: &[&str]| {
        let objects = rendered("default", more);
        only(&objects, "Deployment", "server")["spec"]["template"].clone()
    };
    let first = template(&[]);
    assert_ne!(template(&["--set", "settings.rotation.grace=0s"]), first);
    assert_eq!(template(&["--set", "service.port=80"]), first);
    // A chart that is new, with the same image, is no reason.
    let labels = &first["metadata"]["labels"];
    assert!(labels["helm.sh/chart"].is_null(), "{labels}");
}
