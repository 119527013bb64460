//! What is known of callers, read in the same flight as the rows of their calls.

use super::{columns::Columns, connection::Connection, error::StoreError, statements};
use crate::domain::{
    caller::{Caller, Credentials, Role},
    terms::Audience,
};
use std::collections::HashMap;

/// The callers of a batch whose proofs are known and live.
pub(super) struct Callers(HashMap<Credentials, Caller>);

impl Callers {
    /// The caller with these credentials.
    pub(super) fn get(&self, credentials: &Credentials) -> Option<&Caller> {
        self.0.get(credentials)
    }
}

/// Reads each distinct caller of a batch once.
pub(super) async fn standing<'a>(
    connection: &Connection,
    credentials: impl Iterator<Item = &'a Credentials>,
) -> Result<Callers, StoreError> {
    let mut distinct: Vec<&Credentials> = Vec::new();
    for one in credentials {
        if !distinct.contains(&one) {
            distinct.push(one);
        }
    }
    let ids: Vec<_> = distinct.iter().map(|one| one.client_id).collect();
    let digests: Vec<Option<&[u8]>> = distinct
        .iter()
        .map(|one| one.secret.as_ref().map(|digest| digest.0.as_slice()))
        .collect();
    let identities: Vec<_> = distinct
        .iter()
        .map(|one| one.identity.as_ref().map(ToString::to_string))
        .collect();
    let statement = statements::CALLERS_STANDING;
    let rows = connection
        .query(statement, &[&ids, &digests, &identities])
        .await?;
    let mut known = HashMap::with_capacity(rows.len());
    for row in &rows {
        let mut columns = Columns::of(row, statement.name);
        let place = columns.place()?;
        let caller = Caller {
            client_id: columns.take()?,
            roles: roles(&mut columns)?,
            disabled_at: columns.take()?,
            introspection_audience: Audience::trusted(columns.take()?),
            identity_of: columns.take()?,
        };
        known.insert((*distinct[place]).clone(), caller);
    }
    Ok(Callers(known))
}

/// The next column, which names roles.
pub(super) fn roles(columns: &mut Columns<'_>) -> Result<Vec<Role>, StoreError> {
    let names: Vec<&str> = columns.take()?;
    names
        .into_iter()
        .map(|name| Role::from_name(name).ok_or_else(|| columns.corrupt()))
        .collect()
}
