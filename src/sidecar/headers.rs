//! The headers of a checked request, in either encoding, and those that we set.

use super::message::HttpRequest;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Room for the headers of most requests; more grow.
const HEADERS: usize = 24;

/// The headers of a request.
#[derive(Debug)]
pub(super) struct Headers<'a>(Vec<Header<'a>>);

/// Name and value, where they stand in what Envoy sent: it sends dozens with each request, and
/// most are looked at once.
#[derive(Debug)]
struct Header<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl<'a> Headers<'a> {
    #[cfg(test)]
    pub(super) fn of(headers: &[(&'a str, &'a str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| Header {
            name: name.as_bytes(),
            value: value.as_bytes(),
        });
        Self(headers.collect())
    }

    /// Those of a request: the list where Envoy sends one (`encode_raw_headers`), otherwise the
    /// map, in which it joins several of one name by commas. `None`: they cannot be read.
    pub(super) fn of_request(request: &'a HttpRequest) -> Option<Self> {
        const OF_LIST: u32 = 1;
        let mut headers = Vec::with_capacity(HEADERS);
        for list in &request.header_map {
            for field in Fields(list) {
                let (number, content) = field?;
                if number == OF_LIST {
                    headers.push(Header::read(content)?);
                }
            }
        }
        for header in &request.headers {
            headers.push(Header::read(header)?);
        }
        Some(Self(headers))
    }

    /// Every value of that name, which is in lower case.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let own = self.0.iter();
        let own = own.filter(move |header| header.name.eq_ignore_ascii_case(name.as_bytes()));
        own.map(|header| header.value)
    }
}

impl<'a> Header<'a> {
    /// An `envoy.config.core.v3.HeaderValue`, or an entry of the map.
    fn read(message: &'a [u8]) -> Option<Self> {
        const KEY: u32 = 1;
        const VALUE: u32 = 2;
        const RAW_VALUE: u32 = 3;
        let (mut name, mut value, mut raw): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        for field in Fields(message) {
            match field? {
                (KEY, content) => name = content,
                (VALUE, content) => value = content,
                (RAW_VALUE, content) => raw = content,
                _ => {}
            }
        }
        // Of the two values Envoy sends one.
        let value = if raw.is_empty() { value } else { raw };
        Some(Self { name, value })
    }
}

/// The fields of a message that are texts, bytes or messages, by their numbers; `None`: the rest
/// cannot be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u32, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.0.is_empty() {
            let Ok((number, kind)) = decode_key(&mut self.0) else {
                return Some(None);
            };
            if kind == WireType::LengthDelimited {
                return Some(self.content().map(|content| (number, content)));
            }
            if skip_field(kind, number, &mut self.0, DecodeContext::default()).is_err() {
                return Some(None);
            }
        }
        None
    }
}

impl<'a> Fields<'a> {
    fn content(&mut self) -> Option<&'a [u8]> {
        let length = decode_varint(&mut self.0).ok()?;
        let (content, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(content)
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
        headers: &Headers<'a>,
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
        for name in headers.0.iter().map(|header| header.name) {
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
    use super::*;
    use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
    use prost::{Message as _, bytes::Bytes};

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
        let own = ours();
        let set = own.all().map(|name| {
            let set = [&own.subject, &own.client_id, &own.scopes];
            set.iter().any(|own| *own == name)
        });
        let mut strays = Vec::new();
        own.strays(&Headers::of(&headers), set, |name| {
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

    /// Names and values as Envoy's own types encode them.
    fn list(headers: &[(&str, &str)]) -> Bytes {
        let header = |(name, value): &(&str, &str)| HeaderValue {
            key: (*name).to_owned(),
            raw_value: value.as_bytes().to_vec(),
            ..HeaderValue::default()
        };
        let headers = headers.iter().map(header).collect();
        HeaderMap { headers }.encode_to_vec().into()
    }

    fn values(request: &HttpRequest) -> Option<Vec<&[u8]>> {
        Some(Headers::of_request(request)?.all("a").collect())
    }

    #[test]
    fn several_lists_are_one() {
        // As protobuf has it of a message that comes in parts.
        let request = HttpRequest {
            header_map: vec![list(&[("A", "x"), ("b", "")]), list(&[("a", "y")])],
            ..HttpRequest::default()
        };
        assert_eq!(values(&request).unwrap(), [b"x", b"y"]);
    }

    #[test]
    fn what_is_cut_short_is_not_read_and_what_is_unknown_is_skipped() {
        let whole = list(&[("a", "x")]);
        let of = |bytes: &[u8]| HttpRequest {
            header_map: vec![Bytes::copy_from_slice(bytes)],
            ..HttpRequest::default()
        };
        for end in 1..whole.len() {
            assert_eq!(values(&of(&whole[..end])), None, "{end}");
        }
        // A number, four bytes and a text, of fields that Envoy does not have yet.
        let unknown = b"\x78\x05\x7d\x01\x02\x03\x04\x7a\x01z";
        let with = [&unknown[..], &whole].concat();
        assert_eq!(values(&of(&with)).unwrap(), [b"x"]);
        let entry = HttpRequest {
            headers: vec![[&unknown[..], b"\x0a\x01a\x12\x01y"].concat().into()],
            ..HttpRequest::default()
        };
        assert_eq!(values(&entry).unwrap(), [b"y"]);
        // A field without a number, a kind that nobody knows, an end without a beginning.
        for bad in [&b"\x02\x00"[..], b"\x7e", b"\x0c"] {
            assert_eq!(values(&of(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_a_name_in_lower_case() {
        assert!(is_header_name("x-a-1"));
        for bad in ["", "X-A", "x_a", "a:b", ":path", "authorization", "x a"] {
            assert!(!is_header_name(bad), "{bad}");
        }
    }
}
