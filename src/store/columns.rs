//! Reads a row's columns in the order in which its statement names them.

use super::error::StoreError;
use crate::domain::terms::{TermKind, Terms};
use std::time::Duration;
use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};

/// A row, read from left to right. A value that makes no sense is an error, never
/// a default.
pub(super) struct Columns<'r> {
    row: &'r Row,
    statement: &'static str,
    at: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r Row, statement: &'static str) -> Self {
        Self {
            row,
            statement,
            at: 0,
        }
    }

    /// The next column.
    pub(super) fn take<T: FromSql<'r>>(&mut self) -> Result<T, StoreError> {
        let column = self.at;
        self.at += 1;
        self.row
            .try_get(column)
            .map_err(|source| StoreError::Corrupt {
                statement: self.statement,
                column,
                source: Some(source),
            })
    }

    /// The next column, a list of terms; NULL is none. `known` are the lists that the rows
    /// before it have brought: most rows of a batch bring the same.
    pub(super) fn terms<K: TermKind>(
        &mut self,
        known: &mut KnownTerms<'r, K>,
    ) -> Result<Terms<K>, StoreError> {
        let Some(Raw(bytes)) = self.take::<Option<Raw<'r>>>()? else {
            return Ok(Terms::default());
        };
        if let Some((_, terms)) = known.0.iter().find(|(own, _)| *own == bytes) {
            return Ok(terms.clone());
        }
        self.at -= 1;
        let terms = Terms::trusted(self.take()?);
        if known.0.len() < KNOWN_TERMS {
            known.0.push((bytes, terms.clone()));
        }
        Ok(terms)
    }

    /// The next column, which counts something.
    pub(super) fn count(&mut self) -> Result<u32, StoreError> {
        let value: i32 = self.take()?;
        u32::try_from(value).map_err(|_| self.corrupt())
    }

    /// The next column, a number of rows.
    pub(super) fn rows(&mut self) -> Result<u64, StoreError> {
        let value: i64 = self.take()?;
        u64::try_from(value).map_err(|_| self.corrupt())
    }

    /// The next column, in milliseconds; NULL is `None`.
    pub(super) fn millis(&mut self) -> Result<Option<Duration>, StoreError> {
        let value: Option<i64> = self.take()?;
        value
            .map(|millis| u64::try_from(millis).map(Duration::from_millis))
            .transpose()
            .map_err(|_| self.corrupt())
    }

    /// The place of the ask that this row answers, counted from 0.
    pub(super) fn place(&mut self) -> Result<usize, StoreError> {
        let ord: i64 = self.take()?;
        usize::try_from(ord - 1).map_err(|_| self.corrupt())
    }

    /// The place of the ask that this row answers, where rows of two kinds come from one
    /// statement: the second kind counts below 0.
    pub(super) fn place_of_two(&mut self) -> Result<Kind, StoreError> {
        let ord: i64 = self.take()?;
        let place = usize::try_from(ord.unsigned_abs()).ok();
        let place = place.and_then(|place| place.checked_sub(1));
        let place = place.ok_or_else(|| self.corrupt())?;
        Ok(match ord {
            1.. => Kind::First(place),
            _ => Kind::Second(place),
        })
    }

    /// Passes over columns that are the other kind's.
    pub(super) fn pass(&mut self, columns: usize) {
        self.at += columns;
    }

    /// The error that the column just taken makes no sense.
    pub(super) fn corrupt(&self) -> StoreError {
        StoreError::Corrupt {
            statement: self.statement,
            column: self.at - 1,
            source: None,
        }
    }
}

/// Of which of two kinds a row is, and the place of its ask, counted from 0.
pub(super) enum Kind {
    First(usize),
    Second(usize),
}

/// How many different lists of terms a batch remembers.
const KNOWN_TERMS: usize = 8;

/// Lists of terms that the rows of one answer have brought, each with its bytes.
pub(super) struct KnownTerms<'r, K>(Vec<(&'r [u8], Terms<K>)>);

impl<K> Default for KnownTerms<'_, K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A value as PostgreSQL sent it.
struct Raw<'r>(&'r [u8]);

impl<'r> FromSql<'r> for Raw<'r> {
    fn from_sql(_: &Type, raw: &'r [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Milliseconds for a `_ms` column; what is longer than the column can hold is as
/// good as for ever.
pub(super) fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}
