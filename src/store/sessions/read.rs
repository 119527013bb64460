//! Reads everything that decides about a refresh token or a session.

use crate::domain::{
    dpop::Demands,
    policy::Defaults,
    rotation::{EndReason, Family, Grant, Session},
    standing::{ClientStanding, SessionLife, Standing},
    terms::{Audience, Scopes},
    tokens::SALT_BYTES,
};
use crate::store::{
    columns::Columns, connection::Connection, error::StoreError, statements, tokens,
};
use chrono::{DateTime, Utc};
use std::time::Duration;
use uuid::Uuid;

/// What is asked about.
#[derive(Clone)]
pub(super) struct Ask {
    /// The session.
    pub(super) session_id: Uuid,
    /// The presented refresh token's ledger digest; `None`: a session by its id.
    pub(super) ledger: Option<String>,
    /// The access token that an earlier attempt may have committed.
    pub(super) doubt: Option<[u8; 32]>,
}

/// What was read for one ask, the caller left out.
pub(super) struct Read {
    pub(super) family: Family,
    /// When the access token in doubt was minted: the earlier attempt was committed.
    pub(super) committed: Option<DateTime<Utc>>,
}

/// Reads families in the order of the asks.
pub(super) async fn read(
    connection: &Connection,
    asks: &[Ask],
    defaults: &Defaults,
) -> Result<Vec<Read>, StoreError> {
    if asks.is_empty() {
        return Ok(Vec::new());
    }
    let sessions: Vec<_> = asks.iter().map(|ask| ask.session_id).collect();
    let ledger: Vec<_> = asks.iter().map(|ask| ask.ledger.as_deref()).collect();
    let doubts: Vec<_> = asks
        .iter()
        .map(|ask| ask.doubt.as_ref().map(<[u8; 32]>::as_slice))
        .collect();
    let statement = statements::SESSIONS_READ;
    let rows = connection
        .query(statement, &[&sessions, &ledger, &doubts])
        .await?;
    let mut reads: Vec<Option<Read>> = asks.iter().map(|_| None).collect();
    for row in &rows {
        let mut columns = Columns::of(row, statement.name);
        let place = columns.place()?;
        reads[place] = Some(family(&mut columns, defaults)?);
    }
    // The authority's row is joined without a condition, so each ask has its row
    // unless the table is empty, which no migration leaves it.
    reads
        .into_iter()
        .map(|read| {
            read.ok_or(StoreError::Corrupt {
                statement: statement.name,
                column: 0,
                source: None,
            })
        })
        .collect()
}

fn family(columns: &mut Columns<'_>, defaults: &Defaults) -> Result<Read, StoreError> {
    let now = columns.take()?;
    let fence = columns.take()?;
    let purged_to = columns.take()?;
    let session = session(columns)?;
    let grant = grant(columns)?;
    let ledger: Option<DateTime<Utc>> = columns.take()?;
    let committed = columns.take()?;
    let client = client(columns, defaults)?;
    let user = tokens::user_standing(columns)?;
    let family = Family {
        caller: None,
        session,
        grant,
        ledger,
        purged_to,
        standing: Standing {
            now,
            fence,
            client: client.standing,
            user,
        },
        demands: client.demands,
        grace: client.grace,
        access_token_ttl: client.access_token_ttl,
    };
    Ok(Read { family, committed })
}

fn session(columns: &mut Columns<'_>) -> Result<Option<Session>, StoreError> {
    let version: Option<i32> = columns.take()?;
    let version = version
        .map(u32::try_from)
        .transpose()
        .map_err(|_| columns.corrupt())?;
    let life: Option<SessionLife> = tokens::session_life(columns)?;
    Ok(version
        .zip(life)
        .map(|(version, life)| Session { version, life }))
}

fn grant(columns: &mut Columns<'_>) -> Result<Option<Grant>, StoreError> {
    let client_id: Option<Uuid> = columns.take()?;
    let subject: Option<Uuid> = columns.take()?;
    let scopes: Option<Vec<String>> = columns.take()?;
    let audience: Option<Vec<String>> = columns.take()?;
    let dpop_jkt = columns.take()?;
    let salt: Option<&[u8]> = columns.take()?;
    let salt: Option<[u8; SALT_BYTES]> = salt
        .map(TryInto::try_into)
        .transpose()
        .map_err(|_| columns.corrupt())?;
    let expires_at: Option<DateTime<Utc>> = columns.take()?;
    let ended: Option<&str> = columns.take()?;
    let ended = ended
        .map(|name| EndReason::from_name(name).ok_or_else(|| columns.corrupt()))
        .transpose()?;
    let (Some(client_id), Some(subject), Some(scopes), Some(salt), Some(expires_at)) =
        (client_id, subject, scopes, salt, expires_at)
    else {
        return Ok(None);
    };
    Ok(Some(Grant {
        client_id,
        subject,
        scopes: Scopes::trusted(scopes),
        audience: Audience::trusted(audience.unwrap_or_default()),
        dpop_jkt,
        salt,
        expires_at,
        ended,
    }))
}

/// What a family's client adds.
struct FamilyClient {
    standing: Option<ClientStanding>,
    demands: Demands,
    grace: Duration,
    access_token_ttl: Duration,
}

/// The next nine columns: the client, or NULLs where there is none.
fn client(columns: &mut Columns<'_>, defaults: &Defaults) -> Result<FamilyClient, StoreError> {
    let scopes: Option<Vec<String>> = columns.take()?;
    let idle_timeout = columns.millis()?.unwrap_or(defaults.idle_timeout);
    let mut flag = || {
        columns
            .take::<Option<bool>>()
            .map(Option::unwrap_or_default)
    };
    let (bearer_allowed, proof, nonce) = (flag()?, flag()?, flag()?);
    let disabled_at = columns.take()?;
    let not_before = columns.take()?;
    let standing = scopes.map(|scopes| ClientStanding {
        scopes: Scopes::trusted(scopes),
        idle_timeout,
        bearer_allowed,
        disabled_at,
        not_before,
    });
    Ok(FamilyClient {
        demands: Demands {
            proof: standing.is_some() && (proof || !bearer_allowed),
            nonce,
        },
        standing,
        grace: columns.millis()?.unwrap_or(defaults.rotation_grace),
        access_token_ttl: columns.millis()?.unwrap_or(defaults.access_token_ttl),
    })
}
