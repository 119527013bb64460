//! A client's settings on the command line.

use crate::cli::{failure::Failure, terms::duration};
use crate::proto::v1;
use clap::{Args, ValueEnum};

/// What is decided about a client.
#[derive(Debug, Args)]
pub(super) struct SettingArgs {
    /// A name for people
    #[arg(long)]
    name: Option<String>,
    /// A role; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<RoleArg>,
    /// A scope that its tokens may have; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// An audience member that its tokens may have; may be repeated
    #[arg(long, value_name = "URI")]
    audience: Vec<String>,
    /// The audience of a token whose request names none; may be repeated
    #[arg(long, value_name = "URI")]
    default_audience: Vec<String>,
    /// The audience whose tokens it may see as an introspector; may be repeated; by default
    /// its audience
    #[arg(long, value_name = "URI")]
    introspection_audience: Vec<String>,
    /// Longest and default lifetime of its access tokens
    #[arg(long, value_name = "TIME")]
    access_token_ttl: Option<humantime::Duration>,
    /// Lifetime of its sessions
    #[arg(long, value_name = "TIME")]
    session_ttl: Option<humantime::Duration>,
    /// A session without a step for this long is over
    #[arg(long, value_name = "TIME")]
    idle_timeout: Option<humantime::Duration>,
    /// How long a superseded refresh token may be repeated; 0s: never
    #[arg(long, value_name = "TIME")]
    rotation_grace: Option<humantime::Duration>,
    /// Live sessions that one user may have with it
    #[arg(long, value_name = "COUNT")]
    sessions_per_user: Option<u32>,
    /// What happens to a login over that
    #[arg(long, value_name = "POLICY")]
    session_limit: Option<LimitArg>,
}

/// A role.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArg {
    /// Mints for users and for other clients
    Issuer,
    /// Sees tokens of other clients, by audience
    Introspector,
    /// Lists and ends sessions and tokens of other clients
    Revoker,
    /// Keeps the directory, and sees every token
    Admin,
}

/// What happens to a login over the limit.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LimitArg {
    /// It is refused
    Refuse,
    /// The least recently used session ends
    EndLeastRecentlyUsed,
}

impl SettingArgs {
    /// The settings, and the names of the fields that were given.
    pub(super) fn read(self) -> Result<(v1::ClientSettings, Vec<String>), Failure> {
        let given = [
            ("name", self.name.is_some()),
            ("roles", !self.roles.is_empty()),
            ("scopes", !self.scopes.is_empty()),
            ("audience", !self.audience.is_empty()),
            ("default_audience", !self.default_audience.is_empty()),
            (
                "introspection_audience",
                !self.introspection_audience.is_empty(),
            ),
            ("access_token_ttl", self.access_token_ttl.is_some()),
            ("session_ttl", self.session_ttl.is_some()),
            ("idle_timeout", self.idle_timeout.is_some()),
            ("rotation_grace", self.rotation_grace.is_some()),
            ("sessions_per_user", self.sessions_per_user.is_some()),
            ("session_limit_policy", self.session_limit.is_some()),
        ];
        let paths = given
            .into_iter()
            .filter(|(_, given)| *given)
            .map(|(path, _)| path.to_owned())
            .collect();
        let role = |role: RoleArg| match role {
            RoleArg::Issuer => v1::Role::Issuer.into(),
            RoleArg::Introspector => v1::Role::Introspector.into(),
            RoleArg::Revoker => v1::Role::Revoker.into(),
            RoleArg::Admin => v1::Role::Admin.into(),
        };
        let policy = match self.session_limit {
            None => v1::SessionLimitPolicy::Unspecified,
            Some(LimitArg::Refuse) => v1::SessionLimitPolicy::Refuse,
            Some(LimitArg::EndLeastRecentlyUsed) => v1::SessionLimitPolicy::EndLeastRecentlyUsed,
        };
        let settings = v1::ClientSettings {
            name: self.name.unwrap_or_default(),
            roles: self.roles.into_iter().map(role).collect(),
            scopes: self.scopes,
            audience: self.audience,
            default_audience: self.default_audience,
            introspection_audience: self.introspection_audience,
            access_token_ttl: self.access_token_ttl.map(duration).transpose()?,
            session_ttl: self.session_ttl.map(duration).transpose()?,
            idle_timeout: self.idle_timeout.map(duration).transpose()?,
            rotation_grace: self.rotation_grace.map(duration).transpose()?,
            sessions_per_user: self.sessions_per_user.unwrap_or_default(),
            session_limit_policy: policy.into(),
        };
        Ok((settings, paths))
    }
}
