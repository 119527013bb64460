//! What a run saw, counted, and its verdict.

use super::{
    checker::{Violation, ViolationKind},
    history::{Answer, Call, History, Operation},
};
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    time::Duration,
};

/// The figures of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// How long it took.
    pub elapsed: Duration,
    /// Users that were tried.
    pub users: u64,
    /// Sessions that were opened.
    pub sessions: u64,
    /// Calls.
    pub operations: u64,
    /// How often each call had each outcome.
    pub outcomes: BTreeMap<(&'static str, String), u64>,
    /// How often each promise was broken.
    pub violations: BTreeMap<ViolationKind, u64>,
    /// The first broken promise, with its history.
    pub first: Option<String>,
}

impl Report {
    /// Adds a user's history and what the checker found in it.
    pub(super) fn add(&mut self, history: &History, found: &[Violation]) {
        self.users += 1;
        self.sessions += history.sessions.len() as u64;
        self.operations += history.operations.len() as u64;
        for operation in &history.operations {
            let key = (name(operation.call), outcome(operation));
            *self.outcomes.entry(key).or_default() += 1;
        }
        for violation in found {
            *self.violations.entry(violation.kind).or_default() += 1;
        }
        if let (None, Some(violation)) = (&self.first, found.first()) {
            self.first = Some(violation.explain(history));
        }
    }

    /// Whether every promise was kept.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// How often a call had an outcome.
    pub fn count(&self, call: &'static str, outcome: &str) -> u64 {
        let key = (call, outcome.to_owned());
        self.outcomes.get(&key).copied().unwrap_or_default()
    }
}

/// The call's name in figures: the method's, and its target where it has several.
fn name(call: Call) -> &'static str {
    match call {
        Call::Open { .. } => "IssueToken with a session",
        Call::Issue { user: true } => "IssueToken for a user",
        Call::Issue { user: false } => "IssueToken for itself",
        Call::Rotate(_) => "RotateRefresh",
        Call::Introspect(_) => "Introspect",
        Call::RevokeSession(_) => "RevokeSession by id",
        Call::RevokeByToken(_) => "RevokeSession by token",
        Call::RevokeUser { except: None } => "RevokeSession by user",
        Call::RevokeUser { except: Some(_) } => "RevokeSession by user but one",
        Call::RevokeToken(_) => "RevokeToken",
        Call::ListSessions => "ListSessions",
        Call::DisableUser => "DisableUser",
        Call::EnableUser => "EnableUser",
        Call::DisableClient => "DisableClient",
    }
}

fn outcome(operation: &Operation) -> String {
    match &operation.answer {
        Answer::Opened { .. } | Answer::Issued { .. } => "issued".to_owned(),
        Answer::Rotated { replayed: true, .. } => "REPLAYED".to_owned(),
        Answer::Rotated {
            replayed: false, ..
        } => "ROTATED".to_owned(),
        Answer::Active => "active".to_owned(),
        Answer::Inactive => "inactive".to_owned(),
        Answer::Revoked(0) => "none ended".to_owned(),
        Answer::Revoked(_) => "ended".to_owned(),
        Answer::Done => "done".to_owned(),
        Answer::Listed(_) => "listed".to_owned(),
        Answer::Refused(reason) => format!("refused {reason}"),
        Answer::Lost(why) => format!("no answer: {why}"),
        Answer::Defect(what) => format!("DEFECT: {what}"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = String::new();
        let mut last = "";
        for ((call, outcome), count) in &self.outcomes {
            let shown = if *call == last { "" } else { call };
            last = call;
            writeln!(table, "{shown:<30}  {outcome:<36}  {count:>9}")?;
        }
        writeln!(
            f,
            "{} calls, {} users, {} sessions, {:.1} s\n{table}",
            self.operations,
            self.users,
            self.sessions,
            self.elapsed.as_secs_f64(),
        )?;
        if let Some(first) = &self.first {
            writeln!(f, "{first}")?;
        }
        if self.is_clean() {
            return writeln!(f, "verdict: every promise was kept");
        }
        writeln!(f, "verdict: BROKEN")?;
        for (kind, count) in &self.violations {
            writeln!(f, "  {count} times: {kind}")?;
        }
        Ok(())
    }
}
