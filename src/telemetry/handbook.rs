//! The handbook's page of metrics, from the table of instruments.

use crate::domain::instruments::TABLE;
use std::fmt::Write as _;

/// `docs/metrics.md`.
pub fn metrics() -> String {
    let mut text = "# Metrics\n\n\
        <!-- Generated from the table of instruments: COUNTERSIGN_TEST_BLESS=1 cargo test --lib handbook -->\n\n\
        Prometheus reads them at `/metrics` of `metrics.listen`; with `telemetry.endpoint` they are sent by OTLP under the names in the last column.\n\
        Every label takes its values from a fixed set.\n\n\
        | metric | kind | meaning | labels | in OTLP |\n|---|---|---|---|---|\n"
        .to_owned();
    for row in TABLE {
        let labels: Vec<_> = row
            .attributes
            .iter()
            .map(|(name, values)| format!("`{name}`: {values}"))
            .collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | `{}`, `{}` |",
            row.prometheus(),
            row.kind.name(),
            row.description,
            labels.join("; "),
            row.name,
            row.unit,
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    #[test]
    fn the_handbook_is_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
        let page = super::metrics();
        if std::env::var_os("COUNTERSIGN_TEST_BLESS").is_some() {
            fs::write(&path, &page).expect("the page is written");
        }
        let written = fs::read_to_string(&path).expect("docs/metrics.md");
        assert!(written == page, "docs/metrics.md is not the table's");
    }
}
