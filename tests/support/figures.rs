//! What a run of the tests has measured, for `tests/run` to print at its end.

use std::{fs, path::Path};

/// Writes the figures of one test to `target/tests-figures/NAME.txt`.
pub fn write(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tests-figures");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.txt")), text).unwrap();
}
