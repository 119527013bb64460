//! `countersign.dpop_proof`: the proofs that all replicas remember together.

use super::{
    columns::{Columns, millis},
    connection::Connection,
    error::StoreError,
    statements,
};
use crate::domain::dpop::Use;
use std::{collections::HashSet, time::Duration};

/// Remembers proofs, in the order of their digests and each once; returns those that were not
/// there before.
pub(super) async fn remember(
    connection: &Connection,
    used: &[Use],
    life: Duration,
) -> Result<HashSet<Use>, StoreError> {
    if used.is_empty() {
        return Ok(HashSet::new());
    }
    let statement = statements::PROOFS_REMEMBER;
    let digests: Vec<&[u8]> = used.iter().map(<[u8; 16]>::as_slice).collect();
    let rows = connection
        .query(statement, &[&digests, &millis(life)])
        .await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::of(row, statement.name);
            let digest: &[u8] = columns.take()?;
            digest.try_into().map_err(|_| columns.corrupt())
        })
        .collect()
}
