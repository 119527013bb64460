//! What cannot be meant is refused, with a sentence that says what to do.

use super::template;

/// What is set, and what the refusal says.
const REFUSED: &[(&str, &str)] = &[
    ("replica=3", "additional properties 'replica' not allowed"),
    ("replica=3", "'replicas', 'resources'"),
    (
        "image.tagg=1",
        "'digest', 'pullPolicy', 'pullSecrets', 'registry', 'repository', 'tag'",
    ),
    ("settings.rotatoin.grace=1s", "'rotation'"),
    ("settings.rotation.gracee=1s", "'grace', 'deadline'"),
    (
        "settings.listen=0.0.0.0:1",
        "additional properties 'listen' not allowed",
    ),
    (
        "settings.database.url=x",
        "additional properties 'url' not allowed",
    ),
    (
        "settings.keys.file=/x",
        "additional properties 'keys' not allowed",
    ),
    ("settings.batch.max_calls=0", "minimum: got 0, want 1"),
    (
        "settings.log.level=loud",
        "value must be one of 'error', 'warn', 'info', 'debug', 'trace'",
    ),
    (
        "podDisruptionBudget.minAvailable=1",
        "empty: set maxUnavailable or minAvailable, not both",
    ),
    (
        "podDisruptionBudget.maxUnavailable=",
        "a number or a share: set maxUnavailable or minAvailable, or enabled to false",
    ),
    (
        "replicas=0",
        "1 or more: a PodDisruptionBudget over nobody blocks every drain, so set \
         podDisruptionBudget.enabled to false with it",
    ),
    (
        "keys.existingSecret=",
        "name one in keys.existingSecret, lower case, or leave the default",
    ),
    (
        "keys.existingSecret=No_Name",
        "name one in keys.existingSecret",
    ),
    (
        "database.existingSecret=",
        "name one in database.existingSecret",
    ),
    (
        "migrations.existingSecret=",
        "name one in migrations.existingSecret",
    ),
    ("tls.existingSecret=", "name one in tls.existingSecret"),
    ("tests.existingSecret=", "name one in tests.existingSecret"),
    (
        "database.url=postgres://u:hunter2@h/d",
        "a URL without a password",
    ),
    (
        "migrations.url=host=h password=hunter2",
        "a URL without a password",
    ),
    ("tls.clientCertificates=required", "so set tls.mode too"),
    (
        "tls.clientCa.existingSecret=a,tls.clientCa.existingConfigMap=b",
        "name a Secret or a ConfigMap, not both",
    ),
    (
        "image.digest=abc",
        "sha256: and 64 hexadecimal digits, or empty for the tag",
    ),
    (
        "metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true",
        "would scrape every server twice",
    ),
    (
        "metrics.enabled=false,metrics.serviceMonitor.enabled=true",
        "a ServiceMonitor needs metrics.enabled",
    ),
    ("metrics.port=7300", "'not' failed"),
    (
        "grpcRoute.enabled=true",
        "the Gateways that the route is attached to",
    ),
    ("ingress.enabled=true", "the hosts that the Ingress is for"),
    (
        "istio.authorizationPolicy.enabled=true",
        "who may call: name principals or namespaces",
    ),
    (
        "autoscaling.enabled=true,autoscaling.cpu=0",
        "an autoscaler needs cpu, memory or metrics",
    ),
    (
        "service.nodePort=30000",
        "null: a ClusterIP has no port on the nodes",
    ),
    (
        "metrics.prometheusRule.disabled={CountersignNone}",
        "'CountersignAbsent'",
    ),
    ("shutdown.drainSeconds=30s", "got string, want integer"),
];

#[test]
fn what_cannot_be_meant_is_refused_with_what_to_do() {
    for (set, sentence) in REFUSED {
        let told = template("default", &["--set", set]).expect_err(set);
        assert!(told.contains(sentence), "{set}: {told}");
        assert!(!told.contains("hunter2"), "{set}: {told}");
    }
}
