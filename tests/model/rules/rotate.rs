//! `RotateRefresh`.

use crate::model::{
    answers::{Answer, Rotated, named},
    operations::Rotate,
    world::{Access, World, refused, unauthenticated, when},
};

impl World {
    pub fn rotate(&mut self, rotate: &Rotate, events: &mut Vec<String>) -> Result<Answer, Answer> {
        let by = rotate.by.client();
        let number = rotate.session;
        let session = self.sessions[number].clone();
        // MAC before caller: a token of a retired key is judged without the database.
        self.authentic(by, None)?;
        if !self.ring.contains(&session.key) {
            return Err(unauthenticated("REFRESH_TOKEN_INVALID"));
        }
        self.admit(by, None)?;
        if session.client != by {
            return Err(unauthenticated("INVALID_GRANT"));
        }
        match session.ended {
            Some("reused") => return Err(unauthenticated("REFRESH_TOKEN_REUSED")),
            Some(_) => return Err(unauthenticated("SESSION_REVOKED")),
            None => {}
        }
        if let Some(death) = self.session_death(number) {
            return Err(unauthenticated(death));
        }
        let behind = session.version() - rotate.generation;
        let grace = self.clients[by].kind.grace;
        if behind > 0 && (grace == 0 || self.reached(session.superseded[rotate.generation] + grace))
        {
            self.end(number, "reused", by, events);
            return Err(unauthenticated("REFRESH_TOKEN_REUSED"));
        }
        if behind > 1 {
            return Err(unauthenticated("REFRESH_TOKEN_SUPERSEDED"));
        }
        if !rotate.scopes.within(session.scopes) {
            return Err(refused("InvalidArgument", "INVALID_SCOPE"));
        }
        if !rotate.audience.within(session.audience) {
            return Err(refused("InvalidArgument", "INVALID_TARGET"));
        }
        if behind == 0 {
            let (now, order) = (self.now, self.order);
            let session = &mut self.sessions[number];
            session.superseded.push(now);
            session.used_at = now;
            session.used = order;
            if rotate.agent {
                session.agent = format!("step {}", session.superseded.len());
            }
        }
        let scopes = if rotate.scopes.0 == 0 {
            session.scopes
        } else {
            rotate.scopes
        };
        let audience = if rotate.audience.is_empty() {
            session.audience
        } else {
            rotate.audience
        };
        let ttl = self.clients[by].kind.access_ttl;
        let expires_at = self.mint(Access {
            client: by,
            user: Some(session.user),
            session: Some(number),
            scopes,
            audience,
            key: self.ring[0],
            born: self.order,
            issued_at: self.now,
            expires_at: (self.now + ttl).min(session.expires_at),
            deleted: false,
        });
        Ok(Answer::Rotated(Rotated {
            outcome: if behind == 0 { "ROTATED" } else { "REPLAYED" },
            generation: rotate.generation + 1,
            known: behind == 1,
            session: named("session", number),
            scopes,
            audience,
            expires_at,
            session_expires_at: when(session.expires_at),
        }))
    }
}
