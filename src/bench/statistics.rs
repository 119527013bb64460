//! What was counted, and what it says.

use super::Trouble;
use hdrhistogram::Histogram;
use std::{collections::BTreeMap, time::Duration};

/// Nanoseconds of one unit of the histogram; its three digits are finer than that from
/// 100 µs on.
const UNIT_NS: u128 = 100;
/// Decimal digits that a latency keeps.
const DIGITS: u8 = 3;

/// What a caller does after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Calls again.
    Call,
    /// The same, a little later.
    Pause,
    /// Ends.
    End,
}

/// Calls, latencies and errors of some callers.
#[derive(Debug, Clone)]
pub struct Tally {
    latencies: Histogram<u64>,
    calls: u64,
    errors: BTreeMap<String, u64>,
    elapsed: Duration,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            latencies: Histogram::new(DIGITS).expect("three digits are allowed"),
            calls: 0,
            errors: BTreeMap::new(),
            elapsed: Duration::ZERO,
        }
    }
}

impl Tally {
    /// Counts a call, and the latency of one that did what it should.
    pub fn record(&mut self, outcome: Result<(), Trouble>, latency: Duration) -> Next {
        match outcome {
            Ok(()) => {
                self.calls += 1;
                self.latency(latency);
                Next::Call
            }
            // Refused at once or given up late, it says nothing of an answer's time.
            Err(Trouble::Failed(reason) | Trouble::Lost(reason)) => {
                self.broke(reason);
                Next::Pause
            }
            Err(Trouble::Exhausted) => Next::End,
        }
    }

    /// Counts a call that was due and never made; it waited at least so long.
    pub fn missed(&mut self, waited: Duration) {
        self.broke("not begun in time".to_owned());
        self.latency(waited);
    }

    /// Counts an error alone.
    pub fn broke(&mut self, reason: String) {
        *self.errors.entry(reason).or_default() += 1;
    }

    fn latency(&mut self, latency: Duration) {
        let units = u64::try_from(latency.as_nanos() / UNIT_NS).unwrap_or(u64::MAX);
        // Beyond 2^63 of them no run lasts.
        let _ = self.latencies.record(units.max(1));
    }

    /// The callers ran at the same time as each other, for so long.
    pub fn took(&mut self, elapsed: Duration) {
        self.elapsed += elapsed;
    }

    /// Adds what others counted, at the same time or another.
    pub fn add(&mut self, other: &Self) {
        // Both resize, so nothing is out of range.
        let _ = self.latencies.add(&other.latencies);
        self.calls += other.calls;
        self.elapsed += other.elapsed;
        for (reason, count) in &other.errors {
            *self.errors.entry(reason.clone()).or_default() += count;
        }
    }

    /// Calls that did what they should.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Calls that did not.
    pub fn errors(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The same by reason.
    pub fn reasons(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    /// For how long it was counted.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Good calls a second.
    #[expect(clippy::cast_precision_loss, reason = "no run has 2^53 calls")]
    pub fn per_second(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            self.calls as f64 / seconds
        } else {
            0.0
        }
    }

    /// The latency under which this part (0 to 1) of the good calls lies, and of those that were
    /// never made, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "no latency has 2^53 units")]
    pub fn quantile_us(&self, part: f64) -> f64 {
        self.latencies.value_at_quantile(part) as f64 * (UNIT_NS as f64 / 1000.0)
    }
}

/// A row over its baseline: the median of the rounds' ratios, and their range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The median of the rounds.
    pub median: f64,
    /// The lowest round.
    pub min: f64,
    /// The highest round.
    pub max: f64,
}

impl Ratio {
    /// Of the rounds in which both were counted: each round's own ratio, so that what
    /// drifts from round to round cancels.
    pub fn of(row: &[f64], baseline: &[f64]) -> Option<Self> {
        let mut rounds: Vec<f64> = row
            .iter()
            .zip(baseline)
            .filter(|(_, baseline)| **baseline > 0.0)
            .map(|(row, baseline)| row / baseline)
            .collect();
        rounds.sort_by(f64::total_cmp);
        Some(Self {
            median: median(&rounds)?,
            min: *rounds.first()?,
            max: *rounds.last()?,
        })
    }
}

/// The median of sorted values.
fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The median of values in any order.
pub fn median_of(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    median(&values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_the_median_of_the_rounds_and_not_of_their_means() {
        // The machine was half as fast in the second round: every ratio stays 0.5 or 0.8.
        let ratio = Ratio::of(&[50.0, 25.0, 80.0], &[100.0, 50.0, 100.0]).unwrap();
        let found = [ratio.median, ratio.min, ratio.max];
        assert_eq!(found.map(f64::to_bits), [0.5, 0.5, 0.8].map(f64::to_bits));
        let even = Ratio::of(&[1.0, 3.0], &[1.0, 1.0]).unwrap();
        assert_eq!(even.median.to_bits(), 2.0_f64.to_bits());
        assert_eq!(Ratio::of(&[1.0], &[0.0]), None);
        assert_eq!(Ratio::of(&[], &[]), None);
    }

    #[test]
    fn tallies_add_up() {
        let mut all = Tally::default();
        for millis in 1..=100 {
            let mut one = Tally::default();
            assert_eq!(
                one.record(Ok(()), Duration::from_millis(millis)),
                Next::Call
            );
            all.add(&one);
        }
        let end = all.record(Err(Trouble::Exhausted), Duration::ZERO);
        assert_eq!(end, Next::End);
        let failed = all.record(Err(Trouble::failed("x")), Duration::from_secs(1));
        assert_eq!(failed, Next::Pause);
        all.took(Duration::from_secs(2));
        assert_eq!((all.calls(), all.errors()), (100, 1));
        assert!((all.per_second() - 50.0).abs() < 1e-9);
        let p50 = all.quantile_us(0.5);
        assert!((49_900.0..50_200.0).contains(&p50), "{p50}");
    }

    #[test]
    fn no_failed_call_has_a_latency_but_one_that_was_never_made() {
        let mut tally = Tally::default();
        tally.record(Ok(()), Duration::from_millis(10));
        tally.record(Err(Trouble::failed("at once")), Duration::from_micros(1));
        tally.record(Err(Trouble::failed("late")), Duration::from_secs(5));
        assert_eq!((tally.calls(), tally.errors()), (1, 2));
        for part in [0.0, 0.5, 1.0] {
            let latency = tally.quantile_us(part);
            assert!((9_900.0..10_100.0).contains(&latency), "{latency}");
        }
        tally.missed(Duration::from_secs(5));
        assert!(tally.quantile_us(1.0) > 4_900_000.0);
    }
}
