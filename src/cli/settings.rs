//! A client's settings as options, and the update mask that they make.

use super::{failure::Failure, input};
use crate::proto::v1;
use clap::{Args, ValueEnum};

/// The settings that `client create` and `client update` share.
#[derive(Args, Default)]
#[command(next_help_heading = "Settings")]
pub struct SettingsArgs {
    /// A right beyond the client's own tokens and sessions; may be repeated
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<RoleName>,
    /// A SPIFFE ID that proves it in a certificate; may be repeated
    #[arg(long = "spiffe-id", value_name = "URI")]
    spiffe_ids: Vec<String>,
    /// A DNS SAN that proves it in a certificate; may be repeated
    #[arg(long = "dns-name", value_name = "NAME")]
    dns_names: Vec<String>,
    /// A scope that its tokens may have; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// An audience that its tokens may have; may be repeated
    #[arg(long, value_name = "URI")]
    audience: Vec<String>,
    /// An audience of a token whose request names none; may be repeated
    #[arg(long, value_name = "URI")]
    default_audience: Vec<String>,
    /// With the role introspector, an audience whose tokens it sees; may be repeated
    #[arg(long, value_name = "URI")]
    introspection_audience: Vec<String>,
    /// The longest lifetime of its access tokens, like 5m
    #[arg(long, value_name = "DURATION", value_parser = input::duration)]
    access_token_ttl: Option<prost_types::Duration>,
    /// The lifetime of its sessions, from their opening, like 30d
    #[arg(long, value_name = "DURATION", value_parser = input::duration)]
    session_ttl: Option<prost_types::Duration>,
    /// A session without a step for this long is over
    #[arg(long, value_name = "DURATION", value_parser = input::duration)]
    idle_timeout: Option<prost_types::Duration>,
    /// How long a superseded refresh token may be repeated; 0s: never
    #[arg(long, value_name = "DURATION", value_parser = input::duration)]
    rotation_grace: Option<prost_types::Duration>,
    /// How many live sessions one user may have with it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    sessions_per_user: Option<u32>,
    /// What happens to a login over that
    #[arg(long, value_name = "POLICY")]
    session_limit: Option<SessionLimit>,
    /// Whether its tokens may be bearer tokens
    #[arg(long, value_name = "BOOL")]
    bearer_allowed: Option<bool>,
    /// Whether its tokens are issued and rotated with a DPoP proof alone
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    dpop_required: Option<bool>,
    /// Whether such a proof carries a nonce of the authority
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    dpop_nonce_required: Option<bool>,
}

/// The roles, as the proto's enum names them.
#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Issuer,
    Introspector,
    Revoker,
    Admin,
}

/// The policies of `session_limit_policy`.
#[derive(Clone, Copy, ValueEnum)]
enum SessionLimit {
    Refuse,
    EndLeastRecentlyUsed,
}

/// A setting that `--clear` empties: the name has no empty value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Setting {
    Roles,
    Scopes,
    Audience,
    #[value(alias = "default_audience")]
    DefaultAudience,
    #[value(alias = "introspection_audience")]
    IntrospectionAudience,
    #[value(alias = "access_token_ttl")]
    AccessTokenTtl,
    #[value(alias = "session_ttl")]
    SessionTtl,
    #[value(alias = "idle_timeout")]
    IdleTimeout,
    #[value(alias = "rotation_grace")]
    RotationGrace,
    #[value(alias = "sessions_per_user")]
    SessionsPerUser,
    #[value(alias = "session_limit_policy")]
    SessionLimit,
    #[value(alias = "spiffe_ids")]
    SpiffeIds,
    #[value(alias = "dns_names")]
    DnsNames,
    #[value(alias = "bearer_allowed")]
    BearerAllowed,
    #[value(alias = "dpop_required")]
    DpopRequired,
    #[value(alias = "dpop_nonce_required")]
    DpopNonceRequired,
}

impl Setting {
    /// The field of `ClientSettings`.
    fn field(self) -> &'static str {
        match self {
            Self::Roles => "roles",
            Self::SpiffeIds => "spiffe_ids",
            Self::DnsNames => "dns_names",
            Self::Scopes => "scopes",
            Self::Audience => "audience",
            Self::DefaultAudience => "default_audience",
            Self::IntrospectionAudience => "introspection_audience",
            Self::AccessTokenTtl => "access_token_ttl",
            Self::SessionTtl => "session_ttl",
            Self::IdleTimeout => "idle_timeout",
            Self::RotationGrace => "rotation_grace",
            Self::SessionsPerUser => "sessions_per_user",
            Self::SessionLimit => "session_limit_policy",
            Self::BearerAllowed => "bearer_allowed",
            Self::DpopRequired => "dpop_required",
            Self::DpopNonceRequired => "dpop_nonce_required",
        }
    }
}

impl SettingsArgs {
    /// The message, with the name that `create` demands and `update` may leave out.
    pub fn message(self, name: Option<String>) -> v1::ClientSettings {
        v1::ClientSettings {
            name: name.unwrap_or_default(),
            roles: self.roles.into_iter().map(role).collect(),
            spiffe_ids: self.spiffe_ids,
            dns_names: self.dns_names,
            scopes: self.scopes,
            audience: self.audience,
            default_audience: self.default_audience,
            introspection_audience: self.introspection_audience,
            access_token_ttl: self.access_token_ttl,
            session_ttl: self.session_ttl,
            idle_timeout: self.idle_timeout,
            rotation_grace: self.rotation_grace,
            sessions_per_user: self.sessions_per_user.unwrap_or_default(),
            session_limit_policy: self.session_limit.map(policy).unwrap_or_default(),
            bearer_allowed: self.bearer_allowed,
            dpop_required: self.dpop_required.unwrap_or_default(),
            dpop_nonce_required: self.dpop_nonce_required.unwrap_or_default(),
        }
    }

    /// The fields that an update changes: those given, and those to be emptied.
    pub fn update_mask(
        &self,
        name: Option<&str>,
        clear: &[Setting],
    ) -> Result<prost_types::FieldMask, Failure> {
        let given = self.given();
        if let Some(both) = clear.iter().find(|setting| given.contains(setting)) {
            let field = both.field();
            return Err(Failure::Input(format!(
                "{field} is both set and cleared; do one"
            )));
        }
        let mut paths: Vec<String> = name.iter().map(|_| "name".to_owned()).collect();
        for setting in given.iter().chain(clear) {
            let field = setting.field().to_owned();
            if !paths.contains(&field) {
                paths.push(field);
            }
        }
        if paths.is_empty() {
            return Err(Failure::Input(
                "nothing to change: give a setting, or --clear one".to_owned(),
            ));
        }
        Ok(prost_types::FieldMask { paths })
    }

    fn given(&self) -> Vec<Setting> {
        let all = [
            (Setting::Roles, !self.roles.is_empty()),
            (Setting::SpiffeIds, !self.spiffe_ids.is_empty()),
            (Setting::DnsNames, !self.dns_names.is_empty()),
            (Setting::Scopes, !self.scopes.is_empty()),
            (Setting::Audience, !self.audience.is_empty()),
            (Setting::DefaultAudience, !self.default_audience.is_empty()),
            (
                Setting::IntrospectionAudience,
                !self.introspection_audience.is_empty(),
            ),
            (Setting::AccessTokenTtl, self.access_token_ttl.is_some()),
            (Setting::SessionTtl, self.session_ttl.is_some()),
            (Setting::IdleTimeout, self.idle_timeout.is_some()),
            (Setting::RotationGrace, self.rotation_grace.is_some()),
            (Setting::SessionsPerUser, self.sessions_per_user.is_some()),
            (Setting::SessionLimit, self.session_limit.is_some()),
            (Setting::BearerAllowed, self.bearer_allowed.is_some()),
            (Setting::DpopRequired, self.dpop_required.is_some()),
            (
                Setting::DpopNonceRequired,
                self.dpop_nonce_required.is_some(),
            ),
        ];
        let given = all.into_iter().filter(|(_, given)| *given);
        given.map(|(setting, _)| setting).collect()
    }
}

fn role(name: RoleName) -> i32 {
    let role = match name {
        RoleName::Issuer => v1::Role::Issuer,
        RoleName::Introspector => v1::Role::Introspector,
        RoleName::Revoker => v1::Role::Revoker,
        RoleName::Admin => v1::Role::Admin,
    };
    role.into()
}

fn policy(limit: SessionLimit) -> i32 {
    let policy = match limit {
        SessionLimit::Refuse => v1::SessionLimitPolicy::Refuse,
        SessionLimit::EndLeastRecentlyUsed => v1::SessionLimitPolicy::EndLeastRecentlyUsed,
    };
    policy.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(args: &SettingsArgs, name: Option<&str>, clear: &[Setting]) -> Option<Vec<String>> {
        let mask = args.update_mask(name, clear).ok();
        mask.map(|mask| mask.paths)
    }

    #[test]
    fn the_mask_names_what_is_given_and_what_is_cleared() {
        let args = SettingsArgs {
            scopes: vec!["read".to_owned()],
            rotation_grace: Some(prost_types::Duration::default()),
            ..SettingsArgs::default()
        };
        assert_eq!(
            mask(&args, Some("edge"), &[Setting::Audience, Setting::Audience]).unwrap(),
            ["name", "scopes", "rotation_grace", "audience"]
        );
        assert_eq!(args.message(None).name, "");
    }

    #[test]
    fn a_setting_is_not_both_set_and_cleared() {
        let args = SettingsArgs {
            roles: vec![RoleName::Admin],
            ..SettingsArgs::default()
        };
        assert_eq!(mask(&args, None, &[Setting::Roles]), None);
    }

    #[test]
    fn an_update_changes_something() {
        assert_eq!(mask(&SettingsArgs::default(), None, &[]), None);
    }

    #[test]
    fn every_setting_but_the_name_can_be_cleared() {
        let mut fields: Vec<&str> = vec!["name"];
        fields.extend(Setting::value_variants().iter().map(|one| one.field()));
        let full = crate::cli::output::Record::from(v1::ClientSettings {
            name: "n".to_owned(),
            roles: vec![1],
            spiffe_ids: vec!["spiffe://s/p".to_owned()],
            dns_names: vec!["d".to_owned()],
            scopes: vec!["s".to_owned()],
            audience: vec!["a".to_owned()],
            default_audience: vec!["a".to_owned()],
            introspection_audience: vec!["a".to_owned()],
            access_token_ttl: Some(prost_types::Duration::default()),
            session_ttl: Some(prost_types::Duration::default()),
            idle_timeout: Some(prost_types::Duration::default()),
            rotation_grace: Some(prost_types::Duration::default()),
            sessions_per_user: 1,
            session_limit_policy: 1,
            bearer_allowed: Some(true),
            dpop_required: true,
            dpop_nonce_required: true,
        });
        assert_eq!(fields, full.names());
    }
}
