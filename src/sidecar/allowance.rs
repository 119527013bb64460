//! What Envoy is told of a request that it may pass on: the headers that the application gets,
//! and the metadata for access logs and RBAC.
//!
//! Written field by field, where the lengths of what is nested are known at once: some thirty
//! texts, of which nothing but the bytes on the wire is ever needed.

use super::{Options, headers::Headers, message::AppendAction};
use crate::domain::introspection::Description;
use prost::{
    bytes::{Bytes, BytesMut},
    encoding::{WireType, bool as boolean, double, encode_key, encode_varint, encoded_len_varint},
};
use uuid::Uuid;

/// Room for most answers; a longer one grows.
const BYTES: usize = 1280;

/// What stands on the wire: an `envoy.service.auth.v3.OkHttpResponse`, and the
/// `google.protobuf.Struct` that Envoy keeps in the namespace of its filter.
pub(super) struct Allowance {
    pub(super) response: Bytes,
    pub(super) metadata: Bytes,
}

/// What lets a request through; `identity`: nobody's, if there is none.
pub(super) fn allowance(
    identity: Option<&Identity<'_>>,
    headers: &Headers<'_>,
    options: &Options,
    nonce: Option<&str>,
) -> Allowance {
    let mut out = BytesMut::with_capacity(BYTES);
    response(&mut out, identity, headers, options, nonce);
    let response = out.split().freeze();
    metadata(&mut out, identity);
    Allowance {
        response,
        metadata: out.freeze(),
    }
}

/// Whose request it is: each text that is needed twice.
pub(super) struct Identity<'t> {
    token: &'t Description,
    client_id: Id,
    scopes: String,
    expires_at: String,
    subject: Option<Id>,
    session_id: Option<Id>,
    token_id: Option<Id>,
}

/// An id as RFC 9562 section 4 writes it.
type Id = [u8; 36];

fn id(id: Uuid) -> Id {
    let mut text = [0; 36];
    id.hyphenated().encode_lower(&mut text);
    text
}

impl<'t> Identity<'t> {
    pub(super) fn of(token: &'t Description) -> Self {
        Self {
            token,
            client_id: id(token.client_id),
            scopes: token.scopes.joined(),
            expires_at: token.expires_at.timestamp().to_string(),
            subject: token.subject.map(id),
            session_id: token.session_id.map(id),
            token_id: token.token_id.map(id),
        }
    }

    /// The values of the headers that tell it, as [`IdentityHeaders::all`] orders their names;
    /// an empty one is not set: Envoy would drop it, and keep what came from outside.
    fn told(&self) -> [&[u8]; 6] {
        fn optional(id: Option<&Id>) -> &[u8] {
            id.map_or(&[], |id| id)
        }
        [
            optional(self.subject.as_ref()),
            &self.client_id,
            self.scopes.as_bytes(),
            optional(self.session_id.as_ref()),
            optional(self.token_id.as_ref()),
            self.expires_at.as_bytes(),
        ]
    }
}

fn response(
    out: &mut BytesMut,
    identity: Option<&Identity<'_>>,
    headers: &Headers<'_>,
    options: &Options,
    nonce: Option<&str>,
) {
    const HEADERS: u32 = 2;
    const HEADERS_TO_REMOVE: u32 = 5;
    const RESPONSE_HEADERS_TO_ADD: u32 = 6;
    let told = identity.map_or([&[][..]; 6], Identity::told);
    for (name, value) in options.headers.all().into_iter().zip(told) {
        if !value.is_empty() {
            header(out, HEADERS, name, value);
        }
    }
    let set = told.map(|value| !value.is_empty());
    options.headers.strays(headers, set, |name| {
        text(out, HEADERS_TO_REMOVE, name);
    });
    if !options.keep_token {
        for name in ["authorization", "dpop"] {
            text(out, HEADERS_TO_REMOVE, name.as_bytes());
        }
    }
    if let Some(nonce) = nonce {
        let value = nonce.as_bytes();
        header(out, RESPONSE_HEADERS_TO_ADD, "dpop-nonce", value);
    }
}

fn metadata(out: &mut BytesMut, identity: Option<&Identity<'_>>) {
    truth(out, "anonymous", identity.is_none());
    let Some(identity) = identity else {
        return;
    };
    let token = identity.token;
    word(out, "client_id", &identity.client_id);
    list(out, "scopes", token.scopes.as_slice());
    list(out, "audience", token.audience.as_slice());
    let end = token.expires_at.timestamp();
    #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
    number(out, "expires_at", end as f64);
    truth(out, "dpop", token.dpop_jkt.is_some());
    for (name, id) in [
        ("subject", &identity.subject),
        ("session_id", &identity.session_id),
        ("token_id", &identity.token_id),
    ] {
        if let Some(id) = id {
            word(out, name, id);
        }
    }
}

/// The bytes of a field whose number is below 16 and whose content has this length.
fn field_bytes(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

/// What stands before a content of this length.
fn begin(out: &mut BytesMut, field: u32, length: usize) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
}

fn text(out: &mut BytesMut, field: u32, text: &[u8]) {
    begin(out, field, text.len());
    out.extend_from_slice(text);
}

/// A `HeaderValueOption`: whatever has that name is overwritten.
fn header(out: &mut BytesMut, field: u32, name: &str, value: &[u8]) {
    const ACTION_BYTES: usize = 2;
    let header = field_bytes(name.len()) + field_bytes(value.len());
    begin(out, field, field_bytes(header) + ACTION_BYTES);
    begin(out, 1, header);
    text(out, 1, name.as_bytes());
    text(out, 2, value);
    encode_key(3, WireType::Varint, out);
    encode_varint(AppendAction::OverwriteIfExistsOrAdd as u64, out);
}

/// What stands before an entry's value of this length.
fn entry(out: &mut BytesMut, name: &str, value: usize) {
    begin(out, 1, field_bytes(name.len()) + field_bytes(value));
    text(out, 1, name.as_bytes());
    begin(out, 2, value);
}

fn number(out: &mut BytesMut, name: &str, value: f64) {
    entry(out, name, double::encoded_len(2, &value));
    double::encode(2, &value, out);
}

fn word(out: &mut BytesMut, name: &str, value: &[u8]) {
    entry(out, name, field_bytes(value.len()));
    text(out, 3, value);
}

fn truth(out: &mut BytesMut, name: &str, value: bool) {
    entry(out, name, boolean::encoded_len(4, &value));
    boolean::encode(4, &value, out);
}

fn list(out: &mut BytesMut, name: &str, words: &[String]) {
    let value = |word: &String| field_bytes(word.len());
    let list = words.iter().map(|word| field_bytes(value(word))).sum();
    entry(out, name, field_bytes(list));
    begin(out, 6, list);
    for word in words {
        begin(out, 1, value(word));
        text(out, 3, word.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Requirement, answer, headers::tests::ours},
        *,
    };
    use crate::domain::terms::{Audience, Scopes};
    use chrono::DateTime;
    use envoy_types::pb::{
        envoy::{
            config::core::v3::{HeaderValueOption, header_value_option::HeaderAppendAction},
            service::auth::v3::{self as envoy, check_response::HttpResponse},
        },
        google::protobuf::{Value, value::Kind},
    };
    use prost::Message as _;
    use std::collections::HashMap;

    fn options(keep_token: bool) -> Options {
        Options {
            default: Requirement::default(),
            origins: HashMap::new(),
            keep_token,
            headers: ours(),
            realm: String::new(),
            algorithms: String::new(),
        }
    }

    fn token(scopes: Vec<String>, subject: Option<Uuid>) -> Description {
        Description {
            token_id: Some(Uuid::from_u128(1)),
            client_id: Uuid::from_u128(2),
            subject,
            session_id: None,
            scopes: Scopes::trusted(scopes),
            audience: Audience::trusted(vec!["urn:a".into(), "urn:b".into()]),
            dpop_jkt: Some(String::new()),
            issued_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        }
    }

    /// What Envoy reads: the headers that it sets, those that it removes, those that it adds to
    /// the answer, and its metadata.
    type Read = (
        HashMap<String, String>,
        Vec<String>,
        HashMap<String, String>,
        HashMap<String, Kind>,
    );

    fn read(token: Option<&Description>, keep_token: bool, nonce: Option<&str>) -> Read {
        let sent = Headers::of(&[("X_Countersign_Subject", "me")]);
        let answer = answer::allow(token, &sent, &options(keep_token), nonce);
        let read = envoy::CheckResponse::decode(&*answer.encode_to_vec()).unwrap();
        assert_eq!(read.status.unwrap().code, 0);
        let Some(HttpResponse::OkResponse(ok)) = read.http_response else {
            panic!("no allowance: {:?}", read.http_response);
        };
        let rest = envoy::OkHttpResponse {
            headers: ok.headers.clone(),
            headers_to_remove: ok.headers_to_remove.clone(),
            response_headers_to_add: ok.response_headers_to_add.clone(),
            ..envoy::OkHttpResponse::default()
        };
        assert_eq!(ok, rest, "and nothing else");
        let overwritten = |options: Vec<HeaderValueOption>| {
            let options = options.into_iter().map(|option| {
                let overwrite = HeaderAppendAction::OverwriteIfExistsOrAdd;
                assert_eq!(option.append_action(), overwrite);
                let header = option.header.unwrap();
                (header.key, header.value)
            });
            options.collect()
        };
        let fields = read.dynamic_metadata.unwrap().fields.into_iter();
        let fields = fields.map(|(name, value)| (name, value.kind.unwrap()));
        (
            overwritten(ok.headers),
            ok.headers_to_remove,
            overwritten(ok.response_headers_to_add),
            fields.collect(),
        )
    }

    fn texts<const N: usize>(texts: [(&str, &str); N]) -> HashMap<String, String> {
        let texts = texts.map(|(name, value)| (name.to_owned(), value.to_owned()));
        texts.into_iter().collect()
    }

    fn list(words: &[String]) -> Kind {
        let values = words.iter().map(|word| Value {
            kind: Some(Kind::StringValue(word.clone())),
        });
        let values = values.collect();
        Kind::ListValue(envoy_types::pb::google::protobuf::ListValue { values })
    }

    #[test]
    fn envoy_reads_of_whom_a_request_is_whatever_the_lengths() {
        let client = "00000000-0000-0000-0000-000000000002";
        let own = "00000000-0000-0000-0000-000000000001";
        let user = "00000000-0000-0000-0000-000000000003";
        for length in [0, 1, 50, 126, 127, 128, 200, 16_383, 16_384, 40_000] {
            let scopes = match length {
                0 => Vec::new(),
                length => vec!["a".repeat(length), "b".to_owned()],
            };
            let subject = (length % 2 == 0).then(|| Uuid::from_u128(3));
            let token = token(scopes.clone(), subject);
            let (set, removed, added, metadata) = read(Some(&token), false, Some("nonce"));
            let mut expected = texts([
                ("x-countersign-client-id", client),
                ("x-countersign-expires-at", "1800000000"),
                ("x-countersign-token-id", own),
            ]);
            let mut gone = Vec::new();
            if subject.is_some() {
                expected.insert("x-countersign-subject".into(), user.into());
            } else {
                gone.push("x-countersign-subject");
            }
            if scopes.is_empty() {
                gone.push("x-countersign-scopes");
            } else {
                expected.insert("x-countersign-scopes".into(), scopes.join(" "));
            }
            gone.extend(["x-countersign-session-id", "X_Countersign_Subject"]);
            gone.extend(["authorization", "dpop"]);
            assert_eq!(set, expected);
            assert_eq!(removed, gone);
            assert_eq!(added, texts([("dpop-nonce", "nonce")]));

            let text = |text: &str| Kind::StringValue(text.to_owned());
            let mut expected = vec![
                ("anonymous", Kind::BoolValue(false)),
                ("client_id", text(client)),
                ("scopes", list(&scopes)),
                ("audience", list(&["urn:a".into(), "urn:b".into()])),
                ("expires_at", Kind::NumberValue(1_800_000_000.0)),
                ("dpop", Kind::BoolValue(true)),
                ("token_id", text(own)),
            ];
            expected.extend(subject.map(|_| ("subject", text(user))));
            let expected = expected.into_iter();
            let expected = expected.map(|(name, kind)| (name.to_owned(), kind));
            assert_eq!(metadata, expected.collect());
        }
    }

    #[test]
    fn of_nobody_everything_is_removed() {
        let (set, mut removed, added, metadata) = read(None, true, None);
        assert_eq!((set.len(), added.len()), (0, 0));
        let mut expected = ours().all().map(str::to_owned).to_vec();
        expected.push("X_Countersign_Subject".into());
        removed.sort_unstable();
        expected.sort_unstable();
        assert_eq!(removed, expected);
        let anonymous = [("anonymous".to_owned(), Kind::BoolValue(true))];
        assert_eq!(metadata, HashMap::from(anonymous));
    }
}
