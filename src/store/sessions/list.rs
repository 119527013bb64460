//! Lists a user's live sessions.

use crate::domain::{
    caller::{Caller, Claim, Role},
    policy::Defaults,
    refusal::Refusal,
    standing::{ClientStanding, Life, SessionLife, Standing, UserStanding},
    terms::{Audience, Scopes},
};
use crate::store::pool::Pool;
use crate::store::{
    callers, columns::Columns, connection::Connection, error::StoreError, statements,
};
use chrono::{DateTime, Utc};
use std::net::IpAddr;
use tokio_postgres::types::Timestamp;
use uuid::Uuid;

/// Rows of one reading; the literal limit in the statement.
const READING: usize = 1000;

/// Whose sessions, and from where on.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Who asks.
    pub claim: Claim,
    /// The user.
    pub subject: Uuid,
    /// Sessions of one page.
    pub page_size: usize,
    /// The last place of the page before.
    pub after: Option<Place>,
}

/// A place in the list, the most recently used first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When the session last took a step.
    pub last_used_at: DateTime<Utc>,
    /// Its id, which orders equal times.
    pub session_id: Uuid,
}

/// A live session.
#[derive(Debug, Clone)]
pub struct ListedSession {
    /// Its id.
    pub session_id: Uuid,
    /// Its client.
    pub client_id: Uuid,
    /// How many steps it has taken.
    pub generation: u32,
    /// What it grants.
    pub scopes: Scopes,
    /// Its audience.
    pub audience: Audience,
    /// What it was last used with.
    pub user_agent: Option<String>,
    /// Where it was last used from.
    pub ip_address: Option<IpAddr>,
    /// Its life.
    pub life: SessionLife,
}

/// One page of a user's live sessions, and whether there are more.
pub(crate) async fn list(
    pool: &Pool,
    query: &ListQuery,
    defaults: &Defaults,
) -> Result<Result<(Vec<ListedSession>, bool), Refusal>, StoreError> {
    let connection = Connection::take(pool).await?;
    let credentials = &query.claim.credentials;
    let callers = callers::standing(&connection, std::iter::once(credentials)).await?;
    let caller = match Caller::admit(callers.get(credentials), query.claim.access) {
        Ok(caller) => caller,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let only = (!caller.has(Role::Revoker)).then_some(caller.client_id);

    let mut page = Vec::new();
    let mut after = query.after;
    loop {
        let place = after.unwrap_or(Place {
            last_used_at: DateTime::<Utc>::MAX_UTC,
            session_id: Uuid::max(),
        });
        let rows = read(&connection, query.subject, only, place, defaults).await?;
        let last = rows.len() < READING;
        for (session, alive) in rows {
            after = Some(Place {
                last_used_at: session.life.last_used_at,
                session_id: session.session_id,
            });
            if !alive {
                continue;
            }
            if page.len() == query.page_size {
                return Ok(Ok((page, true)));
            }
            page.push(session);
        }
        if last {
            return Ok(Ok((page, false)));
        }
    }
}

async fn read(
    connection: &Connection,
    subject: Uuid,
    only: Option<Uuid>,
    after: Place,
    defaults: &Defaults,
) -> Result<Vec<(ListedSession, bool)>, StoreError> {
    let statement = statements::SESSIONS_LIST;
    let last_used_at = if after.last_used_at == DateTime::<Utc>::MAX_UTC {
        Timestamp::PosInfinity
    } else {
        Timestamp::Value(after.last_used_at)
    };
    let rows = connection
        .query(
            statement,
            &[&subject, &only, &last_used_at, &after.session_id],
        )
        .await?;
    rows.iter()
        .map(|row| session(&mut Columns::of(row, statement.name), defaults))
        .collect()
}

fn session(
    columns: &mut Columns<'_>,
    defaults: &Defaults,
) -> Result<(ListedSession, bool), StoreError> {
    let now = columns.take()?;
    let fence = columns.take()?;
    let session_id = columns.take()?;
    let generation = columns.count()?;
    let life = SessionLife {
        created_at: columns.take()?,
        last_used_at: columns.take()?,
        expires_at: columns.take()?,
    };
    let user_agent = columns.take()?;
    let ip_address = columns.take()?;
    let client_id = columns.take()?;
    let scopes = Scopes::trusted(columns.take()?);
    let audience = Audience::trusted(columns.take::<Option<_>>()?.unwrap_or_default());
    let client = ClientStanding {
        // A session is listed while it exists, whether its tokens may be used or not.
        bearer_allowed: true,
        scopes: Scopes::trusted(columns.take()?),
        idle_timeout: columns.millis()?.unwrap_or(defaults.idle_timeout),
        disabled_at: columns.take()?,
        not_before: columns.take()?,
    };
    let user = UserStanding {
        disabled_at: columns.take()?,
        not_before: columns.take()?,
    };
    let standing = Standing {
        now,
        fence,
        client: Some(client),
        user: Some(user),
    };
    let alive = standing
        .alive(Life {
            expires_at: None,
            created_at: None,
            session: Some(&life),
            has_user: true,
            scopes: &scopes,
        })
        .is_ok();
    let session = ListedSession {
        session_id,
        client_id,
        generation,
        scopes,
        audience,
        user_agent,
        ip_address,
        life,
    };
    Ok((session, alive))
}
