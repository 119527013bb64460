//! Templates of statements: SQL text with names in it, as psql has them.
//!
//! Two of them also say how the catalogue writes what they make.

/// Builds an index without keeping others from writing.
pub(super) const BUILD_INDEX: &str = include_str!("../../sql/documented/build_index.sql");

/// Creates a trigger.
pub(super) const CREATE_TRIGGER: &str = include_str!("../../sql/documented/create_trigger.sql");

/// What `pg_get_indexdef` or `pg_get_triggerdef` writes of what the template makes.
pub(super) fn definition(template: &str, values: &[(&str, &str)]) -> String {
    let (_name, statement) = template.split_once('\n').unwrap_or(("", template));
    fill(&statement.replace(" CONCURRENTLY", ""), values)
}

/// Puts the values where the template names them, as `:name`, in one pass: a value is
/// never searched for names.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(template.len() * 2);
    let mut rest = template.trim_end();
    while let Some(at) = rest.find(':') {
        filled.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest
            .find(|character: char| !character.is_ascii_lowercase())
            .unwrap_or(rest.len());
        match values.iter().find(|(name, _)| *name == &rest[..end]) {
            Some((_, value)) => {
                filled.push_str(value);
                rest = &rest[end..];
            }
            None => filled.push(':'),
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_searched_for_names() {
        assert_eq!(
            fill(
                "-- documented.x\nADD :name AS :definition",
                &[("name", ":definition"), ("definition", "'{}'::text[]")]
            ),
            "-- documented.x\nADD :definition AS '{}'::text[]"
        );
    }
}
