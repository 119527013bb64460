//! What a caller is told of a token (RFC 7662).

use super::{
    caller::{Caller, Claim, Role},
    dpop::{BindingFailure, Fault, Judged},
    refusal::Refusal,
    rotation::{Family, Session},
    standing::{Life, SessionLife, Standing},
    terms::{Audience, Scopes},
    tokens::Token,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A token that someone asks about; its MAC and the caller's hold already.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who asks.
    pub claim: Claim,
    /// The token.
    pub token: Token,
    /// The proof that came to the resource server with it, if that passed it on.
    pub proof: Option<Result<Judged, Fault>>,
}

/// What the database says of an access token.
#[derive(Debug, Clone)]
pub struct AccessRecord {
    /// Its public id.
    pub token_id: Uuid,
    /// Its client.
    pub client_id: Uuid,
    /// Its user. `None`: a client-only token.
    pub subject: Option<Uuid>,
    /// What it grants.
    pub scopes: Scopes,
    /// Who it is for; empty: not constrained.
    pub audience: Audience,
    /// The key that it is bound to.
    pub dpop_jkt: Option<String>,
    /// Its birth.
    pub created_at: DateTime<Utc>,
    /// Its end.
    pub expires_at: DateTime<Utc>,
    /// Someone has revoked it alone.
    pub revoked: bool,
    /// The session that it belongs to, and that session's life; without the life
    /// the session has ended.
    pub session: Option<(Uuid, Option<SessionLife>)>,
    /// Everything else that decides about life.
    pub standing: Standing,
}

/// What the database says of any token. `None`: nothing.
#[derive(Debug, Clone)]
pub enum Record {
    /// Of an access token.
    Access(Option<Box<AccessRecord>>),
    /// Of a refresh token.
    Refresh(Box<Family>),
}

/// What an introspection finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// `active: false`, and nothing else.
    Inactive,
    /// A live token, but not in the hands of its owner: `active: false`, and why.
    Unproven(BindingFailure),
    /// A live token.
    Active(Box<Description>),
}

/// What an introspection tells of a live token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its public id. `None`: a refresh token.
    pub token_id: Option<Uuid>,
    /// Its client.
    pub client_id: Uuid,
    /// Its user. `None`: a client-only token.
    pub subject: Option<Uuid>,
    /// Its session, if it has one.
    pub session_id: Option<Uuid>,
    /// What it grants.
    pub scopes: Scopes,
    /// Who it is for; empty: not constrained.
    pub audience: Audience,
    /// The key that it is bound to.
    pub dpop_jkt: Option<String>,
    /// Its birth.
    pub issued_at: DateTime<Utc>,
    /// Its end.
    pub expires_at: DateTime<Utc>,
}

/// Decides what the caller is told (RFC 7662 section 2.2, RFC 9449 sections 4.3, check 12, and
/// 7): `Inactive` of a token that is not known, dead, revoked, superseded, or none of the caller's
/// business; `Unproven` of a live one whose proof is not its owner's.
///
/// # Errors
/// Those of [`Caller::admit`]: the caller's own fault, never the token's.
pub fn decide(
    question: &Question,
    caller: Option<&Caller>,
    record: &Record,
) -> Result<Finding, Refusal> {
    let caller = Caller::admit(caller, question.claim.access)?;
    let described = match (&question.token, record) {
        (Token::Access(_), Record::Access(Some(record))) => access(caller, record),
        (Token::Refresh(token), Record::Refresh(family)) => {
            refresh(caller, token.session(), token.counter(), family)
        }
        _ => None,
    };
    Ok(match described {
        None => Finding::Inactive,
        Some(description) => match belongs(question, &description) {
            Ok(()) => Finding::Active(Box::new(description)),
            Err(failure) => Finding::Unproven(failure),
        },
    })
}

/// Whether the proof that came with a token is its owner's (RFC 9449 sections 4.3, check 12,
/// and 7.2).
fn belongs(question: &Question, description: &Description) -> Result<(), BindingFailure> {
    let Some(proof) = &question.proof else {
        return Ok(());
    };
    let (Token::Access(_), Some(jkt)) = (&question.token, &description.dpop_jkt) else {
        return Err(BindingFailure::NotBound);
    };
    let proof = proof.as_ref().map_err(|fault| *fault)?;
    if proof.proven.jkt == *jkt {
        Ok(())
    } else {
        Err(BindingFailure::OtherKey)
    }
}

/// Whether a token of this client may be what it is: a bearer token only where they may be.
fn may_be(standing: &Standing, dpop_jkt: Option<&String>) -> bool {
    let client = standing.client.as_ref();
    dpop_jkt.is_some() || client.is_some_and(|client| client.bearer_allowed)
}

fn access(caller: &Caller, record: &AccessRecord) -> Option<Description> {
    if record.revoked || !may_see(caller, record.client_id, &record.audience) {
        return None;
    }
    let session = match &record.session {
        None => None,
        Some((_, Some(life))) => Some(life),
        Some((_, None)) => return None,
    };
    let life = Life {
        expires_at: Some(record.expires_at),
        created_at: Some(record.created_at),
        session,
        has_user: record.subject.is_some(),
        scopes: &record.scopes,
    };
    record.standing.alive(life).ok()?;
    if !may_be(&record.standing, record.dpop_jkt.as_ref()) {
        return None;
    }
    Some(Description {
        token_id: Some(record.token_id),
        client_id: record.client_id,
        subject: record.subject,
        session_id: record.session.as_ref().map(|(id, _)| *id),
        scopes: record.scopes.clone(),
        audience: record.audience.clone(),
        dpop_jkt: record.dpop_jkt.clone(),
        issued_at: record.created_at,
        expires_at: record.expires_at,
    })
}

/// Its own client sees a token, `admin` sees all, an introspector those for an
/// audience that it may see.
fn may_see(caller: &Caller, client_id: Uuid, audience: &Audience) -> bool {
    caller.client_id == client_id
        || caller.has(Role::Admin)
        || (caller.has(Role::Introspector) && audience.meets(&caller.introspection_audience))
}

fn refresh(
    caller: &Caller,
    session_id: Uuid,
    counter: u32,
    family: &Family,
) -> Option<Description> {
    let grant = family.grant.as_ref()?;
    let issued_at = family.ledger?;
    let Session { version, life } = family.session.as_ref()?;
    if grant.client_id != caller.client_id || counter != *version {
        return None;
    }
    family
        .standing
        .alive(Life {
            expires_at: None,
            created_at: None,
            session: Some(life),
            has_user: true,
            scopes: &grant.scopes,
        })
        .ok()?;
    if !may_be(&family.standing, grant.dpop_jkt.as_ref()) {
        return None;
    }
    Some(Description {
        token_id: None,
        client_id: grant.client_id,
        subject: Some(grant.subject),
        session_id: Some(session_id),
        scopes: grant.scopes.clone(),
        audience: grant.audience.clone(),
        dpop_jkt: grant.dpop_jkt.clone(),
        issued_at,
        expires_at: life.expires_at,
    })
}
