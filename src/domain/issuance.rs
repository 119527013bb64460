//! Whether a token may be issued, and with what.

use super::{
    caller::{Caller, Claim, Role},
    dpop::Verdict,
    policy::{Client, Defaults, SessionLimitPolicy, User},
    refusal::Refusal,
    rotation::EndReason,
    standing::{ClientStanding, Life, SessionLife, Standing, UserStanding, after},
    terms::{Audience, Scopes},
    tokens::{AccessToken, RefreshToken, SALT_BYTES},
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{net::IpAddr, sync::Arc, time::Duration};
use uuid::Uuid;

/// How long a request id makes an opening repeatable.
pub const REQUEST_ID_LIFETIME: TimeDelta = TimeDelta::days(1);

/// What a caller asks to have issued, with everything random chosen already.
#[derive(Debug, Clone)]
pub struct Order {
    /// Who asks.
    pub claim: Claim,
    /// Whose token it will be.
    pub client_id: Uuid,
    /// The user. `None`: a client-only token.
    pub subject: Option<Uuid>,
    /// Register the subject if it is not known.
    pub register_subject: bool,
    /// What is asked for.
    pub scopes: Scopes,
    /// Who it is for; empty: the client's default.
    pub audience: Audience,
    /// How long the access token lives; `None`: the client's limit.
    pub access_token_ttl: Option<Duration>,
    /// What became of the call's own proof; `None`: it carries none.
    pub proof: Option<Verdict>,
    /// The access token.
    pub access: AccessToken,
    /// Its public id.
    pub token_id: Uuid,
    /// The session to open with it.
    pub opening: Option<Opening>,
}

/// A session to open.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Its first refresh token, which names it.
    pub refresh: RefreshToken,
    /// Its salt.
    pub salt: [u8; SALT_BYTES],
    /// What the user logged in with.
    pub user_agent: Option<String>,
    /// Where from.
    pub ip_address: Option<IpAddr>,
    /// Makes the opening repeatable.
    pub request_id: Option<String>,
}

/// What the database says, read after the locks.
#[derive(Debug, Clone)]
pub struct Situation {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// The authority's fence.
    pub fence: Option<DateTime<Utc>>,
    /// The caller, if its proof is known.
    pub caller: Option<Caller>,
    /// The client that the token is for.
    pub client: Option<Arc<Client>>,
    /// The user.
    pub user: Option<User>,
    /// The user's sessions with this client, live or not; only read where their number is
    /// limited.
    pub sessions: Vec<OpenSession>,
    /// The session that an earlier call with this request id opened.
    pub earlier: Option<EarlierOpening>,
}

/// One of the user's sessions.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// Its id.
    pub session_id: Uuid,
    /// Its client.
    pub client_id: Uuid,
    /// Its life.
    pub life: SessionLife,
    /// What it grants.
    pub scopes: Scopes,
}

/// What an earlier call with the same request id opened.
#[derive(Debug, Clone)]
pub struct EarlierOpening {
    /// Its session.
    pub session_id: Uuid,
    /// For which client.
    pub client_id: Uuid,
    /// For which user.
    pub subject: Uuid,
    /// When.
    pub opened_at: DateTime<Utc>,
    /// Its row still stands.
    pub stands: bool,
}

/// What is issued.
#[derive(Debug, Clone)]
pub struct Issue {
    /// What it grants.
    pub scopes: Scopes,
    /// Who it is for; empty: not constrained.
    pub audience: Audience,
    /// The key that it is bound to.
    pub dpop_jkt: Option<String>,
    /// Stamped on everything that is written: after every cut-off, whatever the
    /// clock says.
    pub created_at: DateTime<Utc>,
    /// When the access token dies.
    pub access_expires_at: DateTime<Utc>,
    /// When the session ends, if one is opened.
    pub session_expires_at: Option<DateTime<Utc>>,
    /// The subject is to be registered.
    pub register: bool,
    /// Sessions that end in the same transaction.
    pub ends: Vec<(Uuid, EndReason)>,
    /// The session, live or not, whose grant gives the request id up to the new one.
    pub takes_over: Option<Uuid>,
}

impl Issue {
    /// An access token without a session, decided as of `now` and issued `at` another time that
    /// comes after every cut-off.
    pub fn at(mut self, now: DateTime<Utc>, at: DateTime<Utc>) -> Self {
        self.access_expires_at = at
            .checked_add_signed(self.access_expires_at - now)
            .unwrap_or(DateTime::<Utc>::MAX_UTC);
        self.created_at = at;
        self
    }

    /// The same, as an earlier attempt of this call wrote it, whose access token dies then.
    pub fn as_written(mut self, access_expires_at: DateTime<Utc>) -> Self {
        let later = self.access_expires_at - access_expires_at;
        self.access_expires_at = access_expires_at;
        self.session_expires_at = self
            .session_expires_at
            .and_then(|end| end.checked_sub_signed(later));
        self
    }
}

/// Decides what is issued (RFC 6749 section 4.4, RFC 8707 section 2, RFC 9449 section 5).
///
/// # Errors
/// The first that holds, in this order:
/// - of the caller: those of [`Caller::admit`]; `CallerMoved`: its identity is another client's
///   than the order was made for; `MintsOnlyForItself`: it asks for more than its own token, and
///   is no issuer;
/// - of the client that the token is for: `ClientNotFound`, `ClientDisabled`;
/// - of the call's proof: those of [`Demands::key`](super::dpop::Demands::key);
/// - of the user: `SubjectDisabled`; `SubjectNotFound`: not known, and not to be registered;
/// - `InvalidScope` and `InvalidTarget`: the client may not have all that is asked for;
/// - of the session to open: `RequestIdConflict`: the request id opened one of another client or
///   user within a day; `SessionLimitReached`: the user has as many as allowed.
pub fn decide(order: &Order, situation: &Situation, defaults: &Defaults) -> Result<Issue, Refusal> {
    let caller = Caller::admit(situation.caller.as_ref(), order.claim.access)?;
    if caller.client_id != order.claim.credentials.client_id {
        return Err(Refusal::CallerMoved);
    }
    let own = order.client_id == caller.client_id && order.subject.is_none();
    if !own && !caller.has(Role::Issuer) {
        return Err(Refusal::MintsOnlyForItself);
    }
    let client = situation
        .client
        .as_ref()
        .ok_or(Refusal::ClientNotFound(order.client_id))?;
    if client.disabled_at.is_some() {
        return Err(Refusal::ClientDisabled(order.client_id));
    }
    let dpop_jkt = client.settings.demands().key(order.proof.as_ref())?;
    let register = admit_subject(order, situation)?;
    let (scopes, audience) = grant(order, client)?;

    let settings = &client.settings;
    let longest = settings.access_token_ttl(defaults);
    let ttl = order
        .access_token_ttl
        .map_or(longest, |asked| asked.min(longest));
    let session_expires_at = order
        .opening
        .is_some()
        .then(|| after(situation.now, settings.session_ttl(defaults)));
    let access_expires_at = after(situation.now, ttl);
    Ok(Issue {
        scopes,
        audience,
        dpop_jkt: dpop_jkt.map(str::to_owned),
        created_at: after_every_cut_off(situation, client),
        access_expires_at: session_expires_at
            .map_or(access_expires_at, |end| end.min(access_expires_at)),
        session_expires_at,
        register,
        ends: make_room(order, situation, client, defaults)?,
        takes_over: situation.earlier.as_ref().map(|earlier| earlier.session_id),
    })
}

/// Whether the subject is to be registered.
fn admit_subject(order: &Order, situation: &Situation) -> Result<bool, Refusal> {
    match (order.subject, &situation.user) {
        (Some(subject), Some(user)) if user.disabled_at.is_some() => {
            Err(Refusal::SubjectDisabled(subject))
        }
        (None, _) | (Some(_), Some(_)) => Ok(false),
        (Some(_), None) if order.register_subject => Ok(true),
        (Some(subject), None) => Err(Refusal::SubjectNotFound(subject)),
    }
}

fn grant(order: &Order, client: &Client) -> Result<(Scopes, Audience), Refusal> {
    let settings = &client.settings;
    let beyond = order.scopes.beyond(&settings.scopes);
    if !beyond.is_empty() {
        return Err(Refusal::InvalidScope(beyond));
    }
    if order.audience.is_empty() {
        return Ok((order.scopes.clone(), settings.default_audience.clone()));
    }
    let beyond = order.audience.beyond(&settings.audience);
    if !beyond.is_empty() {
        return Err(Refusal::InvalidTarget(beyond));
    }
    Ok((order.scopes.clone(), order.audience.clone()))
}

/// The database's time, or a microsecond (its resolution) after the last cut-off
/// where the clock was set back.
fn after_every_cut_off(situation: &Situation, client: &Client) -> DateTime<Utc> {
    let user = situation.user.as_ref().and_then(|user| user.not_before);
    [client.not_before, user, situation.fence]
        .into_iter()
        .flatten()
        .map(|cut| cut + TimeDelta::microseconds(1))
        .fold(situation.now, DateTime::max)
}

/// The sessions that end so that this one may open.
fn make_room(
    order: &Order,
    situation: &Situation,
    client: &Client,
    defaults: &Defaults,
) -> Result<Vec<(Uuid, EndReason)>, Refusal> {
    let (Some(opening), Some(subject)) = (&order.opening, order.subject) else {
        return Ok(Vec::new());
    };
    let mut ends = Vec::new();
    if let Some(earlier) = &situation.earlier
        && situation.now < earlier.opened_at + REQUEST_ID_LIFETIME
    {
        if (earlier.client_id, earlier.subject) != (order.client_id, subject) {
            return Err(Refusal::RequestIdConflict);
        }
        if earlier.stands {
            ends.push((earlier.session_id, EndReason::Replaced));
        }
    }

    let Some(limit) = client.settings.sessions_per_user(defaults) else {
        return Ok(ends);
    };
    let mut live = live_sessions(opening, situation, client, defaults, &ends);
    let surplus = (live.len() + 1).saturating_sub(limit as usize);
    if surplus > 0 {
        if client.settings.session_limit_policy == SessionLimitPolicy::Refuse {
            return Err(Refusal::SessionLimitReached { limit });
        }
        live.sort_by_key(|session| (session.life.last_used_at, session.session_id));
        ends.extend(
            live.iter()
                .take(surplus)
                .map(|session| (session.session_id, EndReason::Limit)),
        );
    }
    Ok(ends)
}

/// The sessions that take room: neither those that end, nor its own, which an attempt has
/// opened that was committed after all.
fn live_sessions<'a>(
    opening: &Opening,
    situation: &'a Situation,
    client: &Client,
    defaults: &Defaults,
    ends: &[(Uuid, EndReason)],
) -> Vec<&'a OpenSession> {
    let standing = Standing {
        now: situation.now,
        fence: situation.fence,
        client: Some(ClientStanding::of(client, defaults)),
        user: situation.user.as_ref().map(UserStanding::of),
    };
    situation
        .sessions
        .iter()
        .filter(|session| session.session_id != opening.refresh.session())
        .filter(|session| !ends.iter().any(|(ending, _)| *ending == session.session_id))
        .filter(|session| {
            let life = Life {
                expires_at: None,
                created_at: None,
                session: Some(&session.life),
                has_user: true,
                scopes: &session.scopes,
            };
            standing.alive(life).is_ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_issued_at_another_time_lives_as_long() {
        let second = |second| DateTime::from_timestamp(second, 0).unwrap();
        let issue = Issue {
            scopes: Scopes::default(),
            audience: Audience::default(),
            dpop_jkt: None,
            // After a cut-off that is ahead of the clock.
            created_at: second(1_005),
            access_expires_at: second(1_600),
            session_expires_at: None,
            register: false,
            ends: Vec::new(),
            takes_over: None,
        };
        let issue = issue.at(second(1_000), second(2_000));
        assert_eq!(issue.created_at, second(2_000));
        assert_eq!(issue.access_expires_at, second(2_600));
        let for_ever = Issue {
            access_expires_at: DateTime::<Utc>::MAX_UTC,
            ..issue
        };
        let issue = for_ever.at(second(1_000), second(2_000));
        assert_eq!(issue.access_expires_at, DateTime::<Utc>::MAX_UTC);
    }
}
