//! Runs the rows, round by round, and looks at everybody's processes meanwhile.

use super::{field::Field, instance::Instance, prepared::Lease, progress::Progress};
use crate::{
    bench::{
        Crew, Load, Stop, Tally, process,
        report::{Alone, Point, Round, RowReport},
        rows::{self, By, Row},
    },
    cli::{exit::Exit, failure::Failure},
};
use std::{process::id, time::Duration};

/// How long sessions that are to be revoked may take to open.
const OPENING_LIMIT: Duration = Duration::from_mins(2);
/// Revocations a second that are prepared for, until one was seen.
const REVOCATIONS: f64 = 4000.0;
/// The rows that one caller runs alone.
const ALONE: [&str; 4] = ["echo", "pg-select", "pg-read", "introspect"];
/// Loads of the plot, in parts of what the closed loop reached.
const LOADS: [f64; 8] = [0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0];
/// The rows that are plotted where they ran.
pub(super) const PLOTTED: [&str; 4] = ["echo", "introspect", "issue", "rotate"];

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    /// Rounds.
    pub(super) rounds: u32,
    /// The time of one row in one round.
    pub(super) time: Duration,
    /// The time of one row before the first round.
    pub(super) warm_up: Duration,
    /// Calls a second that are due; none: closed loop.
    pub(super) rate: Option<f64>,
    /// A checkpoint before each row, where we may.
    pub(super) checkpoints: bool,
}

impl Plan {
    fn load(&self) -> Load {
        match self.rate {
            Some(rate) => Load::Open {
                rate,
                time: self.time,
            },
            None => Load::Closed(self.time),
        }
    }
}

/// Everything that runs.
pub(super) struct Engine<'a> {
    pub(super) plan: Plan,
    pub(super) field: &'a Field,
    pub(super) instance: Option<&'a Instance>,
    /// What keeps the tokens that are asked about alive; none where they live long enough.
    pub(super) lease: Option<&'a Lease<'a>>,
    pub(super) echo_pid: Option<u32>,
    pub(super) progress: &'a Progress,
    pub(super) stop: Stop,
}

impl Engine<'_> {
    /// All rounds of all rows. A row whose callers cannot be had is not there.
    pub(super) async fn rounds(&self, rows: &[&'static Row]) -> Result<Vec<RowReport>, Failure> {
        let mut crews = Vec::new();
        for row in rows {
            if let Some(crew) = self.field.crew(row.name, self.field.concurrency) {
                crews.push((RowReport::new(row), crew));
            }
        }
        let turns = u64::from(self.plan.rounds) + 1;
        self.progress
            .begins("warming up", turns * crews.len() as u64);
        for (report, crew) in &mut crews {
            self.progress
                .says(format!("warming up: {}", report.row.name));
            let time = self.plan.warm_up;
            self.run(report.row, crew.as_mut(), Load::Closed(time), None)
                .await?;
            self.progress.adds(1);
        }
        for round in 1..=self.plan.rounds {
            for (report, crew) in &mut crews {
                let name = report.row.name;
                self.progress
                    .says(format!("round {round} of {}: {name}", self.plan.rounds));
                let seen = report.rounds.last().map(|round| round.tally.per_second());
                let round = self
                    .run(report.row, crew.as_mut(), self.plan.load(), seen)
                    .await?;
                report.rounds.push(round);
                self.progress.adds(1);
            }
        }
        self.without_images(&mut crews).await?;
        Ok(crews.into_iter().map(|(report, _)| report).collect())
    }

    /// The rows that write once more, without full-page images: only where the whole
    /// PostgreSQL is ours.
    async fn without_images(
        &self,
        crews: &mut [(RowReport, Box<dyn Crew>)],
    ) -> Result<(), Failure> {
        let Some(instance) = self.instance.filter(|instance| instance.ours) else {
            return Ok(());
        };
        instance.observer.full_page_writes(false).await?;
        for (report, crew) in crews {
            if report.wal().is_none_or(|bytes| bytes < 1.0) {
                continue;
            }
            let name = report.row.name;
            self.progress
                .says(format!("without full-page images: {name}"));
            let seen = report.rounds.last().map(|round| round.tally.per_second());
            let load = Load::Closed(self.plan.time);
            let round = self.run(report.row, crew.as_mut(), load, seen).await?;
            report.without_images = Some(round);
        }
        Ok(instance.observer.full_page_writes(true).await?)
    }

    /// One caller alone, in rounds as well.
    pub(super) async fn alone(&self) -> Result<Option<Alone>, Failure> {
        let mut crews = Vec::new();
        for row in ALONE.iter().filter_map(|name| rows::find(name)) {
            if let Some(crew) = self.field.crew(row.name, 1) {
                crews.push((RowReport::new(row), crew));
            }
        }
        let turns = u64::from(self.plan.rounds) * crews.len() as u64;
        self.progress.begins("one caller alone", turns);
        for _ in 0..self.plan.rounds {
            for (report, crew) in &mut crews {
                let load = Load::Closed(self.plan.time);
                let round = self.run(report.row, crew.as_mut(), load, None).await?;
                report.rounds.push(round);
                self.progress.adds(1);
            }
        }
        let rows = crews.into_iter().map(|(report, _)| report).collect();
        Ok(Some(Alone { rows }))
    }

    /// Latencies of the plotted rows at fixed rates, up to what each reached closed.
    pub(super) async fn sweep(&self, reports: &[RowReport]) -> Result<Vec<Point>, Failure> {
        let mut points = Vec::new();
        let plotted = reports
            .iter()
            .filter(|report| PLOTTED.contains(&report.row.name));
        self.progress
            .begins("latency against load", (LOADS.len() * PLOTTED.len()) as u64);
        for report in plotted {
            let name = report.row.name;
            // More callers than calls are due at once, so that none waits for a caller.
            let callers = self.field.concurrency * 4;
            let parts = self.field.sessions.as_ref().map(|own| own.families.parts());
            let callers = if name == "rotate" {
                parts.unwrap_or(callers)
            } else {
                callers
            };
            let Some(mut crew) = self.field.crew(name, callers) else {
                continue;
            };
            for part in LOADS {
                let rate = (report.per_second() * part).max(1.0);
                self.progress
                    .says(format!("latency against load: {name} at {rate:.0}/s"));
                let time = self.plan.time;
                let load = Load::Open { rate, time };
                let round = self.run(report.row, crew.as_mut(), load, None).await?;
                let tally = round.tally;
                points.push(Point { name, rate, tally });
                self.progress.adds(1);
            }
        }
        Ok(points)
    }

    /// One row once. `seen`: how many calls a second it reached before.
    async fn run(
        &self,
        row: &'static Row,
        crew: &mut dyn Crew,
        load: Load,
        seen: Option<f64>,
    ) -> Result<Round, Failure> {
        if row.name.ends_with("revoke") {
            self.prepare_revocations(load, seen).await?;
        }
        if let Some(lease) = self.lease {
            lease.lasts(load.time()).await?;
        }
        if let Some(instance) = self.instance
            && instance.ours
            && self.plan.checkpoints
        {
            instance.observer.checkpoint().await?;
        }
        let answering = match row.by {
            By::Echo => self.echo_pid,
            By::Database => None,
            By::Authority | By::Checks | By::Sessions => {
                self.instance.and_then(|on| on.serve.pid())
            }
        };
        if let Some(pid) = answering {
            process::forget_peak(pid);
        }
        let before = self.look(answering).await?;
        let tally = crew.run(load, &self.stop).await;
        if self.stop.asked() {
            return Err(interrupted());
        }
        let after = self.look(answering).await?;
        let spent = |of: fn(&Look) -> Option<Duration>| of(&after)?.checked_sub(of(&before)?);
        Ok(Round {
            tally,
            server_cpu: spent(|look| look.server),
            postgres_cpu: spent(|look| look.postgres),
            own_cpu: spent(|look| look.own),
            peak_bytes: answering.and_then(process::peak),
            wal_bytes: after
                .wal
                .zip(before.wal)
                .map(|(after, before)| after - before),
        })
    }

    async fn look(&self, answering: Option<u32>) -> Result<Look, Failure> {
        let wal = match self.instance {
            Some(instance) => Some(instance.observer.wal_bytes().await?),
            None => None,
        };
        let postgres = self.instance.and_then(Instance::postgres_pid);
        Ok(Look {
            server: answering.and_then(process::cpu),
            postgres: postgres.and_then(process::cpu_of_children),
            own: process::cpu(id()),
            wal,
        })
    }

    /// Opens what will be revoked, before the row's time begins.
    async fn prepare_revocations(&self, load: Load, seen: Option<f64>) -> Result<(), Failure> {
        let wanted = match load {
            Load::Closed(time) => seen.unwrap_or(REVOCATIONS) * 1.5 * time.as_secs_f64(),
            Load::Open { rate, time } => rate * time.as_secs_f64(),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of sessions"
        )]
        let wanted = wanted as usize + self.field.concurrency;
        if let Some(mut crew) = self.field.openers(wanted) {
            let opened: Tally = crew.run(Load::Closed(OPENING_LIMIT), &self.stop).await;
            let sessions = self.field.sessions.as_ref();
            let enough = sessions.is_some_and(|own| own.opened.count() >= wanted);
            // What failed on the way, as where a connection ended, was made up for.
            if !enough && let Some((reason, _)) = opened.reasons().first_key_value() {
                let message = format!("sessions cannot be opened: {reason}");
                return Err(Failure::new(Exit::Refused, message));
            }
        }
        Ok(())
    }
}

/// Why a run has no report.
pub(super) fn interrupted() -> Failure {
    Failure::new(Exit::Refused, "interrupted")
}

/// What everybody has used so far.
struct Look {
    server: Option<Duration>,
    postgres: Option<Duration>,
    own: Option<Duration>,
    wal: Option<u64>,
}
