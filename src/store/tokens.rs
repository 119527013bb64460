//! `public.oauth_access_tokens`.

use super::{
    callers::{self, Asking, Callers},
    columns::{Columns, Kind, KnownTerms},
    connection::Connection,
    error::StoreError,
    expect, statements,
};
use crate::domain::keys::KeyId;
use crate::domain::{
    introspection::AccessRecord,
    standing::{ClientStanding, SessionLife, Standing, UserStanding},
    terms::{Audience, Scope, Scopes, Target},
    tokens::AccessDigest,
};
use chrono::{DateTime, Utc};
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

/// A new access token.
pub(super) struct NewToken {
    pub(super) digest: AccessDigest,
    pub(super) token_id: Uuid,
    pub(super) client_id: Uuid,
    pub(super) subject: Option<Uuid>,
    pub(super) scopes: Scopes,
    pub(super) audience: Audience,
    pub(super) dpop_jkt: Option<String>,
    pub(super) session_id: Option<Uuid>,
    pub(super) key_id: KeyId,
    pub(super) created_at: DateTime<Utc>,
    pub(super) expires_at: DateTime<Utc>,
}

/// Inserts tokens, in the order of their digests.
pub(super) async fn insert(
    connection: &Connection,
    mut tokens: Vec<NewToken>,
) -> Result<(), StoreError> {
    if tokens.is_empty() {
        return Ok(());
    }
    tokens.sort_unstable_by_key(|token| token.digest);
    let digests: Vec<&[u8]> = tokens
        .iter()
        .map(|token| token.digest.0.as_slice())
        .collect();
    let token_ids: Vec<_> = tokens.iter().map(|token| token.token_id).collect();
    let clients: Vec<_> = tokens.iter().map(|token| token.client_id).collect();
    let subjects: Vec<_> = tokens.iter().map(|token| token.subject).collect();
    let scopes: Vec<_> = tokens.iter().map(|token| token.scopes.joined()).collect();
    let audience: Vec<_> = tokens.iter().map(|token| token.audience.joined()).collect();
    let thumbprints: Vec<_> = tokens
        .iter()
        .map(|token| token.dpop_jkt.as_deref())
        .collect();
    let sessions: Vec<_> = tokens.iter().map(|token| token.session_id).collect();
    let keys: Vec<_> = tokens
        .iter()
        .map(|token| i64::from(token.key_id.0))
        .collect();
    let created: Vec<_> = tokens.iter().map(|token| token.created_at).collect();
    let expires: Vec<_> = tokens.iter().map(|token| token.expires_at).collect();
    let changed = connection
        .execute(
            statements::TOKENS_INSERT,
            &[
                &digests,
                &token_ids,
                &clients,
                &subjects,
                &scopes,
                &audience,
                &thumbprints,
                &sessions,
                &keys,
                &created,
                &expires,
            ],
        )
        .await?;
    expect(statements::TOKENS_INSERT, changed, tokens.len())
}

/// The columns of a token in `tokens.read`, behind its place.
const TOKEN_COLUMNS: usize = 26;

/// Reads everything that decides about access tokens, in the order of the digests; and, by the
/// same statement, what is known of who asks.
pub(super) async fn read(
    connection: &Connection,
    digests: &[&[u8]],
    asking: &Asking<'_>,
    idle_timeout: Duration,
) -> Result<(Vec<Option<AccessRecord>>, Callers), StoreError> {
    let statement = statements::TOKENS_READ;
    let rows = connection
        .query(
            statement,
            &[&digests, &asking.ids, &asking.digests, &asking.identities],
        )
        .await?;
    let mut records: Vec<Option<AccessRecord>> = digests.iter().map(|_| None).collect();
    let mut callers = Vec::new();
    let mut known = Known::default();
    for row in &rows {
        let mut columns = Columns::of(row, statement.name);
        match columns.place_of_two()? {
            Kind::First(place) => {
                records[place] = Some(record(&mut columns, &mut known, idle_timeout)?);
            }
            Kind::Second(place) => {
                columns.pass(TOKEN_COLUMNS);
                callers.push((place, callers::caller(&mut columns)?));
            }
        }
    }
    Ok((records, asking.known(callers)))
}

/// The lists of terms that an answer has brought so far.
#[derive(Default)]
pub(super) struct Known<'r> {
    pub(super) scopes: KnownTerms<'r, Scope>,
    pub(super) audience: KnownTerms<'r, Target>,
}

fn record<'r>(
    columns: &mut Columns<'r>,
    known: &mut Known<'r>,
    idle_timeout: Duration,
) -> Result<AccessRecord, StoreError> {
    let now = columns.take()?;
    let fence = columns.take()?;
    let token_id = columns.take()?;
    let client_id = columns.take()?;
    let subject = columns.take()?;
    let scopes = columns.terms(&mut known.scopes)?;
    let audience = columns.terms(&mut known.audience)?;
    let dpop_jkt = columns.take()?;
    let created_at = columns.take()?;
    let expires_at = columns.take()?;
    let revoked = columns.take()?;
    let has_session: bool = columns.take()?;
    let session_id: Option<Uuid> = columns.take()?;
    let ended: Option<&str> = columns.take()?;
    // One that is no uuid is of no session that ever was.
    let session_id = session_id.or_else(|| Uuid::try_parse(ended?).ok());
    let life = session_life(columns)?;
    Ok(AccessRecord {
        token_id,
        client_id,
        subject,
        scopes,
        audience,
        dpop_jkt,
        created_at,
        expires_at,
        revoked,
        session: has_session.then(|| (session_id.unwrap_or_default(), life)),
        standing: Standing {
            now,
            fence,
            client: client_standing(columns, known, idle_timeout)?,
            user: user_standing(columns)?,
        },
    })
}

/// The next three columns: a session's life, or NULLs where it is gone.
pub(super) fn session_life(columns: &mut Columns<'_>) -> Result<Option<SessionLife>, StoreError> {
    let created_at: Option<DateTime<Utc>> = columns.take()?;
    let last_used_at: Option<DateTime<Utc>> = columns.take()?;
    let expires_at: Option<DateTime<Utc>> = columns.take()?;
    match (created_at, last_used_at, expires_at) {
        (Some(created_at), Some(last_used_at), Some(expires_at)) => Ok(Some(SessionLife {
            created_at,
            last_used_at,
            expires_at,
        })),
        (None, None, None) => Ok(None),
        _ => Err(columns.corrupt()),
    }
}

/// The next six columns: whether the client is registered, and what it adds.
fn client_standing<'r>(
    columns: &mut Columns<'r>,
    known_terms: &mut Known<'r>,
    idle_timeout: Duration,
) -> Result<Option<ClientStanding>, StoreError> {
    let known: bool = columns.take()?;
    let scopes = columns.terms(&mut known_terms.scopes)?;
    let standing = ClientStanding {
        scopes,
        idle_timeout: columns.millis()?.unwrap_or(idle_timeout),
        // NULL where there is no client, whose tokens are dead anyway.
        bearer_allowed: columns.take::<Option<bool>>()?.unwrap_or_default(),
        disabled_at: columns.take()?,
        not_before: columns.take()?,
    };
    Ok(known.then_some(standing))
}

/// The next three columns: whether the user is registered, and what they add.
pub(super) fn user_standing(columns: &mut Columns<'_>) -> Result<Option<UserStanding>, StoreError> {
    let known: bool = columns.take()?;
    let standing = UserStanding {
        disabled_at: columns.take()?,
        not_before: columns.take()?,
    };
    Ok(known.then_some(standing))
}

/// What came of revoking an access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marking {
    /// It is revoked from now on.
    Now,
    /// It was revoked before.
    Before,
    /// Another transaction holds it: nothing was done.
    Held,
}

/// Revokes access tokens of ours; returns those that there are.
pub(super) async fn revoke(
    connection: &Connection,
    digests: &[&[u8]],
) -> Result<HashMap<AccessDigest, Marking>, StoreError> {
    let statement = statements::TOKENS_REVOKE;
    let rows = connection.query(statement, &[&digests]).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::of(row, statement.name);
            let digest: &[u8] = columns.take()?;
            let digest = digest.try_into().map_err(|_| columns.corrupt())?;
            let marking = match (columns.take()?, columns.take()?) {
                (false, _) => Marking::Held,
                (true, true) => Marking::Now,
                (true, false) => Marking::Before,
            };
            Ok((AccessDigest(digest), marking))
        })
        .collect()
}

/// Deletes a user's tokens that belong to no session, of one client or of all.
pub(super) async fn revoke_of_user(
    connection: &Connection,
    subject: Uuid,
    client_id: Option<Uuid>,
) -> Result<u64, StoreError> {
    connection
        .execute(statements::TOKENS_REVOKE_OF_USER, &[&subject, &client_id])
        .await
}
