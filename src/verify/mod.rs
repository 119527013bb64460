//! The proof: many callers at once, a history of what each saw, and a checker that
//! searches it for a broken promise.
//!
//! It knows nothing of the server but the proto, so it proves a deployment as well as a
//! test. What it promises to find is listed at [`ViolationKind`].
//!
//! A run tries users, many side by side, each for some hundred calls of a few callers
//! that meet at the same sessions, over every server that it is given. Each user's
//! history is checked and then forgotten, so a run may last.

mod book;
mod calls;
pub mod checker;
mod crew;
pub mod history;
mod report;
mod trial;

pub use calls::{Authorization, Unanswered};
pub use checker::{Violation, ViolationKind, check};
pub use report::Report;

use crew::Crew;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tonic::transport::Channel;
use trial::Trial;

/// Callers of one user.
const CALLERS: usize = 4;

/// What to try, and for how long.
pub struct Plan {
    /// A channel to every server; they share one database. At least one.
    pub servers: Vec<Channel>,
    /// An admin's credentials.
    pub admin: Authorization,
    /// Callers at once.
    pub concurrency: usize,
    /// No user begins after this time, nor after so many calls.
    pub duration: Duration,
    /// No user begins after so many calls.
    pub operations: u64,
    /// The deadline of a call.
    pub timeout: Duration,
    /// How long a caller repeats a call whose answer was lost.
    pub patience: Duration,
    /// The grace window of the patient client; at least three times the server's own
    /// deadline of `RotateRefresh`.
    pub grace: Duration,
    /// How long a call without an answer may at most go on in the server.
    pub settle: Duration,
}

/// How far a run is, for whoever watches.
#[derive(Debug, Default)]
pub struct Progress {
    operations: AtomicU64,
    stopped: AtomicBool,
}

impl Progress {
    /// The calls of the users that were tried.
    pub fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// No further user begins.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn is_over(&self, plan: &Plan, started: Instant) -> bool {
        self.stopped.load(Ordering::Relaxed)
            || self.operations() >= plan.operations
            || started.elapsed() >= plan.duration
    }
}

/// Tries users until the plan is fulfilled or a promise is broken.
///
/// # Errors
/// The clients of the run could not be registered, or not disabled at its end.
pub async fn run(plan: Plan, progress: Arc<Progress>) -> Result<Report, Unanswered> {
    let started = Instant::now();
    let crew = Crew::register(
        plan.servers.clone(),
        plan.admin.clone(),
        plan.timeout,
        plan.patience,
        plan.grace,
    )
    .await?;
    let crew = Arc::new(crew);
    let report = Arc::new(Mutex::new(Report::default()));
    let plan = Arc::new(plan);
    let lanes: Vec<_> = (0..plan.concurrency.div_ceil(CALLERS))
        .map(|_| {
            let lane = Lane {
                crew: Arc::clone(&crew),
                plan: Arc::clone(&plan),
                progress: Arc::clone(&progress),
                report: Arc::clone(&report),
                started,
            };
            tokio::spawn(lane.run())
        })
        .collect();
    let mut over = Ok(());
    for lane in lanes {
        let panicked = |_| Unanswered::Defect("a caller panicked".to_owned());
        let ended = lane.await.map_err(panicked).and_then(|ended| ended);
        if ended.is_err() {
            progress.stop();
        }
        over = over.and(ended);
    }
    // Whatever happened: nothing of the run stays enabled.
    let dismissed = crew.dismiss().await;
    over.and(dismissed)?;
    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
    let mut report = std::mem::take(&mut *report);
    report.elapsed = started.elapsed();
    Ok(report)
}

/// One user after the other.
struct Lane {
    crew: Arc<Crew>,
    plan: Arc<Plan>,
    progress: Arc<Progress>,
    report: Arc<Mutex<Report>>,
    started: Instant,
}

impl Lane {
    async fn run(self) -> Result<(), Unanswered> {
        while !self.progress.is_over(&self.plan, self.started) {
            let crew = Arc::clone(&self.crew);
            let history = Trial::run(crew, CALLERS, self.plan.settle, self.started).await?;
            let found = check(&history);
            let calls = history.operations.len() as u64;
            self.progress.operations.fetch_add(calls, Ordering::Relaxed);
            let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
            report.add(&history, &found);
            if !found.is_empty() {
                self.progress.stop();
            }
        }
        Ok(())
    }
}
