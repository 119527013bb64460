//! The handbook: mdBook builds it, its links lead somewhere, and its commands exist.

mod names;

use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use countersign::cli::Cli;
use mdbook_driver::MDBook;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
    sync::OnceLock,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Files under a directory, by their paths from there.
fn files(from: &Path, extension: &str) -> BTreeSet<PathBuf> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(from, &mut found);
    found
        .iter()
        .filter(|path| path.extension().is_some_and(|own| own == extension))
        .map(|path| path.strip_prefix(from).unwrap().to_owned())
        .collect()
}

/// The built book, which ends with the process's temporary files.
fn book() -> &'static Path {
    static BOOK: OnceLock<PathBuf> = OnceLock::new();
    BOOK.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("handbook");
        let mut book = MDBook::load(root()).expect("a book");
        book.config.build.build_dir.clone_from(&place);
        book.build().expect("a handbook");
        place
    })
}

/// What stands between `before` and a quotation mark, each time.
fn quoted<'t>(text: &'t str, before: &str) -> Vec<&'t str> {
    text.split(before)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('"')?.0))
        .collect()
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

fn is_elsewhere(link: &str) -> bool {
    ["http://", "https://", "mailto:", "data:", "javascript:"]
        .iter()
        .any(|scheme| link.starts_with(scheme))
}

/// The ids of each page.
fn anchors() -> BTreeMap<PathBuf, BTreeSet<String>> {
    let pages = files(book(), "html").into_iter().map(|page| {
        let text = fs::read_to_string(book().join(&page)).unwrap();
        let ids = quoted(&text, "id=\"").into_iter().map(str::to_owned);
        (page, ids.collect())
    });
    pages.collect()
}

#[test]
fn every_link_of_the_handbook_leads_somewhere() {
    let anchors = anchors();
    let mut checked = 0;
    for page in anchors.keys() {
        // Made to be found at any path, with links from the root.
        if page.ends_with("404.html") {
            continue;
        }
        let text = fs::read_to_string(book().join(page)).unwrap();
        let links = [quoted(&text, "href=\""), quoted(&text, "src=\"")].concat();
        for link in links.into_iter().filter(|link| !is_elsewhere(link)) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                page.clone()
            } else {
                plain(&page.parent().unwrap().join(path))
            };
            let place = format!("{}: {link}", page.display());
            assert!(book().join(&target).is_file(), "{place}");
            if !anchor.is_empty() {
                assert!(anchors[&target].contains(anchor), "{place}");
            }
            checked += 1;
        }
    }
    assert!(checked > 1000, "{checked} links");
}

#[test]
fn every_page_is_in_the_summary_and_is_built() {
    let summary = fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let listed: BTreeSet<PathBuf> = summary
        .split("](")
        .skip(1)
        .map(|rest| rest.split_once(')').unwrap().0.into())
        .collect();
    let mut pages = files(&root().join("docs"), "md");
    pages.remove(Path::new("SUMMARY.md"));
    assert_eq!(listed, pages);
    for page in pages {
        let html = book().join(&page).with_extension("html");
        let text = fs::read_to_string(&html).unwrap();
        assert!(
            !text.contains("{{#"),
            "{}: an include failed",
            page.display()
        );
    }
}

/// The files beside the handbook whose links are looked at.
const BESIDE: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "BENCHMARKS.md",
];

#[test]
fn every_link_of_the_files_beside_it_leads_somewhere() {
    let anchors = anchors();
    for file in BESIDE {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let links = text.split("](").skip(1);
        for link in links.map(|rest| rest.split(')').next().unwrap()) {
            if is_elsewhere(link) {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            assert!(root().join(path).exists(), "{file}: {link}");
            if let (Ok(page), false) = (Path::new(path).strip_prefix("docs"), anchor.is_empty()) {
                let page = page.with_extension("html");
                assert!(anchors[&page].contains(anchor), "{file}: {link}");
            }
        }
    }
}

/// What a text shows as code, line by line: of its blocks, and between backticks.
fn code(text: &str) -> (Vec<String>, Vec<&str>) {
    let (mut lines, mut spans) = (Vec::<String>::new(), Vec::new());
    let (mut block, mut goes_on) = (false, false);
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("```") {
            block = !block;
        } else if block {
            let words = line.trim_end_matches('\\');
            match lines.last_mut().filter(|_| goes_on) {
                Some(last) => *last += words,
                None => lines.push(words.to_owned()),
            }
            goes_on = line.ends_with('\\');
        } else {
            spans.extend(line.split('`').skip(1).step_by(2));
        }
    }
    assert!(!block, "a block has no end");
    (lines, spans)
}

/// The commands that a text shows: those of the lines of its blocks, which have to be whole,
/// and those between backticks.
fn commands(text: &str) -> Vec<(String, bool)> {
    let (lines, spans) = code(text);
    let lines = lines.iter().flat_map(|line| {
        let parts = line.trim_start_matches("$ ").split(" | ");
        parts.map(|part| (part, true))
    });
    let spans = spans.into_iter().map(|span| (span, false));
    lines
        .chain(spans)
        .filter(|(part, _)| part.starts_with("countersign "))
        // The contexts of key derivation.
        .filter(|(part, _)| !part.starts_with("countersign v1 "))
        .map(|(part, whole)| (part.to_owned(), whole))
        .collect()
}

/// Why the command line does not take a whole line, unless it leaves something to the reader.
fn refusal(line: &str) -> Option<String> {
    let line = line.split([';', '>', '<', '&', '#']).next().unwrap();
    if line.contains(['$', '…']) {
        return None;
    }
    let error = Cli::try_parse_from(line.split_whitespace()).err()?;
    let asked = [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion].contains(&error.kind());
    (!asked).then(|| error.to_string())
}

/// Why there is no such command.
fn fault(line: &str) -> Option<String> {
    let mut command = Cli::command();
    command.build();
    let mut command = &command;
    let mut words = line.split_whitespace().skip(1).peekable();
    while let Some(word) = words.peek() {
        if let Some(next) = command.find_subcommand(word) {
            command = next;
        } else if word.starts_with("--as") {
            // Who calls may be said before what.
            words.next();
        } else {
            break;
        }
        words.next();
    }
    let name = command.get_name();
    if command.has_subcommands() {
        return Some(format!("{name} wants another word"));
    }
    let options: Vec<_> = words.filter(|word| word.starts_with("--")).collect();
    options.iter().find_map(|word| {
        let option = word.trim_start_matches("--").split('=').next().unwrap();
        let option = option.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let mut known = command.get_arguments().filter_map(clap::Arg::get_long);
        (!known.any(|known| known == option)).then(|| format!("{name} has no --{option}"))
    })
}

#[test]
fn every_command_that_is_shown_exists() {
    let docs = files(&root().join("docs"), "md");
    let docs = docs.iter().map(|page| Path::new("docs").join(page));
    let beside = BESIDE.iter().map(PathBuf::from);
    let mut shown = 0;
    for page in docs.chain(beside) {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        for (line, whole) in commands(&text) {
            let refusal = || whole.then(|| refusal(&line)).flatten();
            if let Some(fault) = fault(&line).or_else(refusal) {
                panic!("{}: `{line}`: {fault}", page.display());
            }
            shown += 1;
        }
    }
    assert!(shown > 50, "{shown} commands");
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    for (line, why) in [
        ("countersign keys rotate", "keys wants another word"),
        ("countersign fence --now", "fence has no --now"),
        ("countersign", "countersign wants another word"),
    ] {
        assert_eq!(fault(line).as_deref(), Some(why), "{line}");
    }
    assert_eq!(fault("countersign keys list --file keys --json"), None);
    for line in [
        "countersign keys list",
        "countersign keys retire 0a1b2c3 --file keys",
        "countersign client get admin",
    ] {
        assert_eq!(fault(line), None);
        assert!(refusal(line).is_some(), "{line}");
    }
    assert_eq!(refusal("countersign token introspect - < token"), None);
    let text = "`countersign fence`\n```\n$ cat x | countersign keys \\\n  list # all\n```";
    let list = ("countersign keys list # all".to_owned(), true);
    let fence = ("countersign fence".to_owned(), false);
    assert_eq!(commands(text), [list, fence]);
}
