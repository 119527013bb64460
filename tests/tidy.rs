//! The rules of the house, as ARCHITECTURE.md writes them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A row of the table of rooms: which other rooms it may use, and which crates never.
struct Room {
    name: &'static str,
    /// The words of ARCHITECTURE.md's columns "may use" and "never".
    may_use: &'static str,
    never: &'static str,
    rooms: &'static [&'static str],
    forbidden: &'static [&'static str],
}

const ALL: &[&str] = &[
    "app",
    "authority",
    "bench",
    "cli",
    "config",
    "domain",
    "driver",
    "grpc",
    "health",
    "keyfile",
    "listening",
    "options",
    "presence",
    "proto",
    "purging",
    "reload",
    "shutdown",
    "sidecar",
    "store",
    "telemetry",
    "verify",
];

const ROOMS: &[Room] = &[
    Room {
        name: "domain",
        may_use: "std, crypto and time crates",
        never: "async, I/O, tonic, prost, postgres",
        rooms: &["domain"],
        forbidden: &[
            "async fn",
            "async move",
            ".await",
            "tonic::",
            "tonic_",
            "prost::",
            "prost_types",
            "tokio::",
            "tokio_postgres",
            "deadpool_postgres",
            "futures_util",
            "std::fs",
            "std::io",
            "std::env",
            "std::process",
            "TcpListener",
            "TcpStream",
        ],
    },
    Room {
        name: "store",
        may_use: "domain",
        never: "tonic, prost, authority, grpc",
        rooms: &["domain", "store"],
        forbidden: &["tonic::", "tonic_", "prost::", "prost_types"],
    },
    Room {
        name: "authority",
        may_use: "domain, store",
        never: "tonic, prost, tokio_postgres",
        rooms: &["authority", "domain", "store"],
        forbidden: &[
            "tonic::",
            "tonic_",
            "prost::",
            "prost_types",
            "tokio_postgres",
            "deadpool_postgres",
        ],
    },
    Room {
        name: "grpc",
        may_use: "domain, proto, authority, sidecar, driver",
        never: "store, tokio_postgres",
        rooms: &["authority", "domain", "driver", "grpc", "proto", "sidecar"],
        forbidden: &["tokio_postgres", "deadpool_postgres"],
    },
    Room {
        name: "sidecar",
        may_use: "domain, proto, authority",
        never: "store, tokio_postgres",
        rooms: &["authority", "domain", "proto", "sidecar"],
        forbidden: &["tokio_postgres", "deadpool_postgres"],
    },
    Room {
        name: "verify",
        may_use: "domain, proto",
        never: "store",
        rooms: &["domain", "proto", "verify"],
        forbidden: &["tokio_postgres", "deadpool_postgres"],
    },
    Room {
        name: "bench",
        may_use: "domain, proto, driver",
        never: "store",
        rooms: &["bench", "domain", "driver", "proto"],
        forbidden: &["tokio_postgres", "deadpool_postgres"],
    },
    Room {
        name: "cli",
        may_use: "all",
        never: "SQL",
        rooms: ALL,
        forbidden: &["tokio_postgres", "deadpool_postgres"],
    },
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(under: &str, extension: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, extension, found);
            } else if path.extension().is_some_and(|own| own == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(under), extension, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no .{extension} files under {under}");
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// The lines of code of a file, without its comments and unit tests, each with its number.
fn code(path: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .enumerate()
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .map(|(at, line)| {
            (
                at + 1,
                line.split("//").next().unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

/// The rooms that a file names by `crate::…`, also in groups, each with its line.
fn named_rooms(path: &Path) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    let mut depth = None;
    for (number, line) in code(path) {
        let mut rest = line.as_str();
        while let Some(at) = rest.find("crate::") {
            // `pub(in crate::domain)` says who may see, and uses nothing.
            let sees = rest[..at].ends_with("in ");
            rest = &rest[at + "crate::".len()..];
            if rest.starts_with('{') {
                depth = Some(0);
                break;
            }
            if !sees {
                named.push((number, word(rest)));
            }
        }
        let Some(level) = &mut depth else { continue };
        // Within `use crate::{ … }`: the first word of each element at its top.
        for (at, c) in rest.char_indices() {
            match c {
                '{' => *level += 1,
                '}' => *level -= 1,
                _ => {}
            }
            let before = rest[..at].trim_end().chars().next_back();
            if *level == 1 && c.is_alphabetic() && matches!(before, None | Some('{' | ',')) {
                named.push((number, word(&rest[at..])));
            }
        }
        if *level == 0 {
            depth = None;
        }
    }
    named
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn each_room_uses_only_what_its_row_allows() {
    let mut broken = Vec::new();
    for room in ROOMS {
        for path in files(&format!("src/{}", room.name), "rs") {
            let strangers = named_rooms(&path)
                .into_iter()
                .filter(|(_, other)| !room.rooms.contains(&other.as_str()));
            let crates = code(&path).into_iter().filter_map(|(number, line)| {
                let word = room.forbidden.iter().find(|word| line.contains(**word))?;
                Some((number, (*word).to_owned()))
            });
            for (number, what) in strangers.chain(crates) {
                broken.push(format!(
                    "{}:{number} uses `{what}`: src/{}/ may use {}; never {}",
                    name(&path),
                    room.name,
                    room.may_use,
                    room.never,
                ));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn the_rules_are_those_that_architecture_md_writes() {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for room in ROOMS {
        let row = architecture
            .lines()
            .find(|line| line.starts_with(&format!("| `src/{}/`", room.name)))
            .unwrap_or_else(|| panic!("ARCHITECTURE.md has no row for src/{}/", room.name));
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(
            cells[2..4],
            [room.may_use, room.never],
            "the row of src/{}/",
            room.name
        );
    }
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let long: Vec<_> = files("src", "rs")
        .into_iter()
        .chain(files("tests", "rs"))
        .map(|path| {
            (
                fs::read_to_string(&path).unwrap().lines().count(),
                name(&path),
            )
        })
        .filter(|(lines, _)| *lines > 400)
        .collect();
    assert!(
        long.is_empty(),
        "longer than 400 lines, so more than one idea: {long:?}"
    );
}

#[test]
fn nothing_is_left_for_later() {
    // Written apart, so that this file does not find itself.
    let words = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("#[ig", "nore"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
    ];
    for path in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        let text = fs::read_to_string(&path).unwrap();
        for word in words {
            assert!(!text.contains(word), "{} holds `{word}`", name(&path));
        }
    }
}

#[test]
fn every_statement_stands_in_its_own_file_and_every_file_is_used() {
    let sources: String = files("src", "rs")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let mut titles = BTreeSet::new();
    for path in files("sql", "sql") {
        let file = name(&path);
        let short = file.trim_start_matches("sql/").trim_end_matches(".sql");
        assert!(
            sources.contains(&format!("\"{short}\"")) || sources.contains(&format!("{file}\"")),
            "{file} is used by nobody"
        );
        if short.starts_with("migrations/") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let title = format!("-- {}", short.replace('/', "."));
        assert_eq!(
            text.lines().next(),
            Some(title.as_str()),
            "the first line of {file}"
        );
        assert!(titles.insert(title), "{file} bears a name twice");
    }
}

#[test]
fn no_sql_stands_in_the_code() {
    let verbs = [
        "SELECT ",
        "INSERT INTO ",
        "UPDATE ",
        "DELETE FROM ",
        "WITH ",
        "ALTER ",
        "CREATE ",
        "GRANT ",
        "DROP ",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SET ",
    ];
    for path in files("src", "rs") {
        for (number, line) in code(&path) {
            for verb in verbs {
                assert!(
                    !line.contains(&format!("\"{verb}")),
                    "{}:{number} holds SQL: {}",
                    name(&path),
                    line.trim()
                );
            }
        }
    }
}
