//! One case on the real server: its clients and users, and what each operation is answered.

use super::{
    answers::{Answer, Issued, Rotated, named},
    clients::{ADMIN, KINDS},
    operations::{Issue, NOBODY, Op, Rotate, Target, Token, USERS},
    terms::{Audience, Scopes},
    world::World,
};
use crate::support::server::{Caller, Deployment, Refused, answer, first_key};
use chrono::{DateTime, Utc};
use countersign::{
    domain::clock,
    proto::v1::{self, UserSessions, revoke_session_request},
};
use prost_types::Duration;
use std::collections::HashMap;

/// What a case has made on the server.
pub struct Case<'a> {
    pub at: &'a mut Deployment,
    pub clients: Vec<Registered>,
    pub users: Vec<String>,
    pub sessions: Vec<Login>,
    /// Each token, and its public id.
    pub access: Vec<(String, String)>,
    /// The names of clients, users, sessions and access tokens by their ids.
    pub names: HashMap<String, String>,
    /// The lines of the keys that there ever were, by number.
    pub keys: Vec<String>,
    pub began: DateTime<Utc>,
    /// Seconds that were made to pass.
    pub moved: u64,
    /// The id of the last event that was read.
    pub read_events: i64,
    /// Calls so far: they go to the servers in turn.
    calls: usize,
    pub servers: usize,
}

/// A client, its secrets in the clear and their ids, the oldest first.
pub struct Registered {
    pub id: String,
    pub secrets: Vec<(String, String)>,
}

/// A session and every refresh token that it ever had.
pub struct Login {
    pub id: String,
    pub tokens: Vec<String>,
}

pub type Answered<T> = Result<T, Refused>;

impl<'a> Case<'a> {
    /// Registers the clients and users on a deployment that has the first key alone.
    pub async fn begin(at: &'a mut Deployment, servers: usize) -> Self {
        let mut clients = Vec::new();
        for kind in &KINDS[..ADMIN] {
            let admin = at.admin();
            let request = admin.request(v1::CreateClientRequest {
                client_id: String::new(),
                settings: Some(kind.settings()),
            });
            let made = admin.directory().create_client(request).await.unwrap();
            let made = made.into_inner();
            let client = made.client.unwrap();
            clients.push(Registered {
                id: client.client_id,
                secrets: vec![(made.client_secret, client.secrets[0].secret_id.clone())],
            });
        }
        clients.push(Registered::admin(at).await);
        let mut users = Vec::new();
        for _ in 1..USERS {
            users.push(at.user().await);
        }
        users.push(clock::uuid().to_string());
        let mut case = Self {
            at,
            clients,
            users,
            sessions: Vec::new(),
            access: Vec::new(),
            names: HashMap::new(),
            keys: vec![first_key()],
            began: clock::now(),
            moved: 0,
            read_events: 0,
            calls: 0,
            servers,
        };
        for number in 0..case.clients.len() {
            let id = case.clients[number].id.clone();
            case.names.insert(id, named("client", number));
        }
        for number in 0..USERS {
            let id = case.users[number].clone();
            case.names.insert(id, named("user", number));
        }
        case.forget().await;
        case
    }

    /// The real time that the case has taken.
    pub fn took(&self) -> std::time::Duration {
        (clock::now() - self.began).to_std().unwrap_or_default()
    }

    /// Does what a resolved operation says, in a world that has not seen it yet.
    pub async fn perform(&mut self, op: &Op, world: &World) -> Answer {
        self.calls += 1;
        let done = match op {
            Op::Issue(issue) => self.issue(issue, None, world).await,
            Op::UseSecret { client, secret } => {
                let plain = Issue {
                    by: *client,
                    client: None,
                    user: None,
                    scopes: Scopes::default(),
                    audience: Audience::default(),
                    ttl: None,
                    session: false,
                    request: None,
                    register: false,
                };
                self.issue(&plain, Some(*secret), world).await
            }
            Op::Rotate(rotate) => self.rotate(rotate, world).await,
            Op::RevokeSession { by, target } => {
                let target = self.target(target);
                let by = self.caller(by.client(), world);
                let request = by.request(v1::RevokeSessionRequest {
                    target: Some(target),
                });
                answer(by.tokens().revoke_session(request).await)
                    .map(|revoked| Answer::Revoked(revoked.revoked_sessions))
            }
            Op::RevokeToken { by, token } => {
                let by = self.caller(by.client(), world);
                let request = by.request(v1::RevokeTokenRequest {
                    token: self.text(*token),
                    token_type_hint: String::new(),
                });
                answer(by.tokens().revoke_token(request).await).map(|_| Answer::Done)
            }
            Op::Introspect { by, token } => {
                let by = self.caller(by.client(), world);
                let request = by.request(v1::IntrospectRequest {
                    token: self.text(*token),
                    token_type_hint: String::new(),
                    dpop: None,
                });
                answer(by.tokens().introspect(request).await)
                    .map(|found| Answer::Described(vec![self.described(found)]))
            }
            Op::BatchIntrospect { by, tokens } => {
                let by = self.caller(*by, world);
                self.batch(&by, tokens).await.map(Answer::Described)
            }
            Op::ListSessions {
                by,
                user,
                page_size,
            } => self.list(*by, *user, *page_size, world).await,
            _ => self.administer(op, world).await,
        };
        done.unwrap_or_else(Self::refusal)
    }

    /// A refusal as an answer.
    pub fn refusal(refused: Refused) -> Answer {
        Answer::Refused(format!("{:?}", refused.code), refused.reason)
    }

    /// A client as it calls where the operation does not say with which secret.
    pub fn caller(&self, client: usize, world: &World) -> Caller {
        self.caller_with(client, world.presented(client))
    }

    fn caller_with(&self, client: usize, secret: usize) -> Caller {
        let client = &self.clients[client];
        let caller = self.at.caller(&client.id, &client.secrets[secret].0);
        self.at.at(self.calls % self.servers, &caller)
    }

    pub fn text(&self, token: Token) -> String {
        match token {
            Token::Access(access) => self.access[access].0.clone(),
            Token::Refresh {
                session,
                generation,
            } => self.sessions[session].tokens[generation].clone(),
        }
    }

    fn target(&self, target: &Target) -> revoke_session_request::Target {
        match target {
            Target::Session(session) => {
                revoke_session_request::Target::SessionId(self.sessions[*session].id.clone())
            }
            Target::Of(token @ Token::Refresh { .. }) => {
                revoke_session_request::Target::RefreshToken(self.text(*token))
            }
            Target::Of(token @ Token::Access(_)) => {
                revoke_session_request::Target::AccessToken(self.text(*token))
            }
            Target::User { user, except } => {
                let except = except.map(|session| self.sessions[session].id.clone());
                revoke_session_request::Target::User(UserSessions {
                    subject: self.users[*user].clone(),
                    except_session_id: except.unwrap_or_default(),
                })
            }
        }
    }

    async fn issue(
        &mut self,
        issue: &Issue,
        secret: Option<usize>,
        world: &World,
    ) -> Answered<Answer> {
        let by = match secret {
            Some(secret) => self.caller_with(issue.by, secret),
            None => self.caller(issue.by, world),
        };
        let client = issue.client.map(|client| match client {
            NOBODY => clock::uuid().to_string(),
            client => self.clients[client].id.clone(),
        });
        let user = issue.user.map(|user| self.users[user].clone());
        let request = v1::IssueTokenRequest {
            client_id: client.unwrap_or_default(),
            register_subject: issue.register && user.is_some(),
            subject: user.unwrap_or_default(),
            scopes: issue.scopes.words(),
            audience: issue.audience.words(),
            access_token_ttl: issue.ttl.map(|seconds| Duration {
                seconds: i64::try_from(seconds).unwrap(),
                nanos: 0,
            }),
            with_refresh_token: issue.session,
            user_agent: if issue.session { "first" } else { "" }.into(),
            ip_address: String::new(),
            request_id: issue
                .request
                .map(|request| format!("request-{request}"))
                .unwrap_or_default(),
        };
        let issued = by.issue(request).await?;
        assert_eq!(issued.token_type, i32::from(v1::TokenType::Bearer));
        self.minted(issued.access_token, issued.token_id);
        if issue.session {
            let session = named("session", self.sessions.len());
            let new = self.names.insert(issued.session_id.clone(), session);
            assert_eq!(new, None, "a session id stands twice");
            self.sessions.push(Login {
                id: issued.session_id,
                tokens: vec![issued.refresh_token],
            });
        } else {
            assert_eq!(
                (issued.session_id, issued.refresh_token),
                Default::default()
            );
        }
        Ok(Answer::Issued(Issued {
            scopes: Scopes::of(&issued.scopes),
            audience: Audience::of(&issued.audience),
            expires_at: self.when(issued.access_token_expires_at),
            session_expires_at: issued
                .refresh_token_expires_at
                .map(|at| self.when(Some(at))),
        }))
    }

    async fn rotate(&mut self, rotate: &Rotate, world: &World) -> Answered<Answer> {
        let by = self.caller(rotate.by.client(), world);
        let login = &self.sessions[rotate.session];
        let newest = rotate.generation + 1 == login.tokens.len();
        let agent = if rotate.agent {
            format!("step {}", rotate.generation + 1)
        } else {
            String::new()
        };
        let request = by.request(v1::RotateRefreshRequest {
            refresh_token: login.tokens[rotate.generation].clone(),
            scopes: rotate.scopes.words(),
            audience: rotate.audience.words(),
            user_agent: agent,
            ip_address: String::new(),
        });
        let rotated = answer(by.tokens().rotate_refresh(request).await)?;
        let outcome = match rotated.outcome() {
            v1::RotationOutcome::Rotated => "ROTATED",
            v1::RotationOutcome::Replayed => "REPLAYED",
            v1::RotationOutcome::Unspecified => "UNSPECIFIED",
        };
        assert_eq!(rotated.token_type, i32::from(v1::TokenType::Bearer));
        self.minted(rotated.access_token, rotated.token_id);
        let tokens = &mut self.sessions[rotate.session].tokens;
        let known = tokens.get(rotate.generation + 1) == Some(&rotated.refresh_token);
        if newest {
            assert!(
                !tokens.contains(&rotated.refresh_token),
                "a token stands twice"
            );
            tokens.push(rotated.refresh_token);
        }
        Ok(Answer::Rotated(Rotated {
            outcome,
            generation: rotated.generation as usize,
            known,
            session: self.name(&rotated.session_id),
            scopes: Scopes::of(&rotated.scopes),
            audience: Audience::of(&rotated.audience),
            expires_at: self.when(rotated.access_token_expires_at),
            session_expires_at: self.when(rotated.refresh_token_expires_at),
        }))
    }

    fn minted(&mut self, token: String, id: String) {
        let access = named("access", self.access.len());
        let new = self.names.insert(id.clone(), access);
        assert_eq!(new, None, "a token id stands twice");
        assert!(self.access.iter().all(|(other, _)| *other != token));
        self.access.push((token, id));
    }
}
