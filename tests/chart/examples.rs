//! The examples around the chart: Kubernetes takes them, and the chart takes what they give it.

use super::{kind, list, objects, rendered, root, schemas::validate, text};
use countersign::store::{
    DatabaseFiles, DatabaseUrl,
    migrate::{MigrateOptions, migrate},
};
use serde_json::Value;
use std::{collections::BTreeSet, fs};

fn example(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(root().join("examples").join(name)).expect(name);
    objects(&text)
}

/// The chart with values from elsewhere.
fn with(values: &str) -> Vec<Value> {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("values.yaml");
    fs::write(&file, values).unwrap();
    rendered("default", &["--values", file.to_str().unwrap()])
}

#[test]
fn kubernetes_takes_each_example() {
    let mut count = 0;
    for group in [
        "argo-cd",
        "cloudnative-pg",
        "envoy-gateway",
        "external-secrets",
        "istio",
    ] {
        for entry in fs::read_dir(root().join("examples").join(group)).unwrap() {
            let path = entry.unwrap().path();
            let objects = objects(&fs::read_to_string(&path).unwrap());
            assert_eq!(validate(&objects), "", "{}", path.display());
            count += objects.len();
        }
    }
    assert!(count >= 8, "{count}");
}

#[test]
fn external_secrets_make_what_the_chart_mounts() {
    let wanted: BTreeSet<_> = rendered("default", &["--set", "tests.enabled=false"])
        .iter()
        .flat_map(|object| {
            let volumes = list(object, "/spec/template/spec/volumes").iter();
            let names = volumes.filter_map(|it| it["secret"]["secretName"].as_str());
            names.map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let made: BTreeSet<_> = example("external-secrets/secrets.yaml")
        .iter()
        .map(|it| text(&it["spec"]["target"]["name"]).to_owned())
        .collect();
    assert_eq!(made, wanted);
    // A URL is read once; the password of the role that serves has a file of its own.
    let files = example("external-secrets/secrets.yaml");
    let serving = files
        .iter()
        .find(|it| it["metadata"]["name"] == "countersign-database");
    let keys: Vec<_> = list(serving.unwrap(), "/spec/data")
        .iter()
        .map(|it| text(&it["secretKey"]))
        .collect();
    assert_eq!(keys, ["url", "password"]);
}

#[test]
fn argo_cds_values_render_no_hook() {
    let application = example("argo-cd/application.yaml").remove(0);
    let values = &application["spec"]["source"]["helm"]["valuesObject"];
    let objects = with(&values.to_string());
    assert_eq!(kind(&objects, "PodMonitor").len(), 1);
    for object in &objects {
        let hook = &object["metadata"]["annotations"]["helm.sh/hook"];
        assert!(hook.is_null(), "{object}");
    }
}

#[tokio::test]
async fn cloudnative_pgs_roles_may_migrate_and_serve() {
    let files = example("cloudnative-pg/cluster.yaml");
    let (cluster, values) = (&files[0], text(&files[1]["data"]["values.yaml"]));
    let objects = with(values);
    let policy = super::only(&objects, "NetworkPolicy", "server").to_string();
    assert!(
        policy.contains("\"cnpg.io/cluster\":\"tokens\""),
        "{policy}"
    );

    let database = crate::support::fresh_database().await;
    let sql = database.client().await;
    let server = &database.serving_role;
    let owner = format!("{server}_owner");
    let here = |text: &str| {
        text.replace("countersign_owner", &owner)
            .replace("countersign_server", server)
    };
    let initdb = &cluster["spec"]["bootstrap"]["initdb"];
    assert_eq!(initdb["owner"], "countersign_owner");
    // What the operator does: the owner, its database, and the statements.
    let made = format!(
        "CREATE ROLE {owner} LOGIN PASSWORD 'owner'; ALTER DATABASE {} OWNER TO {owner}",
        database.name
    );
    sql.batch_execute(&made).await.unwrap();
    for statement in list(initdb, "/postInitApplicationSQL") {
        sql.batch_execute(&here(text(statement))).await.unwrap();
    }
    let options = MigrateOptions {
        serving_role: server.clone(),
        ..MigrateOptions::default()
    };
    let url = super::running::url_as(&database, &owner, "owner");
    let url = DatabaseUrl::with_files(&url, DatabaseFiles::default()).unwrap();
    migrate(url, &options, |_| ()).await.unwrap();
}
