//! `IssueToken`.

use crate::model::{
    answers::{Answer, Issued},
    clients::ADMIN,
    operations::{Issue, NOBODY},
    terms::{Audience, Scopes},
    world::{Access, Session, World, refused, when},
};
use countersign::proto::v1::Role;

/// How long a request id makes an opening repeatable, in seconds.
const REQUEST_ID_LIFETIME: u64 = 86_400;

impl World {
    pub fn use_secret(
        &mut self,
        client: usize,
        secret: usize,
        events: &mut Vec<String>,
    ) -> Result<Answer, Answer> {
        let plain = Issue {
            by: client,
            client: None,
            user: None,
            scopes: Scopes::default(),
            audience: Audience::default(),
            ttl: None,
            session: false,
            request: None,
            register: false,
        };
        self.issue(&plain, Some(secret), events)
    }

    pub fn issue(
        &mut self,
        issue: &Issue,
        secret: Option<usize>,
        events: &mut Vec<String>,
    ) -> Result<Answer, Answer> {
        self.admit(issue.by, secret)?;
        let own = issue
            .client
            .is_none_or(|client| client == issue.by && client != NOBODY);
        let issuer = self.clients[issue.by].kind.has(Role::Issuer);
        let for_itself = own && issue.user.is_none();
        if !issuer && !for_itself {
            return Err(refused("PermissionDenied", "PERMISSION_DENIED"));
        }
        if issue.client == Some(NOBODY) {
            return Err(refused("NotFound", "CLIENT_NOT_FOUND"));
        }
        let number = issue.client.unwrap_or(issue.by);
        debug_assert!(number != ADMIN || own);
        let client = self.clients[number].clone();
        if client.disabled {
            return Err(refused("FailedPrecondition", "CLIENT_DISABLED"));
        }
        let mut register = None;
        if let Some(user) = issue.user {
            if self.users[user].disabled {
                return Err(refused("FailedPrecondition", "SUBJECT_DISABLED"));
            }
            if !self.users[user].registered {
                if !issue.register {
                    return Err(refused("NotFound", "SUBJECT_NOT_FOUND"));
                }
                register = Some(user);
            }
        }
        if !issue.scopes.within(client.allowed) {
            return Err(refused("InvalidArgument", "INVALID_SCOPE"));
        }
        if !issue.audience.within(client.kind.audience) {
            return Err(refused("InvalidArgument", "INVALID_TARGET"));
        }
        let audience = if issue.audience.is_empty() {
            client.kind.default_audience
        } else {
            issue.audience
        };
        let opens = issue.user.filter(|_| issue.session);
        if let Some(user) = opens {
            self.make_room(issue, number, user, events)?;
        }
        if let Some(user) = register {
            self.users[user].registered = true;
            events.push(format!(
                "subject_registered of user {user} by client {}",
                issue.by
            ));
        }

        let asked = self.now + issue.ttl.unwrap_or(client.kind.access_ttl);
        let mut expires_at = asked.min(self.now + client.kind.access_ttl);
        let session = opens.map(|user| {
            let end = self.now + client.kind.session_ttl;
            expires_at = expires_at.min(end);
            self.open(issue, number, user, audience, end)
        });
        let end = session.map(|session| when(self.sessions[session].expires_at));
        let expires_at = self.mint(Access {
            client: number,
            user: issue.user,
            session,
            scopes: issue.scopes,
            audience,
            key: self.ring[0],
            born: self.order,
            issued_at: self.now,
            expires_at,
            deleted: false,
        });
        Ok(Answer::Issued(Issued {
            scopes: issue.scopes,
            audience,
            expires_at,
            session_expires_at: end,
        }))
    }

    /// What ends so that a session may open: the one that a repeat replaces, and the least
    /// recently used ones where their number is limited.
    fn make_room(
        &mut self,
        issue: &Issue,
        client: usize,
        user: usize,
        events: &mut Vec<String>,
    ) -> Result<(), Answer> {
        let request = issue.request.map(|request| (issue.by, request));
        let earlier = request
            .and_then(|request| self.requests.get(&request).copied())
            .filter(|earlier| {
                !self.reached(self.sessions[*earlier].opened_at + REQUEST_ID_LIFETIME)
            });
        let mut replaced = None;
        if let Some(earlier) = earlier {
            let session = &self.sessions[earlier];
            if (session.client, session.user) != (client, user) {
                return Err(refused("FailedPrecondition", "REQUEST_ID_CONFLICT"));
            }
            replaced = session.ended.is_none().then_some(earlier);
        }
        let mut gives_way = Vec::new();
        if let Some((most, gives)) = self.clients[client].kind.limit {
            let mut live: Vec<_> = (0..self.sessions.len())
                .filter(|session| {
                    let found = &self.sessions[*session];
                    (found.client, found.user) == (client, user)
                        && found.ended.is_none()
                        && Some(*session) != replaced
                        && self.session_death(*session).is_none()
                })
                .collect();
            let surplus = (live.len() + 1).saturating_sub(most);
            if surplus > 0 && !gives {
                return Err(refused("ResourceExhausted", "SESSION_LIMIT_REACHED"));
            }
            live.sort_by_key(|session| self.sessions[*session].used);
            gives_way.extend(live.into_iter().take(surplus));
        }
        if let Some(session) = replaced {
            self.end(session, "replaced", issue.by, events);
        }
        for session in gives_way {
            self.end(session, "limit", issue.by, events);
        }
        Ok(())
    }

    fn open(
        &mut self,
        issue: &Issue,
        client: usize,
        user: usize,
        audience: Audience,
        expires_at: u64,
    ) -> usize {
        let session = self.sessions.len();
        if let Some(request) = issue.request {
            self.requests.insert((issue.by, request), session);
        }
        self.sessions.push(Session {
            client,
            user,
            scopes: issue.scopes,
            audience,
            agent: "first".into(),
            key: self.ring[0],
            born: self.order,
            opened_at: self.now,
            used_at: self.now,
            used: self.order,
            expires_at,
            superseded: Vec::new(),
            ended: None,
        });
        session
    }
}
