//! Who may call what: every method by every role, and by nobody.

use crate::support::{
    audit::AuditFile,
    server::{Caller, Deployment},
};
use countersign::{
    domain::{
        caller::{Access, Role as DomainRole},
        keys::{KeyRing, new_key_line},
        tokens::ClientSecret,
    },
    grpc::methods,
    proto::{DESCRIPTORS, v1::Role},
    sidecar,
};
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::collections::BTreeSet;
use tonic::{Code, client::Grpc};
use tonic_prost::ProstCodec;
use tonic_types::StatusExt as _;

/// The trace that every call of the matrix belongs to.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Calls a method with an empty message: code and reason.
async fn call(caller: &Caller, path: &'static str) -> (Code, String) {
    let mut grpc = Grpc::new(caller.channel());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static(path);
    let codec: ProstCodec<(), ()> = ProstCodec::default();
    let mut request = caller.request(());
    let parent = format!("00-{TRACE}-b7ad6b7169203331-00");
    let parent = parent.parse().unwrap();
    request.metadata_mut().insert("traceparent", parent);
    match grpc.unary(request, path, codec).await {
        Ok(_) => (Code::Ok, String::new()),
        Err(status) => {
            let reason = status
                .get_error_details()
                .error_info()
                .map(|info| info.reason.clone());
            (status.code(), reason.unwrap_or_default())
        }
    }
}

/// Whether a code says that the caller was let through to the method itself.
fn let_through(code: Code) -> bool {
    !matches!(
        code,
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented
    )
}

/// What the audit stream told of the last call: nothing, or one record.
async fn told(audit: &AuditFile, at: &Deployment, caller: &Caller) -> String {
    let news = audit.news(at).await;
    let [record] = news.as_slice() else {
        assert!(news.is_empty(), "{news:?}");
        return String::new();
    };
    // Who was not let in has no call, and no proven name.
    if !record["call"].is_null() {
        assert_eq!(record["caller"], caller.id, "{record}");
        assert_eq!(record["trace_id"], TRACE, "{record}");
    }
    assert!(
        record["peer"].is_string() && record["at"].is_string(),
        "{record}"
    );
    let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
    let told = ["event", "outcome", "reason"].map(text);
    format!("| {}", told.join(" ").trim_end())
}

#[tokio::test]
async fn the_table_of_methods_holds_for_every_role_and_for_nobody() {
    let audit = AuditFile::new();
    let output = audit.path();
    let at = Deployment::start_with(1, &[("COUNTERSIGN_AUDIT_OUTPUT", &output)]).await;
    let roles = [
        (Role::Issuer, DomainRole::Issuer),
        (Role::Introspector, DomainRole::Introspector),
        (Role::Revoker, DomainRole::Revoker),
        (Role::Admin, DomainRole::Admin),
    ];
    let mut callers = Vec::new();
    for (role, domain) in roles {
        callers.push((at.client(&[role]).await, Some(domain)));
    }
    callers.push((at.client(&[]).await, None));
    let admin = at.admin();
    let other_ring = KeyRing::parse(&new_key_line(&[8; 36])).unwrap();
    let id = uuid::Uuid::parse_str(&admin.id).unwrap();
    let forged = ClientSecret::mint(other_ring.minting(), id, &[1; 24]);
    let unknown = {
        let ring = KeyRing::parse(&new_key_line(&[7; 36])).unwrap();
        ClientSecret::mint(ring.minting(), id, &[1; 24])
    };
    let strangers = [
        at.nobody(),
        at.caller(&admin.id, "wrong"),
        at.caller(&admin.id, forged.plaintext().reveal()),
        at.caller(&admin.id, unknown.plaintext().reveal()),
        at.caller(&callers[0].0.id, unknown.plaintext().reveal()),
    ];
    let mut matrix = Vec::new();
    audit.news(&at).await;
    for method in methods::TABLE
        .iter()
        // A stream that stays open, and a method whose answer is never an error (tests/sidecar).
        .filter(|method| !method.path.ends_with("/Watch") && method.path != sidecar::PATH)
    {
        for (n, stranger) in strangers.iter().enumerate() {
            let (code, reason) = call(stranger, method.path).await;
            let open = method.access == Access::Open;
            assert_eq!(
                code == Code::Unauthenticated,
                !open,
                "{}: {code:?}",
                method.path
            );
            if !open && matches!(n, 1 | 2 | 4) {
                // A secret that is none is what the audit file takes for the end of the news.
                assert!(audit.until_knock().await.is_empty());
                continue;
            }
            let told = told(&audit, &at, stranger).await;
            let refused = if open {
                String::new()
            } else {
                format!("| caller refused {reason}")
            };
            assert_eq!(told, refused, "{} {n} {code:?}", method.path);
            if n == 0 {
                matrix.push(format!("{} nobody {code:?} {reason} {told}", method.path));
            }
        }
        for (caller, role) in &callers {
            let (code, reason) = call(caller, method.path).await;
            let name = role.map_or("none", DomainRole::name);
            let told = told(&audit, &at, caller).await;
            matrix.push(format!("{} {name} {code:?} {reason} {told}", method.path));
            let may = match method.access {
                Access::Open | Access::Authenticated => true,
                Access::AnyOf(roles) => role.is_some_and(|role| roles.contains(&role)),
            };
            assert_eq!(
                let_through(code),
                may,
                "{} by {role:?}: {code:?}",
                method.path
            );
        }
    }
    let lines: Vec<_> = matrix
        .iter()
        .map(|line| line.trim_end().replace("  ", " "))
        .collect();
    let matrix = lines.join(
        "
",
    ) + "
";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/access.txt");
    if std::env::var_os("COUNTERSIGN_TEST_BLESS").is_some() {
        std::fs::write(path, &matrix).unwrap();
    }
    assert_eq!(matrix, std::fs::read_to_string(path).unwrap());
}

#[test]
fn every_method_has_a_row_and_every_row_a_method() {
    let mut known = BTreeSet::new();
    for descriptors in [DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET] {
        for file in FileDescriptorSet::decode(descriptors).unwrap().file {
            for service in &file.service {
                for method in &service.method {
                    let service = format!("{}.{}", file.package(), service.name());
                    known.insert(format!("/{service}/{}", method.name()));
                }
            }
        }
    }
    known.insert(sidecar::PATH.to_owned());
    for version in ["v1", "v1alpha"] {
        known.insert(format!(
            "/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
        ));
    }
    let rows: BTreeSet<_> = methods::TABLE
        .iter()
        .map(|method| method.path.to_owned())
        .collect();
    assert_eq!(rows, known);
}

#[test]
fn every_reason_of_a_refusal_is_in_the_proto() {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    let reasons: BTreeSet<_> = files
        .iter()
        .flat_map(|file| &file.enum_type)
        .filter(|found| found.name() == "ErrorReason")
        .flat_map(|found| &found.value)
        .map(|value| value.name().trim_start_matches("ERROR_REASON_").to_owned())
        .collect();
    let sources = [
        "src/domain/refusal.rs",
        "src/grpc/status.rs",
        "src/grpc/convert/fields.rs",
    ];
    let mut found = 0;
    for source in sources {
        let text =
            std::fs::read_to_string(format!("{}/{source}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        for word in text.split('"').skip(1).step_by(2) {
            let is_reason =
                word.contains('_') && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            let is_code = [
                "INVALID_ARGUMENT",
                "NOT_FOUND",
                "ALREADY_EXISTS",
                "RESOURCE_EXHAUSTED",
                "FAILED_PRECONDITION",
                "OUT_OF_RANGE",
                "DATA_LOSS",
            ]
            .contains(&word);
            if is_reason && !is_code {
                assert!(reasons.contains(word), "{source} sends {word}");
                found += 1;
            }
        }
    }
    assert!(found > 30, "the reasons are found");
}
