//! A real Envoy by `examples/envoy/envoy.yaml`, with the tests' ports in place of its own.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    sync::OnceCell,
};

use crate::support::{process::get, server::Caller};

const PATIENCE: Duration = Duration::from_mins(1);

/// A running Envoy; killed with the test.
pub struct Gateway {
    _child: Child,
    place: tempfile::TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    admin: SocketAddr,
}

/// What an HTTP client got.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        values(&self.head, name)
    }

    /// What the application received of a header.
    pub fn received(&self, name: &str) -> Vec<&str> {
        values(&self.body, name)
    }
}

fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .filter(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
        .collect()
}

/// Envoy's binary, from the wheel that `tests/run` installs.
pub async fn binary() -> &'static PathBuf {
    static BINARY: OnceCell<PathBuf> = OnceCell::const_new();
    let find = || async {
        let python = std::env::var("COUNTERSIGN_TEST_PYTHON")
            .expect("COUNTERSIGN_TEST_PYTHON: tests/run installs what this test needs");
        let find = "import envoy, os; print(os.path.join(os.path.dirname(envoy.__file__), '_bin', 'envoy'))";
        let found = Command::new(python)
            .args(["-c", find])
            .output()
            .await
            .unwrap();
        assert!(
            found.status.success(),
            "{}",
            String::from_utf8_lossy(&found.stderr)
        );
        PathBuf::from(String::from_utf8(found.stdout).unwrap().trim())
    };
    BINARY.get_or_init(find).await
}

/// An application that answers with the head of each request. Returns its port.
pub async fn application() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                let mut byte = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut byte).await {
                    head.extend_from_slice(&byte[..read]);
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let answer =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", head.len());
                    let answer = [answer.as_bytes(), &head].concat();
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                    head.clear();
                }
            });
        }
    });
    port
}

/// What stands in the example, and what takes its place.
pub type Change = (String, String);

/// A change of the example.
pub fn change(from: &str, to: &str) -> Change {
    (from.to_owned(), to.to_owned())
}

/// What `examples/envoy/envoy-mtls.yaml` changes, with these files of PEM.
pub fn secured(certificate: &str, key: &str, ca: &str) -> Vec<Change> {
    let example = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/envoy/envoy-mtls.yaml"
    );
    let text = fs::read_to_string(example).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<_> = lines.map(|line| format!("      {line}")).collect();
    let mut socket = lines.join("\n") + "\n";
    for (from, to) in [
        ("/etc/envoy/tls/tls.crt", certificate),
        ("/etc/envoy/tls/tls.key", key),
        ("/etc/envoy/tls/ca.crt", ca),
    ] {
        assert!(socket.contains(from), "the example has no `{from}`");
        socket = socket.replace(from, to);
    }
    let cluster = "    - name: countersign\n      type: STATIC\n";
    let secret = "                        initial_metadata:\n                          \
                  - { key: authorization, value: \"Basic %ENVIRONMENT(COUNTERSIGN_BASIC)%\" }\n";
    vec![
        change(cluster, &format!("{cluster}{socket}")),
        change(secret, ""),
    ]
}

impl Gateway {
    /// Before an application, asking the server at that target as this client.
    pub async fn start(target: &str, caller: &Caller, changes: &[Change]) -> Self {
        Self::before(application().await, target, caller, changes).await
    }

    /// The same before the application at that port.
    pub async fn before(
        application: u16,
        target: &str,
        caller: &Caller,
        changes: &[Change],
    ) -> Self {
        let basic = STANDARD.encode(format!("{}:{}", caller.id, caller.secret));
        let port = target.rsplit_once(':').unwrap().1;
        let place = tempfile::tempdir().unwrap();
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/envoy/envoy.yaml");
        let mut text = fs::read_to_string(example).unwrap();
        let ports = [
            change("port_value: 9901", "port_value: 0"),
            change("port_value: 10000", "port_value: 0"),
            change("port_value: 8080", &format!("port_value: {application}")),
            // Its own open method of health is an application of gRPC.
            change("port_value: 8081", &format!("port_value: {port}")),
            change("port_value: 7300", &format!("port_value: {port}")),
        ];
        for (from, to) in ports.iter().chain(changes) {
            assert!(text.contains(from), "the example has no `{from}`");
            text = text.replace(from, to);
        }
        let (config, admin) = (place.path().join("envoy.yaml"), place.path().join("admin"));
        fs::write(&config, text).unwrap();
        let log = fs::File::create(place.path().join("log")).unwrap();
        let mut child = Command::new(binary().await)
            .arg("-c")
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&admin)
            .args([
                "--concurrency",
                "1",
                "--use-dynamic-base-id",
                "--log-level",
                "warning",
            ])
            .env("COUNTERSIGN_BASIC", basic)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let started = Instant::now();
        let admin: SocketAddr = loop {
            let address = fs::read_to_string(&admin).unwrap_or_default();
            if let Ok(address) = address.trim().parse() {
                break address;
            }
            if let Some(status) = child.try_wait().unwrap() {
                let log = fs::read_to_string(place.path().join("log")).unwrap();
                panic!("Envoy ended: {status}\n{log}");
            }
            assert!(started.elapsed() < PATIENCE, "Envoy does not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let mut gateway = Self {
            _child: child,
            place,
            address: admin,
            admin,
        };
        gateway.address = gateway.listener().await;
        gateway
    }

    /// Where the example's listener is, once it is there.
    async fn listener(&self) -> SocketAddr {
        let started = Instant::now();
        loop {
            let (head, body) = get(self.admin, "/listeners?format=json").await;
            let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
                dechunked(&body)
            } else {
                body
            };
            let found: Value = serde_json::from_str(&body).unwrap_or_default();
            let socket = &found["listener_statuses"][0]["local_address"]["socket_address"];
            if let Some(port) = socket["port_value"].as_u64() {
                return ([127, 0, 0, 1], u16::try_from(port).unwrap()).into();
            }
            assert!(
                started.elapsed() < PATIENCE,
                "Envoy does not listen: {}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What Envoy has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.place.path().join("log")).unwrap()
    }

    /// `GET` with these lines as its headers.
    pub async fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.send("GET", path, headers).await
    }

    /// A request without a body.
    pub async fn send(&self, method: &str, path: &str, headers: &[&str]) -> Answer {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: app.example\r\nconnection: close\r\n");
        for line in headers {
            request.push_str(line);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }
}

fn dechunked(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((size, more)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_default();
        if size == 0 || more.len() < size {
            break;
        }
        whole.push_str(&more[..size]);
        rest = more[size..].trim_start_matches("\r\n");
    }
    whole
}
