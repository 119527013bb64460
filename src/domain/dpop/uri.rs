//! URIs, compared after RFC 3986 normalisation.

use fluent_uri::Uri;
use std::fmt::Write as _;
use thiserror::Error;

/// The URI of a call or a request, normalised (RFC 3986 sections 6.2.2 and 6.2.3), without
/// query and fragment (RFC 9449 section 4.2), which are passed over whatever they are
/// (section 4.3): many servers take more there than RFC 3986 does. What a path may not have is
/// escaped first: browsers and proxies leave different parts of it as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetUri(String);

impl TargetUri {
    /// Reads one: absolute, of the scheme `http` or `https`, with a host and without user
    /// information. `None`: it is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let end = text.find(['?', '#']).unwrap_or(text.len());
        let text = &text[..end];
        let host = text.find("://").map_or(text.len(), |at| at + 3);
        let path = text[host..].find('/').map_or(text.len(), |at| host + at);
        let (before, path) = text.split_at(path);
        let text = format!("{before}{}", escaped(path));
        let uri = Uri::parse(text.as_str()).ok()?;
        let authority = uri.authority()?;
        let scheme = uri.scheme().as_str();
        let web = ["http", "https"]
            .iter()
            .any(|own| scheme.eq_ignore_ascii_case(own));
        if !web || authority.has_userinfo() || authority.host().is_empty() {
            return None;
        }
        let uri = uri.normalize();
        let mut text = uri.as_str().to_owned();
        if uri.path().is_empty() {
            // RFC 3986 section 6.2.3: of these schemes an empty path is `/`.
            text.push('/');
        }
        Some(Self(text))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A path in which every byte that RFC 3986 section 3.3 does not have there is escaped, and each
/// `%` that begins no escape.
fn escaped(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut text = String::with_capacity(path.len());
    for (at, &byte) in bytes.iter().enumerate() {
        let stands = match byte {
            b'%' => {
                let digits = bytes.get(at + 1..at + 3);
                digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            }
            byte => byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte),
        };
        if stands {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Scheme, host and port under which callers know this authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

/// Why a text is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not scheme://host or scheme://host:port, with http or https")]
pub struct InvalidOrigin;

impl Origin {
    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, InvalidOrigin> {
        let TargetUri(mut uri) = TargetUri::parse(text).ok_or(InvalidOrigin)?;
        let bare = !text.contains(['?', '#']);
        // What is left behind scheme and authority is the path: `/` and no more.
        if !bare || uri.matches('/').count() != 3 || uri.pop() != Some('/') {
            return Err(InvalidOrigin);
        }
        Ok(Self(uri))
    }

    /// The same, with this port if its own is 0.
    pub fn on(self, port: u16) -> Self {
        let moved = self
            .0
            .strip_suffix(":0")
            .map(|host| format!("{host}:{port}"));
        moved
            .and_then(|moved| Self::parse(&moved).ok())
            .unwrap_or(self)
    }

    /// The URI of a call: the origin and `/package.Service/Method`.
    pub fn call(&self, path: &str) -> Option<TargetUri> {
        TargetUri::parse(&format!("{}{path}", self.0))
    }

    /// Its text, normalised, without a `/` at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_one_resource_is_equal() {
        let same = "https://a.example/b/c";
        for other in [
            "HTTPS://A.example:443/b/c",
            "https://a.example/b/./x/../c",
            "https://a.example/%62/c",
            "https://a.example/b/c?query=1",
            "https://a.example/b/c#fragment",
            "https://a.example/b/c?filter[status]=open",
            "https://a.example/b/c?q={a|b}",
            "https://a.example/b/c?100%",
            "https://a.example/b/c#a#b",
            "https://a.example:/b/c",
        ] {
            assert_eq!(TargetUri::parse(other), TargetUri::parse(same), "{other}");
        }
        // As Node and Envoy have them (WHATWG URL; `normalize_path`).
        for (one, other) in [
            ("http://a/x|y[1]", "http://a/x%7Cy[1]"),
            ("http://a/x|y[1]", "http://a/x%7cy%5B1%5D"),
            ("http://a/100%", "http://a/100%25"),
            ("http://a/%zz^", "http://a/%25zz%5E"),
            ("http://a/a b", "http://a/a%20b"),
            ("http://a/\u{e9}", "http://a/%C3%A9"),
        ] {
            let read = TargetUri::parse(one);
            assert!(read.is_some() && read == TargetUri::parse(other), "{one}");
        }
        let root = TargetUri::parse("http://[::1]:80").unwrap();
        assert_eq!(root, TargetUri::parse("http://[::1]/?x#y").unwrap());
        let escaped = TargetUri::parse("http://a/%e2%82").unwrap();
        assert_eq!(escaped, TargetUri::parse("http://a/%E2%82").unwrap());
    }

    #[test]
    fn what_names_another_is_not() {
        let one = TargetUri::parse("https://a.example/b/c").unwrap();
        for other in [
            "http://a.example/b/c",
            "https://a.example:444/b/c",
            "https://b.example/b/c",
            "https://a.example/b/C",
            "https://a.example/b/c/",
            "https://a.example/b%2Fc",
            "https://a.example/B/c",
            "https://a.example/b|c",
        ] {
            assert_ne!(TargetUri::parse(other).unwrap(), one, "{other}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for bad in [
            "",
            "/b/c",
            "//a.example/b",
            "ftp://a.example/b",
            "https:b",
            "https:///b",
            "https://user@a.example/b",
            "https://a .example/b",
            "https://a.example:|/b",
            "https://%zz/b",
        ] {
            assert_eq!(TargetUri::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_origin_has_no_path() {
        for good in [
            "https://A.example",
            "https://a.example/",
            "https://a.example:443",
        ] {
            assert_eq!(Origin::parse(good).unwrap().as_str(), "https://a.example");
        }
        for bad in [
            "a.example",
            "https://a.example/b",
            "https://a.example//",
            "https://a/?",
            "https://a?q={a|b}",
            "https://a/#",
            "",
        ] {
            assert_eq!(Origin::parse(bad), Err(InvalidOrigin), "{bad}");
        }
        let call = Origin::parse("http://[::1]:7300").unwrap().call("/p.S/M");
        assert_eq!(call.unwrap().as_str(), "http://[::1]:7300/p.S/M");
    }
}
