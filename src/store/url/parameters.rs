//! The parameters of a connection string that we read ourselves, as libpq has them, because
//! the driver knows them not or otherwise.

use super::InvalidUrl;
use fluent_uri::pct_enc::{EStr, encoder::Query};

/// What the driver does not read, or in another unit.
const OURS: [&str; 9] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "target_session_attrs",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_count",
];

/// A connection string, taken apart.
#[derive(Debug)]
pub(super) struct Parameters {
    /// What is left, for the driver.
    pub(super) rest: String,
    ours: Vec<(&'static str, String)>,
}

impl Parameters {
    /// Takes our parameters out of a URL or of `key=value` pairs.
    pub(super) fn take(text: &str) -> Result<Self, InvalidUrl> {
        let url = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        if url { of_url(text) } else { of_pairs(text) }
    }

    /// The last value of a parameter, as libpq takes it. Empty is as if it were not there.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.ours.iter().rev().find(|(known, _)| *known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The same as a number.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, InvalidUrl> {
        let value = self.get(name).map(str::parse);
        value.transpose().map_err(|_| InvalidUrl::Value(name))
    }
}

fn ours(name: &str) -> Option<&'static str> {
    OURS.into_iter().find(|known| *known == name)
}

fn of_url(text: &str) -> Result<Parameters, InvalidUrl> {
    // A password may have a question mark: the query begins behind the host.
    let host = text.find('@').map_or(0, |at| at + 1);
    let query = text[host..].find('?').map(|at| host + at);
    if text[host..query.unwrap_or(text.len())].contains('@') {
        // What stands before a second one is the rest of the password, to people.
        return Err(InvalidUrl::Host);
    }
    let Some(query) = query else {
        return Ok(Parameters {
            rest: text.to_owned(),
            ours: Vec::new(),
        });
    };
    let (mut ours_found, mut others) = (Vec::new(), Vec::new());
    for pair in text[query + 1..].split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(InvalidUrl::Text)?;
        match ours(name) {
            Some(name) => {
                let value = EStr::<Query>::new(value).ok_or(InvalidUrl::Value(name))?;
                let value = value.decode().to_string();
                let value = value.map_err(|_| InvalidUrl::Value(name))?;
                ours_found.push((name, value.into_owned()));
            }
            None => others.push(pair),
        }
    }
    let mut rest = text[..query].to_owned();
    if !others.is_empty() {
        rest.push('?');
        rest.push_str(&others.join("&"));
    }
    Ok(Parameters {
        rest,
        ours: ours_found,
    })
}

fn of_pairs(text: &str) -> Result<Parameters, InvalidUrl> {
    let (mut ours_found, mut rest) = (Vec::new(), String::new());
    let mut left = text.trim_start();
    while !left.is_empty() {
        let (name, value) = left.split_once('=').ok_or(InvalidUrl::Text)?;
        let (name, value) = (name.trim_end(), value.trim_start());
        let (value, behind) = value_of(value)?;
        if let Some(name) = ours(name) {
            ours_found.push((name, value));
        } else {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            rest.push_str(name);
            rest.push_str("='");
            rest.push_str(&value);
            rest.push_str("' ");
        }
        left = behind.trim_start();
    }
    Ok(Parameters {
        rest,
        ours: ours_found,
    })
}

/// The value at the front, quoted or up to the next space, and what comes behind it.
fn value_of(text: &str) -> Result<(String, &str), InvalidUrl> {
    let quoted = text.starts_with('\'');
    let text = text.strip_prefix('\'').unwrap_or(text);
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, next)| next)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            space if !quoted && space.is_whitespace() => return Ok((value, &text[at..])),
            other => value.push(other),
        }
    }
    if quoted {
        Err(InvalidUrl::Text)
    } else {
        Ok((value, ""))
    }
}
