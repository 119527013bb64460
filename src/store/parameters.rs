//! The types of a statement's parameters, as its own text casts them.
//!
//! A statement without a name is sent with them, since nobody prepares it to be told.

use super::statements::{self, Statement};
use std::collections::HashMap;
use tokio_postgres::types::Type;

/// The types that statements name.
const NAMES: [(&str, Type); 15] = [
    ("bigint", Type::INT8),
    ("bigint[]", Type::INT8_ARRAY),
    ("boolean", Type::BOOL),
    ("bytea", Type::BYTEA),
    ("bytea[]", Type::BYTEA_ARRAY),
    ("inet[]", Type::INET_ARRAY),
    ("int", Type::INT4),
    ("int[]", Type::INT4_ARRAY),
    ("jsonb[]", Type::JSONB_ARRAY),
    ("text", Type::TEXT),
    ("text[]", Type::TEXT_ARRAY),
    ("timestamptz", Type::TIMESTAMPTZ),
    ("timestamptz[]", Type::TIMESTAMPTZ_ARRAY),
    ("uuid", Type::UUID),
    ("uuid[]", Type::UUID_ARRAY),
];

/// The types of every statement's parameters, by the statement's name.
#[derive(Debug)]
pub(super) struct ParameterTypes(HashMap<&'static str, Vec<Type>>);

impl ParameterTypes {
    /// Reads them from every statement.
    pub(super) fn read() -> Self {
        let each = statements::ALL.iter();
        Self(
            each.filter_map(|one| Some((one.name, types_of(one.text)?)))
                .collect(),
        )
    }

    /// Those of one statement, in order.
    pub(super) fn of(&self, statement: Statement) -> &[Type] {
        self.0.get(statement.name).map_or(&[], Vec::as_slice)
    }
}

/// The types of a statement's parameters; `None`: one of them is never cast.
pub fn types_of(text: &str) -> Option<Vec<Type>> {
    let mut types: Vec<Option<Type>> = Vec::new();
    // What follows each dollar sign: digits, and perhaps a cast.
    for rest in text.split('$').skip(1) {
        let end = rest.find(|character: char| !character.is_ascii_digit());
        let (number, rest) = rest.split_at(end.unwrap_or(rest.len()));
        let Ok(number @ 1..) = number.parse::<usize>() else {
            continue;
        };
        types.resize(types.len().max(number), None);
        if let Some(cast) = rest.strip_prefix("::") {
            let part = |character: char| character.is_ascii_lowercase() || "[]".contains(character);
            let end = cast.find(|character| !part(character));
            let name = &cast[..end.unwrap_or(cast.len())];
            let found = NAMES.iter().find(|(known, _)| *known == name);
            types[number - 1] = found.map(|(_, found)| found.clone());
        }
    }
    types.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cast_anywhere_tells_the_type() {
        let text = "-- $2 is a name\nSELECT $2, $1::uuid[] WHERE $2::text = 'a$'";
        assert_eq!(types_of(text), Some(vec![Type::UUID_ARRAY, Type::TEXT]));
        assert_eq!(types_of("SELECT $1, $2::int"), None);
        assert_eq!(types_of("COMMIT"), Some(Vec::new()));
    }
}
