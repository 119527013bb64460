//! `countersign.v1.TokenAuthorityService`.

use super::{
    convert::{self, Fields, RevocationTarget},
    status,
};
use crate::authority::{Authority, Call, Failure};
use crate::proto::v1::{self, token_authority_service_server::TokenAuthorityService};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service.
#[derive(Debug)]
pub(super) struct TokenAuthority {
    authority: Arc<Authority>,
}

impl TokenAuthority {
    pub(super) fn new(authority: Arc<Authority>) -> Self {
        Self { authority }
    }
}

/// Takes a request apart: the call that the layer left in it, and the message.
pub(super) fn open<T>(request: Request<T>) -> Result<(Call, T), Status> {
    let (_, mut extensions, message) = request.into_parts();
    // The layer leaves one with every method that has a row in the table.
    let call = extensions.remove::<Call>().ok_or_else(status::internal)?;
    Ok((call, message))
}

/// What a message was read as. Who may not call hears that, and nothing of the message.
pub(super) async fn admitted<T>(
    authority: &Authority,
    call: &Call,
    read: Result<T, Status>,
) -> Result<T, Status> {
    if read.is_err() {
        let admitted = authority.admit(call).await;
        admitted.map_err(|failure| status::of_failure(call.claim.call, &failure))?;
    }
    read
}

/// Closes a call: its answer, or its status.
pub(super) fn close<T, M>(
    call: &Call,
    answer: Result<T, Failure>,
    message: impl FnOnce(T) -> M,
) -> Result<Response<M>, Status> {
    match answer {
        Ok(value) => Ok(Response::new(message(value))),
        Err(failure) => Err(status::of_failure(call.claim.call, &failure)),
    }
}

#[tonic::async_trait]
impl TokenAuthorityService for TokenAuthority {
    async fn issue_token(
        &self,
        request: Request<v1::IssueTokenRequest>,
    ) -> Result<Response<v1::IssueTokenResponse>, Status> {
        let (call, message) = open(request)?;
        let asked = admitted(&self.authority, &call, convert::issue_request(message)).await?;
        close(
            &call,
            self.authority.issue(&call, asked).await,
            convert::issued,
        )
    }

    async fn rotate_refresh(
        &self,
        request: Request<v1::RotateRefreshRequest>,
    ) -> Result<Response<v1::RotateRefreshResponse>, Status> {
        let (call, message) = open(request)?;
        let asked = admitted(&self.authority, &call, convert::rotate_request(message)).await?;
        close(
            &call,
            self.authority.rotate(&call, asked).await,
            convert::rotated,
        )
    }

    async fn revoke_session(
        &self,
        request: Request<v1::RevokeSessionRequest>,
    ) -> Result<Response<v1::RevokeSessionResponse>, Status> {
        let (call, message) = open(request)?;
        let authority = &self.authority;
        let target = admitted(authority, &call, convert::revocation_target(message)).await?;
        let revoked = match target {
            RevocationTarget::Session(id) => authority.revoke_session(&call, id).await,
            RevocationTarget::Token(token) => authority.revoke_session_of(&call, &token).await,
            RevocationTarget::User { subject, except } => {
                // Apart: every revocation would have room for it, and few ask.
                Box::pin(authority.revoke_sessions_of_user(&call, subject, except)).await
            }
        };
        close(&call, revoked, |revoked_sessions| {
            v1::RevokeSessionResponse { revoked_sessions }
        })
    }

    async fn revoke_token(
        &self,
        request: Request<v1::RevokeTokenRequest>,
    ) -> Result<Response<v1::RevokeTokenResponse>, Status> {
        let (call, message) = open(request)?;
        let token = convert::revoked_token(message);
        let token = admitted(&self.authority, &call, token).await?;
        let revoked = self.authority.revoke_token(&call, &token).await;
        close(&call, revoked, |()| v1::RevokeTokenResponse {})
    }

    async fn introspect(
        &self,
        request: Request<v1::IntrospectRequest>,
    ) -> Result<Response<v1::IntrospectResponse>, Status> {
        let (call, message) = open(request)?;
        let authority = &self.authority;
        let asked = convert::introspect_request(message);
        let (token, presented) = admitted(authority, &call, asked).await?;
        let found = authority.introspect(&call, &token, presented.as_ref());
        close(&call, found.await, |found| {
            convert::finding(found, authority)
        })
    }

    async fn batch_introspect(
        &self,
        request: Request<v1::BatchIntrospectRequest>,
    ) -> Result<Response<v1::BatchIntrospectResponse>, Status> {
        let (call, message) = open(request)?;
        let tokens = admitted(&self.authority, &call, convert::batch_tokens(message)).await?;
        close(
            &call,
            self.authority.introspect_all(&call, &tokens).await,
            |found| v1::BatchIntrospectResponse {
                results: found
                    .into_iter()
                    .map(|one| convert::finding(one, &self.authority))
                    .collect(),
            },
        )
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let (call, message) = open(request)?;
        let v1::ListSessionsRequest {
            subject,
            page_size,
            page_token,
        } = message;
        let mut fields = Fields::default();
        let subject = fields.uuid("subject", &subject);
        let size = fields.page_size(page_size);
        let after = convert::session_place(&mut fields, &page_token);
        admitted(&self.authority, &call, fields.finish(())).await?;
        let page = self
            .authority
            .list_sessions(&call, subject, size, after)
            .await;
        close(&call, page, |page| convert::session_page(page, subject))
    }
}
