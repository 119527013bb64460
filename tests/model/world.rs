//! The model: everything that the authority should remember, and who is alive.
//!
//! Written from the design and the proto's comments; it calls nothing of `src/`.

use super::{
    answers::{Answer, SLACK, When},
    clients::{ADMIN, ALLOWED, KINDS, Kind},
    operations::{Op, USERS},
    terms::{Audience, Scopes},
};
use std::{cell::Cell, collections::HashMap};

/// The whole world of a case. Times are seconds since it began; `order` numbers what happens,
/// for births and cut-offs are compared to the microsecond.
#[derive(Debug, Clone)]
pub struct World {
    pub now: u64,
    pub order: u64,
    pub fence: Option<u64>,
    pub clients: Vec<Client>,
    pub users: Vec<User>,
    pub sessions: Vec<Session>,
    pub access: Vec<Access>,
    /// The sessions that request ids opened, by who asked.
    pub requests: HashMap<(usize, usize), usize>,
    /// The keys, the minting one first.
    pub ring: Vec<usize>,
    /// How many keys there ever were.
    pub keys: usize,
    /// An answer depended on a time that is too near to now.
    near: Cell<bool>,
}

#[derive(Debug, Clone)]
pub struct Client {
    pub kind: Kind,
    pub allowed: Scopes,
    pub disabled: bool,
    pub not_before: Option<u64>,
    pub secrets: Vec<Secret>,
}

#[derive(Debug, Clone)]
pub struct Secret {
    pub key: usize,
    pub retired: bool,
}

#[derive(Debug, Clone)]
pub struct User {
    pub registered: bool,
    pub disabled: bool,
    pub not_before: Option<u64>,
}

#[derive(Debug, Clone)]
pub struct Session {
    pub client: usize,
    pub user: usize,
    pub scopes: Scopes,
    pub audience: Audience,
    pub agent: String,
    pub key: usize,
    pub born: u64,
    pub opened_at: u64,
    pub used_at: u64,
    pub used: u64,
    pub expires_at: u64,
    /// When each generation but the newest was superseded.
    pub superseded: Vec<u64>,
    /// Why, as its event says.
    pub ended: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub struct Access {
    pub client: usize,
    pub user: Option<usize>,
    pub session: Option<usize>,
    pub scopes: Scopes,
    pub audience: Audience,
    pub key: usize,
    pub born: u64,
    pub issued_at: u64,
    pub expires_at: u64,
    /// Revoked alone, or with the user's other tokens without a session.
    pub deleted: bool,
}

impl Session {
    /// The generation of its newest refresh token.
    pub fn version(&self) -> usize {
        self.superseded.len()
    }
}

/// What should happen: the answer, and the events that are written.
pub struct Verdict {
    pub answer: Answer,
    pub events: Vec<String>,
}

impl World {
    /// All clients and two of the users registered, under the first key.
    pub fn new() -> Self {
        let secret = Secret {
            key: 0,
            retired: false,
        };
        let client = |(number, kind): (usize, &Kind)| Client {
            kind: *kind,
            allowed: if number == ADMIN {
                Scopes::default()
            } else {
                ALLOWED
            },
            disabled: false,
            not_before: None,
            secrets: vec![secret.clone()],
        };
        let user = |number| User {
            registered: number < USERS - 1,
            disabled: false,
            not_before: None,
        };
        Self {
            now: 0,
            order: 0,
            fence: None,
            clients: KINDS.iter().enumerate().map(client).collect(),
            users: (0..USERS).map(user).collect(),
            sessions: Vec::new(),
            access: Vec::new(),
            requests: HashMap::new(),
            ring: vec![0],
            keys: 1,
            near: Cell::new(false),
        }
    }

    /// What a resolved operation should be answered, and the world after it. `None`: that
    /// depends on a moment too near to now to ask.
    pub fn after(&self, op: &Op) -> Option<(Self, Verdict)> {
        let mut next = self.clone();
        next.near.set(false);
        next.order += 1;
        let mut events = Vec::new();
        let answer = next
            .judge(op, &mut events)
            .unwrap_or_else(|refusal| refusal);
        let verdict = Verdict { answer, events };
        (!next.near.get()).then_some((next, verdict))
    }

    fn judge(&mut self, op: &Op, events: &mut Vec<String>) -> Result<Answer, Answer> {
        match op {
            Op::Issue(issue) => self.issue(issue, None, events),
            Op::UseSecret { client, secret } => self.use_secret(*client, *secret, events),
            Op::Rotate(rotate) => self.rotate(rotate, events),
            Op::RevokeSession { by, target } => self.revoke_session(by.client(), target, events),
            Op::RevokeToken { by, token } => self.revoke_token(by.client(), *token, events),
            Op::Introspect { by, token } => self.introspect(by.client(), &[*token]),
            Op::BatchIntrospect { by, tokens } => self.introspect(*by, tokens),
            Op::ListSessions { by, user, .. } => self.list(*by, *user),
            _ => self.administer(op, events),
        }
    }

    /// Whether a moment has come.
    pub fn reached(&self, at: u64) -> bool {
        if at + 1 > self.now && at <= self.now + SLACK {
            self.near.set(true);
        }
        at <= self.now
    }

    /// Whether the last question was too near an edge; asking it clears that.
    pub fn was_near(&self) -> bool {
        self.near.take()
    }

    /// The secret that a caller presents where the operation does not say: its newest that
    /// works, else its newest.
    pub fn presented(&self, client: usize) -> usize {
        let secrets = &self.clients[client].secrets;
        secrets
            .iter()
            .rposition(|secret| !secret.retired && self.ring.contains(&secret.key))
            .unwrap_or(secrets.len() - 1)
    }

    /// The secret's MAC: judged before anything else, without the database.
    pub fn authentic(&self, client: usize, secret: Option<usize>) -> Result<(), Answer> {
        let secret = secret.unwrap_or_else(|| self.presented(client));
        if self
            .ring
            .contains(&self.clients[client].secrets[secret].key)
        {
            Ok(())
        } else {
            Err(unauthenticated("CREDENTIALS_INVALID"))
        }
    }

    /// Whether the caller is admitted at all.
    pub fn admit(&self, client: usize, secret: Option<usize>) -> Result<(), Answer> {
        self.authentic(client, secret)?;
        let secret = secret.unwrap_or_else(|| self.presented(client));
        let caller = &self.clients[client];
        if caller.secrets[secret].retired {
            Err(unauthenticated("CREDENTIALS_INVALID"))
        } else if caller.disabled {
            Err(unauthenticated("CLIENT_DISABLED"))
        } else {
            Ok(())
        }
    }

    /// Why a session is dead, though its row stands.
    pub fn session_death(&self, session: usize) -> Option<&'static str> {
        let session = &self.sessions[session];
        self.over(session).or_else(|| {
            self.cut(
                session.client,
                Some(session.user),
                session.born,
                session.scopes,
            )
        })
    }

    /// Whether an access token is alive; who asks is another matter.
    pub fn token_alive(&self, access: usize) -> bool {
        let access = &self.access[access];
        if access.deleted || !self.ring.contains(&access.key) || self.reached(access.expires_at) {
            return false;
        }
        let session = access.session.map(|session| &self.sessions[session]);
        if session.is_some_and(|session| session.ended.is_some() || self.over(session).is_some()) {
            return false;
        }
        let born = session.map_or(access.born, |session| session.born);
        self.cut(access.client, access.user, born, access.scopes)
            .is_none()
    }

    fn over(&self, session: &Session) -> Option<&'static str> {
        let idle = self.clients[session.client].kind.idle;
        if self.reached(session.expires_at) {
            Some("SESSION_EXPIRED")
        } else if self.reached(session.used_at + idle) {
            Some("SESSION_IDLE")
        } else {
            None
        }
    }

    fn cut(
        &self,
        client: usize,
        user: Option<usize>,
        born: u64,
        scopes: Scopes,
    ) -> Option<&'static str> {
        let client = &self.clients[client];
        let user = user.map(|user| &self.users[user]);
        let cuts = [
            client.not_before,
            user.and_then(|user| user.not_before),
            self.fence,
        ];
        if client.disabled {
            Some("CLIENT_DISABLED")
        } else if user.is_some_and(|user| user.disabled) {
            Some("SUBJECT_DISABLED")
        } else if cuts.into_iter().flatten().any(|cut| born <= cut) {
            Some("SESSION_CUT_OFF")
        } else if scopes.within(client.allowed) {
            None
        } else {
            Some("SCOPE_WITHDRAWN")
        }
    }

    /// Ends a session whose row stands.
    pub fn end(
        &mut self,
        session: usize,
        why: &'static str,
        actor: usize,
        events: &mut Vec<String>,
    ) {
        self.sessions[session].ended = Some(why);
        events.push(format!(
            "session_ended:{why} of session {session} by client {actor}"
        ));
    }

    /// A new access token, and its end.
    pub fn mint(&mut self, token: Access) -> When {
        let end = token.expires_at;
        self.access.push(token);
        when(end)
    }
}

/// `UNAUTHENTICATED` with a reason.
pub fn unauthenticated(reason: &str) -> Answer {
    refused("Unauthenticated", reason)
}

pub fn refused(code: &str, reason: &str) -> Answer {
    Answer::Refused(code.to_owned(), reason.to_owned())
}

/// Seconds as an answer tells them.
#[expect(
    clippy::cast_precision_loss,
    reason = "a few years of seconds are exact"
)]
pub fn when(seconds: u64) -> When {
    When(seconds as f64)
}
