//! The image: its Dockerfile's own instructions, followed where no registry and no builder is
//! at hand, and the chart run within what they make.

use super::{
    cluster::{Cluster, started},
    containers, list, only, rendered, root,
    running::{make_test_client, secrets_of_readme},
};
use crate::support::{figures, fresh_database};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process,
};
use tokio::process::Command;
use tonic_health::pb::health_check_response::ServingStatus;

/// The instructions of the Dockerfile, by stages: each a word and what follows it.
fn stages() -> Vec<Vec<(String, String)>> {
    let text = fs::read_to_string(root().join("Dockerfile")).unwrap();
    let mut stages = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (word, rest) = line.split_once(' ').unwrap();
        if word == "FROM" {
            stages.push(Vec::new());
        }
        let stage: &mut Vec<_> = stages.last_mut().unwrap();
        stage.push((word.to_owned(), rest.to_owned()));
    }
    assert_eq!(stages.len(), 2);
    stages
}

/// What follows a word in a stage, each time.
fn all<'a>(stage: &'a [(String, String)], word: &str) -> Vec<&'a str> {
    let found = stage.iter().filter(|(known, _)| known == word);
    found.map(|(_, rest)| rest.as_str()).collect()
}

/// An image, unpacked.
pub struct Image {
    pub root: PathBuf,
}

/// Mounts the root read-only with the devices that every container has, and becomes the
/// image's user in it, as a container runtime does.
const CONTAIN: &str = "
    for device in null random urandom; do mount --bind /dev/$device \"$0/dev/$device\" || exit; done
    mount --rbind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" &&
    exec chroot $USERSPEC \"$0\" /countersign \"$@\"";

impl Image {
    /// A command in it; the entry point, and read-only.
    pub fn command(&self) -> Command {
        let mut command = process::Command::new("unshare");
        let user = if nix::unistd::geteuid().is_root() {
            command.arg("--mount");
            "--userspec=65532:65532"
        } else {
            // Who is not root cannot become another, but root in a world of its own.
            command.args(["--map-root-user", "--mount"]);
            ""
        };
        let script = CONTAIN.replace("$USERSPEC", user);
        command.args(["/bin/sh", "-c", &script]).arg(&self.root);
        command.arg0("unshare");
        Command::from(command)
    }
}

/// Copies what the build may see, by `.dockerignore`; what is there and the same stays, so that
/// nothing is built again without need.
fn copy_context(to: &Path) {
    let ignored = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let kept: Vec<_> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    assert!(ignored.lines().any(|line| line == "*") && kept.len() > 5);
    let _ = fs::create_dir_all(to);
    for entry in fs::read_dir(to).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let wanted = kept.iter().any(|it| it.split('/').next() == Some(&name));
        if !wanted && name != "target" {
            // What an earlier run has made.
            fs::remove_file(entry.path()).unwrap();
        }
    }
    for path in kept {
        copy(&root().join(path), &to.join(path));
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        let names = |path: &Path| -> Vec<_> {
            fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect()
        };
        for gone in names(to)
            .into_iter()
            .filter(|name| !from.join(name).exists())
        {
            let gone = to.join(gone);
            let _ = fs::remove_file(&gone).or_else(|_| fs::remove_dir_all(&gone));
        }
        for name in names(from) {
            copy(&from.join(&name), &to.join(&name));
        }
        return;
    }
    let content = fs::read(from).unwrap();
    if fs::read(to).ok().as_ref() != Some(&content) {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, content).unwrap();
    }
}

/// Follows the Dockerfile. Only `--long` builds as an image is built; else without its
/// optimisations, which take minutes.
fn build(place: &Path) -> Image {
    let [build, last] = stages().try_into().unwrap();
    let home = root().join("target/tests-image");
    let (source, tools) = (home.join("src"), home.join("tools"));
    let out = place.join("image");
    copy_context(&source);
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}/bin:{path}", tools.display());
    for (word, rest) in &build {
        if word != "RUN" {
            continue;
        }
        // It takes minutes, and other tests wait for answers meanwhile.
        let mut run = process::Command::new("nice");
        run.args(["-n", "19", "sh", "-ec"])
            .arg(rest.replace("/image", out.to_str().unwrap()));
        run.current_dir(&source)
            .env("PATH", &path)
            .env("CARGO_INSTALL_ROOT", &tools);
        // Of the run around it.
        for variable in ["CARGO_TARGET_DIR", "RUSTC_WRAPPER", "CARGO_BUILD_TARGET"] {
            run.env_remove(variable);
        }
        if !rest.starts_with("cargo install") {
            for (name, value) in all(&build, "ENV")
                .iter()
                .map(|it| it.split_once('=').unwrap())
            {
                run.env(name, value.trim_matches('"'));
            }
        }
        if std::env::var_os("COUNTERSIGN_TEST_LONG").is_none() {
            run.env("CARGO_PROFILE_RELEASE_LTO", "off");
            run.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
            run.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        }
        let done = run.output().unwrap();
        assert!(
            done.status.success(),
            "{rest}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
    let image = place.join("root");
    for copied in all(&last, "COPY") {
        let words: Vec<_> = copied.split(' ').collect();
        let [from, source, to] = words.try_into().unwrap();
        assert_eq!(from, "--from=build");
        let source = match source.strip_prefix("/image/") {
            Some(name) => out.join(name),
            None => PathBuf::from(source),
        };
        let to = image.join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&source, &to).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    }
    Image { root: image }
}

#[test]
fn the_image_says_what_the_chart_needs() {
    let [build, last] = stages().try_into().unwrap();
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let rust = manifest["package"]["rust-version"].as_str().unwrap();
    assert!(all(&build, "FROM")[0].starts_with(&format!("docker.io/library/rust:{rust}-")));

    let objects = rendered("default", &[]);
    let pod = &only(&objects, "Deployment", "server")["spec"]["template"]["spec"];
    let whole = &pod["securityContext"];
    let user = format!("{}:{}", whole["runAsUser"], whole["runAsGroup"]);
    assert_eq!(all(&last, "USER"), [user.as_str()]);
    let ports: Vec<_> = containers(pod)
        .flat_map(|it| list(it, "/ports"))
        .map(|it| it["containerPort"].to_string())
        .collect();
    assert_eq!(all(&last, "EXPOSE"), [ports.join(" ")]);
    assert_eq!(all(&last, "ENTRYPOINT"), ["[\"/countersign\"]"]);
    let labels = all(&last, "LABEL").join("\n");
    for label in [
        "title",
        "description",
        "licenses",
        "source",
        "version",
        "revision",
    ] {
        assert!(
            labels.contains(&format!("org.opencontainers.image.{label}=")),
            "{label}"
        );
    }
    let version = format!("VERSION={}", env!("CARGO_PKG_VERSION"));
    assert!(all(&last, "ARG").contains(&version.as_str()));
}

#[tokio::test]
async fn the_chart_runs_within_the_image() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().to_owned();
    let image = tokio::task::spawn_blocking(move || build(&path))
        .await
        .unwrap();
    let size = |name: &str| fs::metadata(image.root.join(name)).unwrap().len() / 1024;
    let how = match std::env::var_os("COUNTERSIGN_TEST_LONG") {
        Some(_) => "as released",
        None => "without optimisations",
    };
    let told = format!(
        "countersign ({how}): {} KiB; bill of materials: {} KiB\n",
        size("countersign"),
        size("sbom.cdx.json")
    );
    figures::write("image", &told);

    let bill = fs::read_to_string(image.root.join("sbom.cdx.json")).unwrap();
    let bill: Value = serde_json::from_str(&bill).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["metadata"]["component"]["name"], "countersign");
    let parts: BTreeMap<_, _> = list(&bill, "/components")
        .iter()
        .map(|it| {
            (
                it["name"].as_str().unwrap(),
                it["purl"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    for part in ["tonic", "tokio", "tokio-postgres", "blake3", "ring"] {
        assert!(
            parts[part].starts_with(&format!("pkg:cargo/{part}@")),
            "{part}"
        );
    }
    assert!(
        !parts.contains_key("proptest"),
        "what only tests need is not in the image"
    );

    // What a kubelet gives a pod.
    fs::create_dir(image.root.join("dev")).unwrap();
    for device in ["null", "random", "urandom"] {
        fs::write(image.root.join("dev").join(device), "").unwrap();
    }
    fs::write(image.root.join("etc/hosts"), "127.0.0.1 localhost\n").unwrap();
    let database = fresh_database().await;
    let role = format!("migrations.servingRole={}", database.serving_role);
    let password = "database.passwordKey=password";
    let objects = rendered("default", &["--set", &role, "--set", password]);
    let mut secrets = secrets_of_readme(&database).await;
    for name in ["countersign-database", "countersign-database-migrate"] {
        // By name, so that the resolver within the binary is tried.
        let url = secrets.get_mut(name).unwrap().get_mut("url").unwrap();
        *url = url.replace("@127.0.0.1:", "@localhost:");
    }
    let mut cluster = Cluster::within(image, objects, secrets);
    let migrated = cluster.migrate().await;
    assert_eq!(migrated.code, Some(0), "{}", migrated.err);
    let _server = started(cluster.server_command());
    cluster
        .until("readinessProbe", ServingStatus::Serving)
        .await;
    make_test_client(&mut cluster, &[]).await;
    let tried = cluster.test().await;
    assert_eq!(tried.code, Some(0), "{}", tried.err);
}
