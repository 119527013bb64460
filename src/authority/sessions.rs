//! Revoke and list sessions.

use super::{Authority, Call, Failure, audit::Record};
use crate::domain::{revocation::Target, tokens::Token};
use crate::store::{ListQuery, ListedSession, Place, Revocation, Revoked};
use uuid::Uuid;

/// One page of sessions.
#[derive(Debug)]
pub struct SessionPage {
    /// The most recently used first.
    pub sessions: Vec<ListedSession>,
    /// Where the next page goes on, if there is one.
    pub next: Option<Place>,
}

impl Authority {
    /// Ends one session by its id; returns how many live ones ended: 0 of one that is not known,
    /// has ended, or is another client's without the role `revoker`.
    ///
    /// # Errors
    /// The refusals of [`Caller::admit`](crate::domain::caller::Caller::admit).
    /// `Failure::Store`: the database failed it.
    pub async fn revoke_session(&self, call: &Call, session_id: Uuid) -> Result<u32, Failure> {
        self.end(call, Target::Session(session_id)).await
    }

    /// Ends the session of a token of either kind, also of a stale or expired one; like
    /// [`revoke_session`](Self::revoke_session). What is no token of ours ends nothing, and costs
    /// no query.
    ///
    /// # Errors
    /// The refusals of [`Caller::admit`](crate::domain::caller::Caller::admit).
    /// `Failure::Store`: the database failed it.
    pub async fn revoke_session_of(&self, call: &Call, token: &str) -> Result<u32, Failure> {
        match self.read(token) {
            None => Ok(0),
            Some(Token::Access(token)) => self.end(call, Target::AccessSession(token)).await,
            Some(Token::Refresh(token)) => self.end(call, Target::Refresh(token)).await,
        }
    }

    /// Ends a user's sessions, all or all but one, and returns how many live ones ended: with the
    /// role `revoker` those of every client, otherwise the caller's own. Their tokens without a
    /// session die as well.
    ///
    /// # Errors
    /// The refusals of [`Caller::admit`](crate::domain::caller::Caller::admit).
    /// `Failure::Store`: the database failed it.
    pub async fn revoke_sessions_of_user(
        &self,
        call: &Call,
        subject: Uuid,
        except: Option<Uuid>,
    ) -> Result<u32, Failure> {
        let claim = call.claim.clone();
        let answer = self.store.revoke_of_user(claim, subject, except).await;
        let revoked = self.heard(call, "revoke_user", answer)?;
        Ok(self.revoked(call, "revoke_user", &revoked))
    }

    /// One page of a user's live sessions, at most `page_size` of them: with the role `revoker`
    /// those of every client, otherwise the caller's own.
    ///
    /// # Errors
    /// The refusals of [`Caller::admit`](crate::domain::caller::Caller::admit).
    /// `Failure::Store`: the database failed it.
    pub async fn list_sessions(
        &self,
        call: &Call,
        subject: Uuid,
        page_size: usize,
        after: Option<Place>,
    ) -> Result<SessionPage, Failure> {
        let query = ListQuery {
            claim: call.claim.clone(),
            subject,
            page_size,
            after,
        };
        let answer = self.store.list_sessions(&query).await;
        let (sessions, more) = self.heard(call, "list_sessions", answer)?;
        let next = sessions.last().filter(|_| more).map(|last| Place {
            last_used_at: last.life.last_used_at,
            session_id: last.session_id,
        });
        Ok(SessionPage { sessions, next })
    }

    async fn end(&self, call: &Call, target: Target) -> Result<u32, Failure> {
        let revocation = Revocation {
            claim: call.claim.clone(),
            target,
        };
        self.revoke(call, "revoke_session", revocation).await
    }

    pub(super) async fn revoke(
        &self,
        call: &Call,
        event: &'static str,
        revocation: Revocation,
    ) -> Result<u32, Failure> {
        let answer = self.store.revoke(revocation, call.arrived).await;
        let revoked = self.heard(call, event, answer)?;
        Ok(self.revoked(call, event, &revoked))
    }

    fn revoked(&self, call: &Call, event: &'static str, revoked: &Revoked) -> u32 {
        self.instruments.revoked(revoked.sessions);
        let about = Record {
            session_id: revoked.session_id,
            client_id: revoked.client_id,
            subject: revoked.subject,
            sessions: Some(revoked.sessions),
            // Another client's session: the answer is 0, the attempt is on record.
            reason: revoked.not_theirs.then_some("NOT_THEIRS"),
            ..Record::default()
        };
        self.note(call, event, about);
        revoked.sessions
    }
}
