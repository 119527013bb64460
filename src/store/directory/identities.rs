//! `countersign.client_identity`.

use super::Administered;
use crate::domain::{identity::Identity, refusal::Refusal};
use crate::store::{
    columns::Columns, connection::Connection, error::StoreError, expect, statements,
};
use std::collections::HashMap;
use uuid::Uuid;

/// Whose these identities are; one that is nobody's is left out.
pub(in crate::store) async fn clients(
    connection: &Connection,
    identities: &[Identity],
) -> Result<Vec<(Identity, Uuid)>, StoreError> {
    let texts = texts(identities);
    let statement = statements::IDENTITIES_CLIENTS;
    let rows = connection.query(statement, &[&texts]).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::of(row, statement.name);
            Ok((identity(&mut columns)?, columns.take()?))
        })
        .collect()
}

/// The identities of clients, sorted.
pub(super) async fn of_clients(
    connection: &Connection,
    clients: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Identity>>, StoreError> {
    let statement = statements::IDENTITIES_OF_CLIENTS;
    let mut identities: HashMap<Uuid, Vec<Identity>> = HashMap::new();
    for row in connection.query(statement, &[&clients]).await? {
        let mut columns = Columns::of(&row, statement.name);
        let client_id = columns.take()?;
        let identity = identity(&mut columns)?;
        identities.entry(client_id).or_default().push(identity);
    }
    for identities in identities.values_mut() {
        identities.sort_unstable();
    }
    Ok(identities)
}

/// Makes sure that a client may have these identities, until the transaction ends.
pub(super) async fn claim(
    connection: &Connection,
    before: &[Identity],
    after: &[Identity],
) -> Administered<()> {
    if before == after {
        return Ok(Ok(()));
    }
    connection.query(statements::IDENTITIES_LOCK, &[]).await?;
    let taken = clients(connection, &added(before, after)).await?;
    Ok(match taken.into_iter().next() {
        Some((taken, _)) => Err(Refusal::IdentityTaken(taken)),
        None => Ok(()),
    })
}

/// Gives a client the identities that were claimed for it, and no others.
pub(super) async fn replace(
    connection: &Connection,
    client_id: Uuid,
    before: &[Identity],
    after: &[Identity],
) -> Result<(), StoreError> {
    if before == after {
        return Ok(());
    }
    connection
        .execute(statements::IDENTITIES_REMOVE, &[&client_id, &texts(after)])
        .await?;
    let new = texts(&added(before, after));
    let statement = statements::IDENTITIES_ADD;
    let written = connection.execute(statement, &[&client_id, &new]).await?;
    expect(statement, written, new.len())
}

fn added(before: &[Identity], after: &[Identity]) -> Vec<Identity> {
    let new = after.iter().filter(|identity| !before.contains(identity));
    new.cloned().collect()
}

fn texts(identities: &[Identity]) -> Vec<String> {
    identities.iter().map(ToString::to_string).collect()
}

fn identity(columns: &mut Columns<'_>) -> Result<Identity, StoreError> {
    Identity::parse(columns.take()?).map_err(|_| columns.corrupt())
}
