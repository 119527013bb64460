//! The directory's calls.

use super::{Fields, timestamp};
use crate::authority::{ClientEntry, CreatedClient};
use crate::domain::{
    caller::Role,
    identity::Identity,
    limits::{self, ClientLimits},
    policy::{ClientSettings, SessionLimitPolicy, User},
    terms::told,
};
use crate::proto::v1;
use std::time::Duration;

/// What an administrator may set for a client.
#[derive(Debug, Clone)]
pub struct ClientBounds {
    /// The bounds of each setting.
    pub limits: ClientLimits,
    /// `RotateRefresh`'s own deadline, which a grace window must cover.
    pub rotation_deadline: Duration,
}

/// A setting that an update changes.
type Setting = fn(&mut ClientSettings, &ClientSettings);

/// The settings by the names of their fields.
const SETTINGS: &[(&str, Setting)] = &[
    ("name", |to, from| to.name.clone_from(&from.name)),
    ("roles", |to, from| to.roles.clone_from(&from.roles)),
    ("spiffe_ids", |to, from| {
        replace_identities(to, from, |one| matches!(one, Identity::Spiffe(_)));
    }),
    ("dns_names", |to, from| {
        replace_identities(to, from, |one| matches!(one, Identity::Dns(_)));
    }),
    ("scopes", |to, from| to.scopes.clone_from(&from.scopes)),
    ("audience", |to, from| {
        to.audience.clone_from(&from.audience);
    }),
    ("default_audience", |to, from| {
        to.default_audience.clone_from(&from.default_audience);
    }),
    ("introspection_audience", |to, from| {
        to.introspection_audience
            .clone_from(&from.introspection_audience);
    }),
    ("access_token_ttl", |to, from| {
        to.access_token_ttl = from.access_token_ttl;
    }),
    ("session_ttl", |to, from| to.session_ttl = from.session_ttl),
    ("idle_timeout", |to, from| {
        to.idle_timeout = from.idle_timeout;
    }),
    ("rotation_grace", |to, from| {
        to.rotation_grace = from.rotation_grace;
    }),
    ("sessions_per_user", |to, from| {
        to.sessions_per_user = from.sessions_per_user;
    }),
    ("bearer_allowed", |to, from| {
        to.bearer_allowed = from.bearer_allowed;
    }),
    ("dpop_required", |to, from| {
        to.dpop_required = from.dpop_required;
    }),
    ("dpop_nonce_required", |to, from| {
        to.dpop_nonce_required = from.dpop_nonce_required;
    }),
    ("session_limit_policy", |to, from| {
        to.session_limit_policy = from.session_limit_policy;
    }),
];

/// Takes over the identities of one kind.
fn replace_identities(to: &mut ClientSettings, from: &ClientSettings, kind: fn(&Identity) -> bool) {
    to.identities.retain(|identity| !kind(identity));
    let new = from.identities.iter().filter(|identity| kind(identity));
    to.identities.extend(new.cloned());
    to.identities.sort_unstable();
}

/// Settings of a new client: the name is required.
pub(in crate::grpc) fn settings(
    fields: &mut Fields,
    message: Option<v1::ClientSettings>,
    bounds: &ClientBounds,
) -> ClientSettings {
    let settings = read(fields, message.unwrap_or_default(), bounds);
    if settings.name.is_empty() {
        fields.refuse("settings.name", "is required");
    }
    let beyond = settings.default_audience.beyond(&settings.audience);
    if !beyond.is_empty() {
        let why = format!("is not within audience: {}", told(&beyond));
        fields.refuse("settings.default_audience", why);
    }
    settings
}

/// What an update changes, as a function over the settings that stand.
pub(in crate::grpc) fn update(
    fields: &mut Fields,
    message: Option<v1::ClientSettings>,
    mask: Option<prost_types::FieldMask>,
    bounds: &ClientBounds,
) -> impl Fn(ClientSettings) -> ClientSettings + Send + Sync + 'static {
    let new = read(fields, message.unwrap_or_default(), bounds);
    let mut chosen: Vec<Setting> = Vec::new();
    let mut paths = mask.unwrap_or_default().paths;
    if paths.is_empty() {
        fields.refuse("update_mask", "names no field");
    }
    if paths.len() > SETTINGS.len() {
        fields.refuse("update_mask", "names more fields than ClientSettings has");
        paths.clear();
    }
    for path in &paths {
        match SETTINGS.iter().find(|(name, _)| name == path) {
            Some((_, setting)) => chosen.push(*setting),
            None => fields.refuse(
                "update_mask",
                "names a field that ClientSettings does not have",
            ),
        }
    }
    if paths.iter().any(|path| path == "name") && new.name.is_empty() {
        fields.refuse("settings.name", "is required");
    }
    move |mut settings| {
        for setting in &chosen {
            setting(&mut settings, &new);
        }
        settings
    }
}

fn read(fields: &mut Fields, message: v1::ClientSettings, bounds: &ClientBounds) -> ClientSettings {
    let v1::ClientSettings {
        name,
        roles,
        scopes,
        audience,
        default_audience,
        introspection_audience,
        access_token_ttl,
        session_ttl,
        idle_timeout,
        rotation_grace,
        sessions_per_user,
        session_limit_policy,
        spiffe_ids,
        dns_names,
        bearer_allowed,
        dpop_required,
        dpop_nonce_required,
    } = message;
    let most = limits::CLIENT_AUDIENCE;
    let settings = ClientSettings {
        name: fields
            .text("settings.name", name, limits::CLIENT_NAME_CHARS)
            .unwrap_or_default(),
        roles: read_roles(fields, &roles),
        identities: read_identities(fields, &spiffe_ids, &dns_names),
        scopes: fields.terms("settings.scopes", scopes, limits::CLIENT_SCOPES),
        audience: fields.terms("settings.audience", audience, most),
        default_audience: fields.terms("settings.default_audience", default_audience, most),
        introspection_audience: fields.terms(
            "settings.introspection_audience",
            introspection_audience,
            most,
        ),
        access_token_ttl: fields.duration(
            "settings.access_token_ttl",
            access_token_ttl,
            &bounds.limits.access_token_ttl,
        ),
        session_ttl: fields.duration(
            "settings.session_ttl",
            session_ttl,
            &bounds.limits.session_ttl,
        ),
        idle_timeout: fields.duration(
            "settings.idle_timeout",
            idle_timeout,
            &bounds.limits.idle_timeout,
        ),
        rotation_grace: fields.duration(
            "settings.rotation_grace",
            rotation_grace,
            &bounds.limits.rotation_grace,
        ),
        sessions_per_user: (sessions_per_user != 0).then_some(sessions_per_user),
        session_limit_policy: read_policy(fields, session_limit_policy),
        bearer_allowed: bearer_allowed.unwrap_or(true),
        dpop_required,
        dpop_nonce_required,
    };
    if settings
        .sessions_per_user
        .is_some_and(|most| !bounds.limits.sessions_per_user.contains(&most))
    {
        let (least, most) = (
            bounds.limits.sessions_per_user.start(),
            bounds.limits.sessions_per_user.end(),
        );
        fields.refuse(
            "settings.sessions_per_user",
            format!("is not from {least} to {most}"),
        );
    }
    let deadline = bounds.rotation_deadline;
    if settings
        .rotation_grace
        .is_some_and(|grace| !limits::grace_covers(grace, deadline))
    {
        let least = humantime::format_duration(deadline * limits::GRACE_DEADLINES);
        let why = format!("is neither 0 nor at least {least}, three times rotation.deadline");
        fields.refuse("settings.rotation_grace", why);
    }
    settings
}

fn read_roles(fields: &mut Fields, roles: &[i32]) -> Vec<Role> {
    if roles.len() > Role::ALL.len() {
        fields.refuse("settings.roles", "are more than there are roles");
        return Vec::new();
    }
    let mut read = Vec::with_capacity(roles.len());
    for (at, role) in roles.iter().enumerate() {
        let role = match v1::Role::try_from(*role) {
            Ok(v1::Role::Issuer) => Role::Issuer,
            Ok(v1::Role::Introspector) => Role::Introspector,
            Ok(v1::Role::Revoker) => Role::Revoker,
            Ok(v1::Role::Admin) => Role::Admin,
            Ok(v1::Role::Unspecified) | Err(_) => {
                fields.refuse(format!("settings.roles[{at}]"), "is not a role");
                continue;
            }
        };
        if read.contains(&role) {
            fields.refuse(format!("settings.roles[{at}]"), "repeats an earlier one");
        }
        read.push(role);
    }
    read
}

fn read_identities(
    fields: &mut Fields,
    spiffe_ids: &[String],
    dns_names: &[String],
) -> Vec<Identity> {
    let found = spiffe_ids.len() + dns_names.len();
    if found > limits::CLIENT_IDENTITIES {
        let why = format!(
            "{found} with dns_names, at most {} are allowed",
            limits::CLIENT_IDENTITIES
        );
        fields.refuse("settings.spiffe_ids", why);
        return Vec::new();
    }
    let mut read = Vec::with_capacity(found);
    let spiffe = spiffe_ids.iter().enumerate();
    let spiffe = spiffe.map(|(at, id)| ("spiffe_ids", at, Identity::spiffe(id)));
    let dns = dns_names.iter().enumerate();
    let dns = dns.map(|(at, name)| ("dns_names", at, Identity::dns(name)));
    for (field, at, identity) in spiffe.chain(dns) {
        match identity {
            Ok(identity) if read.contains(&identity) => {
                fields.refuse(format!("settings.{field}[{at}]"), "repeats an earlier one");
            }
            Ok(identity) => read.push(identity),
            Err(why) => fields.refuse(format!("settings.{field}[{at}]"), why.to_string()),
        }
    }
    read.sort_unstable();
    read
}

fn read_policy(fields: &mut Fields, policy: i32) -> SessionLimitPolicy {
    match v1::SessionLimitPolicy::try_from(policy) {
        Ok(v1::SessionLimitPolicy::Unspecified | v1::SessionLimitPolicy::Refuse) => {
            SessionLimitPolicy::Refuse
        }
        Ok(v1::SessionLimitPolicy::EndLeastRecentlyUsed) => {
            SessionLimitPolicy::EndLeastRecentlyUsed
        }
        Err(_) => {
            fields.refuse("settings.session_limit_policy", "is not a policy");
            SessionLimitPolicy::Refuse
        }
    }
}

pub(in crate::grpc) fn client(entry: ClientEntry) -> v1::Client {
    let ClientEntry { client, secrets } = entry;
    v1::Client {
        client_id: client.client_id.to_string(),
        settings: Some(written(client.settings)),
        disabled_at: client.disabled_at.map(timestamp),
        tokens_not_before: client.not_before.map(timestamp),
        created_at: Some(timestamp(client.created_at)),
        updated_at: Some(timestamp(client.updated_at)),
        secrets: secrets
            .into_iter()
            .map(|secret| v1::ClientSecret {
                secret_id: secret.secret_id.to_string(),
                created_at: Some(timestamp(secret.created_at)),
            })
            .collect(),
    }
}

fn written(settings: ClientSettings) -> v1::ClientSettings {
    let duration = |length: Option<Duration>| {
        // Bounded by the settings' own bounds, far below what the wire can hold.
        length.and_then(|length| prost_types::Duration::try_from(length).ok())
    };
    let role = |role: Role| match role {
        Role::Issuer => v1::Role::Issuer.into(),
        Role::Introspector => v1::Role::Introspector.into(),
        Role::Revoker => v1::Role::Revoker.into(),
        Role::Admin => v1::Role::Admin.into(),
    };
    let policy = match settings.session_limit_policy {
        SessionLimitPolicy::Refuse => v1::SessionLimitPolicy::Refuse,
        SessionLimitPolicy::EndLeastRecentlyUsed => v1::SessionLimitPolicy::EndLeastRecentlyUsed,
    };
    let (mut spiffe_ids, mut dns_names) = (Vec::new(), Vec::new());
    for identity in &settings.identities {
        match identity {
            Identity::Spiffe(id) => spiffe_ids.push(id.to_string()),
            Identity::Dns(name) => dns_names.push(name.to_string()),
        }
    }
    v1::ClientSettings {
        spiffe_ids,
        dns_names,
        bearer_allowed: Some(settings.bearer_allowed),
        dpop_required: settings.dpop_required,
        dpop_nonce_required: settings.dpop_nonce_required,
        name: settings.name,
        roles: settings.roles.into_iter().map(role).collect(),
        scopes: settings.scopes.to_vec(),
        audience: settings.audience.to_vec(),
        default_audience: settings.default_audience.to_vec(),
        introspection_audience: settings.introspection_audience.to_vec(),
        access_token_ttl: duration(settings.access_token_ttl),
        session_ttl: duration(settings.session_ttl),
        idle_timeout: duration(settings.idle_timeout),
        rotation_grace: duration(settings.rotation_grace),
        sessions_per_user: settings.sessions_per_user.unwrap_or_default(),
        session_limit_policy: policy.into(),
    }
}

pub(in crate::grpc) fn created_client(created: CreatedClient) -> v1::CreateClientResponse {
    v1::CreateClientResponse {
        client_secret: created.secret.reveal().to_owned(),
        client: Some(client(created.entry)),
    }
}

pub(in crate::grpc) fn user(user: User) -> v1::User {
    v1::User {
        subject: user.subject.to_string(),
        disabled_at: user.disabled_at.map(timestamp),
        tokens_not_before: user.not_before.map(timestamp),
        created_at: Some(timestamp(user.created_at)),
    }
}
