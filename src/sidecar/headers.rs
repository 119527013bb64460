//! The headers of a checked request, in either encoding, and those that we set.

use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;

/// The headers of a request.
#[derive(Debug)]
pub(super) struct Headers<'a>(Vec<(&'a str, &'a [u8])>);

impl<'a> Headers<'a> {
    #[cfg(test)]
    pub(super) fn of(headers: Vec<(&'a str, &'a [u8])>) -> Self {
        Self(headers)
    }

    /// Those of a request: the list where Envoy sends one (`encode_raw_headers`), otherwise the
    /// map, in which it joins several of one name by commas.
    pub(super) fn of_request(request: &'a HttpRequest) -> Self {
        let list = request.header_map.as_ref().map(|map| &map.headers);
        let list = list.into_iter().flatten().map(|header| {
            let value = match header.raw_value.as_slice() {
                [] => header.value.as_bytes(),
                raw => raw,
            };
            (header.key.as_str(), value)
        });
        let map = request.headers.iter();
        let map = map.map(|(name, value)| (name.as_str(), value.as_bytes()));
        Self(list.chain(map).collect())
    }

    /// Every value of that name, which is in lower case.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let own = self
            .0
            .iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name));
        own.map(|(_, value)| *value)
    }

    fn names(&self) -> impl Iterator<Item = &'a str> {
        self.0.iter().map(|(name, _)| *name)
    }
}

/// The names of the headers that tell the application whose request it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// The user.
    pub subject: String,
    /// The client.
    pub client_id: String,
    /// The scopes, by spaces.
    pub scopes: String,
    /// The session.
    pub session_id: String,
    /// The token's public id.
    pub token_id: String,
    /// The token's end, in seconds since 1970.
    pub expires_at: String,
}

impl IdentityHeaders {
    /// All six.
    pub fn all(&self) -> [&str; 6] {
        [
            &self.subject,
            &self.client_id,
            &self.scopes,
            &self.session_id,
            &self.token_id,
            &self.expires_at,
        ]
    }

    /// What of a request's headers could be taken for ours and is to go: those of our names that
    /// `set` does not overwrite, and every other spelling, since servers behind a gateway
    /// (CGI, WSGI) take `_` for `-`.
    pub(super) fn strays(&self, headers: &Headers<'_>, set: &[&str]) -> Vec<String> {
        let mut strays: Vec<String> = Vec::new();
        for name in headers.names() {
            let ours = self.all().iter().any(|own| alike(own, name));
            let overwritten = set.iter().any(|own| own.eq_ignore_ascii_case(name));
            if ours && !overwritten && !strays.iter().any(|stray| stray == name) {
                strays.push(name.to_owned());
            }
        }
        // What is not set must not come from elsewhere either, a list of headers or not.
        for own in self.all() {
            if !set.contains(&own) && !strays.iter().any(|stray| stray == own) {
                strays.push(own.to_owned());
            }
        }
        strays
    }
}

/// Whether the most forgiving server would read both names as one.
fn alike(one: &str, other: &str) -> bool {
    let plain = |byte: u8| match byte {
        b'_' | b'.' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    one.len() == other.len() && one.bytes().map(plain).eq(other.bytes().map(plain))
}

/// Whether a text is a header's name in lower case (RFC 9110 section 5.1) that nobody else
/// needs.
pub fn is_header_name(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let reserved = [
        "authorization",
        "dpop",
        "host",
        "content-length",
        "connection",
    ];
    !text.is_empty() && text.bytes().all(token) && !reserved.contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> IdentityHeaders {
        let name = |end: &str| format!("x-countersign-{end}");
        IdentityHeaders {
            subject: name("subject"),
            client_id: name("client-id"),
            scopes: name("scopes"),
            session_id: name("session-id"),
            token_id: name("token-id"),
            expires_at: name("expires-at"),
        }
    }

    #[test]
    fn every_spelling_of_ours_goes_and_what_is_set_is_never_listed() {
        let headers = Headers::of(vec![
            ("x-countersign-subject", b"me"),
            ("X_Countersign_Subject", b"me"),
            ("x-countersign_client-id", b"me"),
            ("x.countersign.scopes", b"all"),
            ("x-countersign-session-id", b"mine"),
            ("x-other", b""),
        ]);
        let own = ours();
        let set = [
            "x-countersign-subject",
            "x-countersign-client-id",
            "x-countersign-scopes",
        ];
        let strays = own.strays(&headers, &set);
        assert_eq!(
            strays,
            [
                "X_Countersign_Subject",
                "x-countersign_client-id",
                "x.countersign.scopes",
                "x-countersign-session-id",
                "x-countersign-token-id",
                "x-countersign-expires-at",
            ]
        );
    }

    #[test]
    fn both_encodings_are_read() {
        use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
        let one = |value: &str, raw: &[u8]| HeaderValue {
            key: "A".into(),
            value: value.into(),
            raw_value: raw.to_vec(),
        };
        let list = HttpRequest {
            header_map: Some(HeaderMap {
                headers: vec![one("", b"x"), one("y", b"")],
            }),
            ..HttpRequest::default()
        };
        let found: Vec<_> = Headers::of_request(&list).all("a").collect();
        assert_eq!(found, [b"x", b"y"]);
        let map = HttpRequest {
            headers: [("a".to_owned(), "z".to_owned())].into(),
            ..HttpRequest::default()
        };
        assert_eq!(Headers::of_request(&map).all("a").next(), Some(&b"z"[..]));
    }

    #[test]
    fn a_name_is_a_name_in_lower_case() {
        assert!(is_header_name("x-a-1"));
        for bad in ["", "X-A", "x_a", "a:b", ":path", "authorization", "x a"] {
            assert!(!is_header_name(bad), "{bad}");
        }
    }
}
