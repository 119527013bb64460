//! The headers of a checked request, in either encoding, and those that we set.

use super::message::{Header, HttpRequest};

/// The headers of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Headers<'a> {
    list: &'a [Header],
    map: &'a [Header],
}

impl<'a> Headers<'a> {
    #[cfg(test)]
    pub(super) fn of(list: &'a [Header]) -> Self {
        Self { list, map: &[] }
    }

    /// Those of a request: the list where Envoy sends one (`encode_raw_headers`), otherwise the
    /// map, in which it joins several of one name by commas.
    pub(super) fn of_request(request: &'a HttpRequest) -> Self {
        let list = request.header_map.as_ref();
        Self {
            list: list.map_or(&[], |list| &list.headers),
            map: &request.headers,
        }
    }

    /// Every value of that name, which is in lower case.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let own = self.each();
        let own = own.filter(move |header| header.key.eq_ignore_ascii_case(name.as_bytes()));
        own.map(|header| match &*header.raw_value {
            [] => &*header.value,
            raw => raw,
        })
    }

    fn each(&self) -> impl Iterator<Item = &'a Header> {
        self.list.iter().chain(self.map)
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

    /// Tells `remove` what of a request's headers could be taken for ours and is to go: those of
    /// our names that are not `set`, and every other spelling, since servers behind a gateway
    /// (CGI, WSGI) take `_` for `-`.
    pub(super) fn strays<'a>(
        &'a self,
        headers: Headers<'a>,
        set: [bool; 6],
        mut remove: impl FnMut(&'a [u8]),
    ) {
        let own = self.all().map(str::as_bytes);
        // What is not set must not come from elsewhere either, a list of headers or not.
        for (own, set) in own.into_iter().zip(set) {
            if !set {
                remove(own);
            }
        }
        let mut strays: Vec<&[u8]> = Vec::new();
        for name in headers.each().map(|header| &header.key[..]) {
            let ours = own.iter().any(|own| alike(own, name));
            // What is set overwrites its own name in either case.
            let dealt_with = || {
                own.iter()
                    .zip(set)
                    .any(|(own, set)| *own == name || (set && own.eq_ignore_ascii_case(name)))
            };
            if ours && !dealt_with() && !strays.contains(&name) {
                strays.push(name);
                remove(name);
            }
        }
    }
}

/// Whether the most forgiving server would read both names as one.
fn alike(one: &[u8], other: &[u8]) -> bool {
    let plain = |byte: &u8| match byte {
        b'_' | b'.' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    one.len() == other.len() && one.iter().map(plain).eq(other.iter().map(plain))
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
pub(super) mod tests {
    use super::{super::message::HeaderMap, *};

    /// A header of a request.
    pub(in super::super) fn header(name: &str, value: &str) -> Header {
        Header {
            key: name.to_owned().into(),
            value: value.to_owned().into(),
            ..Header::default()
        }
    }

    pub(in super::super) fn ours() -> IdentityHeaders {
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
        let headers = [
            ("x-countersign-subject", "me"),
            ("X-Countersign-Subject", "me"),
            ("X_Countersign_Subject", "me"),
            ("x-countersign_client-id", "me"),
            ("x.countersign.scopes", "all"),
            ("x-countersign-session-id", "mine"),
            ("X-Countersign-Session-Id", "mine"),
            ("X_Countersign_Subject", "me again"),
            ("x-other", ""),
        ];
        let headers = headers.map(|(name, value)| header(name, value));
        let own = ours();
        let set = own.all().map(|name| {
            let set = [&own.subject, &own.client_id, &own.scopes];
            set.iter().any(|own| *own == name)
        });
        let mut strays = Vec::new();
        own.strays(Headers::of(&headers), set, |name| {
            strays.push(std::str::from_utf8(name).unwrap());
        });
        assert_eq!(
            strays,
            [
                "x-countersign-session-id",
                "x-countersign-token-id",
                "x-countersign-expires-at",
                "X_Countersign_Subject",
                "x-countersign_client-id",
                "x.countersign.scopes",
                "X-Countersign-Session-Id",
            ]
        );
    }

    #[test]
    fn both_encodings_are_read() {
        let raw = Header {
            key: "A".into(),
            raw_value: "x".into(),
            ..Header::default()
        };
        let list = HttpRequest {
            header_map: Some(HeaderMap {
                headers: vec![raw, header("A", "y")],
            }),
            ..HttpRequest::default()
        };
        let found: Vec<_> = Headers::of_request(&list).all("a").collect();
        assert_eq!(found, [b"x", b"y"]);
        let map = HttpRequest {
            headers: vec![header("a", "z")],
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
