//! The report for people.

use crate::bench::report::{Alone, Report, RowReport, Through};
use std::fmt::Write as _;

const HEAD: [&str; 13] = [
    "row",
    "calls/s",
    "p50 µs",
    "p90 µs",
    "p99 µs",
    "p99.9 µs",
    "errors",
    "server µs",
    "pg µs",
    "load µs",
    "peak MiB",
    "WAL B",
    "ratio",
];

/// All of it: what it holds for, the rows, and what went wrong.
pub(super) fn text(report: &Report) -> String {
    let mut text = String::new();
    for (name, value) in &report.facts {
        let value = match value {
            serde_json::Value::String(value) => value.clone(),
            serde_json::Value::Object(pairs) => {
                let pairs = pairs.iter().map(|(name, value)| match value {
                    serde_json::Value::String(value) => format!("{name} {value}"),
                    other => format!("{name} {other}"),
                });
                pairs.collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        };
        line(&mut text, &format!("{:<27}{value}", name.replace('_', " ")));
    }
    line(&mut text, "");
    let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
    lines.extend(report.rows.iter().map(|row| cells(row, report)));
    text.push_str(&aligned(&lines));
    line(
        &mut text,
        "\nserver, pg and load: processor time a call of the server (or echo), PostgreSQL and this \
         load generator. WAL: bytes a call.",
    );
    line(
        &mut text,
        if report.open_loop {
            "No ratios with --rate: each row makes the calls that are due, whatever it could do."
        } else {
            "Ratios: median of the rounds (range)."
        },
    );
    wal(&mut text, &report.rows);
    if let Some(alone) = &report.alone {
        one_alone(&mut text, alone);
    }
    through(&mut text, &report.through);
    if let Some(server) = &report.server {
        let memory = |bytes: Option<u64>| bytes.map_or("?".to_owned(), mebibytes);
        line(
            &mut text,
            &format!(
                "\nserver: ready after {:.0} ms; memory {} MiB idle, {} MiB at its peak",
                server.ready.as_secs_f64() * 1e3,
                memory(server.rss_idle_bytes),
                memory(report.rss_peak_bytes()),
            ),
        );
    }
    for (name, why) in &report.left_out {
        line(&mut text, &format!("left out: {name}: {why}"));
    }
    errors(&mut text, report);
    if let Some(left) = &report.not_revoked {
        line(&mut text, &format!("\n{left}"));
    }
    text
}

fn cells(row: &RowReport, report: &Report) -> Vec<String> {
    let tally = row.tally();
    let latency = |part| number(tally.quantile_us(part));
    let or_none = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.1}"));
    let ratios = report.ratios(row).into_iter().map(|(name, ratio)| {
        format!(
            "{:.2} ({:.2}–{:.2}) of {name}",
            ratio.median, ratio.min, ratio.max
        )
    });
    vec![
        row.row.name.to_owned(),
        number(row.per_second()),
        latency(0.5),
        latency(0.9),
        latency(0.99),
        latency(0.999),
        tally.errors().to_string(),
        or_none(row.cpu_us(|round| round.server_cpu)),
        or_none(row.cpu_us(|round| round.postgres_cpu)),
        or_none(row.cpu_us(|round| round.own_cpu)),
        row.peak_bytes().map_or(String::new(), mebibytes),
        row.wal().map_or(String::new(), number),
        ratios.collect::<Vec<_>>().join("; "),
    ]
}

/// Columns: the first and the last from the left, numbers from the right.
fn aligned(lines: &[Vec<String>]) -> String {
    let last = HEAD.len() - 1;
    let width = |column: usize| {
        let widths = lines.iter().map(|line| line[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let mut text = String::new();
    for cells in lines {
        let mut whole = String::new();
        for (column, cell) in cells.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = match column {
                0 => write!(whole, "{cell:<0$}", width(0)),
                _ if column == last => write!(whole, "  {cell}"),
                _ => write!(whole, "  {cell:>0$}", width(column)),
            };
        }
        line(&mut text, whole.trim_end());
    }
    text
}

fn wal(text: &mut String, rows: &[RowReport]) {
    for row in rows {
        if let (Some(all), Some(bare)) = (row.wal(), row.wal_without_images()) {
            let name = row.row.name;
            line(
                text,
                &format!(
                    "WAL of {name}: {} bytes a call, {} without full-page images",
                    number(all),
                    number(bare)
                ),
            );
        }
    }
}

fn one_alone(text: &mut String, alone: &Alone) {
    let p50 = |name| alone.p50_us(name).map_or("?".to_owned(), number);
    line(
        text,
        &format!(
            "\none caller alone, p50: echo {} µs, pg-select {} µs, pg-read {} µs, introspect {} µs",
            p50("echo"),
            p50("pg-select"),
            p50("pg-read"),
            p50("introspect"),
        ),
    );
    let failed = alone.errors();
    if failed > 0 {
        line(
            text,
            &format!("of its calls {failed} failed, and are in no figure"),
        );
    }
    for lookup in ["pg-select", "pg-read"] {
        if let Some(ratio) = alone.ratio(lookup) {
            line(
                text,
                &format!(
                    "introspect over {lookup} and echo together: {:.2} ({:.2}–{:.2})",
                    ratio.median, ratio.min, ratio.max
                ),
            );
        }
    }
}

fn through(text: &mut String, rows: &[Through]) {
    let Some(first) = rows.first() else {
        return;
    };
    let rate = number(first.rate);
    line(
        text,
        &format!("\nthrough Envoy, {rate} a second, half of what it reaches with our check:"),
    );
    for row in rows {
        let latency = |part| number(row.tally.quantile_us(part));
        let what = match row.name {
            "envoy" => "no check",
            "envoy-nothing" => "a check that does nothing",
            _ => "Countersign's check",
        };
        line(
            text,
            &format!(
                "{what:<26} p50 {} µs, p90 {} µs, p99 {} µs, {} errors",
                latency(0.5),
                latency(0.9),
                latency(0.99),
                row.tally.errors()
            ),
        );
    }
}

/// What went wrong, by the row and the reason.
fn errors(text: &mut String, report: &Report) {
    let alone = report.alone.iter().flat_map(|alone| &alone.rows);
    let rows = report.rows.iter().map(|row| (row, ""));
    let rows = rows.chain(alone.map(|row| (row, ", one caller alone")));
    let mut begun = false;
    for (row, kind) in rows {
        for (reason, count) in row.tally().reasons() {
            if !begun {
                line(text, "\nerrors:");
                begun = true;
            }
            let name = row.row.name;
            line(text, &format!("  {name}{kind}: {count} × {reason}"));
        }
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// A number for people, in thousands.
fn number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 bytes")]
fn mebibytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_from_the_right() {
        assert_eq!(number(0.4), "0");
        assert_eq!(number(999.0), "999");
        assert_eq!(number(1_234_567.0), "1,234,567");
    }
}
