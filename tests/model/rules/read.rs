//! `Introspect`, `BatchIntrospect`, `ListSessions`.

use crate::model::{
    answers::{Answer, Description, Listed, named},
    operations::Token,
    world::{World, when},
};
use countersign::proto::v1::Role;
use std::cmp::Reverse;

impl World {
    pub fn introspect(&self, by: usize, tokens: &[Token]) -> Result<Answer, Answer> {
        self.authentic(by, None)?;
        // Where no key of the ring made any of them, the database is not asked.
        if tokens.iter().any(|token| self.readable(*token)) {
            self.admit(by, None)?;
        }
        let described = tokens.iter().map(|token| self.describe(by, *token));
        Ok(Answer::Described(described.collect()))
    }

    /// Whether a key of the ring made it.
    pub fn readable(&self, token: Token) -> bool {
        let key = match token {
            Token::Access(access) => self.access[access].key,
            Token::Refresh { session, .. } => self.sessions[session].key,
        };
        self.ring.contains(&key)
    }

    /// What a caller is told of a token. `None`: inactive.
    pub fn describe(&self, by: usize, token: Token) -> Option<Description> {
        if !self.readable(token) {
            return None;
        }
        match token {
            Token::Access(number) => {
                if !self.may_see(by, number) || !self.token_alive(number) {
                    return None;
                }
                let access = &self.access[number];
                let name = |kind, of: Option<usize>| {
                    of.map_or_else(String::new, |number| named(kind, number))
                };
                Some(Description {
                    token: named("access", number),
                    client: named("client", access.client),
                    user: name("user", access.user),
                    session: name("session", access.session),
                    scopes: access.scopes,
                    audience: access.audience,
                    issued_at: when(access.issued_at),
                    expires_at: when(access.expires_at),
                })
            }
            Token::Refresh {
                session: number,
                generation,
            } => {
                let session = &self.sessions[number];
                if session.client != by
                    || session.ended.is_some()
                    || generation != session.version()
                    || self.session_death(number).is_some()
                {
                    return None;
                }
                Some(Description {
                    token: "refresh".into(),
                    client: named("client", session.client),
                    user: named("user", session.user),
                    session: named("session", number),
                    scopes: session.scopes,
                    audience: session.audience,
                    issued_at: when(session.used_at),
                    expires_at: when(session.expires_at),
                })
            }
        }
    }

    fn may_see(&self, by: usize, access: usize) -> bool {
        let access = &self.access[access];
        let caller = &self.clients[by].kind;
        let sees = if caller.introspection_audience.is_empty() {
            caller.audience
        } else {
            caller.introspection_audience
        };
        access.client == by
            || caller.has(Role::Admin)
            || (caller.has(Role::Introspector) && access.audience.meets(sees))
    }

    pub fn list(&self, by: usize, user: usize) -> Result<Answer, Answer> {
        self.admit(by, None)?;
        let all = self.clients[by].kind.has(Role::Revoker);
        let mut live: Vec<_> = (0..self.sessions.len())
            .filter(|number| {
                let session = &self.sessions[*number];
                session.user == user
                    && session.ended.is_none()
                    && (all || session.client == by)
                    && self.session_death(*number).is_none()
            })
            .collect();
        live.sort_by_key(|number| Reverse(self.sessions[*number].used));
        let listed = live.into_iter().map(|number| {
            let session = &self.sessions[number];
            Listed {
                session: named("session", number),
                client: named("client", session.client),
                user: named("user", session.user),
                scopes: session.scopes,
                audience: session.audience,
                generation: session.version(),
                agent: session.agent.clone(),
                created_at: when(session.opened_at),
                last_used_at: when(session.used_at),
                expires_at: when(session.expires_at),
            }
        });
        Ok(Answer::Listed(listed.collect()))
    }
}
