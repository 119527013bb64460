//! Rotate against the disabling of the user, and of the client.

use super::{Both, actives, both, times, two_servers};
use crate::support::server::{Caller, answer};
use countersign::proto::v1::{self, Role};
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};
use tokio::sync::oneshot;

/// Sessions that rotate while they are disabled.
const SESSIONS: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_rotation_that_begins_after_its_user_was_disabled_succeeds() {
    let at = two_servers().await;
    let issuers = both(&at, &at.client(&[Role::Issuer]).await);
    for _ in 0..times(10) {
        let subject = at.user().await;
        let admin = at.admin();
        let rotating = Rotating::start(&issuers, &[&subject]).await;
        let disable = v1::DisableUserRequest {
            subject: subject.clone(),
        };
        answer(admin.directory().disable_user(admin.request(disable)).await).unwrap();
        let dead = rotating.end(&issuers, "SUBJECT_DISABLED").await;
        let enable = v1::EnableUserRequest { subject };
        answer(admin.directory().enable_user(admin.request(enable)).await).unwrap();
        dead.stay_so(&issuers).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_rotation_that_begins_after_its_client_was_disabled_succeeds() {
    let at = two_servers().await;
    for _ in 0..times(10) {
        let issuers = both(&at, &at.client(&[Role::Issuer]).await);
        let client_id = issuers[0].id.clone();
        let subjects = [at.user().await, at.user().await];
        let admin = at.admin();
        let rotating = Rotating::start(&issuers, &subjects.each_ref().map(String::as_str)).await;
        let disable = v1::DisableClientRequest {
            client_id: client_id.clone(),
        };
        answer(
            admin
                .directory()
                .disable_client(admin.request(disable))
                .await,
        )
        .unwrap();
        // While it is disabled the client may not even ask.
        let dead = rotating.end_unseen(&issuers, "CLIENT_DISABLED").await;
        let active = actives(&at.at(1, &admin), dead.0.clone()).await;
        assert!(!active.contains(&true), "{active:?}");
        let enable = v1::EnableClientRequest { client_id };
        answer(admin.directory().enable_client(admin.request(enable)).await).unwrap();
        dead.stay_so(&issuers).await;
    }
}

/// Sessions that rotate as fast as they can, until they are refused.
struct Rotating {
    /// What each session's rotations came to.
    sessions: Vec<tokio::task::JoinHandle<Family>>,
    /// When the disabling returned.
    returned: Arc<OnceLock<Instant>>,
}

/// What one session got.
struct Family {
    /// Every access token, and the newest refresh token last.
    tokens: Vec<String>,
    /// Why the last one was refused.
    refused: String,
}

/// All the tokens that must be dead.
struct Dead(Vec<String>);

impl Rotating {
    /// Starts, and waits until each session has rotated.
    async fn start(issuers: &Both, subjects: &[&str]) -> Self {
        let returned = Arc::new(OnceLock::new());
        let mut sessions = Vec::new();
        let mut rotations = Vec::new();
        for n in 0..SESSIONS {
            let login = issuers[0].open(subjects[n % subjects.len()]).await;
            let (rotated, rotation) = oneshot::channel();
            rotations.push(rotation);
            sessions.push(tokio::spawn(rotate(
                issuers[n % 2].clone(),
                login,
                rotated,
                Arc::clone(&returned),
            )));
        }
        for rotation in rotations {
            rotation.await.unwrap();
        }
        Self { sessions, returned }
    }

    /// The disabling has returned: whatever begins now is refused, with this reason.
    async fn end(self, issuers: &Both, reason: &str) -> Dead {
        let dead = self.end_unseen(issuers, reason).await;
        for issuer in issuers {
            let active = actives(issuer, dead.0.clone()).await;
            assert!(!active.contains(&true), "{active:?}");
        }
        dead
    }

    async fn end_unseen(self, issuers: &Both, reason: &str) -> Dead {
        self.returned.set(Instant::now()).unwrap();
        let mut dead = Vec::new();
        for session in self.sessions {
            let family = session.await.unwrap();
            assert_eq!(family.refused, reason);
            for issuer in issuers {
                assert_eq!(issuer.refusal(family.tokens.last().unwrap()).await, reason);
            }
            dead.extend(family.tokens);
        }
        Dead(dead)
    }
}

impl Dead {
    /// Enabling revives nothing.
    async fn stay_so(&self, issuers: &Both) {
        let active = actives(&issuers[1], self.0.clone()).await;
        assert!(!active.contains(&true), "{active:?}");
    }
}

async fn rotate(
    issuer: Caller,
    login: v1::IssueTokenResponse,
    rotated: oneshot::Sender<()>,
    returned: Arc<OnceLock<Instant>>,
) -> Family {
    let mut rotated = Some(rotated);
    let mut family = Family {
        tokens: vec![login.access_token],
        refused: String::new(),
    };
    let mut newest = login.refresh_token;
    loop {
        let began = Instant::now();
        match issuer.rotate(&newest).await {
            Ok(step) => {
                if let Some(first) = rotated.take() {
                    first.send(()).unwrap();
                }
                let late = returned.get().is_some_and(|returned| began > *returned);
                assert!(!late, "a rotation began after the disabling and succeeded");
                family.tokens.push(step.access_token);
                newest = step.refresh_token;
            }
            Err(refused) => {
                family.refused = refused.reason;
                family.tokens.push(newest);
                return family;
            }
        }
    }
}
