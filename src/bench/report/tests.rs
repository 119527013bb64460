use super::*;
use crate::bench::{Trouble, rows};

/// A row with a round for each of these: so many good calls in a second, each of so many
/// milliseconds, and so many failures.
fn row(name: &str, rounds: &[(u64, u64, u64)]) -> RowReport {
    let mut report = RowReport::new(rows::find(name).unwrap());
    for &(calls, millis, failures) in rounds {
        let mut tally = Tally::default();
        for _ in 0..calls {
            tally.record(Ok(()), Duration::from_millis(millis));
        }
        for _ in 0..failures {
            tally.record(Err(Trouble::failed("no")), Duration::from_millis(1));
        }
        tally.took(Duration::from_secs(1));
        report.rounds.push(Round {
            tally,
            server_cpu: None,
            postgres_cpu: None,
            own_cpu: None,
            peak_bytes: None,
            wal_bytes: None,
        });
    }
    report
}

fn report(rows: Vec<RowReport>, alone: Vec<RowReport>, open_loop: bool) -> Report {
    Report {
        facts: Vec::new(),
        rows,
        left_out: Vec::new(),
        server: None,
        alone: Some(Alone { rows: alone }),
        points: Vec::new(),
        through: Vec::new(),
        open_loop,
        not_revoked: None,
    }
}

#[test]
fn calls_that_are_due_have_no_ratio() {
    let rows = || vec![row("echo", &[(40, 1, 0)]), row("introspect", &[(20, 1, 0)])];
    let closed = report(rows(), Vec::new(), false).json();
    assert_eq!(closed["results"][1]["ratio"], 0.5);
    assert_eq!(closed["results"][1]["ratios"]["echo"]["ratio"], 0.5);

    let open = report(rows(), Vec::new(), true).json();
    let told = &open["results"][1];
    for ratio in ["ratio", "ratio_min", "ratio_max"] {
        assert!(told[ratio].is_null(), "{told}");
    }
    assert_eq!(told["ratios"], json!({}));
    // What it would be compared with stays, and so do its own figures.
    assert_eq!(told["baseline"], "echo");
    assert_eq!(told["per_second"], 20.0);
}

#[test]
fn one_caller_alone_tells_its_errors_and_compares_no_round_in_which_all_failed() {
    let alone = vec![
        row("echo", &[(5, 10, 0), (5, 10, 0)]),
        row("pg-select", &[(5, 10, 0), (5, 10, 0)]),
        row("introspect", &[(5, 40, 1), (0, 0, 3)]),
    ];
    let told = &report(Vec::new(), alone, false).json()["alone"];
    assert_eq!(told["errors"], 4);
    assert_eq!(told["error_reasons"], json!({ "introspect": { "no": 4 } }));
    let ratio = told["ratio_min"].as_f64().unwrap();
    assert!((1.9..2.1).contains(&ratio), "{told}");
    let median = told["introspect_p50_us"].as_f64().unwrap();
    assert!((39_000.0..41_000.0).contains(&median), "{told}");
}
