//! How an answer is printed: JSON under the proto's names, or aligned text.
//!
//! Both are made from one [`Record`], so that neither can say what the other
//! does not.

use super::{
    exit::Exit,
    failure::Failure,
    printable::{printable, printable_json},
};
use serde::{Serialize, Serializer};
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

/// An answer's fields, in the proto's order and under its names.
#[derive(Default)]
#[must_use]
pub struct Record {
    fields: Vec<(&'static str, Value)>,
}

enum Value {
    Text(String),
    List(Vec<String>),
    Number(u64),
    Flag(bool),
    Time(prost_types::Timestamp),
    Span(prost_types::Duration),
    /// Stands inline in the text.
    Nested(Record),
    /// One line each in the text.
    Rows(Vec<Record>),
    /// A block each in the text; present when empty, since it is the answer.
    Blocks(Vec<Record>),
}

impl Record {
    /// A string; absent when empty.
    pub fn text(self, name: &'static str, value: String) -> Self {
        let present = !value.is_empty();
        self.with(name, present.then_some(Value::Text(value)))
    }

    /// Strings; absent when there are none.
    pub fn list(self, name: &'static str, values: Vec<String>) -> Self {
        let present = !values.is_empty();
        self.with(name, present.then_some(Value::List(values)))
    }

    /// A number, zero included.
    pub fn number(self, name: &'static str, value: impl Into<u64>) -> Self {
        self.with(name, Some(Value::Number(value.into())))
    }

    /// A truth, false included.
    pub fn flag(self, name: &'static str, value: bool) -> Self {
        self.with(name, Some(Value::Flag(value)))
    }

    /// A moment (RFC 3339, UTC); absent when unset.
    pub fn time(self, name: &'static str, value: Option<prost_types::Timestamp>) -> Self {
        self.with(name, value.map(Value::Time))
    }

    /// A duration; absent when unset.
    pub fn span(self, name: &'static str, value: Option<prost_types::Duration>) -> Self {
        self.with(name, value.map(Value::Span))
    }

    /// A message; absent when unset.
    pub fn nested(self, name: &'static str, value: Option<impl Into<Record>>) -> Self {
        self.with(name, value.map(|value| Value::Nested(value.into())))
    }

    /// Small messages that belong to this one; absent when there are none.
    pub fn rows(self, name: &'static str, values: Vec<impl Into<Record>>) -> Self {
        let present = !values.is_empty();
        let rows = values.into_iter().map(Into::into).collect();
        self.with(name, present.then_some(Value::Rows(rows)))
    }

    /// The messages that were asked for.
    pub fn blocks(self, name: &'static str, values: Vec<impl Into<Record>>) -> Self {
        let blocks = values.into_iter().map(Into::into).collect();
        self.with(name, Some(Value::Blocks(blocks)))
    }

    fn with(mut self, name: &'static str, value: Option<Value>) -> Self {
        self.fields.extend(value.map(|value| (name, value)));
        self
    }

    /// The names of its fields, for the tests.
    #[cfg(test)]
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.fields.iter().map(|(name, _)| *name).collect()
    }

    /// Lines of a label and a value, aligned; blocks stand apart.
    pub(super) fn to_text(&self) -> String {
        let mut lines = Vec::new();
        let mut text = String::new();
        self.collect(&mut lines, &mut text);
        let width = lines.iter().map(|(label, _)| label.len()).max();
        let mut own = String::new();
        for (label, value) in lines {
            // Writing to a String cannot fail.
            let _ = writeln!(
                own,
                "{label:<width$}  {value}",
                width = width.unwrap_or_default()
            );
        }
        if !text.is_empty() && !own.is_empty() {
            text.push('\n');
        }
        text + &own
    }

    fn collect(&self, lines: &mut Vec<(String, String)>, blocks: &mut String) {
        for (name, value) in &self.fields {
            match value {
                Value::Nested(record) => record.collect(lines, blocks),
                Value::Rows(rows) => {
                    for row in rows {
                        lines.push((label(name), row.one_line()));
                    }
                }
                Value::Blocks(records) if records.is_empty() => blocks.push_str("none\n"),
                Value::Blocks(records) => {
                    let texts: Vec<String> = records.iter().map(Record::to_text).collect();
                    blocks.push_str(&texts.join("\n"));
                }
                plain => lines.push((label(name), plain.to_text())),
            }
        }
    }

    fn one_line(&self) -> String {
        let values: Vec<String> = self
            .fields
            .iter()
            .map(|(_, value)| value.to_text())
            .collect();
        values.join("  ")
    }
}

impl Value {
    fn to_text(&self) -> String {
        match self {
            Self::Text(text) => printable(text),
            Self::List(values) => printable(&values.join(" ")),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
            Self::Time(time) => time.to_string(),
            Self::Span(span) => match std::time::Duration::try_from(*span) {
                Ok(span) => humantime::format_duration(span).to_string(),
                Err(_) => span.to_string(),
            },
            Self::Nested(record) => record.one_line(),
            Self::Rows(records) | Self::Blocks(records) => {
                let lines: Vec<String> = records.iter().map(Record::one_line).collect();
                lines.join("; ")
            }
        }
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.fields.iter().map(|(name, value)| (name, value)))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(values) => serializer.collect_seq(values),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Time(time) => serializer.collect_str(time),
            Self::Span(span) => serializer.collect_str(span),
            Self::Nested(record) => record.serialize(serializer),
            Self::Rows(records) | Self::Blocks(records) => serializer.collect_seq(records),
        }
    }
}

/// Prints an answer to stdout, where its tokens belong.
pub fn print(answer: impl Into<Record>, json: bool) -> Result<Exit, Failure> {
    let record = answer.into();
    let text = if json {
        let text = serde_json::to_string_pretty(&record).map_err(io::Error::from);
        printable_json(&text.map_err(Failure::Output)?) + "\n"
    } else {
        record.to_text()
    };
    write(text.as_bytes())
}

/// Writes bytes to stdout and says when they did not arrive: a token that was
/// not written is lost.
pub fn write(bytes: &[u8]) -> Result<Exit, Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(Failure::Output)?;
    Ok(Exit::Ok)
}

/// Writes to stderr, where nobody is told if it is closed.
pub fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

fn label(name: &str) -> String {
    name.replace('_', " ")
}
