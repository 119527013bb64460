//! The real `countersign dev`, in a directory of the test's.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{Child, Command},
    task::JoinHandle,
};

/// How long a start may take, a fetch of PostgreSQL included.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running `countersign dev`; killed if the test ends without stopping it.
pub struct Dev {
    child: Child,
    data_dir: PathBuf,
    // Read all the while, since a full pipe would hold the server up.
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

/// What a stopped `countersign dev` left.
pub struct Stopped {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

impl Dev {
    /// Starts it on a free port, and waits until it is ready.
    pub async fn start(data_dir: &Path) -> Self {
        Self::start_with(data_dir, &[]).await
    }

    /// The same with more arguments.
    pub async fn start_with(data_dir: &Path, more: &[&str]) -> Self {
        let json = data_dir.join("dev.json");
        let before = fs::metadata(&json).and_then(|file| file.modified()).ok();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        command
            .args(["dev", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Ok(major) = std::env::var("COUNTERSIGN_TEST_POSTGRES")
            && !more.contains(&"--database-url")
        {
            command.args(["--postgres", &major]);
        }
        let mut child = command.spawn().unwrap();
        let stdout = drain(child.stdout.take().unwrap());
        let stderr = drain(child.stderr.take().unwrap());
        let started = Instant::now();
        loop {
            let now = fs::metadata(&json).and_then(|file| file.modified()).ok();
            if now.is_some() && now != before {
                let data_dir = data_dir.to_owned();
                return Self {
                    child,
                    data_dir,
                    stdout,
                    stderr,
                };
            }
            if let Some(status) = child.try_wait().unwrap() {
                panic!(
                    "countersign dev ended with {status}:\n{}",
                    stderr.await.unwrap()
                );
            }
            assert!(
                started.elapsed() < PATIENCE,
                "countersign dev does not get ready"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// `dev.json`.
    pub fn description(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.data_dir.join("dev.json")).unwrap()).unwrap()
    }

    /// The process.
    pub fn id(&self) -> i32 {
        self.child.id().unwrap().try_into().unwrap()
    }

    /// Ctrl-C, and waits until it has ended.
    pub async fn stop(mut self) -> Stopped {
        self.signal(Signal::SIGINT);
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        Stopped {
            success: ended.expect("it ends").unwrap().success(),
            stdout: self.stdout.await.unwrap(),
            stderr: self.stderr.await.unwrap(),
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.id()), signal).unwrap();
    }
}

fn drain(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut text = String::new();
        pipe.read_to_string(&mut text).await.unwrap();
        text
    })
}
