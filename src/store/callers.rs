//! What is known of callers, read in the same flight as the rows of their calls.

use super::{columns::Columns, connection::Connection, error::StoreError, statements};
use crate::domain::{
    caller::{Caller, Credentials, Role},
    terms::Audience,
};
use std::collections::HashMap;
use uuid::Uuid;

/// The callers of a batch whose proofs are known and live.
pub(super) struct Callers(HashMap<Credentials, Caller>);

impl Callers {
    /// The caller with these credentials.
    pub(super) fn get(&self, credentials: &Credentials) -> Option<&Caller> {
        self.0.get(credentials)
    }
}

/// The distinct callers of a batch, as the parameters of a statement.
#[derive(Default)]
pub(super) struct Asking<'a> {
    distinct: Vec<&'a Credentials>,
    pub(super) ids: Vec<Uuid>,
    pub(super) digests: Vec<Option<&'a [u8]>>,
    pub(super) identities: Vec<Option<String>>,
}

impl<'a> Asking<'a> {
    pub(super) fn of(credentials: impl Iterator<Item = &'a Credentials>) -> Self {
        let mut distinct: Vec<&Credentials> = Vec::new();
        for one in credentials {
            if !distinct.contains(&one) {
                distinct.push(one);
            }
        }
        let digest = |one: &&'a Credentials| one.secret.as_ref().map(|own| own.0.as_slice());
        let identity = |one: &&Credentials| one.identity.as_ref().map(ToString::to_string);
        Self {
            ids: distinct.iter().map(|one| one.client_id).collect(),
            digests: distinct.iter().map(digest).collect(),
            identities: distinct.iter().map(identity).collect(),
            distinct,
        }
    }

    /// Each of them once, in the order of the parameters.
    pub(super) fn distinct(&self) -> impl Iterator<Item = &'a Credentials> {
        self.distinct.iter().copied()
    }

    /// The place of credentials among the parameters.
    pub(super) fn place(&self, credentials: &Credentials) -> Option<usize> {
        self.distinct.iter().position(|one| *one == credentials)
    }

    /// Those whose rows came, each with its place among them.
    pub(super) fn known(&self, rows: Vec<(usize, Caller)>) -> Callers {
        let rows = rows.into_iter();
        Callers(
            rows.map(|(place, caller)| (self.distinct[place].clone(), caller))
                .collect(),
        )
    }
}

/// Reads each distinct caller of a batch once.
pub(super) async fn standing<'a>(
    connection: &Connection,
    credentials: impl Iterator<Item = &'a Credentials>,
) -> Result<Callers, StoreError> {
    let asking = Asking::of(credentials);
    let statement = statements::CALLERS_STANDING;
    let rows = connection
        .query(
            statement,
            &[&asking.ids, &asking.digests, &asking.identities],
        )
        .await?;
    let mut known = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut columns = Columns::of(row, statement.name);
        known.push((columns.place()?, caller(&mut columns)?));
    }
    Ok(asking.known(known))
}

/// The next five columns: what is known of a caller.
pub(super) fn caller(columns: &mut Columns<'_>) -> Result<Caller, StoreError> {
    Ok(Caller {
        client_id: columns.take()?,
        roles: roles(columns)?,
        disabled_at: columns.take()?,
        introspection_audience: Audience::trusted(columns.take()?),
        identity_of: columns.take()?,
    })
}

/// The next column, which names roles.
pub(super) fn roles(columns: &mut Columns<'_>) -> Result<Vec<Role>, StoreError> {
    let names: Vec<&str> = columns.take()?;
    names
        .into_iter()
        .map(|name| Role::from_name(name).ok_or_else(|| columns.corrupt()))
        .collect()
}
