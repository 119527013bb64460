//! The table of methods: who may call what. A method without a row here cannot be
//! called, and fails a test.

use crate::domain::caller::{Access, Role};
use crate::sidecar;

/// A row of the table.
#[derive(Debug)]
pub struct Method {
    /// The path, `/package.Service/Method`.
    pub path: &'static str,
    /// What it demands of its caller. What a caller may do beyond its own client's
    /// tokens and sessions is the use case's to judge.
    pub access: Access,
    /// Its deadline.
    pub deadline: Deadline,
    /// Which limit of a caller it counts against.
    pub class: Class,
}

/// Methods with one limit of calls a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Those that mint.
    Issue,
    /// Those that read tokens and sessions.
    Introspect,
    /// Those that end them.
    Revoke,
    /// The directory, and reflection.
    Directory,
    /// Those that nobody has to prove anything for: no limit.
    Open,
}

/// Which deadline of the server holds for a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// The one for calls.
    Call,
    /// `RotateRefresh`'s own.
    Rotation,
    /// Check's own.
    Check,
    /// None: a stream that stays open.
    None,
}

/// Whether a call is answered in the task of its connection: its own work is a matter of
/// microseconds, whatever it asks, and the rest is waiting. What answers with many rows is not
/// brief, nor what is called now and then.
pub(super) fn is_brief(path: &str) -> bool {
    BRIEF.contains(&path)
}

const BRIEF: [&str; 6] = [
    "/countersign.v1.TokenAuthorityService/Introspect",
    "/countersign.v1.TokenAuthorityService/IssueToken",
    "/countersign.v1.TokenAuthorityService/RotateRefresh",
    "/countersign.v1.TokenAuthorityService/RevokeSession",
    "/countersign.v1.TokenAuthorityService/RevokeToken",
    sidecar::PATH,
];

const ADMIN: Access = Access::AnyOf(&[Role::Admin]);
const INTROSPECTOR: Access = Access::AnyOf(&[Role::Introspector]);
const ADMIN_OR_ISSUER: Access = Access::AnyOf(&[Role::Admin, Role::Issuer]);

/// An error of this method is answered by a denial, for its caller would take one for a yes.
pub(super) fn denies_errors(path: &str) -> bool {
    path == sidecar::PATH
}

macro_rules! methods {
    ($($path:literal $access:expr, $deadline:ident, $class:ident;)+) => {
        &[$(Method {
            path: $path,
            access: $access,
            deadline: Deadline::$deadline,
            class: Class::$class,
        }),+]
    };
}

/// Every method of the port.
#[rustfmt::skip]
pub const TABLE: &[Method] = methods! {
    "/countersign.v1.TokenAuthorityService/IssueToken"      Access::Authenticated, Call, Issue;
    "/countersign.v1.TokenAuthorityService/RotateRefresh"   Access::Authenticated, Rotation, Issue;
    "/countersign.v1.TokenAuthorityService/RevokeSession"   Access::Authenticated, Call, Revoke;
    "/countersign.v1.TokenAuthorityService/RevokeToken"     Access::Authenticated, Call, Revoke;
    "/countersign.v1.TokenAuthorityService/Introspect"      Access::Authenticated, Call, Introspect;
    "/countersign.v1.TokenAuthorityService/BatchIntrospect" Access::Authenticated, Call, Introspect;
    "/countersign.v1.TokenAuthorityService/ListSessions"    Access::Authenticated, Call, Introspect;
    "/countersign.v1.DirectoryService/CreateClient"         ADMIN, Call, Directory;
    "/countersign.v1.DirectoryService/GetClient"            ADMIN, Call, Directory;
    "/countersign.v1.DirectoryService/ListClients"          ADMIN, Call, Directory;
    "/countersign.v1.DirectoryService/UpdateClient"         ADMIN, Call, Directory;
    "/countersign.v1.DirectoryService/DisableClient"        ADMIN, Call, Directory;
    "/countersign.v1.DirectoryService/EnableClient"         ADMIN, Call, Directory;
    "/countersign.v1.DirectoryService/CutOffClient"         ADMIN, Call, Directory;
    "/countersign.v1.DirectoryService/RotateClientSecret"   ADMIN, Call, Directory;
    "/countersign.v1.DirectoryService/RetireClientSecret"   ADMIN, Call, Directory;
    "/countersign.v1.DirectoryService/RegisterUser"         ADMIN_OR_ISSUER, Call, Directory;
    "/countersign.v1.DirectoryService/GetUser"              ADMIN_OR_ISSUER, Call, Directory;
    "/countersign.v1.DirectoryService/DisableUser"          ADMIN, Call, Directory;
    "/countersign.v1.DirectoryService/EnableUser"           ADMIN, Call, Directory;
    "/envoy.service.auth.v3.Authorization/Check"            INTROSPECTOR, Check, Introspect;
    "/grpc.health.v1.Health/Check"                          Access::Open, Call, Open;
    "/grpc.health.v1.Health/Watch"                          Access::Open, None, Open;
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"      Access::Authenticated, None, Directory;
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" Access::Authenticated, None, Directory;
};

/// How metrics and spans name every path that has no row.
pub const OTHER: &str = "_OTHER";

/// The place of a path in the table.
pub fn place(path: &str) -> Option<usize> {
    TABLE.iter().position(|method| method.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_brief_is_in_the_table_and_what_answers_with_many_rows_is_not_brief() {
        for path in BRIEF {
            assert!(place(path).is_some(), "{path}");
        }
        for long in ["BatchIntrospect", "ListSessions"] {
            let path = format!("/countersign.v1.TokenAuthorityService/{long}");
            assert!(place(&path).is_some() && !is_brief(&path), "{path}");
        }
    }
}
