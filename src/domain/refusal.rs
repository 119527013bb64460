//! Every way in which a well-formed call can be refused, each with one reason.
//!
//! The variants are sorted by what the caller can do; `grpc/status.rs` gives each
//! its code and its reason on the wire.

use super::{caller::Role, dpop, identity::Identity, terms::told};
use std::time::Duration;
use thiserror::Error;
use uuid::Uuid;

/// Why a call was refused. No variant holds anything secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No credentials at all.
    #[error("the call carries no caller credentials")]
    CredentialsMissing,
    /// Malformed, unknown or retired credentials.
    #[error("the caller's credentials are not valid")]
    CredentialsInvalid,
    /// Credentials of different clients.
    #[error("the call carries credentials of different clients")]
    CredentialsConflict,
    /// The caller's identity belongs to another client than a moment ago.
    #[error("the caller's identity was given to another client")]
    CallerMoved,
    /// Too many calls, or failed ones.
    #[error("too many calls {of}; try again in {} ms", retry_after.as_millis())]
    RateLimited {
        /// Whose, in words.
        of: &'static str,
        /// When another may succeed.
        retry_after: Duration,
    },
    /// The caller itself is disabled.
    #[error("the calling client is disabled")]
    CallerDisabled,
    /// The caller has none of these roles.
    #[error("this needs the role {}", roles(.0))]
    PermissionDenied(&'static [Role]),
    /// A client-only caller asked for more than its own tokens.
    #[error("without the role `issuer` a client mints only for itself")]
    MintsOnlyForItself,

    /// The refresh token is not this caller's, or not this key's.
    #[error("the refresh token is not this caller's")]
    InvalidGrant,
    /// Not a refresh token of ours: form, checksum, key or MAC.
    #[error("not a refresh token of this authority")]
    RefreshTokenInvalid,
    /// Authentic, but the database does not know it, or not yet.
    #[error("the refresh token is authentic, but unknown to the database")]
    RefreshTokenUnknown {
        /// Its counter is ahead of the session's: commits were lost.
        ahead: bool,
    },
    /// A late duplicate within the grace window.
    #[error("the refresh token was superseded a moment ago; newer ones exist")]
    RefreshTokenSuperseded,
    /// A stale token came back; its family has ended.
    #[error("the refresh token was used before; its session has ended")]
    RefreshTokenReused,
    /// The session was ended by someone.
    #[error("the session was revoked")]
    SessionRevoked,
    /// The session reached its absolute end.
    #[error("the session has expired")]
    SessionExpired,
    /// The session was not used for too long.
    #[error("the session was idle for too long")]
    SessionIdle,
    /// A cut-off of user, client or authority covers the session.
    #[error("the session was cut off")]
    SessionCutOff,
    /// The session's user is disabled, or unknown.
    #[error("the user is disabled")]
    SessionSubjectDisabled,
    /// The session's client is disabled.
    #[error("the session's client is disabled")]
    SessionClientDisabled,
    /// The client may no longer have a scope that the session grants.
    #[error("the client may no longer have what the session grants")]
    ScopeWithdrawn,

    /// A proof came along, and there is no origin to verify it against.
    #[error("the call carries a DPoP proof, but no public origin is configured to verify it")]
    DpopNotConfigured,
    /// The proof of the call fails.
    #[error("{0}")]
    InvalidDpopProof(dpop::Fault),
    /// The client's tokens are bound to a key, and the call proves none.
    #[error("the client's tokens are bound to a key, so this needs a DPoP proof")]
    DpopProofRequired,
    /// No room to remember one more proof.
    #[error("too many DPoP proofs came lately to remember one more")]
    TooManyProofs,

    /// Scopes that are not allowed.
    #[error("scopes that are not allowed: {}", told(.0))]
    InvalidScope(Vec<String>),
    /// Audience members that are not allowed.
    #[error("audience that is not allowed: {}", told(.0))]
    InvalidTarget(Vec<String>),

    /// No such client.
    #[error("no client {0} is registered")]
    ClientNotFound(Uuid),
    /// The client that a token was asked for is disabled.
    #[error("the client {0} is disabled")]
    ClientDisabled(Uuid),
    /// No such user.
    #[error("no user {0} is registered; register_subject or RegisterUser makes one known")]
    SubjectNotFound(Uuid),
    /// The user that a token was asked for is disabled.
    #[error("the user {0} is disabled")]
    SubjectDisabled(Uuid),
    /// No such secret of that client.
    #[error("the client has no secret {0}")]
    SecretNotFound(Uuid),
    /// The client is registered already.
    #[error("the client {0} is registered already")]
    ClientExists(Uuid),
    /// The request id was used for another subject or client.
    #[error("the request id was used for another subject or client")]
    RequestIdConflict,
    /// Another client has the identity.
    #[error("{0} is another client's")]
    IdentityTaken(Identity),
    /// A shared table demands more than an id.
    #[error("{table} demands more than an id: insert the row there first, then repeat this call")]
    LinkRequired {
        /// The table.
        table: &'static str,
    },
    /// Two secrets are live.
    #[error("the client has two live secrets; retire one first")]
    SecretLimitReached,
    /// The last secret of a client.
    #[error("this is the client's last live secret; rotate first")]
    LastSecret,

    /// As many sessions as allowed.
    #[error("the user has {limit} live sessions with this client, as many as allowed")]
    SessionLimitReached {
        /// The limit.
        limit: u32,
    },
}

impl Refusal {
    /// Its reason on the wire, in the audit stream and in metrics: a name of
    /// `ErrorReason` in the proto, without the prefix.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::CredentialsMissing => "CREDENTIALS_MISSING",
            Self::CredentialsInvalid | Self::CallerMoved => "CREDENTIALS_INVALID",
            Self::CredentialsConflict => "CREDENTIALS_CONFLICT",
            Self::RateLimited { .. } => "RATE_LIMITED",
            Self::IdentityTaken(_) => "IDENTITY_TAKEN",
            Self::CallerDisabled | Self::ClientDisabled(_) | Self::SessionClientDisabled => {
                "CLIENT_DISABLED"
            }
            Self::PermissionDenied(_) | Self::MintsOnlyForItself => "PERMISSION_DENIED",
            Self::InvalidGrant => "INVALID_GRANT",
            Self::RefreshTokenInvalid => "REFRESH_TOKEN_INVALID",
            Self::RefreshTokenUnknown { .. } => "REFRESH_TOKEN_UNKNOWN",
            Self::RefreshTokenSuperseded => "REFRESH_TOKEN_SUPERSEDED",
            Self::RefreshTokenReused => "REFRESH_TOKEN_REUSED",
            Self::SessionRevoked => "SESSION_REVOKED",
            Self::SessionExpired => "SESSION_EXPIRED",
            Self::SessionIdle => "SESSION_IDLE",
            Self::SessionCutOff => "SESSION_CUT_OFF",
            Self::SessionSubjectDisabled | Self::SubjectDisabled(_) => "SUBJECT_DISABLED",
            Self::ScopeWithdrawn => "SCOPE_WITHDRAWN",
            Self::DpopNotConfigured => "DPOP_NOT_CONFIGURED",
            Self::InvalidDpopProof(fault) => fault.reason(),
            Self::DpopProofRequired => "DPOP_PROOF_REQUIRED",
            Self::TooManyProofs => "OVERLOADED",
            Self::InvalidScope(_) => "INVALID_SCOPE",
            Self::InvalidTarget(_) => "INVALID_TARGET",
            Self::ClientNotFound(_) => "CLIENT_NOT_FOUND",
            Self::SubjectNotFound(_) => "SUBJECT_NOT_FOUND",
            Self::SecretNotFound(_) => "SECRET_NOT_FOUND",
            Self::ClientExists(_) => "CLIENT_EXISTS",
            Self::RequestIdConflict => "REQUEST_ID_CONFLICT",
            Self::LinkRequired { .. } => "LINK_REQUIRED",
            Self::SecretLimitReached => "SECRET_LIMIT_REACHED",
            Self::LastSecret => "LAST_SECRET",
            Self::SessionLimitReached { .. } => "SESSION_LIMIT_REACHED",
        }
    }

    /// Whether it refuses the caller itself, and not what the call asks for.
    pub fn is_of_caller(&self) -> bool {
        matches!(
            self,
            Self::CredentialsMissing
                | Self::CredentialsInvalid
                | Self::CredentialsConflict
                | Self::CallerMoved
                | Self::RateLimited { .. }
                | Self::CallerDisabled
                | Self::PermissionDenied(_)
                | Self::MintsOnlyForItself
        )
    }
}

fn roles(roles: &[Role]) -> String {
    roles
        .iter()
        .map(|role| format!("`{}`", role.name()))
        .collect::<Vec<_>>()
        .join(" or ")
}
