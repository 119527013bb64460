//! Who calls: what a caller presented, what the database says of it, and whether
//! it is admitted.

use super::{
    identity::Identity, policy::Client, refusal::Refusal, terms::Audience, tokens::SecretDigest,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What a caller presented: a secret whose form and MAC hold already, an identity that its
/// certificate or its mesh proved, or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The client that it claims to be. Of an identity alone, the one that it was last known
    /// to be.
    pub client_id: Uuid,
    /// A client secret (RFC 6749 section 2.3.1), known by its digest.
    pub secret: Option<SecretDigest>,
    /// What proves it beside the secret, or without.
    pub identity: Option<Identity>,
}

/// A call's claim: who the caller says it is, and what its method needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What the caller presented.
    pub credentials: Credentials,
    /// What the method's row in the table of methods demands.
    pub access: Access,
    /// The call's id, for its events, audit records and log lines.
    pub call: Uuid,
}

/// What a method demands of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Open,
    /// To be a registered, enabled client.
    Authenticated,
    /// One of these roles.
    AnyOf(&'static [Role]),
}

/// A right beyond a client's own tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Mints for users and other clients.
    Issuer,
    /// Sees tokens of other clients, by audience.
    Introspector,
    /// Lists and ends sessions and tokens of other clients.
    Revoker,
    /// Manages the directory, and sees every token.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Issuer, Self::Introspector, Self::Revoker, Self::Admin];

    /// Its name in the database and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Introspector => "introspector",
            Self::Revoker => "revoker",
            Self::Admin => "admin",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// What the database says of a caller whose proof it knows.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The client.
    pub client_id: Uuid,
    /// The client of the identity that came along. It must be the same.
    pub identity_of: Option<Uuid>,
    /// Its rights.
    pub roles: Vec<Role>,
    /// Set: it is refused.
    pub disabled_at: Option<DateTime<Utc>>,
    /// The audience whose tokens it may see as an introspector.
    pub introspection_audience: Audience,
}

impl Caller {
    /// A client as a caller, who came with an identity of `identity_of`.
    pub fn of(client: &Client, identity_of: Option<Uuid>) -> Self {
        let settings = &client.settings;
        let own = &settings.introspection_audience;
        Self {
            client_id: client.client_id,
            identity_of,
            roles: settings.roles.clone(),
            disabled_at: client.disabled_at,
            introspection_audience: if own.is_empty() {
                settings.audience.clone()
            } else {
                own.clone()
            },
        }
    }

    /// Admits a caller: its proof is known and live, names one client, which is enabled and
    /// has a role that the method demands.
    ///
    /// # Errors
    /// `CredentialsInvalid`: no live proof; `CredentialsConflict`: the identity is another
    /// client's; `CallerDisabled`; `PermissionDenied`: none of the roles.
    pub fn admit(standing: Option<&Self>, access: Access) -> Result<&Self, Refusal> {
        let caller = standing.ok_or(Refusal::CredentialsInvalid)?;
        if caller.identity_of.is_some_and(|id| id != caller.client_id) {
            return Err(Refusal::CredentialsConflict);
        }
        if caller.disabled_at.is_some() {
            return Err(Refusal::CallerDisabled);
        }
        match access {
            Access::Open | Access::Authenticated => Ok(caller),
            Access::AnyOf(roles) if roles.iter().any(|role| caller.has(*role)) => Ok(caller),
            Access::AnyOf(roles) => Err(Refusal::PermissionDenied(roles)),
        }
    }

    /// Whether it has the role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}
