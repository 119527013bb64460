//! `countersign.v1.DirectoryService`.

use super::{
    convert::{self, ClientBounds, Fields},
    token_authority::{admitted, close, open},
};
use crate::authority::Authority;
use crate::proto::v1::{self, directory_service_server::DirectoryService};
use std::sync::Arc;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// The service.
#[derive(Debug)]
pub(super) struct Directory {
    authority: Arc<Authority>,
    bounds: ClientBounds,
}

impl Directory {
    pub(super) fn new(authority: Arc<Authority>, bounds: ClientBounds) -> Self {
        Self { authority, bounds }
    }
}

/// A message that is a single id.
fn one_id(field: &str, text: &str) -> Result<Uuid, Status> {
    let mut fields = Fields::default();
    let id = fields.uuid(field, text);
    fields.finish(id)
}

#[tonic::async_trait]
impl DirectoryService for Directory {
    async fn create_client(
        &self,
        request: Request<v1::CreateClientRequest>,
    ) -> Result<Response<v1::CreateClientResponse>, Status> {
        let (
            call,
            v1::CreateClientRequest {
                client_id,
                settings,
            },
        ) = open(request)?;
        let mut fields = Fields::default();
        let client_id = fields.optional_uuid("client_id", &client_id);
        let settings = convert::settings(&mut fields, settings, &self.bounds);
        let settings = admitted(&self.authority, &call, fields.finish(settings)).await?;
        let created = self
            .authority
            .create_client(&call, client_id, settings)
            .await;
        close(&call, created, convert::created_client)
    }

    async fn get_client(
        &self,
        request: Request<v1::GetClientRequest>,
    ) -> Result<Response<v1::GetClientResponse>, Status> {
        let (call, v1::GetClientRequest { client_id }) = open(request)?;
        let client_id = admitted(&self.authority, &call, one_id("client_id", &client_id)).await?;
        let entry = self.authority.client(&call, client_id).await;
        close(&call, entry, |entry| v1::GetClientResponse {
            client: Some(convert::client(entry)),
        })
    }

    async fn list_clients(
        &self,
        request: Request<v1::ListClientsRequest>,
    ) -> Result<Response<v1::ListClientsResponse>, Status> {
        let (
            call,
            v1::ListClientsRequest {
                page_size,
                page_token,
            },
        ) = open(request)?;
        let mut fields = Fields::default();
        let size = fields.page_size(page_size);
        let after = convert::client_place(&mut fields, &page_token);
        admitted(&self.authority, &call, fields.finish(())).await?;
        let page = self.authority.clients(&call, after, size).await;
        close(&call, page, convert::client_page)
    }

    async fn update_client(
        &self,
        request: Request<v1::UpdateClientRequest>,
    ) -> Result<Response<v1::UpdateClientResponse>, Status> {
        let (call, message) = open(request)?;
        let v1::UpdateClientRequest {
            client_id,
            settings,
            update_mask,
        } = message;
        let mut fields = Fields::default();
        let client_id = fields.uuid("client_id", &client_id);
        let change = convert::update(&mut fields, settings, update_mask, &self.bounds);
        admitted(&self.authority, &call, fields.finish(())).await?;
        let entry = self.authority.update_client(&call, client_id, change).await;
        close(&call, entry, |entry| v1::UpdateClientResponse {
            client: Some(convert::client(entry)),
        })
    }

    async fn disable_client(
        &self,
        request: Request<v1::DisableClientRequest>,
    ) -> Result<Response<v1::DisableClientResponse>, Status> {
        let (call, v1::DisableClientRequest { client_id }) = open(request)?;
        let client_id = admitted(&self.authority, &call, one_id("client_id", &client_id)).await?;
        let entry = self.authority.disable_client(&call, client_id).await;
        close(&call, entry, |entry| v1::DisableClientResponse {
            client: Some(convert::client(entry)),
        })
    }

    async fn enable_client(
        &self,
        request: Request<v1::EnableClientRequest>,
    ) -> Result<Response<v1::EnableClientResponse>, Status> {
        let (call, v1::EnableClientRequest { client_id }) = open(request)?;
        let client_id = admitted(&self.authority, &call, one_id("client_id", &client_id)).await?;
        let entry = self.authority.enable_client(&call, client_id).await;
        close(&call, entry, |entry| v1::EnableClientResponse {
            client: Some(convert::client(entry)),
        })
    }

    async fn cut_off_client(
        &self,
        request: Request<v1::CutOffClientRequest>,
    ) -> Result<Response<v1::CutOffClientResponse>, Status> {
        let (call, v1::CutOffClientRequest { client_id }) = open(request)?;
        let client_id = admitted(&self.authority, &call, one_id("client_id", &client_id)).await?;
        let entry = self.authority.cut_off_client(&call, client_id).await;
        close(&call, entry, |entry| v1::CutOffClientResponse {
            client: Some(convert::client(entry)),
        })
    }

    async fn rotate_client_secret(
        &self,
        request: Request<v1::RotateClientSecretRequest>,
    ) -> Result<Response<v1::RotateClientSecretResponse>, Status> {
        let (call, v1::RotateClientSecretRequest { client_id }) = open(request)?;
        let client_id = admitted(&self.authority, &call, one_id("client_id", &client_id)).await?;
        let created = self.authority.rotate_secret(&call, client_id).await;
        close(&call, created, |created| v1::RotateClientSecretResponse {
            secret_id: created.secret_id.to_string(),
            client_secret: created.secret.reveal().to_owned(),
        })
    }

    async fn retire_client_secret(
        &self,
        request: Request<v1::RetireClientSecretRequest>,
    ) -> Result<Response<v1::RetireClientSecretResponse>, Status> {
        let (
            call,
            v1::RetireClientSecretRequest {
                client_id,
                secret_id,
            },
        ) = open(request)?;
        let mut fields = Fields::default();
        let client_id = fields.uuid("client_id", &client_id);
        let secret_id = fields.uuid("secret_id", &secret_id);
        admitted(&self.authority, &call, fields.finish(())).await?;
        let entry = self
            .authority
            .retire_secret(&call, client_id, secret_id)
            .await;
        close(&call, entry, |entry| v1::RetireClientSecretResponse {
            client: Some(convert::client(entry)),
        })
    }

    async fn register_user(
        &self,
        request: Request<v1::RegisterUserRequest>,
    ) -> Result<Response<v1::RegisterUserResponse>, Status> {
        let (call, v1::RegisterUserRequest { subject }) = open(request)?;
        let mut fields = Fields::default();
        let subject = fields.optional_uuid("subject", &subject);
        let subject = admitted(&self.authority, &call, fields.finish(subject)).await?;
        let user = self.authority.register_user(&call, subject).await;
        close(&call, user, |user| v1::RegisterUserResponse {
            user: Some(convert::user(user)),
        })
    }

    async fn get_user(
        &self,
        request: Request<v1::GetUserRequest>,
    ) -> Result<Response<v1::GetUserResponse>, Status> {
        let (call, v1::GetUserRequest { subject }) = open(request)?;
        let subject = admitted(&self.authority, &call, one_id("subject", &subject)).await?;
        let user = self.authority.user(&call, subject).await;
        close(&call, user, |user| v1::GetUserResponse {
            user: Some(convert::user(user)),
        })
    }

    async fn disable_user(
        &self,
        request: Request<v1::DisableUserRequest>,
    ) -> Result<Response<v1::DisableUserResponse>, Status> {
        let (call, v1::DisableUserRequest { subject }) = open(request)?;
        let subject = admitted(&self.authority, &call, one_id("subject", &subject)).await?;
        let user = self.authority.disable_user(&call, subject).await;
        close(&call, user, |user| v1::DisableUserResponse {
            user: Some(convert::user(user)),
        })
    }

    async fn enable_user(
        &self,
        request: Request<v1::EnableUserRequest>,
    ) -> Result<Response<v1::EnableUserResponse>, Status> {
        let (call, v1::EnableUserRequest { subject }) = open(request)?;
        let subject = admitted(&self.authority, &call, one_id("subject", &subject)).await?;
        let user = self.authority.enable_user(&call, subject).await;
        close(&call, user, |user| v1::EnableUserResponse {
            user: Some(convert::user(user)),
        })
    }
}
