//! Makes text safe to show: nothing in it steers a terminal, and no token that
//! was mistyped into the wrong place is repeated.

use std::fmt::Write as _;

/// What every token and secret starts with.
const PREFIXES: [&str; 3] = ["cs_at_", "cs_rt_", "cs_cs_"];

/// Escapes what would steer a terminal: a user agent is whatever its user likes.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if steers(character) {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

/// The same for JSON, whose own line ends stay and whose escapes have four digits.
pub fn printable_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if character != '\n' && steers(character) {
            // Writing to a String cannot fail.
            let _ = write!(safe, "\\u{:04x}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Cuts every token and secret in the text down to its prefix.
pub fn without_tokens(text: &str) -> String {
    let mut rest = text;
    let mut safe = String::with_capacity(text.len());
    while let Some(start) = PREFIXES.iter().filter_map(|prefix| rest.find(prefix)).min() {
        let (before, token) = rest.split_at(start);
        let end = token
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(token.len());
        safe.push_str(before);
        safe.push_str(&token[..PREFIXES[0].len()]);
        safe.push('…');
        rest = &token[end..];
    }
    safe + rest
}

/// Control characters, and those that turn the direction of writing.
fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_sequence_is_shown_and_not_obeyed() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(printable("Ünïcode 字"), "Ünïcode 字");
    }

    #[test]
    fn json_stays_json() {
        let json = printable_json("{\n  \"a\": \"\u{9b}\"\n}");
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["a"], "\u{9b}");
        assert!(!json.contains('\u{9b}'));
    }

    #[test]
    fn tokens_are_cut_down_to_their_prefix() {
        assert_eq!(
            without_tokens("'cs_at_AbC-_9' and cs_rt_x, cs_cs_y"),
            "'cs_at_…' and cs_rt_…, cs_cs_…"
        );
    }
}
