//! What a run found, row by row, and as JSON.

use super::{
    ends::NotRevoked,
    rows::Row,
    statistics::{Ratio, Tally, median_of},
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// What was seen while a row ran once.
#[derive(Debug, Clone)]
pub struct Round {
    /// Its calls.
    pub tally: Tally,
    /// Processor time of whoever answered over gRPC.
    pub server_cpu: Option<Duration>,
    /// Processor time of the private PostgreSQL.
    pub postgres_cpu: Option<Duration>,
    /// Processor time of the load generator.
    pub own_cpu: Option<Duration>,
    /// The most memory that whoever answered held.
    pub peak_bytes: Option<u64>,
    /// WAL that the database wrote.
    pub wal_bytes: Option<u64>,
}

/// All rounds of one row.
#[derive(Debug, Clone)]
pub struct RowReport {
    /// Which row.
    pub row: &'static Row,
    /// Its rounds, in order.
    pub rounds: Vec<Round>,
    /// One more round whose WAL has no full-page images; not in any other figure.
    pub without_images: Option<Round>,
}

impl RowReport {
    /// A row that has not run yet.
    pub fn new(row: &'static Row) -> Self {
        Self {
            row,
            rounds: Vec::new(),
            without_images: None,
        }
    }

    /// The calls of all rounds.
    pub fn tally(&self) -> Tally {
        let mut all = Tally::default();
        for round in &self.rounds {
            all.add(&round.tally);
        }
        all
    }

    fn rates(&self) -> Vec<f64> {
        let rounds = self.rounds.iter();
        rounds.map(|round| round.tally.per_second()).collect()
    }

    /// Good calls a second: the median of the rounds.
    pub fn per_second(&self) -> f64 {
        median_of(self.rates()).unwrap_or_default()
    }

    /// Microseconds of processor time a call.
    pub fn cpu_us(&self, of: impl Fn(&Round) -> Option<Duration>) -> Option<f64> {
        let mut total = Duration::ZERO;
        for round in &self.rounds {
            total += of(round)?;
        }
        per_call(total.as_secs_f64() * 1e6, &self.tally())
    }

    /// Bytes of WAL a call.
    pub fn wal(&self) -> Option<f64> {
        let bytes: Option<u64> = self.rounds.iter().map(|round| round.wal_bytes).sum();
        per_call(precise(bytes?), &self.tally())
    }

    /// The same where no page's image is written.
    pub fn wal_without_images(&self) -> Option<f64> {
        let round = self.without_images.as_ref()?;
        per_call(precise(round.wal_bytes?), &round.tally)
    }

    /// The most memory of whoever answered.
    pub fn peak_bytes(&self) -> Option<u64> {
        self.rounds
            .iter()
            .filter_map(|round| round.peak_bytes)
            .max()
    }

    /// Its calls over another's, round by round.
    pub fn over(&self, baseline: &Self) -> Option<Ratio> {
        Ratio::of(&self.rates(), &baseline.rates())
    }

    fn json(&self, ratios: &[(&'static str, Ratio)]) -> Value {
        let tally = self.tally();
        let main = ratios.first().map(|(_, ratio)| ratio);
        let wal = self.wal();
        let bare = self.wal_without_images();
        let rounds: Vec<_> = self.rounds.iter().map(round_json).collect();
        let ratios: Map<String, Value> = ratios
            .iter()
            .map(|(name, ratio)| ((*name).to_owned(), ratio_json(ratio)))
            .collect();
        json!({
            "name": self.row.name,
            "what": self.row.what,
            "per_second": rounded(self.per_second()),
            "p50_us": rounded(tally.quantile_us(0.5)),
            "p90_us": rounded(tally.quantile_us(0.9)),
            "p99_us": rounded(tally.quantile_us(0.99)),
            "p999_us": rounded(tally.quantile_us(0.999)),
            "max_us": rounded(tally.quantile_us(1.0)),
            "calls": tally.calls(),
            "errors": tally.errors(),
            "error_reasons": tally.reasons(),
            "baseline": self.row.baselines.first(),
            "ratio": main.map(|ratio| rounded(ratio.median)),
            "ratio_min": main.map(|ratio| rounded(ratio.min)),
            "ratio_max": main.map(|ratio| rounded(ratio.max)),
            "ratios": ratios,
            "server_cpu_us_per_call": self.cpu_us(|round| round.server_cpu).map(rounded),
            "postgres_cpu_us_per_call": self.cpu_us(|round| round.postgres_cpu).map(rounded),
            "generator_cpu_us_per_call": self.cpu_us(|round| round.own_cpu).map(rounded),
            "rss_peak_bytes": self.peak_bytes(),
            "wal_bytes_per_call": wal.map(rounded),
            "wal_bytes_per_call_without_full_page_images": bare.map(rounded),
            "wal_fpi_bytes_per_call": wal.zip(bare).map(|(all, bare)| rounded((all - bare).max(0.0))),
            "rounds": rounds,
        })
    }

    /// Its ratios, the main one first; none to a baseline that did not run.
    fn ratios(&self, all: &[Self]) -> Vec<(&'static str, Ratio)> {
        let of = |name: &&'static str| {
            let baseline = all.iter().find(|other| other.row.name == *name)?;
            Some((*name, self.over(baseline)?))
        };
        self.row.baselines.iter().filter_map(of).collect()
    }
}

fn round_json(round: &Round) -> Value {
    json!({
        "per_second": rounded(round.tally.per_second()),
        "p50_us": rounded(round.tally.quantile_us(0.5)),
        "p99_us": rounded(round.tally.quantile_us(0.99)),
        "errors": round.tally.errors(),
    })
}

fn ratio_json(ratio: &Ratio) -> Value {
    json!({
        "ratio": rounded(ratio.median),
        "min": rounded(ratio.min),
        "max": rounded(ratio.max),
    })
}

/// What was seen of the server's process.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// From its start until it said that it is ready.
    pub ready: Duration,
    /// Memory before the first call.
    pub rss_idle_bytes: Option<u64>,
}

/// One caller alone.
#[derive(Debug, Clone)]
pub struct Alone {
    /// The rows that ran, each with its rounds at concurrency 1.
    pub rows: Vec<RowReport>,
}

impl Alone {
    /// The row's median latency, in microseconds: the median of its rounds.
    pub fn p50_us(&self, name: &str) -> Option<f64> {
        median_of(
            self.medians(name)?
                .into_iter()
                .filter(|median| *median > 0.0),
        )
    }

    /// Introspect's median latency over those of a lookup and echo together.
    pub fn ratio(&self, lookup: &str) -> Option<Ratio> {
        let (lookup, echo) = (self.medians(lookup)?, self.medians("echo")?);
        let introspect = self.medians("introspect")?;
        let rounds = introspect.iter().zip(lookup.iter().zip(&echo));
        // Where no call of one of them succeeded, there is nothing to compare.
        let (own, both): (Vec<_>, Vec<_>) = rounds
            .filter(|&(own, (lookup, echo))| *own > 0.0 && *lookup > 0.0 && *echo > 0.0)
            .map(|(own, (lookup, echo))| (own, lookup + echo))
            .unzip();
        Ratio::of(&own, &both)
    }

    /// Of each round; 0: none of its calls did what it should.
    fn medians(&self, name: &str) -> Option<Vec<f64>> {
        let row = self.rows.iter().find(|row| row.row.name == name)?;
        let rounds = row.rounds.iter();
        Some(rounds.map(|round| round.tally.quantile_us(0.5)).collect())
    }

    /// Calls that failed, of all rows.
    pub fn errors(&self) -> u64 {
        self.rows.iter().map(|row| row.tally().errors()).sum()
    }

    fn json(&self) -> Value {
        let p50 = |name: &str| self.p50_us(name).map(rounded);
        let (ratio, of_read) = (self.ratio("pg-select"), self.ratio("pg-read"));
        let failed = self.rows.iter().map(|row| (row.row.name, row.tally()));
        let reasons: Map<String, Value> = failed
            .filter(|(_, tally)| tally.errors() > 0)
            .map(|(name, tally)| (name.to_owned(), json!(tally.reasons())))
            .collect();
        json!({
            "echo_p50_us": p50("echo"),
            "pg_select_p50_us": p50("pg-select"),
            "pg_read_p50_us": p50("pg-read"),
            "introspect_p50_us": p50("introspect"),
            "ratio": ratio.map(|ratio| rounded(ratio.median)),
            "ratio_min": ratio.map(|ratio| rounded(ratio.min)),
            "ratio_max": ratio.map(|ratio| rounded(ratio.max)),
            "ratio_of_read": of_read.map(|ratio| rounded(ratio.median)),
            "ratio_of_read_min": of_read.map(|ratio| rounded(ratio.min)),
            "ratio_of_read_max": of_read.map(|ratio| rounded(ratio.max)),
            "errors": self.errors(),
            "error_reasons": reasons,
        })
    }
}

/// One point of the plot: a row at a fixed rate.
#[derive(Debug, Clone)]
pub struct Point {
    /// The row.
    pub name: &'static str,
    /// Calls a second that were due.
    pub rate: f64,
    /// What came of it.
    pub tally: Tally,
}

/// Latencies through Envoy at a fixed rate.
#[derive(Debug, Clone)]
pub struct Through {
    /// `envoy`: no check; `envoy-nothing`: a check that always says yes; `envoy-check`: ours.
    pub name: &'static str,
    /// Calls a second that were due: half of what Envoy with our check reached.
    pub rate: f64,
    /// What came of it.
    pub tally: Tally,
}

/// All of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// What the figures hold for: the machine, the database, the load.
    pub facts: Vec<(&'static str, Value)>,
    /// The rows that ran.
    pub rows: Vec<RowReport>,
    /// The rows that did not, and why.
    pub left_out: Vec<(&'static str, String)>,
    /// The server's process, where it is ours.
    pub server: Option<Server>,
    /// One caller alone.
    pub alone: Option<Alone>,
    /// Latency against load.
    pub points: Vec<Point>,
    /// Through Envoy, if one was given.
    pub through: Vec<Through>,
    /// Whether calls were due at a fixed rate.
    pub open_loop: bool,
    /// What could not be revoked of what the run had made at a target.
    pub not_revoked: Option<NotRevoked>,
}

impl Report {
    /// A row's ratios, the main one first. None in the open loop: there each row makes the calls
    /// that are due, and their number says nothing of what it could do.
    pub fn ratios(&self, row: &RowReport) -> Vec<(&'static str, Ratio)> {
        if self.open_loop {
            return Vec::new();
        }
        row.ratios(&self.rows)
    }

    /// The most memory that the server held in any row.
    pub fn rss_peak_bytes(&self) -> Option<u64> {
        let rows = self.rows.iter();
        rows.filter(|row| row.row.name != "echo")
            .filter_map(RowReport::peak_bytes)
            .max()
    }

    /// All of it.
    pub fn json(&self) -> Value {
        let facts: Map<String, Value> = self
            .facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let rows = self.rows.iter();
        let results: Vec<_> = rows.map(|row| row.json(&self.ratios(row))).collect();
        let left_out: Vec<_> = self
            .left_out
            .iter()
            .map(|(name, why)| json!({ "name": name, "why": why }))
            .collect();
        let server = self.server.as_ref().map(|server| {
            json!({
                "ready_ms": rounded(server.ready.as_secs_f64() * 1e3),
                "rss_idle_bytes": server.rss_idle_bytes,
                "rss_peak_bytes": self.rss_peak_bytes(),
            })
        });
        let through: Vec<_> = self
            .through
            .iter()
            .map(|one| {
                json!({
                    "name": one.name,
                    "per_second": one.rate,
                    "p50_us": one.tally.quantile_us(0.5),
                    "p90_us": one.tally.quantile_us(0.9),
                    "p99_us": one.tally.quantile_us(0.99),
                    "errors": one.tally.errors(),
                })
            })
            .collect();
        let points: Vec<_> = self
            .points
            .iter()
            .map(|point| {
                json!({
                    "name": point.name,
                    "rate": point.rate,
                    "per_second": rounded(point.tally.per_second()),
                    "p50_us": rounded(point.tally.quantile_us(0.5)),
                    "p99_us": rounded(point.tally.quantile_us(0.99)),
                    "errors": point.tally.errors(),
                })
            })
            .collect();
        let not_revoked = self.not_revoked.as_ref().map(
            |left| json!({ "sessions": left.sessions, "tokens": left.tokens, "why": left.why }),
        );
        json!({
            "facts": facts,
            "results": results,
            "left_out": left_out,
            "server": server,
            "alone": self.alone.as_ref().map(Alone::json),
            "latency_against_load": points,
            "through_envoy": through,
            "not_revoked": not_revoked,
        })
    }
}

fn per_call(total: f64, tally: &Tally) -> Option<f64> {
    // Failed calls cost as well.
    let calls = tally.calls() + tally.errors();
    (calls > 0).then(|| total / precise(calls))
}

#[expect(clippy::cast_precision_loss, reason = "no count here reaches 2^53")]
fn precise(count: u64) -> f64 {
    count as f64
}

/// Four digits after the point are more than was measured.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests;
