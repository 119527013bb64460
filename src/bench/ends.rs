//! The callers that end what a run has made on a server that runs already.

use super::{
    Caller, Callers, Crew as _, Load, Stop, Trouble,
    callers::path,
    wire::{Line, Wire},
};
use crate::{driver::Streams, proto::v1};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use uuid::Uuid;

/// How often each is tried.
const ATTEMPTS: u32 = 2;
/// Before the second time: what is busy or away may be back by then.
const PAUSE: Duration = Duration::from_secs(1);
/// How long all of it may take.
const LIMIT: Duration = Duration::from_mins(10);

/// What is to be ended.
pub enum Thing {
    /// By its id.
    Session(Uuid),
    /// A token.
    Token(String),
}

/// What could not be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRevoked {
    /// So many sessions.
    pub sessions: usize,
    /// So many tokens.
    pub tokens: usize,
    /// One of the reasons.
    pub why: String,
}

impl fmt::Display for NotRevoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sessions,
            tokens,
            why,
        } = self;
        match (sessions, tokens) {
            (sessions, 0) => write!(f, "{sessions} sessions could not be revoked: {why}"),
            (0, tokens) => write!(f, "{tokens} tokens could not be revoked: {why}"),
            _ => write!(
                f,
                "{sessions} sessions and {tokens} tokens could not be revoked: {why}"
            ),
        }
    }
}

/// Ends them all, by so many callers at once, and waits for each answer for so long. What fails
/// keeps nobody from the rest, and is tried once more. Some: what is left.
pub async fn end(
    wire: &Wire,
    callers: usize,
    things: Vec<Thing>,
    limit: Duration,
) -> Option<NotRevoked> {
    let work = Work::default();
    *lock(&work.todo) = things;
    let mut why = String::new();
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
            let failed = std::mem::take(&mut *lock(&work.failed));
            lock(&work.todo).extend(failed);
        }
        // Who says nothing to one of them will say nothing to the next.
        let silent = Stop::default();
        let one = |caller| Ends {
            session: wire.line(caller, path::REVOKE),
            token: wire.line(caller, path::REVOKE_TOKEN),
            work: work.clone(),
            silent: silent.clone(),
            limit,
        };
        let mut crew = Callers((0..callers).map(one).collect());
        let tally = crew.run(Load::Closed(LIMIT), &silent).await;
        if let Some((reason, _)) = tally.reasons().first_key_value() {
            why.clone_from(reason);
        }
        if work.is_done() {
            return None;
        }
    }
    let (todo, failed) = (lock(&work.todo), lock(&work.failed));
    let left = todo.iter().chain(&*failed);
    let sessions = left.filter(|thing| matches!(thing, Thing::Session(_)));
    let sessions = sessions.count();
    Some(NotRevoked {
        sessions,
        tokens: todo.len() + failed.len() - sessions,
        why,
    })
}

#[derive(Clone, Default)]
struct Work {
    todo: Arc<Mutex<Vec<Thing>>>,
    failed: Arc<Mutex<Vec<Thing>>>,
}

impl Work {
    fn is_done(&self) -> bool {
        lock(&self.todo).is_empty() && lock(&self.failed).is_empty()
    }
}

fn lock(of: &Mutex<Vec<Thing>>) -> MutexGuard<'_, Vec<Thing>> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Ends {
    session: Line,
    token: Line,
    work: Work,
    silent: Stop,
    limit: Duration,
}

impl Ends {
    /// What is gone already is as good: the answer's count is not looked at.
    async fn end(&mut self, thing: &Thing) -> Result<(), Trouble> {
        match thing {
            Thing::Session(id) => {
                let target = v1::revoke_session_request::Target::SessionId(id.to_string());
                let request = v1::RevokeSessionRequest {
                    target: Some(target),
                };
                let answer: Result<v1::RevokeSessionResponse, _> =
                    self.session.call(&request).await;
                answer.map(drop)
            }
            Thing::Token(token) => {
                let request = v1::RevokeTokenRequest {
                    token: token.clone(),
                    ..v1::RevokeTokenRequest::default()
                };
                let answer: Result<v1::RevokeTokenResponse, _> = self.token.call(&request).await;
                answer.map(drop)
            }
        }
    }
}

impl Caller for Ends {
    async fn call(&mut self) -> Result<(), Trouble> {
        let next = lock(&self.work.todo).pop();
        let thing = next.ok_or(Trouble::Exhausted)?;
        let limit = self.limit;
        let ended = tokio::time::timeout(limit, self.end(&thing)).await;
        let ended = ended.unwrap_or_else(|_| {
            self.silent.ask();
            Err(Trouble::failed("no answer in time"))
        });
        if ended.is_err() {
            lock(&self.work.failed).push(thing);
        }
        ended
    }

    fn task(&self) -> Option<Streams> {
        Some(self.session.task())
    }
}

#[cfg(test)]
mod tests;
