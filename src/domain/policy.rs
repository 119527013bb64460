//! What an administrator decided about a client, and the authority's defaults.

use super::{
    caller::Role,
    dpop::Demands,
    identity::Identity,
    refusal::Refusal,
    terms::{Audience, Scopes},
};
use chrono::{DateTime, Utc};
use std::time::Duration;
use uuid::Uuid;

/// The authority's defaults where a client's settings say nothing.
#[derive(Debug, Clone, Copy)]
pub struct Defaults {
    /// Longest and default lifetime of an access token.
    pub access_token_ttl: Duration,
    /// Absolute lifetime of a session.
    pub session_ttl: Duration,
    /// A session without a step for this long is over.
    pub idle_timeout: Duration,
    /// How long a superseded refresh token may be repeated.
    pub rotation_grace: Duration,
    /// Live sessions of one user with one client. `None`: any number.
    pub sessions_per_user: Option<u32>,
}

/// What happens to a login over `sessions_per_user`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionLimitPolicy {
    /// It is refused.
    #[default]
    Refuse,
    /// The least recently used session gives way.
    EndLeastRecentlyUsed,
}

impl SessionLimitPolicy {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::EndLeastRecentlyUsed => "end_least_recently_used",
        }
    }

    /// The policy of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Refuse, Self::EndLeastRecentlyUsed]
            .into_iter()
            .find(|policy| policy.name() == name)
    }
}

/// What an administrator decided about a client; `None`: the authority's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// For people.
    pub name: String,
    /// Rights beyond its own tokens.
    pub roles: Vec<Role>,
    /// What proves it in certificates, sorted. Read for the directory alone.
    pub identities: Vec<Identity>,
    /// The scopes that its tokens may have.
    pub scopes: Scopes,
    /// The audience that its tokens may have.
    pub audience: Audience,
    /// The audience of a token whose request names none.
    pub default_audience: Audience,
    /// The audience whose tokens it may see; empty: `audience`.
    pub introspection_audience: Audience,
    /// Longest and default lifetime of its access tokens.
    pub access_token_ttl: Option<Duration>,
    /// Absolute lifetime of its sessions.
    pub session_ttl: Option<Duration>,
    /// A session without a step for this long is over.
    pub idle_timeout: Option<Duration>,
    /// How long a superseded refresh token may be repeated.
    pub rotation_grace: Option<Duration>,
    /// Live sessions one user may have with it.
    pub sessions_per_user: Option<u32>,
    /// What happens to a login over that.
    pub session_limit_policy: SessionLimitPolicy,
    /// Its tokens may be bearer tokens. If not, those that are count as dead.
    pub bearer_allowed: bool,
    /// Whoever asks for its tokens proves a key (RFC 9449 section 5.2).
    pub dpop_required: bool,
    /// And does so with a nonce of this authority (RFC 9449 section 8).
    pub dpop_nonce_required: bool,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            roles: Vec::new(),
            identities: Vec::new(),
            scopes: Scopes::default(),
            audience: Audience::default(),
            default_audience: Audience::default(),
            introspection_audience: Audience::default(),
            access_token_ttl: None,
            session_ttl: None,
            idle_timeout: None,
            rotation_grace: None,
            sessions_per_user: None,
            session_limit_policy: SessionLimitPolicy::default(),
            bearer_allowed: true,
            dpop_required: false,
            dpop_nonce_required: false,
        }
    }
}

impl ClientSettings {
    /// Longest and default lifetime of its access tokens.
    pub fn access_token_ttl(&self, defaults: &Defaults) -> Duration {
        self.access_token_ttl.unwrap_or(defaults.access_token_ttl)
    }

    /// Absolute lifetime of its sessions.
    pub fn session_ttl(&self, defaults: &Defaults) -> Duration {
        self.session_ttl.unwrap_or(defaults.session_ttl)
    }

    /// How long a session may go without a step.
    pub fn idle_timeout(&self, defaults: &Defaults) -> Duration {
        self.idle_timeout.unwrap_or(defaults.idle_timeout)
    }

    /// How long a superseded refresh token may be repeated.
    pub fn rotation_grace(&self, defaults: &Defaults) -> Duration {
        self.rotation_grace.unwrap_or(defaults.rotation_grace)
    }

    /// What it demands of those who ask for its tokens.
    pub fn demands(&self) -> Demands {
        Demands {
            proof: self.dpop_required || !self.bearer_allowed,
            nonce: self.dpop_nonce_required,
        }
    }

    /// Refuses settings that contradict each other: the default audience is within
    /// the audience.
    pub fn check(&self) -> Result<(), Refusal> {
        let beyond = self.default_audience.beyond(&self.audience);
        if beyond.is_empty() {
            Ok(())
        } else {
            Err(Refusal::InvalidTarget(beyond))
        }
    }

    /// Live sessions one user may have with it. `None`: any number.
    pub fn sessions_per_user(&self, defaults: &Defaults) -> Option<u32> {
        self.sessions_per_user.or(defaults.sessions_per_user)
    }
}

/// A registered client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its id in `public.oauth_clients`.
    pub client_id: Uuid,
    /// What was decided about it.
    pub settings: ClientSettings,
    /// Set: it is refused, and all its tokens are dead.
    pub disabled_at: Option<DateTime<Utc>>,
    /// What was created at or before this is dead.
    pub not_before: Option<DateTime<Utc>>,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// When its settings last changed.
    pub updated_at: DateTime<Utc>,
}

/// A live secret of a client, without the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretInfo {
    /// Its id.
    pub secret_id: Uuid,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// A registered user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The subject, in `public.users`.
    pub subject: Uuid,
    /// Set: the user is refused, and all their tokens are dead.
    pub disabled_at: Option<DateTime<Utc>>,
    /// What was created at or before this is dead.
    pub not_before: Option<DateTime<Utc>>,
    /// When the user was registered here.
    pub created_at: DateTime<Utc>,
}
