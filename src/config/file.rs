//! The configuration file: TOML, flattened to dotted keys.

use std::path::Path;

use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::{
    error::{Origin, Problem},
    load::Given,
    parse::Raw,
    table::{SECTIONS, SETTINGS},
};

/// Reads the file into what it sets; none if it cannot be read or is not TOML.
pub(super) fn read(path: &Path, problems: &mut Vec<Problem>) -> Option<Vec<Given>> {
    let about_file = |wrong: String, line| Problem {
        key: "the configuration file".to_owned(),
        origin: Origin::File(path.to_owned(), line),
        wrong,
        accepted: None,
    };
    // It may hold a secret.
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) => {
            problems.push(about_file(format!("cannot be read: {error}"), None));
            return None;
        }
    };
    let (document, errors) = DeTable::parse_recoverable(&text);
    if !errors.is_empty() {
        // Never the error's own Display: it quotes the line, which may hold a secret.
        problems.extend(errors.iter().map(|error| {
            let line = error.span().map(|span| line_of(&text, span.start));
            about_file(format!("is not TOML: {}", error.message()), line)
        }));
        return None;
    }
    let mut reading = Reading {
        path,
        text: &text,
        problems,
        given: Vec::new(),
    };
    reading.table("", document.get_ref());
    Some(reading.given)
}

struct Reading<'a> {
    path: &'a Path,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
    given: Vec<Given>,
}

impl Reading<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let line = line_of(self.text, name.span().start);
            let quoted = name.get_ref().contains('.');
            let key = format!("{prefix}{}", name.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) if !inner.is_empty() || is_section(&key) => {
                    self.table(&format!("{key}."), inner);
                }
                value => self.setting(key, quoted, value, line),
            }
        }
    }

    fn setting(&mut self, key: String, quoted: bool, value: &DeValue<'_>, line: usize) {
        let origin = Origin::File(self.path.to_owned(), Some(line));
        match SETTINGS
            .iter()
            .find(|setting| setting.key == key && !quoted)
        {
            Some(setting) => self.given.push(Given {
                setting,
                raw: raw(value),
                origin,
            }),
            None => self.problems.push(Problem {
                wrong: if is_section(&key) {
                    "is a section, not a setting".to_owned()
                } else if quoted {
                    "there is no such setting; a dotted key takes no quotes".to_owned()
                } else {
                    format!("there is no such setting{}", did_you_mean(&key))
                },
                key,
                origin,
                accepted: None,
            }),
        }
    }
}

fn is_section(key: &str) -> bool {
    SECTIONS.iter().any(|(section, _)| *section == key)
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(integer) => i128::from_str_radix(integer.as_str(), integer.radix())
            .map_or(Raw::Other("integer"), Raw::Integer),
        DeValue::Boolean(truth) => Raw::Bool(*truth),
        DeValue::Array(members) => members
            .iter()
            .map(|member| member.get_ref().as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map_or(Raw::Other("array of other things than texts"), Raw::List),
        DeValue::Float(float) => float
            .as_str()
            .replace('_', "")
            .parse()
            .map_or(Raw::Other("float"), Raw::Float),
        DeValue::Datetime(_) => Raw::Other("datetime"),
        DeValue::Table(_) => Raw::Other("table"),
    }
}

/// The line of a byte; 1 is the first.
fn line_of(text: &str, byte: usize) -> usize {
    text.bytes()
        .take(byte)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// `; did you mean …?` for a key that is nearly one of the table, or one without its
/// section.
fn did_you_mean(key: &str) -> String {
    let same_name = SETTINGS.iter().find(|setting| setting.name() == key);
    let nearest = same_name
        .map(|setting| setting.key)
        .or_else(|| nearest(key, SETTINGS.iter().map(|setting| setting.key)));
    nearest.map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// The candidate that differs from `word` in few characters.
pub(super) fn nearest<T: AsRef<str> + Ord>(
    word: &str,
    candidates: impl Iterator<Item = T>,
) -> Option<T> {
    candidates
        .map(|candidate| {
            (
                strsim::damerau_levenshtein(word, candidate.as_ref()),
                candidate,
            )
        })
        .min()
        .filter(|(distance, candidate)| *distance <= (candidate.as_ref().len() / 5).clamp(1, 3))
        .map(|(_, candidate)| candidate)
}
