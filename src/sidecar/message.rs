//! The generated types of `check.proto`, as rustc sees them.

// Generated code: its style is prost's, and its comments are the proto's.
#![allow(missing_docs, clippy::pedantic)]

tonic::include_proto!("envoy.service.auth.v3");

#[cfg(test)]
mod tests {
    use super::{super::headers::Headers, *};
    use check_response::HttpResponse;
    use envoy_types::pb::{
        envoy::{
            config::core::v3::{
                self as core, HeaderValue, header_value_option::HeaderAppendAction,
            },
            service::auth::v3::{self as envoy, attribute_context as attributes},
        },
        google::protobuf as google,
    };
    use prost::{Message as _, bytes::Bytes};
    use std::collections::HashMap;

    const NAMESPACE: &str = "countersign";

    fn peer(principal: &str) -> Option<attributes::Peer> {
        Some(attributes::Peer {
            address: Some(core::Address::default()),
            service: "service".into(),
            labels: HashMap::from([("label".into(), "value".into())]),
            principal: principal.into(),
            certificate: "certificate".into(),
        })
    }

    fn google(kind: google::value::Kind) -> google::Value {
        google::Value { kind: Some(kind) }
    }

    fn metadata(kinds: &[(&str, google::value::Kind)]) -> Option<core::Metadata> {
        let fields = kinds.iter();
        let fields = fields.map(|(name, kind)| ((*name).to_owned(), google(kind.clone())));
        let own = google::Struct {
            fields: fields.collect(),
        };
        let other = google::Struct::default();
        Some(core::Metadata {
            filter_metadata: HashMap::from([(NAMESPACE.into(), own), ("envoy.lb".into(), other)]),
            typed_filter_metadata: HashMap::from([("any".into(), google::Any::default())]),
        })
    }

    /// Everything that Envoy can say of a request.
    fn asked(metadata_context: Option<core::Metadata>) -> envoy::CheckRequest {
        let header = |key: &str, value: &str, raw: &str| HeaderValue {
            key: key.into(),
            value: value.into(),
            raw_value: raw.into(),
        };
        let http = attributes::HttpRequest {
            id: "id".into(),
            method: "POST".into(),
            headers: HashMap::from([("a".into(), "b".into())]),
            header_map: Some(core::HeaderMap {
                headers: vec![header("c", "", "d"), header("e", "f", "")],
            }),
            path: "/path?query".into(),
            host: "host".into(),
            scheme: "https".into(),
            query: "query".into(),
            fragment: "fragment".into(),
            size: -1,
            protocol: "HTTP/2".into(),
            body: "body".into(),
            raw_body: b"\xff".to_vec(),
        };
        let attributes = envoy::AttributeContext {
            source: peer("spiffe://source"),
            destination: peer("spiffe://destination"),
            request: Some(attributes::Request {
                time: Some(google::Timestamp::default()),
                http: Some(http),
            }),
            context_extensions: HashMap::from([("audience".into(), "urn:a".into())]),
            metadata_context,
            route_metadata_context: metadata(&[(
                "scopes",
                google::value::Kind::StringValue("of the route".into()),
            )]),
            tls_session: Some(attributes::TlsSession { sni: "sni".into() }),
        };
        envoy::CheckRequest {
            attributes: Some(attributes),
        }
    }

    #[test]
    fn of_what_envoy_says_each_field_is_read_and_the_rest_is_skipped() {
        let bytes = asked(None).encode_to_vec();
        let read = CheckRequest::decode(Bytes::from(bytes)).unwrap();
        let attributes = read.attributes.unwrap();
        assert_eq!(attributes.source.unwrap().principal, "spiffe://source");
        let http = attributes.request.unwrap().http.unwrap();
        assert_eq!((&*http.method, &*http.path), ("POST", "/path?query"));
        // Either is enough; of a request that has both, both are read.
        let headers = Headers::of_request(&http).unwrap();
        for (name, value) in [("a", "b"), ("c", "d"), ("e", "f")] {
            let found: Vec<_> = headers.all(name).collect();
            assert_eq!(found, [value.as_bytes()]);
        }
        let extension = Extension {
            key: "audience".into(),
            value: "urn:a".into(),
        };
        assert_eq!(attributes.context_extensions, [extension]);
        assert_eq!(attributes.metadata_context, None);
        let route = attributes.route_metadata_context.unwrap().filter_metadata;
        let mut names: Vec<_> = route.iter().map(|one| &one.name[..]).collect();
        names.sort_unstable();
        assert_eq!(names, [NAMESPACE.as_bytes(), b"envoy.lb"]);
    }

    #[test]
    fn each_kind_of_metadata_is_read_as_what_it_is() {
        use google::value::Kind as Theirs;
        let number = Theirs::NumberValue(1.5);
        let list = google::ListValue {
            values: vec![
                google(Theirs::StringValue("b".into())),
                google(number.clone()),
            ],
        };
        let ours = |kind| Some(Value { kind });
        let text = value::Kind::Text("b".into());
        let both = [text.clone(), value::Kind::Number(1.5)];
        let both = both.map(|kind| Value { kind: Some(kind) });
        for (theirs, expected) in [
            (Theirs::StringValue("b".into()), Some(text)),
            (Theirs::BoolValue(true), Some(value::Kind::Truth(true))),
            (Theirs::BoolValue(false), Some(value::Kind::Truth(false))),
            (number, Some(value::Kind::Number(1.5))),
            (
                Theirs::ListValue(list),
                Some(value::Kind::List(List {
                    values: both.to_vec(),
                })),
            ),
            // Nothing that a requirement takes.
            (Theirs::NullValue(0), None),
            (Theirs::StructValue(google::Struct::default()), None),
        ] {
            let bytes = asked(metadata(&[("name", theirs)])).encode_to_vec();
            let read = CheckRequest::decode(Bytes::from(bytes)).unwrap();
            let metadata = read.attributes.unwrap().metadata_context.unwrap();
            let mut own = metadata.filter_metadata.into_iter();
            let own = own.find(|one| one.name == NAMESPACE).unwrap();
            let own = Struct::decode(own.metadata).unwrap();
            let field = Field {
                name: "name".into(),
                value: ours(expected),
            };
            assert_eq!(own.fields, [field]);
        }
    }

    #[test]
    fn envoy_reads_each_field_of_a_denial() {
        let append = AppendAction::AppendIfExistsOrAdd;
        let overwrite = AppendAction::OverwriteIfExistsOrAdd;
        let option = |action: AppendAction| HeaderOption {
            header: Some(Header {
                key: "name".into(),
                value: "value".into(),
            }),
            append_action: action.into(),
        };
        let theirs = |action: HeaderAppendAction| core::HeaderValueOption {
            header: Some(HeaderValue {
                key: "name".into(),
                value: "value".into(),
                raw_value: Vec::new(),
            }),
            append_action: action.into(),
            ..core::HeaderValueOption::default()
        };
        let denied = DeniedHttpResponse {
            status: Some(HttpStatus { code: 401 }),
            headers: vec![option(append), option(overwrite)],
            body: "body".into(),
        };
        let answer = CheckResponse {
            status: Some(Status { code: 7 }),
            http_response: Some(HttpResponse::Denied(denied)),
            ..CheckResponse::default()
        };
        let read = envoy::CheckResponse::decode(&*answer.encode_to_vec()).unwrap();
        assert_eq!(read.status.unwrap().code, 7);
        assert_eq!(read.dynamic_metadata, None);
        let Some(envoy::check_response::HttpResponse::DeniedResponse(read)) = read.http_response
        else {
            panic!("no denial: {:?}", read.http_response);
        };
        assert_eq!(read.status.unwrap().code, 401);
        let both = [
            HeaderAppendAction::AppendIfExistsOrAdd,
            HeaderAppendAction::OverwriteIfExistsOrAdd,
        ];
        assert_eq!(read.headers, both.map(theirs));
        assert_eq!(read.body, "body");
    }
}
