//! `RevokeSession` and `RevokeToken`.

use crate::model::{
    answers::Answer,
    operations::{Target, Token},
    world::World,
};
use countersign::proto::v1::Role;

impl World {
    pub fn revoke_session(
        &mut self,
        by: usize,
        target: &Target,
        events: &mut Vec<String>,
    ) -> Result<Answer, Answer> {
        self.authentic(by, None)?;
        let session = match target {
            // What no key of the ring made is no token, whoever asks.
            Target::Of(token) if !self.readable(*token) => return Ok(Answer::Revoked(0)),
            Target::Session(session) | Target::Of(Token::Refresh { session, .. }) => Some(*session),
            // One that was revoked alone still names its session.
            Target::Of(Token::Access(access)) => self.access[*access].session,
            Target::User { user, except } => {
                self.admit(by, None)?;
                return Ok(Answer::Revoked(
                    self.revoke_user(by, *user, *except, events),
                ));
            }
        };
        self.admit(by, None)?;
        let ended = session.map_or(0, |session| self.revoke_one(by, session, events));
        Ok(Answer::Revoked(ended))
    }

    pub fn revoke_token(
        &mut self,
        by: usize,
        token: Token,
        events: &mut Vec<String>,
    ) -> Result<Answer, Answer> {
        self.authentic(by, None)?;
        if !self.readable(token) {
            return Ok(Answer::Done);
        }
        self.admit(by, None)?;
        match token {
            Token::Access(number) => {
                let theirs = self.may_end(by, self.access[number].client);
                let access = &mut self.access[number];
                if theirs && !access.deleted {
                    access.deleted = true;
                    events.push(format!("token_revoked of access {number} by client {by}"));
                }
            }
            Token::Refresh { session, .. } => {
                self.revoke_one(by, session, events);
            }
        }
        Ok(Answer::Done)
    }

    fn may_end(&self, by: usize, client: usize) -> bool {
        by == client || self.clients[by].kind.has(Role::Revoker)
    }

    /// 1 if a live session ended. One that is dead, but stands, ends as well, and counts 0.
    fn revoke_one(&mut self, by: usize, session: usize, events: &mut Vec<String>) -> u32 {
        let found = &self.sessions[session];
        if found.ended.is_some() || !self.may_end(by, found.client) {
            return 0;
        }
        let lived = self.session_death(session).is_none();
        self.end(session, "revoked", by, events);
        u32::from(lived)
    }

    fn revoke_user(
        &mut self,
        by: usize,
        user: usize,
        except: Option<usize>,
        events: &mut Vec<String>,
    ) -> u32 {
        let mut ended = 0;
        for session in 0..self.sessions.len() {
            if self.sessions[session].user == user && Some(session) != except {
                ended += self.revoke_one(by, session, events);
            }
        }
        let revoker = self.clients[by].kind.has(Role::Revoker);
        if revoker && except.is_none() {
            if self.users[user].registered {
                self.users[user].not_before = Some(self.order);
                events.push(format!("subject_cut_off of user {user} by client {by}"));
            }
            return ended;
        }
        // A cut-off would reach beyond what stays, or beyond the caller's own.
        let mut any = false;
        for access in &mut self.access {
            let own = revoker || access.client == by;
            if access.user == Some(user) && access.session.is_none() && own && !access.deleted {
                access.deleted = true;
                any = true;
            }
        }
        if any {
            events.push(format!(
                "subject_tokens_revoked of user {user} by client {by}"
            ));
        }
        ended
    }
}
