//! The broken builds of `tests/mutants/` still fit the source that they break.

use std::{fs, path::Path};

/// What each hunk of a patch wants to find, with the file that it wants to find it in.
fn wanted(patch: &str) -> Vec<(String, String)> {
    let mut wanted: Vec<(String, String)> = Vec::new();
    let mut file = String::new();
    for line in patch.lines() {
        if let Some(path) = line.strip_prefix("+++ b/") {
            path.clone_into(&mut file);
        } else if line.starts_with("@@ ") {
            wanted.push((file.clone(), String::new()));
        } else if let Some((_, text)) = wanted.last_mut() {
            let kept = line.strip_prefix(' ').or_else(|| line.strip_prefix('-'));
            if let Some(kept) = kept.filter(|_| !line.starts_with("--- ")) {
                text.push_str(kept);
                text.push('\n');
            }
        }
    }
    wanted
}

#[test]
fn every_patch_applies_and_says_how_it_is_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut patches = 0;
    for entry in fs::read_dir(root.join("tests/mutants")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_none_or(|extension| extension != "patch")
        {
            continue;
        }
        let (name, text) = (path.display(), fs::read_to_string(&path).unwrap());
        for word in ["\nRun: ", "\nSeen as: "] {
            assert!(text.contains(word), "{name}: {word}");
        }
        let hunks = wanted(&text);
        assert!(!hunks.is_empty(), "{name}");
        for (file, found) in hunks {
            let source = fs::read_to_string(root.join(&file)).unwrap();
            assert!(
                source.contains(&found),
                "{name} does not apply to {file}: {found}"
            );
        }
        patches += 1;
    }
    assert_eq!(patches, 11);
}
