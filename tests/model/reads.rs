//! What the real server tells of tokens and sessions.

use super::{
    answers::{Answer, Description, Listed},
    case::{Answered, Case},
    operations::Token,
    terms::{Audience, Scopes},
    world::World,
};
use crate::support::server::{Caller, answer};
use countersign::proto::v1;

impl Case<'_> {
    /// `BatchIntrospect`.
    pub async fn batch(&self, by: &Caller, tokens: &[Token]) -> Answered<Vec<Option<Description>>> {
        let request = by.request(v1::BatchIntrospectRequest {
            tokens: tokens.iter().map(|token| self.text(*token)).collect(),
        });
        let found = answer(by.tokens().batch_introspect(request).await)?;
        Ok(found
            .results
            .into_iter()
            .map(|found| self.described(found))
            .collect())
    }

    pub fn described(&self, found: v1::IntrospectResponse) -> Option<Description> {
        if !found.active {
            assert_eq!(found, v1::IntrospectResponse::default());
            return None;
        }
        let access = found.token_kind() == v1::TokenKind::AccessToken;
        let form = if access {
            v1::TokenType::Bearer
        } else {
            v1::TokenType::Unspecified
        };
        assert_eq!(found.token_type(), form);
        assert_eq!(found.client_only, found.subject.is_empty());
        assert_eq!(found.issuer, "countersign");
        assert_eq!(found.confirmation, None);
        let token = match found.token_kind() {
            v1::TokenKind::RefreshToken => {
                assert_eq!(found.token_id, "");
                "refresh".into()
            }
            _ => self.name(&found.token_id),
        };
        Some(Description {
            token,
            client: self.name(&found.client_id),
            user: self.name(&found.subject),
            session: self.name(&found.session_id),
            scopes: Scopes::of(&found.scopes),
            audience: Audience::of(&found.audience),
            issued_at: self.when(found.issued_at),
            expires_at: self.when(found.expires_at),
        })
    }

    /// Every page of `ListSessions`.
    pub async fn list(
        &self,
        by: usize,
        user: usize,
        page_size: u32,
        world: &World,
    ) -> Answered<Answer> {
        let by = self.caller(by, world);
        let mut listed = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = by.request(v1::ListSessionsRequest {
                subject: self.users[user].clone(),
                page_size,
                page_token,
            });
            let page = answer(by.tokens().list_sessions(request).await)?;
            let full = page_size == 0 || page.sessions.len() <= page_size as usize;
            assert!(full, "a page is longer than was asked for");
            listed.extend(page.sessions.into_iter().map(|session| Listed {
                session: self.name(&session.session_id),
                client: self.name(&session.client_id),
                user: self.name(&session.subject),
                scopes: Scopes::of(&session.scopes),
                audience: Audience::of(&session.audience),
                generation: session.generation as usize,
                agent: session.user_agent,
                created_at: self.when(session.created_at),
                last_used_at: self.when(session.last_used_at),
                expires_at: self.when(session.expires_at),
            }));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(Answer::Listed(listed));
            }
        }
    }
}
