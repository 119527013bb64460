//! Programs in another language that share no code with the server.

use crate::support::dev::Dev;
use std::{env, path::Path, time::Duration};
use tokio::process::Command;

/// How long a program may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(3);

/// A program of `tests/clients/` in the environment that `tests/run` made.
pub fn python(program: &str) -> Command {
    let python = env::var("COUNTERSIGN_TEST_PYTHON")
        .expect("COUNTERSIGN_TEST_PYTHON: tests/run installs what this test needs");
    let mut command = Command::new(python);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    command
        .arg(root.join("tests/clients").join(program))
        .current_dir(root);
    command
}

pub async fn passes(mut command: Command) {
    let output = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output());
    let output = output.await.expect("it ends").unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}{err}");
}

#[tokio::test]
async fn a_client_in_another_language_agrees_with_every_call() {
    let place = tempfile::tempdir().unwrap();
    let dev = Dev::start(place.path()).await;
    let stubs = env::var("COUNTERSIGN_TEST_STUBS").expect("tests/run makes the stubs");
    let mut client = python("foreign.py");
    client.arg(stubs).arg(place.path().join("dev.json"));
    passes(client).await;
    assert!(dev.stop().await.success);
}

#[tokio::test]
async fn an_implementation_in_another_language_agrees_with_every_vector() {
    passes(python("check_vectors.py")).await;
}
