//! README's transcript, run as printed against a real `countersign dev`.

use crate::support::dev::Dev;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// A command of the transcript and what it printed.
struct Step {
    command: String,
    printed: Vec<String>,
}

fn transcript() -> Vec<Step> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let block = readme
        .split("```console\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => steps.push(Step {
                command: command.to_owned(),
                printed: Vec::new(),
            }),
            None => steps.last_mut().unwrap().printed.push(line.to_owned()),
        }
    }
    assert!(steps.len() > 8, "the transcript is there");
    steps
}

/// What must be alike: the words before a value that changes, ids and times left out.
fn shape(line: &str) -> String {
    let looks_random = |word: &str| {
        word.starts_with("cs_") || word.len() >= 20 && word.contains(|c: char| c.is_ascii_digit())
    };
    line.split_whitespace()
        .map(|word| if looks_random(word) { "…" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test]
async fn the_transcript_of_the_readme_runs_as_printed() {
    let steps = transcript();
    let place = tempfile::tempdir().unwrap();
    let dev = Dev::start(&place.path().join(".countersign")).await;
    let binary = Path::new(env!("CARGO_BIN_EXE_countersign"))
        .parent()
        .unwrap();

    let mut script = String::from("set -u\n");
    for step in &steps {
        let command = step
            .command
            .replace("$PWD/target/release", binary.to_str().unwrap());
        script.extend([command.as_str(), "\necho '--- next'\n"]);
    }
    let output = Command::new("bash")
        .arg("-c")
        .arg(script)
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let printed: Vec<&str> = text.split("--- next\n").collect();
    for (step, printed) in steps.iter().zip(printed) {
        let wanted: Vec<_> = step
            .printed
            .iter()
            .filter(|line| !line.starts_with("error: "))
            .map(|line| shape(line))
            .collect();
        let found: Vec<_> = printed.lines().map(shape).collect();
        assert_eq!(found, wanted, "$ {}\n{errors}", step.command);
    }
    let refusals: Vec<_> = steps
        .iter()
        .flat_map(|step| &step.printed)
        .filter(|line| line.starts_with("error"))
        .collect();
    assert_eq!(errors.lines().collect::<Vec<_>>(), refusals);
    dev.stop().await;
}
