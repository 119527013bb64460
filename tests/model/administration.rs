//! What administrators and operators do on the real server, and time.

use super::{
    answers::{Answer, When, named},
    case::{Answered, Case, Registered},
    clients::ADMIN,
    operations::Op,
    world::{Secret, World},
};
use crate::support::server::{Caller, Deployment, answer};
use chrono::{DateTime, Utc};
use countersign::{
    domain::{clock, keys::new_key_line},
    proto::v1,
    store::{self, DatabaseUrl},
};
use prost_types::{FieldMask, Timestamp};

impl Registered {
    /// A new admin, made with database rights.
    pub async fn admin(at: &Deployment) -> Self {
        let (id, secret) = at.bootstrap().await;
        let caller = at.caller(&id, &secret);
        let request = caller.request(v1::GetClientRequest {
            client_id: id.clone(),
        });
        let client = caller.directory().get_client(request).await.unwrap();
        let client = client.into_inner().client.unwrap();
        Self {
            id,
            secrets: vec![(secret, client.secrets[0].secret_id.clone())],
        }
    }
}

impl Case<'_> {
    pub async fn administer(&mut self, op: &Op, world: &World) -> Answered<Answer> {
        match op {
            Op::Pass(seconds) => self.pass(*seconds).await,
            Op::Fence => {
                let url = DatabaseUrl::parse(&self.at.database.url()).unwrap();
                store::fence(&url).await.unwrap();
            }
            Op::AddKey => {
                self.keys.push(new_key_line(&clock::random()));
                let mut ring = world.ring.clone();
                ring.push(self.keys.len() - 1);
                self.serve_with(&ring).await;
            }
            Op::PromoteKey(key) => {
                let others = world.ring.iter().filter(|other| *other != key);
                let ring: Vec<_> = [key].into_iter().chain(others).copied().collect();
                self.serve_with(&ring).await;
            }
            Op::RetireKey(key) => {
                let ring: Vec<_> = world
                    .ring
                    .iter()
                    .filter(|other| *other != key)
                    .copied()
                    .collect();
                self.serve_with(&ring).await;
                let secrets = &world.clients[ADMIN].secrets;
                let works = |secret: &Secret| !secret.retired && ring.contains(&secret.key);
                if !secrets.iter().any(works) {
                    let admin = Registered::admin(self.at).await;
                    self.names.insert(admin.id.clone(), named("client", ADMIN));
                    self.clients[ADMIN] = admin;
                }
            }
            _ => return self.by_admin(op, world).await,
        }
        Ok(Answer::Done)
    }

    async fn serve_with(&mut self, ring: &[usize]) {
        let lines: String = ring.iter().map(|key| self.keys[*key].as_str()).collect();
        self.at.replace_ring(&lines).await;
    }

    async fn by_admin(&mut self, op: &Op, world: &World) -> Answered<Answer> {
        let by = self.caller(ADMIN, world);
        match op {
            Op::DisableUser(user) => {
                let subject = self.users[*user].clone();
                let request = by.request(v1::DisableUserRequest { subject });
                answer(by.directory().disable_user(request).await)?;
            }
            Op::EnableUser(user) => {
                let subject = self.users[*user].clone();
                let request = by.request(v1::EnableUserRequest { subject });
                answer(by.directory().enable_user(request).await)?;
            }
            Op::DisableClient(client) => {
                let client_id = self.clients[*client].id.clone();
                let request = by.request(v1::DisableClientRequest { client_id });
                answer(by.directory().disable_client(request).await)?;
            }
            Op::EnableClient(client) => {
                let client_id = self.clients[*client].id.clone();
                let request = by.request(v1::EnableClientRequest { client_id });
                answer(by.directory().enable_client(request).await)?;
            }
            Op::CutOffClient(client) => {
                let client_id = self.clients[*client].id.clone();
                let request = by.request(v1::CutOffClientRequest { client_id });
                answer(by.directory().cut_off_client(request).await)?;
            }
            Op::AllowScopes { client, scopes } => {
                let request = by.request(v1::UpdateClientRequest {
                    client_id: self.clients[*client].id.clone(),
                    settings: Some(v1::ClientSettings {
                        scopes: scopes.words(),
                        ..v1::ClientSettings::default()
                    }),
                    update_mask: Some(FieldMask {
                        paths: vec!["scopes".into()],
                    }),
                });
                answer(by.directory().update_client(request).await)?;
            }
            Op::AddSecret(client) => self.add_secret(&by, *client).await?,
            Op::RetireSecret { client, secret } => {
                let request = by.request(v1::RetireClientSecretRequest {
                    client_id: self.clients[*client].id.clone(),
                    secret_id: self.clients[*client].secrets[*secret].1.clone(),
                });
                answer(by.directory().retire_client_secret(request).await)?;
            }
            _ => unreachable!("performed elsewhere: {op:?}"),
        }
        Ok(Answer::Done)
    }

    async fn add_secret(&mut self, by: &Caller, client: usize) -> Answered<()> {
        let request = by.request(v1::RotateClientSecretRequest {
            client_id: self.clients[client].id.clone(),
        });
        let made = answer(by.directory().rotate_client_secret(request).await)?;
        self.clients[client]
            .secrets
            .push((made.client_secret, made.secret_id));
        Ok(())
    }

    /// Makes time pass: moves every moment of the case's rows back.
    async fn pass(&mut self, seconds: u64) {
        self.moved += seconds;
        let clients = quoted(self.clients.iter().map(|client| client.id.as_str()));
        let users = quoted(self.users.iter().map(String::as_str));
        let moved = |table: &str, columns: &[&str], which: &str| {
            let back: Vec<_> = columns
                .iter()
                .map(|column| format!("{column} = {column} - interval '{seconds} seconds'"))
                .collect();
            format!("UPDATE {table} SET {} WHERE {which};", back.join(", "))
        };
        let of_clients = format!("client_id IN ({clients})");
        // One simple query is one transaction.
        let all = [
            moved(
                "auth.refresh_session",
                &["created_at", "last_used_at", "expires_at"],
                &format!(
                    "jti IN (SELECT session_id FROM countersign.session_grant WHERE {of_clients})"
                ),
            ),
            moved(
                "auth.refresh_tokens",
                &["created_at", "updated_at"],
                &format!("instance_id IN ({clients})"),
            ),
            moved(
                "public.oauth_access_tokens",
                &["created_at", "updated_at", "expires_at"],
                &of_clients,
            ),
            moved(
                "countersign.session_grant",
                &["opened_at", "expires_at", "ended_at"],
                &of_clients,
            ),
            moved(
                "countersign.client",
                &["disabled_at", "not_before", "created_at", "updated_at"],
                &of_clients,
            ),
            moved(
                "countersign.client_secret",
                &["created_at", "retired_at"],
                &of_clients,
            ),
            moved(
                "countersign.account",
                &["disabled_at", "not_before", "created_at"],
                &format!("subject IN ({users})"),
            ),
            moved("countersign.authority", &["not_before"], "true"),
        ];
        self.at.sql.batch_execute(&all.concat()).await.unwrap();
    }

    /// A moment of an answer, as the model counts time.
    pub fn when(&self, at: Option<Timestamp>) -> When {
        let at = at.expect("a time");
        let nanos = u32::try_from(at.nanos).unwrap();
        let at = DateTime::<Utc>::from_timestamp(at.seconds, nanos).unwrap();
        let since = (at - self.began).as_seconds_f64();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a few years of seconds are exact"
        )]
        When(since + self.moved as f64)
    }

    /// The name of what has this id; empty stays empty.
    pub fn name(&self, id: &str) -> String {
        if id.is_empty() {
            return String::new();
        }
        self.names
            .get(id)
            .map_or_else(|| "unknown".into(), Clone::clone)
    }
}

/// UUIDs as a list of SQL.
pub fn quoted<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    ids.map(|id| format!("'{id}'"))
        .collect::<Vec<_>>()
        .join(", ")
}
