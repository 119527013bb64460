//! Kinds and values as text.

use std::time::Duration;

use super::{setting::Kind, value::Value};

/// Units of bytes, the largest first.
pub(super) const BYTE_UNITS: [(&str, u64); 3] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// A number of bytes in the largest unit that divides it.
pub(super) fn bytes_text(number: u64) -> String {
    BYTE_UNITS
        .iter()
        .find(|(_, size)| number > 0 && number.is_multiple_of(*size))
        .map_or_else(
            || number.to_string(),
            |(unit, size)| format!("{}{unit}", number / size),
        )
}

/// A duration in the largest unit that divides it, as the parser reads it.
pub(super) fn duration_text(duration: Duration) -> String {
    const UNITS: [(&str, u128); 7] = [
        ("d", 86_400_000_000_000),
        ("h", 3_600_000_000_000),
        ("m", 60_000_000_000),
        ("s", 1_000_000_000),
        ("ms", 1_000_000),
        ("us", 1_000),
        ("ns", 1),
    ];
    let nanos = duration.as_nanos();
    UNITS
        .iter()
        .find(|(_, size)| nanos > 0 && nanos.is_multiple_of(*size))
        .map_or_else(
            || "0s".to_owned(),
            |(unit, size)| format!("{}{unit}", nanos / size),
        )
}

impl Kind {
    /// What is accepted, for people.
    pub(super) fn accepts(&self) -> String {
        match self {
            Self::Socket => "an IP address and a port, such as \"127.0.0.1:7300\"".to_owned(),
            Self::Text(range) => {
                format!("a text of {} to {} characters", range.start(), range.end())
            }
            Self::Secret => "a text, which is never shown".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Duration(range) => format!(
                "a duration from {} to {}",
                duration_text(*range.start()),
                duration_text(*range.end())
            ),
            Self::Integer(range) => {
                format!("a whole number from {} to {}", range.start(), range.end())
            }
            Self::Bytes(range) => format!(
                "a number of bytes from {} to {}",
                bytes_text(*range.start()),
                bytes_text(*range.end())
            ),
            Self::Bool => "true or false".to_owned(),
            Self::Ratio => "a number from 0 to 1".to_owned(),
            Self::Words(words) => words.join(", "),
            Self::WordsOrPath(words) => format!("{}, or a path with a `/` in it", words.join(", ")),
            Self::List(range) => {
                format!("a list of {} to {} texts", range.start(), range.end())
            }
        }
    }

    /// The value as TOML; none for a secret.
    pub(super) fn toml(&self, value: &Value) -> Option<String> {
        let text = |text: String| toml::Value::String(text).to_string();
        Some(match value {
            Value::Secret(_) => return None,
            Value::Socket(address) => text(address.to_string()),
            Value::Text(word) => text(word.clone()),
            Value::Path(path) => text(path.to_string_lossy().into_owned()),
            Value::Duration(duration) => text(duration_text(*duration)),
            Value::Number(number) if matches!(self, Self::Bytes(_)) => text(bytes_text(*number)),
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            Value::Ratio(ratio) => toml::Value::Float(*ratio).to_string(),
            Value::List(list) => toml::Value::from(list.clone()).to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in [
            "0s", "250ms", "1500us", "7ns", "30s", "90s", "10m", "36h", "7d", "366d",
        ] {
            let duration = humantime::parse_duration(text).expect("a duration");
            assert_eq!(duration_text(duration), text);
        }
    }
}
