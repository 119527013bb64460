//! The rules across settings.

mod callers;
mod dpop;
mod sidecar;

use super::{error::Problem, text::duration_text, value::Values};
use crate::domain::limits;

/// Checks the rules whose settings all have a value.
pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) {
    problems.extend(
        [grace_covers_deadline(values), idle_within_ttl(values)]
            .into_iter()
            .flatten(),
    );
    problems.extend(callers::check(values));
    problems.extend(dpop::check(values));
    problems.extend(sidecar::check(values));
}

/// A caller whose rotation timed out must be able to repeat it within the grace.
fn grace_covers_deadline(values: &Values) -> Option<Problem> {
    let (grace, origin) = values.duration("rotation.grace")?;
    let (deadline, deadline_origin) = values.duration("rotation.deadline")?;
    let times = limits::GRACE_DEADLINES;
    (!limits::grace_covers(grace, deadline)).then(|| Problem {
        key: "rotation.grace".to_owned(),
        origin: origin.clone(),
        wrong: format!(
            "{} is above zero but less than {times} times rotation.deadline, {} ({deadline_origin})",
            duration_text(grace),
            duration_text(deadline),
        ),
        accepted: Some(format!("0s, or {} and more", duration_text(deadline * times))),
    })
}

fn idle_within_ttl(values: &Values) -> Option<Problem> {
    let (idle, origin) = values.duration("sessions.idle_timeout")?;
    let (ttl, ttl_origin) = values.duration("sessions.ttl")?;
    (idle > ttl).then(|| Problem {
        key: "sessions.idle_timeout".to_owned(),
        origin: origin.clone(),
        wrong: format!(
            "{} is more than sessions.ttl, {} ({ttl_origin})",
            duration_text(idle),
            duration_text(ttl),
        ),
        accepted: Some(format!("at most {}", duration_text(ttl))),
    })
}
