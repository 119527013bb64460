//! A load of the four calls by callers who keep book: what was acknowledged must hold.

use crate::operating::{never_sent, not_connected};
use countersign::{
    proto::v1::{
        self, directory_service_client::DirectoryServiceClient, revoke_session_request::Target,
        token_authority_service_client::TokenAuthorityServiceClient,
    },
    verify::Authorization,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use tonic::{Code, Request, Response, Status, transport::Channel};
use tonic_types::StatusExt as _;

type Client = TokenAuthorityServiceClient<Channel>;

/// How long the database may take to be of use again. What it took is printed.
const RECOVERY: Duration = Duration::from_secs(15);

/// The four calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Issue,
    Rotate,
    Introspect,
    Revoke,
}

const CALLS: [Call; 4] = [Call::Issue, Call::Rotate, Call::Introspect, Call::Revoke];

/// One call as its caller saw it.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub call: Call,
    pub began: Instant,
    pub took: Duration,
    pub code: Code,
}

#[derive(Default)]
struct Book {
    seen: Mutex<Vec<Seen>>,
    wrong: Mutex<Vec<String>>,
    alive: Mutex<Vec<String>>,
    dead: Mutex<Vec<String>>,
    /// Since when each caller waits for an answer.
    waiting: Mutex<BTreeMap<usize, Instant>>,
    stop: AtomicBool,
}

/// Callers at work.
pub struct Load {
    book: Arc<Book>,
    workers: Vec<JoinHandle<()>>,
    caller: Caller,
}

/// A client of the service, at one or several servers: what one has not taken is tried at
/// the next.
#[derive(Clone)]
pub struct Caller {
    servers: Vec<Channel>,
    authorization: Authorization,
}

impl Caller {
    /// A new client, made by the admin.
    pub async fn new(servers: Vec<Channel>, admin: &Authorization) -> Self {
        let admin = Self {
            servers,
            authorization: admin.clone(),
        };
        let mut settings = crate::support::server::settings();
        settings.roles = vec![
            v1::Role::Issuer.into(),
            v1::Role::Introspector.into(),
            v1::Role::Revoker.into(),
        ];
        let request = v1::CreateClientRequest {
            client_id: String::new(),
            settings: Some(settings),
        };
        let mut directory = DirectoryServiceClient::new(admin.servers[0].clone());
        let made = directory
            .create_client(admin.request(request))
            .await
            .unwrap();
        let made = made.into_inner();
        let id = made.client.unwrap().client_id;
        let pair = format!("{id}:{}", made.client_secret);
        let pair = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair);
        Self {
            authorization: format!("Basic {pair}").parse().unwrap(),
            ..admin
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let authorization = self.authorization.clone();
        request
            .metadata_mut()
            .insert("authorization", authorization);
        request.set_timeout(Duration::from_secs(10));
        request
    }

    async fn call<M, A, R>(
        &self,
        message: M,
        call: impl Fn(Client, Request<M>) -> R,
    ) -> Result<A, Status>
    where
        M: Clone,
        R: Future<Output = Result<Response<A>, Status>>,
    {
        let mut refused = Status::unknown("no server");
        for server in &self.servers {
            let client = Client::new(server.clone());
            match call(client, self.request(message.clone())).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if never_sent(&status) || not_connected(&status) => refused = status,
                Err(status) => return Err(status),
            }
        }
        Err(refused)
    }

    /// Whether a token is active.
    pub async fn introspect(&self, token: &str) -> Result<bool, Status> {
        let message = v1::IntrospectRequest {
            token: token.to_owned(),
            token_type_hint: String::new(),
            dpop: None,
        };
        let call = |mut client: Client, request| async move { client.introspect(request).await };
        let found = self.call(message, call);
        Ok(found.await?.active)
    }

    /// A session of a user who is registered with it.
    pub async fn open(&self) -> Result<v1::IssueTokenResponse, Status> {
        let message = v1::IssueTokenRequest {
            subject: countersign::domain::clock::uuid().to_string(),
            register_subject: true,
            scopes: vec!["a".into()],
            with_refresh_token: true,
            ..v1::IssueTokenRequest::default()
        };
        let call = |mut client: Client, request| async move { client.issue_token(request).await };
        self.call(message, call).await
    }

    /// One step, or the same again.
    pub async fn rotate(&self, token: &str) -> Result<v1::RotateRefreshResponse, Status> {
        let message = v1::RotateRefreshRequest {
            refresh_token: token.to_owned(),
            ..v1::RotateRefreshRequest::default()
        };
        let call =
            |mut client: Client, request| async move { client.rotate_refresh(request).await };
        self.call(message, call).await
    }

    async fn revoke(&self, session: &str) -> Result<v1::RevokeSessionResponse, Status> {
        let message = v1::RevokeSessionRequest {
            target: Some(Target::SessionId(session.to_owned())),
        };
        let call =
            |mut client: Client, request| async move { client.revoke_session(request).await };
        self.call(message, call).await
    }
}

impl Load {
    /// So many callers, each with one user after the other.
    pub fn start(caller: &Caller, callers: usize) -> Self {
        let book = Arc::new(Book::default());
        let workers = (0..callers).map(|number| {
            let worker = Worker {
                number,
                caller: caller.clone(),
                book: Arc::clone(&book),
            };
            tokio::spawn(worker.run())
        });
        Self {
            workers: workers.collect(),
            book,
            caller: caller.clone(),
        }
    }

    /// What began after a moment.
    pub fn since(&self, moment: Instant) -> Vec<Seen> {
        let seen = self.book.seen.lock().unwrap();
        let late = seen.iter().filter(|one| one.began >= moment);
        late.copied().collect()
    }

    /// How long the one has waited who waits longest now.
    pub fn longest_wait(&self) -> Duration {
        let waiting = self.book.waiting.lock().unwrap();
        let longest = waiting.values().min().map(Instant::elapsed);
        longest.unwrap_or_default()
    }

    /// How often each call had each outcome after a moment.
    pub fn outcomes(&self, moment: Instant) -> BTreeMap<(Call, String), usize> {
        let mut outcomes = BTreeMap::new();
        for seen in self.since(moment) {
            let key = (seen.call, format!("{:?}", seen.code));
            *outcomes.entry(key).or_default() += 1;
        }
        outcomes
    }

    /// Waits until each of the four calls has succeeded that began after a moment; how long
    /// after it that was.
    pub async fn recovers(&self, from: Instant) -> Duration {
        loop {
            let seen = self.since(from);
            let good = |call: &Call| {
                seen.iter()
                    .any(|one| one.call == *call && one.code == Code::Ok)
            };
            if CALLS.iter().all(good) {
                return from.elapsed();
            }
            let took = from.elapsed();
            let outcomes = self.outcomes(from);
            assert!(
                took < RECOVERY,
                "no recovery: {outcomes:?} {:?}",
                self.wrong()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn wrong(&self) -> Vec<String> {
        self.book
            .wrong
            .lock()
            .unwrap()
            .iter()
            .take(5)
            .cloned()
            .collect()
    }

    /// Ends the work, once some of it can be looked at, and looks at everything that was
    /// acknowledged and never taken back.
    pub async fn end(self) -> usize {
        let began = Instant::now();
        let empty = |tokens: &Mutex<Vec<String>>| tokens.lock().unwrap().is_empty();
        while (empty(&self.book.alive) || empty(&self.book.dead)) && began.elapsed() < RECOVERY {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.book.stop.store(true, Ordering::Relaxed);
        let wrong = Arc::clone(&self.book);
        for worker in self.workers {
            tokio::time::timeout(Duration::from_mins(1), worker)
                .await
                .expect("a caller that waits for ever")
                .unwrap();
        }
        let (alive, dead) = (
            self.book.alive.lock().unwrap().clone(),
            self.book.dead.lock().unwrap().clone(),
        );
        for (tokens, active) in [(&alive, true), (&dead, false)] {
            for token in tokens {
                assert_eq!(self.caller.introspect(token).await.unwrap(), active);
            }
        }
        let wrong = wrong.wrong.lock().unwrap().clone();
        assert!(
            wrong.is_empty(),
            "{} wrong answers: {:#?}",
            wrong.len(),
            &wrong[..wrong.len().min(9)]
        );
        assert!(!alive.is_empty() && !dead.is_empty());
        alive.len() + dead.len()
    }
}

struct Worker {
    number: usize,
    caller: Caller,
    book: Arc<Book>,
}

impl Worker {
    async fn run(self) {
        let mut round = 0_u32;
        while !self.stopped() {
            round += 1;
            self.session(round.is_multiple_of(8)).await;
        }
    }

    fn stopped(&self) -> bool {
        self.book.stop.load(Ordering::Relaxed)
    }

    /// The life of one session; one that is kept is looked at in the end.
    async fn session(&self, kept: bool) -> Option<()> {
        let opened = self.until(Call::Issue, || self.caller.open()).await?;
        self.looks(&opened.access_token, true).await?;
        let refresh = opened.refresh_token.clone();
        let rotated = self
            .until(Call::Rotate, || self.caller.rotate(&refresh))
            .await?;
        self.looks(&rotated.access_token, true).await?;
        // The first access token of a session lives on beside the second.
        self.looks(&opened.access_token, true).await?;
        if kept {
            self.book.alive.lock().unwrap().push(rotated.access_token);
            return Some(());
        }
        let session = &opened.session_id;
        self.until(Call::Revoke, || self.caller.revoke(session))
            .await?;
        self.looks(&rotated.access_token, false).await?;
        self.book.dead.lock().unwrap().push(rotated.access_token);
        Some(())
    }

    async fn looks(&self, token: &str, active: bool) -> Option<()> {
        let look = || self.caller.introspect(token);
        let found = self.until(Call::Introspect, look).await?;
        if found != active {
            self.wrong(format!("active is {found}, not {active}"));
        }
        Some(())
    }

    /// Calls until there is an answer; `None`: it was told to stop.
    async fn until<T, R>(&self, call: Call, work: impl Fn() -> R) -> Option<T>
    where
        R: Future<Output = Result<T, Status>>,
    {
        loop {
            let began = Instant::now();
            self.book.waiting.lock().unwrap().insert(self.number, began);
            let answer = work().await;
            self.book.waiting.lock().unwrap().remove(&self.number);
            let code = answer.as_ref().err().map_or(Code::Ok, Status::code);
            let seen = Seen {
                call,
                began,
                took: began.elapsed(),
                code,
            };
            self.book.seen.lock().unwrap().push(seen);
            match answer {
                Ok(answer) => return Some(answer),
                Err(status) => {
                    self.judge(call, &status);
                    if self.stopped() {
                        return None;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }

    /// The codes of section 8, with word of when to come again.
    fn judge(&self, call: Call, status: &Status) {
        let advised = status.get_details_retry_info().is_some();
        let right = match status.code() {
            Code::Unavailable | Code::ResourceExhausted | Code::Aborted => advised,
            Code::DeadlineExceeded => true,
            _ => false,
        };
        if !right {
            self.wrong(format!("{call:?}: {status:?}"));
        }
    }

    fn wrong(&self, what: String) {
        self.book.wrong.lock().unwrap().push(what);
    }
}
