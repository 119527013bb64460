//! `x-forwarded-client-cert`: whom a proxy verified, in its words (Envoy, HTTP header
//! manipulation).
//!
//! Elements are separated by commas, the pairs `key=value` of one by semicolons; a value
//! with one of these characters stands in double quotes, where `\\"` is a quote. Each proxy
//! on the way appends an element, so the last is the one of the proxy that we trust.

use crate::domain::identity::Identity;
use http::{HeaderMap, HeaderName};

/// The header.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-forwarded-client-cert");

/// Why a header says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ignored {
    /// It came from a peer whose word does not count.
    Untrusted,
    /// It cannot be read as a whole.
    Malformed,
    /// Its last element has no URI, or several.
    NotOneUri,
    /// Its URI is no SPIFFE ID.
    NotSpiffe,
}

impl Ignored {
    /// Its name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Malformed => "malformed",
            Self::NotOneUri => "not_one_uri",
            Self::NotSpiffe => "not_spiffe",
        }
    }
}

/// The identity that the header names. `None`: there is no header.
pub(super) fn read(headers: &HeaderMap) -> Option<Result<Identity, Ignored>> {
    let mut values = headers.get_all(HEADER).iter().peekable();
    values.peek()?;
    Some(identity(values.map(http::HeaderValue::as_bytes)))
}

fn identity<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Identity, Ignored> {
    let mut last = Vec::new();
    for value in values {
        let value = std::str::from_utf8(value).map_err(|_| Ignored::Malformed)?;
        last = last_element(value).ok_or(Ignored::Malformed)?;
    }
    let mut uris = last
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case("uri"))
        .map(|(_, value)| value);
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err(Ignored::NotOneUri);
    };
    Identity::spiffe(uri).map_err(|_| Ignored::NotSpiffe)
}

type Pair = (String, String);

/// The pairs of the last element; `None` if any element cannot be read.
fn last_element(value: &str) -> Option<Vec<Pair>> {
    let mut rest = value;
    let mut pairs = Vec::new();
    loop {
        let (pair, after) = pair(rest)?;
        pairs.push(pair);
        let mut after = after.chars();
        match after.next() {
            None => return Some(pairs),
            Some(';') => {}
            Some(',') => pairs.clear(),
            Some(_) => return None,
        }
        rest = after.as_str();
    }
}

/// One pair, and what comes after it.
fn pair(text: &str) -> Option<(Pair, &str)> {
    let (key, rest) = text.split_once('=')?;
    let key = key.trim_matches(' ');
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let (value, rest) = if let Some(quoted) = rest.strip_prefix('"') {
        unquote(quoted)?
    } else {
        let end = rest.find([';', ',']).unwrap_or(rest.len());
        let (value, rest) = rest.split_at(end);
        if value.contains(['"', '=']) {
            return None;
        }
        (value.trim_matches(' ').to_owned(), rest)
    };
    Some(((key.to_owned(), value), rest.trim_start_matches(' ')))
}

fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(values: &[&str]) -> Result<String, Ignored> {
        identity(values.iter().map(|value| value.as_bytes())).map(|id| id.to_string())
    }

    const LOGIN: &str = "spiffe://mesh/ns/prod/sa/login";

    #[test]
    fn the_last_element_counts() {
        let one = format!("By=spiffe://mesh/envoy;Hash=ab12;Subject=\"CN=a,OU=b;c\";URI={LOGIN}");
        assert_eq!(named(&[&one]), Ok(LOGIN.into()));
        let two = format!("By=x;URI=spiffe://evil/admin , By=y;URI={LOGIN};DNS=a.b;DNS=c.d");
        assert_eq!(named(&[&two]), Ok(LOGIN.into()));
        assert_eq!(named(&["URI=spiffe://evil/admin", &one]), Ok(LOGIN.into()));
        assert_eq!(named(&[&format!("uri=\"{LOGIN}\"")]), Ok(LOGIN.into()));
        let quoted = format!("Subject=\"a\\\",URI=spiffe://evil/admin,\";URI={LOGIN}");
        assert_eq!(named(&[&quoted]), Ok(LOGIN.into()));
    }

    #[test]
    fn what_is_not_exactly_one_spiffe_id_says_nothing() {
        use Ignored as I;
        for (value, why) in [
            (String::new(), I::Malformed),
            ("By=a;Hash=b".into(), I::NotOneUri),
            ("URI=".into(), I::NotSpiffe),
            ("URI=https://mesh/login".into(), I::NotSpiffe),
            ("URI=spiffe://mesh".into(), I::NotSpiffe),
            (format!("URI={LOGIN};URI={LOGIN}"), I::NotOneUri),
            (format!("URI={LOGIN},By=proxy"), I::NotOneUri),
            (format!("URI={LOGIN},"), I::Malformed),
            (format!(";URI={LOGIN}"), I::Malformed),
            (format!("URI=\"{LOGIN}"), I::Malformed),
            (format!("URI=\"{LOGIN}\"x"), I::Malformed),
            (format!("URI={LOGIN}\""), I::Malformed),
            (format!("Subject=\"a,URI={LOGIN}"), I::Malformed),
            (format!("Subject=a=b;URI={LOGIN}"), I::Malformed),
            (format!("U RI={LOGIN}"), I::Malformed),
        ] {
            assert_eq!(named(&[&value]), Err(why), "{value}");
        }
        assert_eq!(identity([&b"URI=\xff"[..]].into_iter()), Err(I::Malformed));
    }

    fn cases() -> ProptestConfig {
        let long = std::env::var("COUNTERSIGN_TEST_LONG").is_ok_and(|set| set == "1");
        ProptestConfig::with_cases(if long { 1_000_000 } else { 1_000 })
    }

    proptest! {
        #![proptest_config(cases())]

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "[URIBy=;,\"\\\\ a:/]{0,60}") {
            let _ = identity([bytes.as_slice(), text.as_bytes()].into_iter());
            let _ = identity(std::iter::once(text.as_bytes()));
        }

        /// Whatever stands in a quoted value never becomes an element of its own.
        #[test]
        fn a_quoted_value_stays_one(subject in ".{0,40}") {
            let escaped = subject.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("Subject=\"{escaped}\";URI={LOGIN}");
            prop_assert_eq!(named(&[&header]), Ok(LOGIN.to_owned()));
        }
    }
}
