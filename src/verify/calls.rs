//! One caller at one server: the calls of the proto, and what came back, sorted by what
//! it proves.

use crate::proto::{
    ERROR_DOMAIN,
    v1::{
        self, directory_service_client::DirectoryServiceClient,
        token_authority_service_client::TokenAuthorityServiceClient,
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::{error::Error as _, time::Duration};
use tonic::{
    Code, Request, Response, Status,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};
use tonic_types::StatusExt as _;

/// The value of `authorization` that proves a client.
pub type Authorization = MetadataValue<Ascii>;

/// Why a call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// Refused for this reason, and surely not done.
    Refused(String),
    /// It may have been done or not; it may be tried again.
    Lost(String),
    /// What no call may say.
    Defect(String),
}

/// A client that calls one server.
#[derive(Clone)]
pub struct Caller {
    channel: Channel,
    authorization: Authorization,
    timeout: Duration,
}

impl Caller {
    /// A client with these credentials.
    pub fn new(channel: Channel, authorization: Authorization, timeout: Duration) -> Self {
        Self {
            channel,
            authorization,
            timeout,
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let authorization = self.authorization.clone();
        request
            .metadata_mut()
            .insert("authorization", authorization);
        request.set_timeout(self.timeout);
        request
    }

    fn tokens(&self) -> TokenAuthorityServiceClient<Channel> {
        TokenAuthorityServiceClient::new(self.channel.clone())
    }

    fn directory(&self) -> DirectoryServiceClient<Channel> {
        DirectoryServiceClient::new(self.channel.clone())
    }

    /// `IssueToken`.
    pub async fn issue(
        &self,
        request: v1::IssueTokenRequest,
    ) -> Result<v1::IssueTokenResponse, Unanswered> {
        answer(self.tokens().issue_token(self.request(request)).await)
    }

    /// `RotateRefresh`.
    pub async fn rotate(&self, token: String) -> Result<v1::RotateRefreshResponse, Unanswered> {
        let request = v1::RotateRefreshRequest {
            refresh_token: token,
            ..v1::RotateRefreshRequest::default()
        };
        answer(self.tokens().rotate_refresh(self.request(request)).await)
    }

    /// `Introspect`; whether the token is active.
    pub async fn introspect(&self, token: String) -> Result<bool, Unanswered> {
        let request = v1::IntrospectRequest {
            token,
            ..v1::IntrospectRequest::default()
        };
        let found = answer(self.tokens().introspect(self.request(request)).await)?;
        Ok(found.active)
    }

    /// `RevokeSession`; how many ended.
    pub async fn revoke(
        &self,
        target: v1::revoke_session_request::Target,
    ) -> Result<u32, Unanswered> {
        let request = v1::RevokeSessionRequest {
            target: Some(target),
        };
        let revoked = answer(self.tokens().revoke_session(self.request(request)).await)?;
        Ok(revoked.revoked_sessions)
    }

    /// `RevokeToken`.
    pub async fn revoke_token(&self, token: String) -> Result<(), Unanswered> {
        let request = v1::RevokeTokenRequest {
            token,
            ..v1::RevokeTokenRequest::default()
        };
        answer(self.tokens().revoke_token(self.request(request)).await).map(|_| ())
    }

    /// `ListSessions`, every page.
    pub async fn sessions(&self, subject: &str) -> Result<Vec<v1::Session>, Unanswered> {
        let request = v1::ListSessionsRequest {
            subject: subject.to_owned(),
            page_size: 1000,
            ..v1::ListSessionsRequest::default()
        };
        let listed = answer(self.tokens().list_sessions(self.request(request)).await)?;
        Ok(listed.sessions)
    }

    /// `DisableUser` or `EnableUser`.
    pub async fn set_user(&self, subject: String, enabled: bool) -> Result<(), Unanswered> {
        if enabled {
            let request = self.request(v1::EnableUserRequest { subject });
            return answer(self.directory().enable_user(request).await).map(|_| ());
        }
        let request = self.request(v1::DisableUserRequest { subject });
        answer(self.directory().disable_user(request).await).map(|_| ())
    }

    /// `DisableClient`.
    pub async fn disable_client(&self, client_id: String) -> Result<(), Unanswered> {
        let request = self.request(v1::DisableClientRequest { client_id });
        answer(self.directory().disable_client(request).await).map(|_| ())
    }

    /// `CreateClient`; its id and what proves it.
    pub async fn create_client(
        &self,
        settings: v1::ClientSettings,
    ) -> Result<(String, Authorization), Unanswered> {
        let request = v1::CreateClientRequest {
            settings: Some(settings),
            ..v1::CreateClientRequest::default()
        };
        let created = answer(self.directory().create_client(self.request(request)).await)?;
        let client_id = created.client.unwrap_or_default().client_id;
        let pair = BASE64.encode(format!("{client_id}:{}", created.client_secret));
        let mut authorization: Authorization = format!("Basic {pair}")
            .parse()
            .map_err(|_| Unanswered::Defect("a client secret that is no header".into()))?;
        authorization.set_sensitive(true);
        Ok((client_id, authorization))
    }
}

fn answer<T>(result: Result<Response<T>, Status>) -> Result<T, Unanswered> {
    result
        .map(Response::into_inner)
        .map_err(|status| sort(&status))
}

fn sort(status: &Status) -> Unanswered {
    // What the transport says of itself, no server said.
    if status.source().is_some() {
        return Unanswered::Lost("the connection broke".into());
    }
    let code = format!("{:?}", status.code());
    let reason = status
        .get_details_error_info()
        .filter(|info| info.domain == ERROR_DOMAIN)
        .map(|info| info.reason);
    match (status.code(), reason) {
        (Code::Unavailable | Code::DeadlineExceeded | Code::Aborted, Some(reason)) => {
            Unanswered::Lost(reason)
        }
        (Code::ResourceExhausted, Some(reason))
            if matches!(reason.as_str(), "OVERLOADED" | "RATE_LIMITED") =>
        {
            Unanswered::Lost(reason)
        }
        // The caller's own timer, and proxies, give no reason.
        (Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled, None) => {
            Unanswered::Lost(code)
        }
        (Code::Internal | Code::Unknown | Code::DataLoss, Some(reason)) => {
            Unanswered::Defect(reason)
        }
        (_, Some(reason)) => Unanswered::Refused(reason),
        (_, None) => Unanswered::Defect(format!("{code} without a reason: {}", status.message())),
    }
}
