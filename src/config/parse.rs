//! From what was written to a checked value.

use std::{ops::RangeInclusive, path::PathBuf};

use super::{
    Secret,
    setting::{Kind, Setting},
    text::{BYTE_UNITS, bytes_text, duration_text},
    value::Value,
};

/// A value as it was written.
pub(super) enum Raw {
    /// In a variable, a flag or a default: its kind says what the text means.
    Word(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Integer(i128),
    /// A TOML float.
    Float(f64),
    /// A TOML boolean.
    Bool(bool),
    /// A TOML array of strings.
    List(Vec<String>),
    /// Anything else in TOML, by the name of its type.
    Other(&'static str),
}

/// Checks what was written against its setting.
///
/// # Errors
/// What is wrong, in words that show the value only if it is no secret.
pub(super) fn parse(setting: &Setting, raw: Raw) -> Result<Value, String> {
    let shown = if setting.is_secret() {
        "the value".to_owned()
    } else {
        show(&raw)
    };
    check(&setting.kind, raw).map_err(|wrong| format!("{shown} {wrong}"))
}

fn check(kind: &Kind, raw: Raw) -> Result<Value, String> {
    match (kind, raw) {
        (Kind::Integer(range), Raw::Integer(number)) => {
            number_within(range, number, u64::to_string)
        }
        (Kind::Bytes(range), Raw::Integer(number)) => {
            number_within(range, number, |bound| bytes_text(*bound))
        }
        (Kind::Integer(range), Raw::Word(word)) => {
            let number = word.parse().map_err(|_| "is not a whole number")?;
            number_within(range, number, u64::to_string)
        }
        (Kind::Bytes(range), Raw::Word(text) | Raw::Text(text)) => {
            number_within(range, bytes(&text)?, |bound| bytes_text(*bound))
        }
        (Kind::Bool, Raw::Bool(truth)) => Ok(Value::Bool(truth)),
        (Kind::Bool, Raw::Word(word)) => word
            .parse()
            .map(Value::Bool)
            .map_err(|_| "is neither true nor false".to_owned()),
        (Kind::Ratio, Raw::Float(ratio)) => share(ratio),
        // A whole number is a share too: all, or nothing.
        (Kind::Ratio, Raw::Integer(number)) => match number {
            0 => share(0.0),
            1 => share(1.0),
            _ => Err("is not from 0 to 1".to_owned()),
        },
        (Kind::Ratio, Raw::Word(word)) => share(word.parse().map_err(|_| "is not a number")?),
        (Kind::List(range), Raw::List(list)) => list_within(range, list),
        (Kind::List(range), Raw::Word(word)) => {
            let members = word
                .split(',')
                .map(str::trim)
                .filter(|member| !member.is_empty());
            list_within(range, members.map(str::to_owned).collect())
        }
        (Kind::Integer(_) | Kind::Bool | Kind::Ratio | Kind::List(_), _)
        | (_, Raw::Integer(_) | Raw::Float(_) | Raw::Bool(_) | Raw::List(_) | Raw::Other(_)) => {
            Err("has the wrong type".to_owned())
        }
        (_, Raw::Word(text) | Raw::Text(text)) => check_text(kind, text),
    }
}

fn check_text(kind: &Kind, text: String) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    match kind {
        Kind::Secret => Ok(Value::Secret(Secret::new(text))),
        Kind::Path => Ok(Value::Path(PathBuf::from(text))),
        Kind::Socket => text
            .parse()
            .map(Value::Socket)
            .map_err(|_| "is not an IP address and a port".to_owned()),
        Kind::Duration(range) => {
            let duration = humantime::parse_duration(&text)
                .map_err(|_| "is not a duration with its unit".to_owned())?;
            within(range, duration, |bound| duration_text(*bound)).map(Value::Duration)
        }
        Kind::Text(range) => {
            if text.chars().any(char::is_control) {
                return Err("has a control character".to_owned());
            }
            within(range, text.chars().count(), |bound| {
                format!("{bound} characters")
            })?;
            Ok(Value::Text(text))
        }
        Kind::Words(words) if words.contains(&text.as_str()) => Ok(Value::Text(text)),
        Kind::WordsOrPath(words) if text.contains('/') || words.contains(&text.as_str()) => {
            Ok(Value::Text(text))
        }
        Kind::Words(_) | Kind::WordsOrPath(_) => Err("is none of the words".to_owned()),
        Kind::Integer(_) | Kind::Bytes(_) | Kind::Bool | Kind::Ratio | Kind::List(_) => {
            Err("has the wrong type".to_owned())
        }
    }
}

/// A share from 0 to 1; what is no number is none.
fn share(ratio: f64) -> Result<Value, String> {
    if (0.0..=1.0).contains(&ratio) {
        Ok(Value::Ratio(ratio))
    } else {
        Err("is not from 0 to 1".to_owned())
    }
}

fn within<T: PartialOrd>(
    range: &RangeInclusive<T>,
    value: T,
    text: impl Fn(&T) -> String,
) -> Result<T, String> {
    if value < *range.start() {
        Err(format!("is less than {}", text(range.start())))
    } else if value > *range.end() {
        Err(format!("is more than {}", text(range.end())))
    } else {
        Ok(value)
    }
}

fn number_within(
    range: &RangeInclusive<u64>,
    number: i128,
    text: impl Fn(&u64) -> String,
) -> Result<Value, String> {
    let wide = i128::from(*range.start())..=i128::from(*range.end());
    let narrow =
        |bound: &i128| u64::try_from(*bound).map_or_else(|_| bound.to_string(), |b| text(&b));
    let number = within(&wide, number, narrow)?;
    u64::try_from(number)
        .map(Value::Number)
        .map_err(|_| "is out of range".to_owned())
}

fn list_within(range: &RangeInclusive<usize>, list: Vec<String>) -> Result<Value, String> {
    within(range, list.len(), |bound| format!("{bound} entries"))?;
    Ok(Value::List(list))
}

fn bytes(text: &str) -> Result<i128, String> {
    let (digits, unit) = BYTE_UNITS
        .iter()
        .find_map(|(unit, size)| {
            text.strip_suffix(unit)
                .map(|digits| (digits.trim_end(), *size))
        })
        .unwrap_or((text, 1));
    digits
        .parse::<u64>()
        .map(|count| i128::from(count) * i128::from(unit))
        .map_err(|_| "is not a number of bytes".to_owned())
}

/// What was written, short enough for a line and without control characters.
fn show(raw: &Raw) -> String {
    match raw {
        Raw::Word(text) | Raw::Text(text) => {
            let mut shown: String = text.chars().take(60).collect();
            if shown.len() < text.len() {
                shown.push('…');
            }
            format!("{shown:?}")
        }
        Raw::Integer(number) => number.to_string(),
        Raw::Float(number) => number.to_string(),
        Raw::Bool(truth) => truth.to_string(),
        Raw::List(list) => format!("a list of {}", list.len()),
        Raw::Other(name) => format!("a TOML {name}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::setting::Need;

    fn parsed(kind: Kind, raw: Raw) -> Result<String, String> {
        let setting = Setting {
            key: "k",
            kind,
            need: Need::Optional(""),
            doc: &[],
        };
        parse(&setting, raw).map(|value| setting.kind.toml(&value).unwrap_or_default())
    }

    fn word(kind: Kind, text: &str) -> Result<String, String> {
        parsed(kind, Raw::Word(text.to_owned()))
    }

    #[test]
    fn bounds_are_inclusive_and_named() {
        let kind = || Kind::Duration(Duration::from_secs(1)..=Duration::from_secs(2));
        assert_eq!(word(kind(), "1s"), Ok("\"1s\"".to_owned()));
        assert_eq!(word(kind(), "2s"), Ok("\"2s\"".to_owned()));
        assert_eq!(
            word(kind(), "999ms"),
            Err("\"999ms\" is less than 1s".to_owned())
        );
        assert_eq!(word(kind(), "3s"), Err("\"3s\" is more than 2s".to_owned()));
        assert!(word(kind(), "1").is_err() && parsed(kind(), Raw::Integer(1)).is_err());
    }

    #[test]
    fn numbers_and_bytes_hold_their_bounds_at_any_size() {
        let bytes = || Kind::Bytes(0..=u64::MAX);
        assert_eq!(word(bytes(), "4MiB"), Ok("\"4MiB\"".to_owned()));
        assert_eq!(
            parsed(bytes(), Raw::Integer(4 << 20)),
            Ok("\"4MiB\"".to_owned())
        );
        assert_eq!(word(bytes(), "1025"), Ok("\"1025\"".to_owned()));
        assert!(word(bytes(), "18446744073709551615GiB").is_err());
        assert!(word(bytes(), "4MB").is_err() && word(bytes(), "-1").is_err());
        let integer = || Kind::Integer(1..=9);
        assert_eq!(word(integer(), "9"), Ok("9".to_owned()));
        assert_eq!(
            parsed(integer(), Raw::Integer(-1)),
            Err("-1 is less than 1".to_owned())
        );
        assert!(parsed(integer(), Raw::Text("5".to_owned())).is_err());
        assert!(word(integer(), "10").is_err() && word(integer(), "5.0").is_err());
    }

    #[test]
    fn a_share_is_any_number_from_0_to_1() {
        for (raw, read) in [
            (Raw::Word("0.25".to_owned()), "0.25"),
            (Raw::Word("1".to_owned()), "1.0"),
            (Raw::Float(0.5), "0.5"),
            (Raw::Integer(0), "0.0"),
        ] {
            assert_eq!(parsed(Kind::Ratio, raw), Ok(read.to_owned()));
        }
        for raw in [
            Raw::Word("NaN".to_owned()),
            Raw::Word("half".to_owned()),
            Raw::Float(1.01),
            Raw::Float(-0.1),
            Raw::Integer(2),
            Raw::Text("0.5".to_owned()),
        ] {
            assert!(parsed(Kind::Ratio, raw).is_err());
        }
    }

    #[test]
    fn lists_come_as_arrays_or_with_commas() {
        let list = || Kind::List(1..=2);
        assert_eq!(word(list(), "a, b"), Ok("[\"a\", \"b\"]".to_owned()));
        assert_eq!(
            parsed(list(), Raw::List(vec!["a".to_owned()])),
            Ok("[\"a\"]".to_owned())
        );
        assert!(word(list(), "").is_err() && word(list(), "a,b,c").is_err());
    }

    #[test]
    fn a_refused_text_is_shown_short_and_a_secret_not_at_all() {
        let long = word(Kind::Bool, &"é\n".repeat(99)).expect_err("no boolean");
        assert!(long.chars().count() < 140 && !long.contains('\n'), "{long}");
        assert_eq!(
            word(Kind::Secret, " "),
            Err("the value is empty".to_owned())
        );
        assert_eq!(
            parsed(Kind::Secret, Raw::Integer(42)),
            Err("the value has the wrong type".to_owned())
        );
    }
}
