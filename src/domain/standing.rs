//! Alive: the one predicate behind every call.

use super::{
    policy::{Client, Defaults, User},
    refusal::Refusal,
    terms::Scopes,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// Everything beside a token or session itself that decides whether it lives,
/// read in one statement.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The database's clock, read after every lock that the statement waited for.
    pub now: DateTime<Utc>,
    /// The authority's fence.
    pub fence: Option<DateTime<Utc>>,
    /// The token's client. `None`: not registered.
    pub client: Option<ClientStanding>,
    /// The token's user. `None`: not registered, or a client-only token.
    pub user: Option<UserStanding>,
}

/// What a client adds to the life of its tokens.
#[derive(Debug, Clone)]
pub struct ClientStanding {
    /// What its tokens may have.
    pub scopes: Scopes,
    /// A session without a step for this long is over.
    pub idle_timeout: Duration,
    /// Its tokens may be bearer tokens.
    pub bearer_allowed: bool,
    /// Set: all its tokens are dead.
    pub disabled_at: Option<DateTime<Utc>>,
    /// What was created at or before this is dead.
    pub not_before: Option<DateTime<Utc>>,
}

/// What a user adds to the life of their tokens.
#[derive(Debug, Clone, Copy)]
pub struct UserStanding {
    /// Set: all their tokens are dead.
    pub disabled_at: Option<DateTime<Utc>>,
    /// What was created at or before this is dead.
    pub not_before: Option<DateTime<Utc>>,
}

impl ClientStanding {
    /// What a registered client adds.
    pub fn of(client: &Client, defaults: &Defaults) -> Self {
        Self {
            scopes: client.settings.scopes.clone(),
            idle_timeout: client.settings.idle_timeout(defaults),
            bearer_allowed: client.settings.bearer_allowed,
            disabled_at: client.disabled_at,
            not_before: client.not_before,
        }
    }
}

impl UserStanding {
    /// What a registered user adds.
    pub fn of(user: &User) -> Self {
        Self {
            disabled_at: user.disabled_at,
            not_before: user.not_before,
        }
    }
}

/// The life of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionLife {
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it last took a step.
    pub last_used_at: DateTime<Utc>,
    /// Its absolute end.
    pub expires_at: DateTime<Utc>,
}

/// What is asked about: a session, or a token with or without one.
#[derive(Debug, Clone, Copy)]
pub struct Life<'a> {
    /// The token's own end; `None` where a session itself is asked about.
    pub expires_at: Option<DateTime<Utc>>,
    /// The token's own birth; counts only where there is no session.
    pub created_at: Option<DateTime<Utc>>,
    /// The session.
    pub session: Option<&'a SessionLife>,
    /// Whether a user stands behind it.
    pub has_user: bool,
    /// What it grants.
    pub scopes: &'a Scopes,
}

impl Standing {
    /// Whether it lives, on the database's clock; the refusal says why not.
    ///
    /// # Errors
    /// `SessionExpired` and `SessionIdle`: its time is over; `SessionClientDisabled` and
    /// `SessionSubjectDisabled`: client or user is disabled or not registered;
    /// `SessionCutOff`: it was made before a cut-off of user, client or authority;
    /// `ScopeWithdrawn`: the client may no longer have one of its scopes.
    pub fn alive(&self, life: Life<'_>) -> Result<(), Refusal> {
        let client = self.client.as_ref().ok_or(Refusal::SessionClientDisabled)?;
        if life.expires_at.is_some_and(|end| end <= self.now) {
            return Err(Refusal::SessionExpired);
        }
        if let Some(session) = life.session {
            if session.expires_at <= self.now {
                return Err(Refusal::SessionExpired);
            }
            if after(session.last_used_at, client.idle_timeout) <= self.now {
                return Err(Refusal::SessionIdle);
            }
        }
        if client.disabled_at.is_some() {
            return Err(Refusal::SessionClientDisabled);
        }
        let born = life
            .session
            .map(|session| session.created_at)
            .or(life.created_at);
        let cut_off = |not_before: Option<DateTime<Utc>>| {
            not_before.is_some_and(|cut| born.is_none_or(|born| born <= cut))
        };
        if life.has_user {
            let user = self.user.as_ref().ok_or(Refusal::SessionSubjectDisabled)?;
            if user.disabled_at.is_some() {
                return Err(Refusal::SessionSubjectDisabled);
            }
            if cut_off(user.not_before) {
                return Err(Refusal::SessionCutOff);
            }
        }
        if cut_off(client.not_before) || cut_off(self.fence) {
            return Err(Refusal::SessionCutOff);
        }
        if life.scopes.within(&client.scopes) {
            Ok(())
        } else {
            Err(Refusal::ScopeWithdrawn)
        }
    }
}

/// `at` and `length` later, or the end of time.
pub fn after(at: DateTime<Utc>, length: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(length)
        .ok()
        .and_then(|length| at.checked_add_signed(length))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}
