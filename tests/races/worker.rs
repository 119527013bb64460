//! Every mutating call, over a small set of users, clients and sessions.

use super::{
    Both, both,
    ops::{Dice, Op},
    strict, user,
};
use crate::support::server::{Caller, Deployment, Refused, answer, settings};
use countersign::{
    proto::v1::{self, Role, revoke_session_request::Target},
    store::{self, DatabaseUrl},
};
use futures_util::future::join_all;
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

#[derive(Clone)]
struct Login {
    client: usize,
    subject: String,
    session_id: String,
    access_token: String,
    refresh_token: String,
    /// A refresh token that is superseded.
    stale: Option<String>,
}

/// What the calls are about.
pub struct Ground {
    url: DatabaseUrl,
    admin: Both,
    revoker: Both,
    /// With grace, strict, and with few sessions.
    issuers: [Both; 3],
    users: [String; 3],
    logins: Mutex<Vec<Login>>,
    fresh: AtomicUsize,
}

/// Sessions at most that the calls are about.
const LOGINS: usize = 12;

impl Ground {
    pub async fn new(at: &Deployment) -> Self {
        let limited = v1::ClientSettings {
            roles: vec![Role::Issuer.into()],
            sessions_per_user: 2,
            session_limit_policy: v1::SessionLimitPolicy::EndLeastRecentlyUsed.into(),
            ..settings()
        };
        Self {
            url: DatabaseUrl::parse(&at.database.url()).unwrap(),
            admin: both(at, &at.admin()),
            revoker: both(at, &at.client(&[Role::Revoker]).await),
            issuers: [
                both(at, &at.client(&[Role::Issuer]).await),
                both(at, &at.client_with(strict()).await),
                both(at, &at.client_with(limited).await),
            ],
            users: [at.user().await, at.user().await, at.user().await],
            logins: Mutex::default(),
            fresh: AtomicUsize::new(0),
        }
    }

    /// Enables whom a pair of calls left disabled, and grants what it withdrew.
    pub async fn enable_all(&self) {
        let users = join_all((0..3).map(|n| self.change_user(n % 2, n, false)));
        let clients = join_all((0..3).map(|n| self.change_client(n % 2, n, false)));
        let scopes = join_all((0..3).map(|n| self.update_client(n % 2, n, true)));
        let (users, clients, scopes) = tokio::join!(users, clients, scopes);
        for enabled in users.into_iter().chain(clients).chain(scopes) {
            enabled.unwrap();
        }
    }

    /// One call at a server, and what it was refused with. The calls before it that it needs
    /// may be refused as well.
    pub async fn call(&self, op: Op, server: usize, dice: &mut Dice) -> Result<(), Refused> {
        let (client, user_number) = (dice.roll(3), dice.roll(3));
        let (issuer, revoker) = (&self.issuers[client][server], &self.revoker[server]);
        let subject = &self.users[user_number];
        let login = |subject: &str| v1::IssueTokenRequest {
            subject: subject.into(),
            scopes: vec!["a".into()],
            with_refresh_token: true,
            ..Default::default()
        };
        match op {
            Op::IssueClientOnly => issuer.issue(Default::default()).await.map(drop),
            Op::OpenSession => self.open(client % 2, server, login(subject)).await,
            Op::OpenLimited => self.open(2, server, login(subject)).await,
            Op::OpenRepeated => {
                // A user a request id, or the repeat would be refused.
                let request_id = format!("r{user_number}");
                let request = v1::IssueTokenRequest {
                    request_id,
                    ..login(subject)
                };
                self.open(client, server, request).await
            }
            Op::OpenRegistering => {
                let request = v1::IssueTokenRequest {
                    register_subject: true,
                    ..login(&self.someone_new())
                };
                self.open(client, server, request).await
            }
            Op::Rotate => self.rotate(server, dice).await,
            Op::Reuse => {
                let login = self.login(server, dice).await?;
                let stale = login.stale.unwrap_or(login.refresh_token);
                self.issuers[login.client][server]
                    .rotate(&stale)
                    .await
                    .map(drop)
            }
            Op::RevokeById => {
                let login = self.login(server, dice).await?;
                revoke(revoker, Target::SessionId(login.session_id)).await
            }
            Op::RevokeByRefreshToken => {
                let login = self.login(server, dice).await?;
                let target = Target::RefreshToken(login.refresh_token);
                revoke(&self.issuers[login.client][server], target).await
            }
            Op::RevokeByAccessToken => {
                let login = self.login(server, dice).await?;
                revoke(revoker, Target::AccessToken(login.access_token)).await
            }
            Op::RevokeByStranger => {
                // Locks what it may not end, so that the same rows are locked for long.
                let login = self.login(server, dice).await?;
                let stranger = &self.issuers[(login.client + 1) % 3][server];
                revoke(stranger, Target::SessionId(login.session_id)).await
            }
            Op::RevokeUser => revoke(revoker, user(subject, "")).await,
            Op::RevokeUserButOne => {
                let login = self.login(server, dice).await?;
                revoke(revoker, user(&login.subject, &login.session_id)).await
            }
            Op::RevokeAccessToken => {
                let login = self.login(server, dice).await?;
                revoke_token(revoker, login.access_token).await
            }
            Op::RevokeRefreshToken => {
                let login = self.login(server, dice).await?;
                revoke_token(&self.issuers[login.client][server], login.refresh_token).await
            }
            Op::RegisterUser => {
                let caller = &self.admin[server];
                let request = v1::RegisterUserRequest {
                    subject: self.someone_new(),
                };
                answer(
                    caller
                        .directory()
                        .register_user(caller.request(request))
                        .await,
                )
                .map(drop)
            }
            Op::DisableUser => self.change_user(server, user_number, true).await,
            Op::EnableUser => self.change_user(server, user_number, false).await,
            Op::CreateClient => {
                let caller = &self.admin[server];
                let request = v1::CreateClientRequest {
                    client_id: self.someone_new(),
                    settings: Some(settings()),
                };
                answer(
                    caller
                        .directory()
                        .create_client(caller.request(request))
                        .await,
                )
                .map(drop)
            }
            Op::UpdateClient => self.update_client(server, client, dice.roll(8) > 0).await,
            Op::DisableClient => self.change_client(server, client, true).await,
            Op::EnableClient => self.change_client(server, client, false).await,
            Op::CutOffClient => {
                let caller = &self.admin[server];
                let request = v1::CutOffClientRequest {
                    client_id: issuer.id.clone(),
                };
                answer(
                    caller
                        .directory()
                        .cut_off_client(caller.request(request))
                        .await,
                )
                .map(drop)
            }
            Op::RotateSecret => {
                let caller = &self.admin[server];
                let request = v1::RotateClientSecretRequest {
                    client_id: issuer.id.clone(),
                };
                let request = caller.request(request);
                answer(caller.directory().rotate_client_secret(request).await).map(drop)
            }
            Op::RetireSecret => self.retire_secret(server, &issuer.id).await,
            Op::Fence => {
                store::fence(&self.url).await.unwrap();
                Ok(())
            }
        }
    }

    async fn open(
        &self,
        client: usize,
        server: usize,
        request: v1::IssueTokenRequest,
    ) -> Result<(), Refused> {
        let subject = request.subject.clone();
        let opened = self.issuers[client][server].issue(request).await?;
        let mut logins = self.logins.lock().unwrap();
        if logins.len() >= LOGINS {
            logins.remove(0);
        }
        logins.push(Login {
            client,
            subject,
            session_id: opened.session_id,
            access_token: opened.access_token,
            refresh_token: opened.refresh_token,
            stale: None,
        });
        Ok(())
    }

    /// One of the sessions; now and then a new one, since all of them end.
    async fn login(&self, server: usize, dice: &mut Dice) -> Result<Login, Refused> {
        if dice.roll(3) == 0 || self.logins.lock().unwrap().is_empty() {
            // Through another server than the call: whoever ends what is open, it comes back.
            Box::pin(self.call(Op::OpenSession, 1 - server, dice)).await?;
        }
        let logins = self.logins.lock().unwrap();
        Ok(logins[dice.roll(logins.len())].clone())
    }

    async fn rotate(&self, server: usize, dice: &mut Dice) -> Result<(), Refused> {
        let login = self.login(server, dice).await?;
        let issuer = &self.issuers[login.client][server];
        let step = issuer.rotate(&login.refresh_token).await?;
        let mut logins = self.logins.lock().unwrap();
        let stands = logins
            .iter_mut()
            .find(|one| one.refresh_token == login.refresh_token);
        if let Some(stands) = stands {
            stands.stale = Some(login.refresh_token);
            stands.refresh_token = step.refresh_token;
            stands.access_token = step.access_token;
        }
        Ok(())
    }

    /// An id of the few that are registered at the moment, each by several at once.
    fn someone_new(&self) -> String {
        let number = self.fresh.fetch_add(1, Relaxed) / 4;
        uuid::Uuid::from_u128(0x7777 << 64 | number as u128).to_string()
    }

    async fn change_user(
        &self,
        server: usize,
        number: usize,
        disable: bool,
    ) -> Result<(), Refused> {
        let caller = &self.admin[server];
        let subject = self.users[number].clone();
        let mut directory = caller.directory();
        if disable {
            let request = caller.request(v1::DisableUserRequest { subject });
            answer(directory.disable_user(request).await).map(drop)
        } else {
            let request = caller.request(v1::EnableUserRequest { subject });
            answer(directory.enable_user(request).await).map(drop)
        }
    }

    async fn change_client(
        &self,
        server: usize,
        number: usize,
        disable: bool,
    ) -> Result<(), Refused> {
        let caller = &self.admin[server];
        let client_id = self.issuers[number][0].id.clone();
        let mut directory = caller.directory();
        if disable {
            let request = caller.request(v1::DisableClientRequest { client_id });
            answer(directory.disable_client(request).await).map(drop)
        } else {
            let request = caller.request(v1::EnableClientRequest { client_id });
            answer(directory.enable_client(request).await).map(drop)
        }
    }

    /// Grants the scope `a`, or withdraws it.
    async fn update_client(
        &self,
        server: usize,
        number: usize,
        grant: bool,
    ) -> Result<(), Refused> {
        let caller = &self.admin[server];
        let scopes: &[&str] = if grant { &["a", "b"] } else { &["b"] };
        let request = v1::UpdateClientRequest {
            client_id: self.issuers[number][0].id.clone(),
            settings: Some(v1::ClientSettings {
                scopes: scopes.iter().map(ToString::to_string).collect(),
                ..settings()
            }),
            update_mask: Some(prost_types::FieldMask {
                paths: vec!["scopes".into()],
            }),
        };
        answer(
            caller
                .directory()
                .update_client(caller.request(request))
                .await,
        )
        .map(drop)
    }

    /// Retires the newest secret of a client, which nobody uses.
    async fn retire_secret(&self, server: usize, client_id: &str) -> Result<(), Refused> {
        let caller = &self.admin[server];
        let mut directory = caller.directory();
        let request = v1::GetClientRequest {
            client_id: client_id.into(),
        };
        let client = answer(directory.get_client(caller.request(request)).await)?;
        let secrets = client.client.unwrap().secrets;
        let [_, newest] = secrets.as_slice() else {
            let request = v1::RotateClientSecretRequest {
                client_id: client_id.into(),
            };
            let request = caller.request(request);
            return answer(directory.rotate_client_secret(request).await).map(drop);
        };
        let request = v1::RetireClientSecretRequest {
            client_id: client_id.into(),
            secret_id: newest.secret_id.clone(),
        };
        answer(
            directory
                .retire_client_secret(caller.request(request))
                .await,
        )
        .map(drop)
    }
}

async fn revoke(caller: &Caller, target: Target) -> Result<(), Refused> {
    let request = v1::RevokeSessionRequest {
        target: Some(target),
    };
    answer(
        caller
            .tokens()
            .revoke_session(caller.request(request))
            .await,
    )
    .map(drop)
}

async fn revoke_token(caller: &Caller, token: String) -> Result<(), Refused> {
    let request = v1::RevokeTokenRequest {
        token,
        token_type_hint: String::new(),
    };
    answer(caller.tokens().revoke_token(caller.request(request)).await).map(drop)
}
