//! Races by name, on two servers over one database.
//!
//! `COUNTERSIGN_TEST_LONG=1` makes each of them ten times as long.

mod batches;
mod disabling;
mod introspecting;
mod opening;
mod ops;
mod overlapping;
mod pairs;
mod revoking;
mod rotating;
mod stopping;
mod worker;

use crate::support::server::{Caller, Deployment, settings};
use countersign::proto::v1::{self, Role, UserSessions, revoke_session_request::Target};

/// Settings for a machine that is busy with other tests: what races is right or wrong, not
/// fast or slow.
pub const PATIENT: [(&str, &str); 7] = [
    ("COUNTERSIGN_BATCH_MAX_WAIT", "20s"),
    ("COUNTERSIGN_DATABASE_PROBE_TIMEOUT", "20s"),
    ("COUNTERSIGN_DATABASE_LOCK_TIMEOUT", "20s"),
    ("COUNTERSIGN_DATABASE_STATEMENT_TIMEOUT", "30s"),
    ("COUNTERSIGN_DATABASE_ACQUIRE_TIMEOUT", "20s"),
    ("COUNTERSIGN_ROTATION_DEADLINE", "10s"),
    ("COUNTERSIGN_CALLS_DEADLINE", "60s"),
];

/// Two servers on one database.
async fn two_servers() -> Deployment {
    Deployment::start_with(2, &PATIENT).await
}

/// A caller at each of the two servers.
type Both = [Caller; 2];

fn both(at: &Deployment, caller: &Caller) -> Both {
    [at.at(0, caller), at.at(1, caller)]
}

/// How often, or how long, in this run.
fn times(usually: usize) -> usize {
    let long = std::env::var("COUNTERSIGN_TEST_LONG").is_ok_and(|set| set == "1");
    usually * if long { 10 } else { 1 }
}

/// The settings of an issuer without grace.
fn strict() -> v1::ClientSettings {
    v1::ClientSettings {
        roles: vec![Role::Issuer.into()],
        rotation_grace: Some(prost_types::Duration::default()),
        ..settings()
    }
}

/// Which of the tokens are active.
async fn actives(caller: &Caller, tokens: Vec<String>) -> Vec<bool> {
    let mut active = Vec::new();
    for tokens in tokens.chunks(1000).map(<[String]>::to_vec) {
        let request = caller.request(v1::BatchIntrospectRequest { tokens });
        let answer = caller.tokens().batch_introspect(request).await.unwrap();
        active.extend(answer.into_inner().results.iter().map(|one| one.active));
    }
    active
}

fn user(subject: &str, except: &str) -> Target {
    Target::User(UserSessions {
        subject: subject.into(),
        except_session_id: except.into(),
    })
}

/// The target of a revocation, from what opened the session, and the user.
type Way = fn(&v1::IssueTokenResponse, &str) -> Target;

/// The ways to name one session that is the user's only one: whether the caller has to be a
/// revoker, and the target.
const WAYS: [(bool, Way); 6] = [
    (false, |login, _| {
        Target::SessionId(login.session_id.clone())
    }),
    (false, |login, _| {
        Target::RefreshToken(login.refresh_token.clone())
    }),
    (false, |login, _| {
        Target::AccessToken(login.access_token.clone())
    }),
    (false, |_, subject| user(subject, "")),
    (true, |_, subject| user(subject, "")),
    (true, |_, subject| {
        user(subject, &uuid::Uuid::max().to_string())
    }),
];
