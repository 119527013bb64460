//! What the chart renders, as it was reviewed: the whole of the default, and of the others
//! what there is.

use super::{configuration, containers, matrix, named, objects, pods, root, template};
use std::{fmt::Write as _, fs};

fn assert_reviewed(name: &str, rendered: &str) {
    let path = root().join("tests/snapshots/chart").join(name);
    if std::env::var_os("COUNTERSIGN_TEST_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, rendered).unwrap();
    }
    let standing = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        standing == rendered,
        "{}: look at the change, and run with COUNTERSIGN_TEST_BLESS=1",
        path.display()
    );
}

#[test]
fn the_default_is_as_reviewed() {
    let text = template("default", &[]).unwrap();
    assert_eq!(
        template("default", &[]),
        Ok(text.clone()),
        "the same each time"
    );
    assert_reviewed("default.yaml", &text);
}

#[test]
fn the_matrix_is_as_reviewed() {
    let mut text = String::new();
    for values in matrix() {
        let objects = objects(&template(&values, &[]).unwrap());
        writeln!(text, "== {values}").unwrap();
        for object in &objects {
            writeln!(text, "{}", named(object)).unwrap();
        }
        for (name, _, pod) in pods(&objects) {
            for container in containers(pod) {
                let args = &container["args"];
                if !args.is_null() {
                    writeln!(text, "{name}: {} {args}", container["name"]).unwrap();
                }
            }
        }
        writeln!(text, "{}", configuration(&objects)).unwrap();
    }
    assert_reviewed("matrix.txt", &text);
}
