//! The trial of one user: several callers at once at every kind of call, and at the end
//! a last look at everything that was acknowledged.

use super::{
    book::{Book, Raw, Span},
    calls::Unanswered,
    crew::{ACCESS_TTL, Crew, Owner, SCOPE, pause},
    history::{Actor, Answer, Call, History, SessionId, TokenId},
};
use crate::{domain::clock, proto::v1};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use v1::revoke_session_request::Target;

/// How many calls each of a user's callers makes before the last look.
const CALLS: std::ops::Range<u32> = 20..60;
/// Live sessions that a user has at most, so that callers meet at the same ones.
const SESSIONS: usize = 4;

/// A user under trial.
pub(super) struct Trial {
    crew: Arc<Crew>,
    owner: Owner,
    subject: String,
    started: Instant,
    book: Mutex<Book>,
}

/// What a caller may do next, each as often among a hundred as its number says.
const MIX: &[(u8, Move)] = &[
    (24, Move::RotateNewest),
    (4, Move::RotateOld),
    (2, Move::RotateStolen),
    (28, Move::IntrospectAccess),
    (10, Move::IntrospectRefresh),
    (3, Move::IntrospectForeign),
    (6, Move::List),
    (5, Move::Open),
    (2, Move::OpenAgain),
    (5, Move::Issue),
    (4, Move::Revoke),
    (2, Move::RevokeForeign),
    (2, Move::RevokeToken),
    (1, Move::RevokeUser),
    (1, Move::RevokeUserBut),
    (1, Move::DisableUser),
];

#[derive(Clone, Copy)]
enum Move {
    RotateNewest,
    RotateOld,
    RotateStolen,
    IntrospectAccess,
    IntrospectRefresh,
    IntrospectForeign,
    List,
    Open,
    OpenAgain,
    Issue,
    Revoke,
    RevokeForeign,
    RevokeToken,
    RevokeUser,
    RevokeUserBut,
    DisableUser,
}

impl Trial {
    /// Runs a whole trial and returns its history. `started` is the run's beginning.
    pub(super) async fn run(
        crew: Arc<Crew>,
        callers: usize,
        settle: Duration,
        started: Instant,
    ) -> Result<History, Unanswered> {
        let owner = crew.owner().await?;
        let history = History {
            grace: owner.grace,
            settle,
            access_ttl: ACCESS_TTL,
            sessions: Vec::new(),
            tokens: Vec::new(),
            operations: Vec::new(),
        };
        let trial = Arc::new(Self {
            crew,
            owner,
            subject: clock::uuid().to_string(),
            started,
            book: Mutex::new(Book::new(history)),
        });
        tokio::spawn(Arc::clone(&trial).live(callers))
            .await
            // A panic of a caller is a defect of this program, and is not hidden.
            .map_err(|_| Unanswered::Defect("a caller panicked".to_owned()))??;
        let history = trial.book().history.clone();
        Ok(history)
    }

    async fn live(self: Arc<Self>, callers: usize) -> Result<(), Unanswered> {
        let open = Call::Open { request: None };
        self.insist(Actor::Owner, open).await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..callers {
            tasks.spawn(Arc::clone(&self).play_on());
        }
        while let Some(task) = tasks.join_next().await {
            task.map_err(|_| Unanswered::Defect("a caller panicked".to_owned()))?;
        }
        self.last_look().await;
        self.end().await;
        Ok(())
    }

    async fn play_on(self: Arc<Self>) {
        for _ in 0..fastrand::u32(CALLS) {
            self.play().await;
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One caller's next call.
    async fn play(&self) {
        let Some((by, call)) = self.choose() else {
            return;
        };
        match call {
            // What a real client repeats until it knows.
            Call::Rotate(_) if by == Actor::Owner => self.insist(by, call).await,
            Call::Open { request: Some(_) }
            | Call::RevokeSession(_)
            | Call::RevokeByToken(_)
            | Call::RevokeUser { .. } => self.insist(by, call).await,
            Call::DisableUser => {
                self.insist(by, call).await;
                self.insist(by, Call::EnableUser).await;
            }
            _ => {
                if self.make(by, call).await {
                    pause().await;
                }
            }
        }
    }

    fn choose(&self) -> Option<(Actor, Call)> {
        let mut lot = fastrand::u8(0..MIX.iter().map(|(share, _)| share).sum());
        let next = MIX.iter().find_map(|&(share, next)| {
            if lot < share {
                return Some(next);
            }
            lot -= share;
            None
        })?;
        let mut book = self.book();
        let live = book.live();
        if live.is_empty() {
            return Some((Actor::Owner, Call::Open { request: None }));
        }
        let session = some_session(&book, &live)?;
        let (refresh, access) = book.newest(session);
        let call = match next {
            Move::RotateNewest => (Actor::Owner, Call::Rotate(refresh)),
            Move::RotateOld => (Actor::Owner, Call::Rotate(some_refresh(&book, session)?)),
            Move::RotateStolen => (Actor::Stranger, Call::Rotate(some_refresh(&book, session)?)),
            Move::IntrospectAccess => {
                let by = either(Actor::Introspector, Actor::Owner);
                (by, Call::Introspect(some_access(&book).unwrap_or(access)))
            }
            Move::IntrospectRefresh => (Actor::Owner, Call::Introspect(refresh)),
            Move::IntrospectForeign => {
                let by = either(Actor::Stranger, Actor::Introspector);
                let token = if by == Actor::Stranger {
                    access
                } else {
                    refresh
                };
                (by, Call::Introspect(token))
            }
            Move::List => (either(Actor::Owner, Actor::Revoker), Call::ListSessions),
            Move::Open | Move::OpenAgain if live.len() > SESSIONS => {
                (Actor::Owner, Call::Introspect(access))
            }
            Move::Open => {
                let request = fastrand::bool().then(|| book.new_request());
                (Actor::Owner, Call::Open { request })
            }
            Move::OpenAgain => {
                let request = book.history.sessions[session].request?;
                let request = Some(request);
                (Actor::Owner, Call::Open { request })
            }
            Move::Issue => {
                let user = fastrand::bool();
                (Actor::Owner, Call::Issue { user })
            }
            Move::Revoke => (
                either(Actor::Owner, Actor::Revoker),
                revocation(&book, session),
            ),
            Move::RevokeForeign => (Actor::Stranger, revocation(&book, session)),
            Move::RevokeToken => {
                let token = if fastrand::u8(..4) == 0 {
                    refresh
                } else {
                    access
                };
                (Actor::Owner, Call::RevokeToken(token))
            }
            Move::RevokeUser => {
                let by = either(Actor::Owner, Actor::Revoker);
                (by, Call::RevokeUser { except: None })
            }
            Move::RevokeUserBut => {
                let except = Some(session);
                (Actor::Revoker, Call::RevokeUser { except })
            }
            Move::DisableUser => (Actor::Admin, Call::DisableUser),
        };
        Some(call)
    }

    /// Makes a call again and again until it is known what came of it, as long as the
    /// crew's patience lasts.
    async fn insist(&self, by: Actor, call: Call) {
        let began = Instant::now();
        while self.make(by, call).await && began.elapsed() < self.crew.patience() {
            pause().await;
        }
    }

    /// Makes a call and writes it down; whether its answer was lost.
    async fn make(&self, by: Actor, call: Call) -> bool {
        let began = self.started.elapsed();
        let result = self.send(by, call).await;
        let span: Span = (began, self.started.elapsed());
        let mut book = self.book();
        matches!(book.record(by, call, span, result).answer, Answer::Lost(_))
    }

    async fn send(&self, by: Actor, call: Call) -> Result<Raw, Unanswered> {
        let caller = self.crew.caller(&self.owner, by);
        match call {
            Call::Open { request } => caller.issue(self.open(request)).await.map(Raw::Issued),
            Call::Issue { user } => caller.issue(self.issue(user)).await.map(Raw::Issued),
            Call::Rotate(token) => caller.rotate(self.secret(token)).await.map(Raw::Rotated),
            Call::Introspect(token) => caller.introspect(self.secret(token)).await.map(Raw::Active),
            Call::RevokeSession(session) => {
                let target = Target::SessionId(self.book().session_id(session));
                caller.revoke(target).await.map(Raw::Revoked)
            }
            Call::RevokeByToken(token) => {
                let token = self.secret(token);
                let target = if token.starts_with("cs_rt_") {
                    Target::RefreshToken(token)
                } else {
                    Target::AccessToken(token)
                };
                caller.revoke(target).await.map(Raw::Revoked)
            }
            Call::RevokeUser { except } => caller.revoke(self.user(except)).await.map(Raw::Revoked),
            Call::RevokeToken(token) => caller
                .revoke_token(self.secret(token))
                .await
                .map(|()| Raw::Done),
            Call::ListSessions => caller.sessions(&self.subject).await.map(Raw::Listed),
            Call::DisableUser => caller
                .set_user(self.subject.clone(), false)
                .await
                .map(|()| Raw::Done),
            Call::EnableUser => caller
                .set_user(self.subject.clone(), true)
                .await
                .map(|()| Raw::Done),
            Call::DisableClient => {
                let client = self.owner.client_id();
                caller.disable_client(client).await.map(|()| Raw::Done)
            }
        }
    }

    fn secret(&self, token: TokenId) -> String {
        self.book().secret(token)
    }

    fn user(&self, except: Option<SessionId>) -> Target {
        let except = except.map(|session| self.book().session_id(session));
        Target::User(v1::UserSessions {
            subject: self.subject.clone(),
            except_session_id: except.unwrap_or_default(),
        })
    }

    fn open(&self, request: Option<usize>) -> v1::IssueTokenRequest {
        let request_id = request.map(|id| format!("{}/{id}", self.subject));
        v1::IssueTokenRequest {
            with_refresh_token: true,
            request_id: request_id.unwrap_or_default(),
            ..self.issue(true)
        }
    }

    fn issue(&self, user: bool) -> v1::IssueTokenRequest {
        v1::IssueTokenRequest {
            subject: if user {
                self.subject.clone()
            } else {
                String::new()
            },
            register_subject: user,
            scopes: vec![SCOPE.to_owned()],
            ..v1::IssueTokenRequest::default()
        }
    }

    /// What was acknowledged must be there: every session is listed, presented and
    /// introspected once more.
    async fn last_look(&self) {
        self.insist(Actor::Owner, Call::ListSessions).await;
        let sessions = self.book().sessions();
        for session in sessions {
            let (_, access) = self.book().newest(session);
            self.insist(Actor::Introspector, Call::Introspect(access))
                .await;
            let (refresh, _) = self.book().newest(session);
            self.insist(Actor::Owner, Call::Rotate(refresh)).await;
            let (refresh, access) = self.book().newest(session);
            self.insist(Actor::Owner, Call::Introspect(refresh)).await;
            self.insist(Actor::Owner, Call::Introspect(access)).await;
        }
    }

    /// Ends the user, or the client that is theirs alone, and looks that nothing lives on.
    async fn end(&self) {
        if self.owner.doomed {
            self.insist(Actor::Admin, Call::DisableClient).await;
        }
        self.insist(Actor::Admin, Call::DisableUser).await;
        let tokens: Vec<_> = {
            let book = self.book();
            let sessions = book.sessions();
            let newest: Vec<_> = sessions.map(|session| book.newest(session).1).collect();
            newest
        };
        for token in tokens {
            self.insist(Actor::Introspector, Call::Introspect(token))
                .await;
        }
    }
}

/// A session: most often one that lives, as far as is known.
fn some_session(book: &Book, live: &[SessionId]) -> Option<SessionId> {
    if fastrand::u8(..100) < 90 {
        return fastrand::choice(live).copied();
    }
    fastrand::choice(book.sessions())
}

/// A refresh token of a session, of any age.
fn some_refresh(book: &Book, session: SessionId) -> Option<TokenId> {
    let (newest, _) = book.newest(session);
    let own = (0..=newest).filter(|&token| {
        matches!(book.history.tokens[token].kind,
            super::history::TokenKind::Refresh { session: of, .. } if of == session)
    });
    fastrand::choice(own.collect::<Vec<_>>())
}

/// Now and then any token at all that is no refresh token.
fn some_access(book: &Book) -> Option<TokenId> {
    let any = fastrand::choice(0..book.history.tokens.len())?;
    let refresh = matches!(
        book.history.tokens[any].kind,
        super::history::TokenKind::Refresh { .. }
    );
    (!refresh && fastrand::bool()).then_some(any)
}

fn revocation(book: &Book, session: SessionId) -> Call {
    let (refresh, access) = book.newest(session);
    match fastrand::u8(..4) {
        0 => Call::RevokeByToken(access),
        1 => Call::RevokeByToken(refresh),
        2 => Call::RevokeByToken(some_refresh(book, session).unwrap_or(refresh)),
        _ => Call::RevokeSession(session),
    }
}

fn either(one: Actor, other: Actor) -> Actor {
    if fastrand::bool() { one } else { other }
}
