//! `keys generate`, `completions` and `--version`: no server is needed.

use super::binary::countersign;
use countersign::keyfile::load_key_file;
use std::{fs, os::unix::fs::PermissionsExt as _};

#[tokio::test]
async fn a_generated_key_goes_to_the_file_and_only_its_id_to_the_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let file = path.to_str().unwrap();

    let run = countersign(&["keys", "generate", "--file", file], &[], "").await;
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    let text = fs::read_to_string(&path).unwrap();
    let (id, key) = text.trim_end().split_once(' ').unwrap();
    assert_eq!(run.stderr, format!("key {id}\n"));
    assert!(!run.stderr.contains(key));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );

    let run = countersign(&["keys", "generate", "--file", file], &[], "").await;
    assert_eq!(run.code, 64);
    assert!(run.stderr.contains("--append"), "{}", run.stderr);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    let run = countersign(&["keys", "generate", "--file", file, "--append"], &[], "").await;
    assert_eq!(run.code, 0, "{}", run.stderr);
    let ring = load_key_file(&path).unwrap();
    assert_eq!(ring.ids().count(), 2);
    assert_eq!(ring.minting().id().to_string(), id);
}

#[tokio::test]
async fn a_key_for_stdout_is_a_line_of_a_key_file() {
    let run = countersign(&["keys", "generate"], &[], "").await;
    assert_eq!(run.code, 0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    fs::write(&path, &run.stdout).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let ring = load_key_file(&path).unwrap();
    assert_eq!(run.stderr, format!("key {}\n", ring.minting().id()));
}

#[tokio::test]
async fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = countersign(&["completions", shell], &[], "").await.ok();
        assert!(run.stdout.contains("introspect"), "{shell}");
    }
}

#[tokio::test]
async fn the_version_is_the_package_s() {
    let run = countersign(&["--version"], &[], "").await.ok();
    assert_eq!(
        run.stdout,
        concat!("countersign ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
