//! What a presented refresh token gets: the table of `RotateRefresh`, decided over
//! what was read after the session's row was locked.
//!
//! The order of the checks is law: nothing is consumed or ended before the caller
//! and the proof key are known to be the grant's.

use super::{
    caller::{Caller, Claim},
    dpop::{self, Demands, Verdict},
    refusal::Refusal,
    standing::{Life, SessionLife, Standing, after},
    terms::{Audience, Scopes, TermKind, Terms},
    tokens::{AccessToken, RefreshToken, SALT_BYTES},
};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;
use uuid::Uuid;

/// A refresh token and who presents it; its MAC and the caller's hold already.
#[derive(Debug, Clone)]
pub struct Presented {
    /// Who presents it.
    pub claim: Claim,
    /// What became of the call's own proof; `None`: it carries none.
    pub proof: Option<Verdict>,
    /// The token.
    pub token: RefreshToken,
    /// What the access token is narrowed to; empty: nothing.
    pub scopes: Scopes,
    /// What the access token is narrowed to; empty: nothing.
    pub audience: Audience,
    /// The access token that a success hands out, chosen before anything is sent,
    /// so that a commit in doubt can be looked up.
    pub access: AccessToken,
    /// Its public id.
    pub token_id: Uuid,
    /// Replaces the session's.
    pub user_agent: Option<String>,
    /// Replaces the session's.
    pub ip_address: Option<std::net::IpAddr>,
}

/// What the database says, read after the lock.
#[derive(Debug, Clone)]
pub struct Family {
    /// The caller, if its proof is known.
    pub caller: Option<Caller>,
    /// The session, if it still exists.
    pub session: Option<Session>,
    /// Its grant, which outlives it.
    pub grant: Option<Grant>,
    /// When the presented token's ledger row was last written. `None`: no such row.
    pub ledger: Option<DateTime<Utc>>,
    /// The newest session id that was purged. `None`: none was.
    pub purged_to: Option<Uuid>,
    /// Everything else that decides about life.
    pub standing: Standing,
    /// What the client demands of whoever presents its tokens.
    pub demands: Demands,
    /// The client's grace window.
    pub grace: Duration,
    /// The client's lifetime of access tokens.
    pub access_token_ttl: Duration,
}

/// A session's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The rotation counter.
    pub version: u32,
    /// Its life.
    pub life: SessionLife,
}

/// A session's grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The client that it was opened for.
    pub client_id: Uuid,
    /// The user.
    pub subject: Uuid,
    /// What it grants.
    pub scopes: Scopes,
    /// Its audience.
    pub audience: Audience,
    /// The key that it is bound to.
    pub dpop_jkt: Option<String>,
    /// Mixed into every successor.
    pub salt: [u8; SALT_BYTES],
    /// The session's absolute end; from then on its ledger may be purged.
    pub expires_at: DateTime<Utc>,
    /// Why it ended, if it did.
    pub ended: Option<EndReason>,
}

/// Why a session ended, as its tombstone says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Someone who may revoked it.
    Revoked,
    /// A stale refresh token came back.
    Reused,
    /// A repeat of the opening call replaced it.
    Replaced,
    /// It gave way to a newer session of the user.
    Limit,
}

impl EndReason {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Reused => "reused",
            Self::Replaced => "replaced",
            Self::Limit => "limit",
        }
    }

    /// The reason of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Revoked, Self::Reused, Self::Replaced, Self::Limit]
            .into_iter()
            .find(|reason| reason.name() == name)
    }
}

/// What the database is told to do, and what the caller hears.
#[derive(Debug, Clone)]
pub enum Decision {
    /// The session takes a step.
    Rotate(Success),
    /// The same successor again, and a new access token; no step.
    Replay(Success),
    /// The family ends, that commits, and the caller hears that it was reused.
    EndReused,
    /// Nothing changes.
    Refuse(Refusal),
}

/// What a success hands out.
#[derive(Debug, Clone)]
pub struct Success {
    /// The successor of the presented token.
    pub successor: RefreshToken,
    /// What the access token grants.
    pub scopes: Scopes,
    /// Who it is for; empty: not constrained.
    pub audience: Audience,
    /// The key that it is bound to, as its session is.
    pub dpop_jkt: Option<String>,
    /// The client.
    pub client_id: Uuid,
    /// The user.
    pub subject: Uuid,
    /// When the access token dies.
    pub access_expires_at: DateTime<Utc>,
    /// The session's absolute end.
    pub session_expires_at: DateTime<Utc>,
    /// The database's clock at the decision.
    pub at: DateTime<Utc>,
}

/// Judges one presented token (RFC 6749 sections 6 and 10.4, RFC 9700 section 4.14, RFC 9449
/// section 5). `waited` is how long the call waited, retries included, until `family` had been
/// read.
///
/// Refused is, in this order, the first that holds:
/// - of the caller: those of [`Caller::admit`];
/// - `InvalidDpopProof`: the call's proof fails;
/// - where there is no grant, `SessionExpired` if time may have purged it, else
///   `RefreshTokenUnknown`;
/// - `InvalidGrant`: another client's, or another key's;
/// - of the client's demands: those of [`Demands::meet`];
/// - `RefreshTokenUnknown`, ahead: the counter is beyond the session's;
/// - where the ledger has no row of it, the same two as without a grant;
/// - `RefreshTokenReused` and `SessionRevoked`: the session has ended, by a reuse or otherwise;
/// - why it does not live: those of [`Standing::alive`];
/// - `RefreshTokenSuperseded`: two steps behind or more, within the grace window;
/// - `InvalidScope` and `InvalidTarget`: the session does not grant all that is asked for.
///
/// Within the grace window a token one step behind gets the same successor again; any other that
/// is not the newest ends the family.
pub fn decide(presented: &Presented, family: &Family, waited: Duration) -> Decision {
    judge(presented, family, waited).unwrap_or_else(Decision::Refuse)
}

fn judge(presented: &Presented, family: &Family, waited: Duration) -> Result<Decision, Refusal> {
    let caller = Caller::admit(family.caller.as_ref(), presented.claim.access)?;
    let proven = dpop::proven(presented.proof.as_ref())?;
    let grant = family
        .grant
        .as_ref()
        .ok_or_else(|| unknown(presented, family))?;
    let jkt = proven.map(|proven| &proven.jkt);
    if grant.client_id != caller.client_id || grant.dpop_jkt.as_ref() != jkt {
        return Err(Refusal::InvalidGrant);
    }
    family.demands.meet(proven)?;
    let counter = presented.token.counter();
    if family
        .session
        .as_ref()
        .is_some_and(|session| counter > session.version)
    {
        return Err(Refusal::RefreshTokenUnknown { ahead: true });
    }
    let ledger_at = family.ledger.ok_or_else(|| unknown(presented, family))?;
    let session = family.session.as_ref().ok_or_else(|| ended(grant))?;
    family.standing.alive(Life {
        expires_at: None,
        created_at: None,
        session: Some(&session.life),
        has_user: true,
        scopes: &grant.scopes,
    })?;

    let within_grace =
        |superseded_at| age(family.standing.now, superseded_at, waited) < family.grace;
    match session.version - counter {
        0 => success(presented, family, grant, session).map(Decision::Rotate),
        1 if within_grace(session.life.last_used_at) => {
            success(presented, family, grant, session).map(Decision::Replay)
        }
        2.. if within_grace(ledger_at) => Err(Refusal::RefreshTokenSuperseded),
        _ => Ok(Decision::EndReused),
    }
}

/// What an authentic token hears that the database does not know: it was lost, which is
/// an alarm, unless time may have purged it. Session ids are in the order of their making,
/// so one beyond the newest that was purged never was.
fn unknown(presented: &Presented, family: &Family) -> Refusal {
    let purged = match &family.grant {
        Some(grant) => grant.expires_at <= family.standing.now,
        None => family
            .purged_to
            .is_some_and(|newest| presented.token.session() <= newest),
    };
    if purged {
        Refusal::SessionExpired
    } else {
        Refusal::RefreshTokenUnknown { ahead: false }
    }
}

/// What a token of an ended session hears, again and again the same.
fn ended(grant: &Grant) -> Refusal {
    match grant.ended {
        Some(EndReason::Reused) => Refusal::RefreshTokenReused,
        Some(EndReason::Revoked | EndReason::Replaced | EndReason::Limit) | None => {
            Refusal::SessionRevoked
        }
    }
}

/// How long ago the token was superseded when the call arrived; never negative, though clocks
/// and statements overlap. Never too long either: whatever held the call up since then, also on
/// its way to the database and there, is in `waited`.
fn age(now: DateTime<Utc>, superseded_at: DateTime<Utc>, waited: Duration) -> Duration {
    let waited = TimeDelta::from_std(waited).unwrap_or(TimeDelta::MAX);
    (now - superseded_at)
        .checked_sub(&waited)
        .and_then(|age| age.to_std().ok())
        .unwrap_or_default()
}

fn success(
    presented: &Presented,
    family: &Family,
    grant: &Grant,
    session: &Session,
) -> Result<Success, Refusal> {
    let scopes = narrow(&presented.scopes, &grant.scopes).map_err(Refusal::InvalidScope)?;
    let audience = narrow(&presented.audience, &grant.audience).map_err(Refusal::InvalidTarget)?;
    let now = family.standing.now;
    Ok(Success {
        successor: presented.token.successor(&grant.salt),
        scopes,
        audience,
        dpop_jkt: grant.dpop_jkt.clone(),
        client_id: grant.client_id,
        subject: grant.subject,
        access_expires_at: after(now, family.access_token_ttl).min(session.life.expires_at),
        session_expires_at: session.life.expires_at,
        at: now,
    })
}

fn narrow<K: TermKind>(asked: &Terms<K>, whole: &Terms<K>) -> Result<Terms<K>, Vec<String>> {
    if asked.is_empty() {
        return Ok(whole.clone());
    }
    let beyond = asked.beyond(whole);
    if beyond.is_empty() {
        Ok(asked.clone())
    } else {
        Err(beyond)
    }
}
