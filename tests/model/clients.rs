//! The clients of every case.

use super::terms::{Audience, Scopes};
use countersign::proto::v1::{ClientSettings, Role, SessionLimitPolicy};
use prost_types::Duration;

/// How many there are.
pub const CLIENTS: usize = 7;
/// The last one.
pub const ADMIN: usize = CLIENTS - 1;

/// What was decided about a client; times in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub roles: &'static [Role],
    pub audience: Audience,
    pub default_audience: Audience,
    /// Empty: its audience.
    pub introspection_audience: Audience,
    pub access_ttl: u64,
    pub session_ttl: u64,
    pub idle: u64,
    pub grace: u64,
    /// Live sessions a user, and whether the least recently used one gives way.
    pub limit: Option<(usize, bool)>,
}

/// The scopes that every client may have at first.
pub const ALLOWED: Scopes = Scopes(0b011);

/// The authority's defaults, as the handbook writes them.
const DEFAULT: Kind = Kind {
    roles: &[],
    audience: Audience(0b011),
    default_audience: Audience(0b001),
    introspection_audience: Audience(0),
    access_ttl: 600,
    session_ttl: 30 * 86_400,
    idle: 7 * 86_400,
    grace: 30,
    limit: None,
};

/// The clients, the admin last.
pub const KINDS: [Kind; CLIENTS] = [
    Kind {
        roles: &[Role::Issuer],
        ..DEFAULT
    },
    // No grace, soon idle, tokens without audience.
    Kind {
        roles: &[Role::Issuer],
        default_audience: Audience(0),
        idle: 600,
        grace: 0,
        ..DEFAULT
    },
    Kind {
        roles: &[Role::Revoker, Role::Introspector],
        introspection_audience: Audience(0b001),
        ..DEFAULT
    },
    // No role.
    Kind {
        default_audience: Audience(0b010),
        access_ttl: 60,
        ..DEFAULT
    },
    // Two sessions a user, a third is refused; short sessions.
    Kind {
        roles: &[Role::Issuer],
        session_ttl: 3_600,
        limit: Some((2, false)),
        ..DEFAULT
    },
    // Two sessions a user, the least recently used one gives way.
    Kind {
        roles: &[Role::Issuer, Role::Introspector],
        audience: Audience(0b010),
        default_audience: Audience(0b010),
        grace: 120,
        limit: Some((2, true)),
        ..DEFAULT
    },
    Kind {
        roles: &[Role::Admin],
        audience: Audience(0),
        default_audience: Audience(0),
        ..DEFAULT
    },
];

impl Kind {
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// As `CreateClient` takes them; what is the authority's default is left out.
    pub fn settings(&self) -> ClientSettings {
        let unless = |value: u64, default: u64| {
            (value != default).then(|| Duration {
                seconds: i64::try_from(value).unwrap(),
                nanos: 0,
            })
        };
        let policy = match self.limit {
            None => SessionLimitPolicy::Unspecified,
            Some((_, false)) => SessionLimitPolicy::Refuse,
            Some((_, true)) => SessionLimitPolicy::EndLeastRecentlyUsed,
        };
        ClientSettings {
            name: "model".into(),
            roles: self.roles.iter().map(|role| (*role).into()).collect(),
            scopes: ALLOWED.words(),
            audience: self.audience.words(),
            default_audience: self.default_audience.words(),
            introspection_audience: self.introspection_audience.words(),
            access_token_ttl: unless(self.access_ttl, DEFAULT.access_ttl),
            session_ttl: unless(self.session_ttl, DEFAULT.session_ttl),
            idle_timeout: unless(self.idle, DEFAULT.idle),
            rotation_grace: unless(self.grace, DEFAULT.grace),
            sessions_per_user: self
                .limit
                .map_or(0, |(most, _)| u32::try_from(most).unwrap()),
            session_limit_policy: policy.into(),
            ..ClientSettings::default()
        }
    }
}
