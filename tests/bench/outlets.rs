//! Where the report goes.

use super::{left, place, run, text};
use serde_json::Value;
use std::fs;

#[tokio::test]
async fn a_path_that_cannot_be_written_is_told_before_anything_starts() {
    let place = place();
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    let (home, good, bad) = (path("home"), path("good"), path("nowhere/file"));
    for words in [
        ["--json", &bad, "--plot", &good],
        ["--json", &good, "--plot", &bad],
    ] {
        let words = [&words[..], &["--home", &home, "--only", "echo"]].concat();
        let refused = run(place.path(), &words).await;
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(64), "{said}");
        assert!(said.contains(&format!("cannot write {bad}")), "{said}");
        // No home was made, and no empty file is left where one could have been written.
        assert!(left(place.path()).is_empty(), "{:?}", left(place.path()));
    }

    // What stands there stays until there is something to write.
    fs::write(&good, "of an earlier run").unwrap();
    let words = ["--json", &good, "--plot", &bad, "--only", "echo"];
    assert_eq!(run(place.path(), &words).await.status.code(), Some(64));
    assert_eq!(fs::read_to_string(&good).unwrap(), "of an earlier run");
}

#[tokio::test]
async fn a_file_that_fails_at_the_end_costs_neither_the_table_nor_the_other_file() {
    let place = place();
    let json = place.path().join("bench.json");
    fs::write(&json, "x".repeat(1 << 20)).unwrap();
    let words = ["--only", "introspect-forged", "--rate", "100"];
    let files = ["--json", json.to_str().unwrap(), "--plot", "/dev/full"];
    let ran = run(place.path(), &[&words[..], &files].concat()).await;
    let (table, said) = (text(&ran.stdout), text(&ran.stderr));
    assert_eq!(ran.status.code(), Some(64), "{said}");
    assert!(said.contains("cannot write /dev/full"), "{said}");
    assert!(table.contains("\nintrospect-forged "), "{table}");
    assert!(table.contains("No ratios with --rate"), "{table}");
    let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(report["results"][1]["name"], "introspect-forged");
    assert!(report["results"][1]["ratio"].is_null(), "{report}");
}
