//! The real `countersign serve`, as a process beside a deployment's own servers: on the same
//! database, with the same first key.

use super::server::{Deployment, first_key};
use countersign::proto::v1::token_authority_service_client::TokenAuthorityServiceClient;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::{Child, Command},
};
use tonic::transport::Channel;

/// How long it may take to say something, or to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server; killed if the test ends without stopping it.
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    place: tempfile::TempDir,
    settings: Vec<(String, String)>,
    /// Where it serves.
    pub address: SocketAddr,
}

impl Process {
    /// Starts it with these settings, `key` and value as TOML, and waits until it is ready.
    pub async fn start(at: &Deployment, settings: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().unwrap();
        Self::start_in(place, at, settings).await
    }

    /// The same in a directory that may hold the key file `keys` already.
    pub async fn start_in(
        place: tempfile::TempDir,
        at: &Deployment,
        settings: &[(&str, &str)],
    ) -> Self {
        let mut process = Self::begin_in(place, at, settings);
        process.says("ready").await;
        process.address = process.address_of("listening");
        process
    }

    /// Starts it, and waits for nothing: it has no address yet.
    pub fn begin(at: &Deployment, settings: &[(&str, &str)]) -> Self {
        Self::begin_in(tempfile::tempdir().unwrap(), at, settings)
    }

    fn begin_in(place: tempfile::TempDir, at: &Deployment, settings: &[(&str, &str)]) -> Self {
        let keys = place.path().join("keys");
        if !keys.exists() {
            write_keys(&keys, &first_key());
        }
        let audit = place.path().join("audit");
        let mut all: Vec<(String, String)> = [
            ("listen", "127.0.0.1:0"),
            ("keys.file", keys.to_str().unwrap()),
            ("audit.output", audit.to_str().unwrap()),
            ("shutdown.pause", "0s"),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), format!("{value:?}")))
        .collect();
        for (key, value) in settings {
            all.retain(|(known, _)| known != key);
            all.push(((*key).to_owned(), (*value).to_owned()));
        }
        let file = place.path().join("countersign.toml");
        write_settings(&file, &all);
        let own = all.iter().any(|(key, _)| key == "database.url");
        let url = (!own).then(|| ("COUNTERSIGN_DATABASE_URL", at.serving_url()));
        let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["serve", "--config"])
            .arg(&file)
            .env_clear()
            .envs(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let written = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let mut log = written.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self {
            child,
            log,
            place,
            settings: all,
            address: ([127, 0, 0, 1], 0).into(),
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until a line of the log has these words, and returns the line.
    pub async fn says(&self, words: &str) -> String {
        self.says_after(0, words).await
    }

    /// The same of the log after so many bytes.
    pub async fn says_after(&self, bytes: usize, words: &str) -> String {
        let started = Instant::now();
        loop {
            let log = self.log();
            if let Some(line) = log[bytes..].lines().find(|line| line.contains(words)) {
                return line.to_owned();
            }
            assert!(started.elapsed() < PATIENCE, "no `{words}` in:\n{log}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where the port is of which the log says `what`: listening, metrics or health.
    pub fn address_of(&self, what: &str) -> SocketAddr {
        let log = self.log();
        let json = format!("\"message\":\"{what}\"");
        let text = format!(" {what} address=");
        let line = log
            .lines()
            .find(|line| line.contains(&json) || line.contains(&text))
            .unwrap_or_else(|| panic!("no address of {what} in:\n{log}"));
        let (_, rest) = line.split_once("127.0.0.1:").unwrap();
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        format!("127.0.0.1:{port}").parse().unwrap()
    }

    /// A file of its place: `keys`, `audit`, `countersign.toml`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// Writes the configuration again with another value of one setting.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.retain(|(known, _)| known != key);
        self.settings.push((key.to_owned(), value.to_owned()));
        write_settings(&self.file("countersign.toml"), &self.settings);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().unwrap().try_into().unwrap());
        kill(pid, signal).unwrap();
    }

    /// Waits for its end, and returns its exit code.
    pub async fn exit_code(&mut self) -> i32 {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let Ok(ended) = ended else {
            panic!("it does not end:\n{}", self.log());
        };
        ended.unwrap().code().unwrap()
    }

    /// Waits until a series stands at least at this value.
    pub async fn reaches(&self, series: &str, least: f64) {
        let started = Instant::now();
        while self.metric(series).await < least {
            assert!(started.elapsed() < PATIENCE, "{series} is below {least}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until a series stands at this value or below.
    pub async fn sinks(&self, series: &str, most: f64) {
        let started = Instant::now();
        while self.metric(series).await > most {
            assert!(started.elapsed() < PATIENCE, "{series} is above {most}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A connection to it.
    pub async fn channel(&self) -> Channel {
        connect(self.address).await
    }

    /// Its token calls, over a connection of their own.
    pub async fn tokens(&self) -> TokenAuthorityServiceClient<Channel> {
        TokenAuthorityServiceClient::new(self.channel().await)
    }

    /// The page of metrics.
    pub async fn metrics(&self) -> String {
        let (head, page) = get(self.address_of("metrics"), "/metrics").await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        page
    }

    /// The value of one series on the page of metrics, `name{label="value"}`.
    pub async fn metric(&self, series: &str) -> f64 {
        let page = self.metrics().await;
        let line = page.lines().find_map(|line| line.strip_prefix(series));
        line.map_or(0.0, |value| value.trim().parse().unwrap())
    }
}

/// A connection to a server.
pub async fn connect(address: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

/// Writes a key file in the place of what stands there, in one step.
pub fn write_keys(path: &Path, text: &str) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&draft, path).unwrap();
}

fn write_settings(path: &Path, settings: &[(String, String)]) {
    let mut text = String::new();
    for (key, value) in settings {
        writeln!(text, "{key} = {value}").unwrap();
    }
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    fs::rename(&draft, path).unwrap();
}

/// `GET`: the head and the body.
pub async fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}
