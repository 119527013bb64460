//! Introspect against everything that ends a token: what begins after an ending returned
//! never says active, what returned before it began always does.

use super::{actives, strict, times, two_servers, user};
use crate::support::server::{Caller, Deployment, answer};
use countersign::{
    proto::v1::{self, Role, revoke_session_request::Target},
    store::{self, DatabaseUrl},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

const SESSIONS: usize = 8;
const READERS: usize = 8;
/// Looks between one ending and the next.
const LOOKS: usize = 40;

/// What ends tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Session,
    SessionByRefreshToken,
    SessionByAccessToken,
    User,
    AllButOne,
    RevokeRefreshToken,
    RevokeAccessToken,
    Reuse,
    DisableUser,
    DisableClient,
    CutOffClient,
    Fence,
}

/// The last three end every session of the client at once.
const ENDS: [End; 12] = [
    End::Session,
    End::SessionByRefreshToken,
    End::SessionByAccessToken,
    End::User,
    End::AllButOne,
    End::RevokeRefreshToken,
    End::RevokeAccessToken,
    End::Reuse,
    End::DisableUser,
    End::DisableClient,
    End::CutOffClient,
    End::Fence,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_introspection_that_begins_after_an_ending_returned_says_active() {
    let at = two_servers().await;
    let reader = at.client(&[Role::Introspector]).await;
    let revoker = at.at(1, &at.client(&[Role::Revoker]).await);
    for how in ENDS.iter().cycle().take(ENDS.len() * times(1)) {
        let client = if *how == End::Reuse {
            at.client_with(strict()).await
        } else {
            at.client(&[Role::Issuer]).await
        };
        let mut round = Round::open(&at, &client).await;
        let watch = Arc::clone(&round.watch);
        let readers: Vec<_> = (0..READERS)
            .map(|n| {
                let (reader, watch) = (at.at(n % 2, &reader), Arc::clone(&watch));
                tokio::spawn(async move { watch.read(&reader, n).await })
            })
            .collect();
        let rotators: Vec<_> = (0..SESSIONS)
            .map(|n| {
                let caller = at.at(n % 2, &client);
                let (watch, token) = (Arc::clone(&watch), round.logins[n].refresh_token.clone());
                tokio::spawn(async move { watch.rotate(&caller, n, token).await })
            })
            .collect();
        let all_at_once = matches!(how, End::DisableClient | End::CutOffClient | End::Fence);
        for session in 0..if all_at_once { 1 } else { SESSIONS } {
            watch.look_on().await;
            let began = Instant::now();
            round.end(&at, &revoker, *how, session).await;
            let span = (began, Instant::now());
            let ended = if all_at_once {
                0..SESSIONS
            } else {
                session..session + 1
            };
            round.spans[ended].fill(Some(span));
        }
        watch.look_on().await;
        watch.over.store(true, Relaxed);
        for task in readers.into_iter().chain(rotators) {
            task.await.unwrap();
        }
        round.judge(*how);
        let dead = round.ended_tokens(*how);
        let active = actives(&at.at(0, &reader), dead).await;
        assert!(!active.contains(&true), "{how:?}");
    }
}

/// Sessions of one client, each of a user of its own.
struct Round {
    client: Caller,
    subjects: Vec<String>,
    logins: Vec<v1::IssueTokenResponse>,
    watch: Arc<Watch>,
    /// When each ending began and returned.
    spans: Vec<Option<(Instant, Instant)>>,
}

/// What readers look at, and what they saw.
struct Watch {
    /// The access tokens of each session.
    tokens: Vec<Mutex<Vec<String>>>,
    seen: Mutex<Vec<Seen>>,
    looks: AtomicUsize,
    over: AtomicBool,
}

struct Seen {
    session: usize,
    token: String,
    began: Instant,
    returned: Instant,
    active: bool,
}

impl Watch {
    async fn read(&self, reader: &Caller, number: usize) {
        for turn in number.. {
            if self.over.load(Relaxed) {
                return;
            }
            let session = turn % SESSIONS;
            // In turn the session's first token, its newest, and one between.
            let token = {
                let tokens = self.tokens[session].lock().unwrap();
                let last = tokens.len() - 1;
                tokens[[0, last, last / 2][turn / SESSIONS % 3]].clone()
            };
            let began = Instant::now();
            let active = reader.active(&token).await;
            let returned = Instant::now();
            self.seen.lock().unwrap().push(Seen {
                session,
                token,
                began,
                returned,
                active,
            });
            self.looks.fetch_add(1, Relaxed);
        }
    }

    async fn rotate(&self, caller: &Caller, session: usize, mut newest: String) {
        while !self.over.load(Relaxed) {
            let Ok(step) = caller.rotate(&newest).await else {
                return;
            };
            newest = step.refresh_token;
            self.tokens[session].lock().unwrap().push(step.access_token);
        }
    }

    /// Waits until a session has taken a step, so that its first token is superseded.
    async fn until_rotated(&self, session: usize) {
        let started = Instant::now();
        while self.tokens[session].lock().unwrap().len() < 2 {
            assert!(started.elapsed() < Duration::from_mins(1), "no step");
            tokio::task::yield_now().await;
        }
    }

    /// Waits until the readers have looked at each session some more.
    async fn look_on(&self) {
        let enough = self.looks.load(Relaxed) + LOOKS;
        while self.looks.load(Relaxed) < enough {
            tokio::task::yield_now().await;
        }
    }
}

impl Round {
    async fn open(at: &Deployment, client: &Caller) -> Self {
        let mut subjects = Vec::new();
        let mut logins = Vec::new();
        for _ in 0..SESSIONS {
            let subject = at.user().await;
            logins.push(client.open(&subject).await);
            subjects.push(subject);
        }
        let tokens = logins
            .iter()
            .map(|login| Mutex::new(vec![login.access_token.clone()]));
        Self {
            client: at.at(0, client),
            subjects,
            watch: Arc::new(Watch {
                tokens: tokens.collect(),
                seen: Mutex::default(),
                looks: AtomicUsize::new(0),
                over: AtomicBool::new(false),
            }),
            logins,
            spans: vec![None; SESSIONS],
        }
    }

    async fn end(&self, at: &Deployment, revoker: &Caller, how: End, session: usize) {
        let (login, subject, client) =
            (&self.logins[session], &self.subjects[session], &self.client);
        let admin = at.at(1, &at.admin());
        let client_id = client.id.clone();
        let revoke_token = |token: &str| {
            client.request(v1::RevokeTokenRequest {
                token: token.into(),
                token_type_hint: String::new(),
            })
        };
        match how {
            End::Session => {
                let target = Target::SessionId(login.session_id.clone());
                assert_eq!(revoker.revoke(target).await, 1);
            }
            End::SessionByRefreshToken => {
                let target = Target::RefreshToken(login.refresh_token.clone());
                assert_eq!(client.revoke(target).await, 1);
            }
            End::SessionByAccessToken => {
                let target = Target::AccessToken(login.access_token.clone());
                assert_eq!(client.revoke(target).await, 1);
            }
            End::User => assert_eq!(revoker.revoke(user(subject, "")).await, 1),
            End::AllButOne => {
                let target = user(subject, &uuid::Uuid::max().to_string());
                assert_eq!(revoker.revoke(target).await, 1);
            }
            End::RevokeRefreshToken => {
                let request = revoke_token(&login.refresh_token);
                answer(client.tokens().revoke_token(request).await).unwrap();
            }
            End::RevokeAccessToken => {
                let request = revoke_token(&login.access_token);
                answer(client.tokens().revoke_token(request).await).unwrap();
            }
            End::Reuse => {
                self.watch.until_rotated(session).await;
                assert_eq!(
                    client.refusal(&login.refresh_token).await,
                    "REFRESH_TOKEN_REUSED"
                );
            }
            End::DisableUser => {
                let request = v1::DisableUserRequest {
                    subject: subject.clone(),
                };
                answer(admin.directory().disable_user(admin.request(request)).await).unwrap();
            }
            End::DisableClient => {
                let request = v1::DisableClientRequest { client_id };
                answer(
                    admin
                        .directory()
                        .disable_client(admin.request(request))
                        .await,
                )
                .unwrap();
            }
            End::CutOffClient => {
                let request = v1::CutOffClientRequest { client_id };
                answer(
                    admin
                        .directory()
                        .cut_off_client(admin.request(request))
                        .await,
                )
                .unwrap();
            }
            End::Fence => {
                let url = DatabaseUrl::parse(&at.database.url()).unwrap();
                store::fence(&url).await.unwrap();
            }
        }
    }

    /// Whether the ending of a session ends this token of it.
    fn ends(&self, how: End, session: usize, token: &str) -> bool {
        how != End::RevokeAccessToken || self.logins[session].access_token == token
    }

    fn judge(&self, how: End) {
        let (mut before, mut after) = (0, 0);
        for seen in self.watch.seen.lock().unwrap().iter() {
            let (began, returned) = self.spans[seen.session].unwrap();
            let ends = self.ends(how, seen.session, &seen.token);
            if !ends || seen.returned < began {
                assert!(
                    seen.active,
                    "{how:?}: inactive, though nothing had ended it"
                );
                before += 1;
            } else if seen.began > returned {
                assert!(!seen.active, "{how:?}: active after the ending returned");
                after += 1;
            }
        }
        assert!(
            before > 0 && after > 0,
            "{how:?}: {before} before, {after} after"
        );
    }

    fn ended_tokens(&self, how: End) -> Vec<String> {
        let mut ended = Vec::new();
        for (session, tokens) in self.watch.tokens.iter().enumerate() {
            let tokens = tokens.lock().unwrap();
            ended.extend(
                tokens
                    .iter()
                    .filter(|token| self.ends(how, session, token))
                    .cloned(),
            );
        }
        ended
    }
}
