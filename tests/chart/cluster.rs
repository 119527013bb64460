//! A pod's life without a cluster: what it mounts is laid out, and its commands are run as the
//! chart renders them.

use super::{containers, image::Image, kind, list, only, server, text};
use crate::support::process::write_keys;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};
use tokio::process::{Child, Command};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// The files of a Secret.
pub type Files = BTreeMap<&'static str, String>;

/// A cluster of one pod: the files, and where its ports are instead of those of the pod.
pub struct Cluster {
    root: PathBuf,
    image: Option<Image>,
    /// What was rendered.
    pub objects: Vec<Value>,
    /// The Secrets.
    pub secrets: BTreeMap<&'static str, Files>,
    /// The free port that stands for one of the pod.
    pub ports: BTreeMap<u16, u16>,
    _place: tempfile::TempDir,
}

impl Cluster {
    /// Out here, with the binary of the tests.
    pub fn new(objects: Vec<Value>, secrets: BTreeMap<&'static str, Files>) -> Self {
        let ports = [7300, 7301, 9464].map(|port| {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            (port, free.local_addr().unwrap().port())
        });
        let place = tempfile::tempdir().unwrap();
        Self {
            root: place.path().to_owned(),
            image: None,
            objects,
            secrets,
            ports: ports.into(),
            _place: place,
        }
    }

    /// The same within an image.
    pub fn within(
        image: Image,
        objects: Vec<Value>,
        secrets: BTreeMap<&'static str, Files>,
    ) -> Self {
        Self {
            root: image.root.clone(),
            image: Some(image),
            ..Self::new(objects, secrets)
        }
    }

    pub fn address(&self, port: u16) -> SocketAddr {
        ([127, 0, 0, 1], self.ports[&port]).into()
    }

    /// A text of the pod's as it is out here: paths under the root, ports that are free.
    pub fn outside(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if self.image.is_none() {
            let root = self.root.display();
            text = text.replace("/etc/countersign", &format!("{root}/etc/countersign"));
        }
        for (port, free) in &self.ports {
            text = text.replace(&format!("0.0.0.0:{port}"), &format!("127.0.0.1:{free}"));
        }
        let here = format!("localhost:{}", self.ports[&7300]);
        text.replace("test-countersign.prod.svc:7300", &here)
    }

    /// Lays out what a pod mounts.
    fn mount(&self, pod: &Value) {
        for container in containers(pod) {
            for mount in list(container, "/volumeMounts") {
                let path = text(&mount["mountPath"]).trim_start_matches('/');
                let place = self.root.join(path);
                fs::create_dir_all(&place).unwrap();
                let volumes = list(pod, "/volumes");
                let volume = volumes
                    .iter()
                    .find(|it| it["name"] == mount["name"])
                    .unwrap();
                for (key, content) in self.files(volume) {
                    let path = place.join(key);
                    write_keys(&path, &content);
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).unwrap();
                    if nix::unistd::geteuid().is_root() {
                        // The pod's fsGroup.
                        std::os::unix::fs::chown(&path, None, Some(65532)).unwrap();
                    }
                }
            }
        }
    }

    fn files(&self, volume: &Value) -> BTreeMap<String, String> {
        if let Some(name) = volume["configMap"]["name"].as_str() {
            let maps = kind(&self.objects, "ConfigMap");
            let map = maps
                .into_iter()
                .find(|it| it["metadata"]["name"] == name)
                .expect(name);
            let data = map["data"].as_object().unwrap().iter();
            return data
                .map(|(key, value)| (key.clone(), self.outside(text(value))))
                .collect();
        }
        let name = text(&volume["secret"]["secretName"]);
        let items = list(volume, "/secret/items");
        let secret = self
            .secrets
            .get(name)
            .unwrap_or_else(|| panic!("no Secret {name}"));
        secret
            .iter()
            .filter(|(key, _)| items.is_empty() || items.iter().any(|it| it["key"] == **key))
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect()
    }

    /// The binary, without arguments or environment.
    fn binary(&self) -> Command {
        let mut command = match &self.image {
            Some(image) => image.command(),
            None => Command::new(env!("CARGO_BIN_EXE_countersign")),
        };
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// What `kubectl exec` runs in the server's container: the binary, with these words.
    pub fn exec<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.binary();
        command.args(words.into_iter().map(|word| self.outside(word)));
        command
    }

    /// The command of a pod's container, as a kubelet would run it.
    fn command(&self, pod: &Value, name: &str) -> Command {
        self.mount(pod);
        let container = containers(pod).find(|it| it["name"] == name).unwrap();
        let mut command = self.binary();
        for word in list(container, "/args") {
            command.arg(self.outside(text(word)));
        }
        for variable in list(container, "/env") {
            let from = &variable["valueFrom"]["secretKeyRef"];
            let value = variable["value"].as_str().map_or_else(
                || self.secrets[text(&from["name"])][text(&from["key"])].clone(),
                |value| self.outside(value),
            );
            command.env(text(&variable["name"]), value);
        }
        command
    }

    pub fn server_command(&self) -> Command {
        let deployment = only(&self.objects, "Deployment", "server");
        self.command(&deployment["spec"]["template"]["spec"], "countersign")
    }

    /// Migrates, as the Job does.
    pub async fn migrate(&self) -> Done {
        let job = only(&self.objects, "Job", "migrate");
        done(self.command(&job["spec"]["template"]["spec"], "migrate")).await
    }

    /// What `helm test` runs.
    pub async fn test(&self) -> Done {
        let pod = only(&self.objects, "Pod", "test");
        done(self.command(&pod["spec"], "calls")).await
    }

    /// What a probe of the server gets; nothing, if nobody answers.
    async fn probe(&self, probe: &str) -> Option<ServingStatus> {
        let asked = &server(&self.objects)[probe]["grpc"];
        let port = u16::try_from(asked["port"].as_u64().unwrap()).unwrap();
        let target = format!("http://{}", self.address(port));
        let channel = tonic::transport::Channel::from_shared(target).unwrap();
        let service = asked["service"].as_str().unwrap_or_default().to_owned();
        let mut health = HealthClient::new(channel.connect().await.ok()?);
        let answer = health.check(HealthCheckRequest { service }).await.ok()?;
        Some(answer.into_inner().status())
    }

    /// Waits until a probe gets this.
    pub async fn until(&self, probe: &str, wanted: ServingStatus) {
        let wait = async {
            while self.probe(probe).await != Some(wanted) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let patience = tokio::time::timeout(Duration::from_mins(1), wait);
        patience
            .await
            .unwrap_or_else(|_| panic!("{probe} never says {wanted:?}"));
    }
}

/// How a command ended, and what it said.
pub struct Done {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs a command to its end.
pub async fn done(mut command: Command) -> Done {
    let run = tokio::time::timeout(Duration::from_mins(1), command.output());
    let run = run.await.expect("it ends").unwrap();
    Done {
        code: run.status.code(),
        out: String::from_utf8(run.stdout).unwrap(),
        err: String::from_utf8(run.stderr).unwrap(),
    }
}

/// Starts a command.
pub fn started(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}
