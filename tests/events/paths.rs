//! The table: every path that ends a token or changes who may have one, and what it tells.

use super::{Scene, failed};
use crate::support::server::{Caller, Refused, answer, settings};
use countersign::{
    proto::v1::{self, UserSessions, revoke_session_request::Target},
    store::{self, DatabaseUrl},
};
use std::pin::Pin;

type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// One path.
pub struct Path {
    pub name: &'static str,
    /// What happens first.
    pub before: for<'a> fn(&'a Scene<'_>) -> Doing<'a, ()>,
    /// The path itself: one call, or a command with database rights.
    pub go: for<'a> fn(&'a Scene<'_>) -> Doing<'a, Result<(), Refused>>,
    /// It is a call, so its id stands in the events.
    pub by_call: bool,
    /// The reason with which the call is refused, though what it does is committed.
    pub refused: Option<&'static str>,
    /// Its events: kind, reason, token, session, client, subject, actor.
    pub tells: &'static [&'static str],
    /// How a repeat is refused, and what it tells.
    pub again: (Option<&'static str>, &'static [&'static str]),
}

macro_rules! path {
    ($name:literal, $($field:ident: $value:expr),* $(,)?) => {
        Path { name: $name, $($field: $value,)* ..ORDINARY }
    };
}

macro_rules! go {
    (|$scene:ident| $body:expr) => {
        |$scene| Box::pin(async move { $body })
    };
}

const ORDINARY: Path = Path {
    name: "",
    before: |_| Box::pin(async {}),
    go: |_| Box::pin(async { Ok(()) }),
    by_call: true,
    refused: None,
    tells: &[],
    again: (None, &[]),
};

/// The session `login` was revoked by its own client.
const LOGIN_REVOKED: &[&str] = &["session_ended revoked - login issuer subject issuer"];

pub const PATHS: &[Path] = &[
    path!("RevokeSession by id",
        go: go!(|on| revoke(&on.issuer, Target::SessionId(on.login.session_id.clone())).await),
        tells: LOGIN_REVOKED),
    path!("RevokeSession by refresh token",
        go: go!(|on| revoke(&on.issuer, Target::RefreshToken(on.login.refresh_token.clone())).await),
        tells: LOGIN_REVOKED),
    path!("RevokeSession by access token",
        go: go!(|on| revoke(&on.issuer, Target::AccessToken(on.login.access_token.clone())).await),
        tells: LOGIN_REVOKED),
    path!("RevokeSession by a stale refresh token",
        before: go!(|on| drop(on.issuer.rotate(&on.login.refresh_token).await.unwrap())),
        go: go!(|on| revoke(&on.issuer, Target::RefreshToken(on.login.refresh_token.clone())).await),
        tells: LOGIN_REVOKED),
    path!("RevokeSession by a revoker",
        go: go!(|on| revoke(&on.stage.revoker, Target::SessionId(on.login.session_id.clone())).await),
        tells: &["session_ended revoked - login issuer subject revoker"]),
    path!("RevokeSession by another client",
        go: go!(|on| revoke(&on.stage.at.admin(), Target::SessionId(on.login.session_id.clone())).await),
        tells: &[]),
    path!("RevokeSession of a user, all, by a revoker",
        before: go!(|on| drop(revoke(&on.issuer, Target::SessionId(on.other.session_id.clone())).await)),
        go: go!(|on| revoke(&on.stage.revoker, of_user(on, "")).await),
        tells: &[
            "session_ended revoked - login issuer subject revoker",
            "subject_cut_off - - - - subject revoker",
        ],
        // It moves the cut-off once more.
        again: (None, &["subject_cut_off - - - - subject revoker"])),
    path!("RevokeSession of a user, all but one, by a revoker",
    go: go!(|on| revoke(&on.stage.revoker, of_user(on, &on.other.session_id)).await),
    tells: &[
        "session_ended revoked - login issuer subject revoker",
        "subject_tokens_revoked - - - - subject revoker",
    ]),
    path!("RevokeSession of a user, by their client",
    before: go!(|on| drop(revoke(&on.issuer, Target::SessionId(on.other.session_id.clone())).await)),
    go: go!(|on| revoke(&on.issuer, of_user(on, "")).await),
    tells: &[
        "session_ended revoked - login issuer subject issuer",
        "subject_tokens_revoked - - - issuer subject issuer",
    ]),
    path!("RevokeSession of a user, all but one, by their client",
    go: go!(|on| revoke(&on.issuer, of_user(on, &on.other.session_id)).await),
    tells: &[
        "session_ended revoked - login issuer subject issuer",
        "subject_tokens_revoked - - - issuer subject issuer",
    ]),
    path!("RevokeSession of a user who is not registered",
        go: go!(|on| {
            let except_session_id = String::new();
            let user = UserSessions { subject: on.stranger.clone(), except_session_id };
            revoke(&on.stage.revoker, Target::User(user)).await
        }),
        tells: &[]),
    path!("RevokeToken of an access token",
        go: go!(|on| revoke_token(&on.issuer, &on.login.access_token).await),
        tells: &["token_revoked - login's login issuer subject issuer"]),
    path!("RevokeToken of an access token, by a revoker",
        go: go!(|on| revoke_token(&on.stage.revoker, &on.login.access_token).await),
        tells: &["token_revoked - login's login issuer subject revoker"]),
    path!("RevokeToken of an access token, by another client",
        go: go!(|on| revoke_token(&on.stage.at.admin(), &on.login.access_token).await),
        tells: &[]),
    path!("RevokeToken of a refresh token",
        go: go!(|on| revoke_token(&on.issuer, &on.login.refresh_token).await),
        tells: LOGIN_REVOKED),
    path!("RotateRefresh of a stale token",
        before: go!(|on| drop(on.issuer.rotate(&on.login.refresh_token).await.unwrap())),
        go: go!(|on| on.issuer.rotate(&on.login.refresh_token).await.map(drop)),
        refused: Some("REFRESH_TOKEN_REUSED"),
        tells: &["session_ended reused - login issuer subject issuer"],
        again: (Some("REFRESH_TOKEN_REUSED"), &[])),
    path!("IssueToken with a repeated request id",
        go: go!(|on| open(on, &on.subject, "again").await),
        tells: &["session_ended replaced - login issuer subject issuer"],
        // Every repeat replaces the session of the last.
        again: (None, &["session_ended replaced - new issuer subject issuer"])),
    path!("IssueToken beyond the number of sessions",
        go: go!(|on| open(on, &on.subject, "").await),
        tells: &["session_ended limit - login issuer subject issuer"],
        again: (None, &["session_ended limit - other issuer subject issuer"])),
    path!("IssueToken that registers its subject",
        go: go!(|on| open(on, &on.stranger, "").await),
        tells: &["subject_registered - - - - stranger issuer"]),
    path!("DisableUser",
        go: go!(|on| disable_user(on).await),
        tells: &["subject_disabled - - - - subject admin"]),
    path!("EnableUser",
        before: go!(|on| disable_user(on).await.unwrap()),
        go: go!(|on| {
            let request = v1::EnableUserRequest { subject: on.subject.clone() };
            let admin = on.stage.at.admin();
            answer(admin.directory().enable_user(admin.request(request)).await).map(drop)
        }),
        tells: &["subject_enabled - - - - subject admin"]),
    path!("RegisterUser",
        go: go!(|on| {
            let request = v1::RegisterUserRequest { subject: on.stranger.clone() };
            let admin = on.stage.at.admin();
            answer(admin.directory().register_user(admin.request(request)).await).map(drop)
        }),
        tells: &["subject_registered - - - - stranger admin"]),
    path!("CreateClient",
        go: go!(|on| {
            let request = v1::CreateClientRequest {
                client_id: on.stranger.clone(),
                settings: Some(settings()),
            };
            let admin = on.stage.at.admin();
            answer(admin.directory().create_client(admin.request(request)).await).map(drop)
        }),
        tells: &[
            "client_created - - - stranger - admin",
            "secret_created - new - stranger - admin",
        ],
        again: (Some("CLIENT_EXISTS"), &[])),
    path!("UpdateClient",
        go: go!(|on| {
            let request = v1::UpdateClientRequest {
                client_id: on.issuer.id.clone(),
                settings: Some(v1::ClientSettings { scopes: Vec::new(), ..settings() }),
                update_mask: Some(prost_types::FieldMask { paths: vec!["scopes".into()] }),
            };
            let admin = on.stage.at.admin();
            answer(admin.directory().update_client(admin.request(request)).await).map(drop)
        }),
        tells: &["client_updated - - - issuer - admin"],
        // Whoever writes settings is on record, also where they stood so before.
        again: (None, &["client_updated - - - issuer - admin"])),
    path!("DisableClient",
        go: go!(|on| disable_client(on).await),
        tells: &["client_disabled - - - issuer - admin"]),
    path!("EnableClient",
        before: go!(|on| disable_client(on).await.unwrap()),
        go: go!(|on| {
            let request = v1::EnableClientRequest { client_id: on.issuer.id.clone() };
            let admin = on.stage.at.admin();
            answer(admin.directory().enable_client(admin.request(request)).await).map(drop)
        }),
        tells: &["client_enabled - - - issuer - admin"]),
    path!("CutOffClient",
        go: go!(|on| {
            let request = v1::CutOffClientRequest { client_id: on.issuer.id.clone() };
            let admin = on.stage.at.admin();
            answer(admin.directory().cut_off_client(admin.request(request)).await).map(drop)
        }),
        tells: &["client_cut_off - - - issuer - admin"],
        // It moves the cut-off once more.
        again: (None, &["client_cut_off - - - issuer - admin"])),
    path!("RotateClientSecret",
        go: go!(|on| new_secret(on).await),
        tells: &["secret_created - secret1 - issuer - admin"],
        again: (Some("SECRET_LIMIT_REACHED"), &[])),
    path!("RetireClientSecret",
        before: go!(|on| new_secret(on).await.unwrap()),
        go: go!(|on| {
            let names = on.names().await;
            let secret = names.iter().find(|(_, name)| *name == "secret0").unwrap();
            let request = v1::RetireClientSecretRequest {
                client_id: on.issuer.id.clone(),
                secret_id: secret.0.clone(),
            };
            let admin = on.stage.at.admin();
            answer(admin.directory().retire_client_secret(admin.request(request)).await).map(drop)
        }),
        tells: &["secret_retired - secret0 - issuer - admin"]),
    path!("fence",
        go: go!(|on| {
            let url = DatabaseUrl::parse(&on.stage.at.database.url()).unwrap();
            store::fence(&url).await.map(drop).map_err(|_| failed())
        }),
        by_call: false,
        tells: &["authority_fenced - - - - - -"],
        again: (None, &["authority_fenced - - - - - -"])),
    // What ends nothing.
    path!("IssueToken", go: go!(|on| on.issuer.issue(Default::default()).await.map(drop)),),
    path!("RotateRefresh",
        go: go!(|on| on.issuer.rotate(&on.other.refresh_token).await.map(drop)),
        // Without grace the repeat is reuse.
        again: (Some("REFRESH_TOKEN_REUSED"), &["session_ended reused - other issuer subject issuer"])),
    path!("RotateRefresh of another client's token",
        go: go!(|on| on.stage.revoker.rotate(&on.other.refresh_token).await.map(drop)),
        refused: Some("INVALID_GRANT"),
        again: (Some("INVALID_GRANT"), &[])),
];

fn of_user(on: &Scene<'_>, except: &str) -> Target {
    Target::User(UserSessions {
        subject: on.subject.clone(),
        except_session_id: except.into(),
    })
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

async fn revoke_token(caller: &Caller, token: &str) -> Result<(), Refused> {
    let request = v1::RevokeTokenRequest {
        token: token.into(),
        token_type_hint: String::new(),
    };
    answer(caller.tokens().revoke_token(caller.request(request)).await).map(drop)
}

async fn open(on: &Scene<'_>, subject: &str, request_id: &str) -> Result<(), Refused> {
    let request = v1::IssueTokenRequest {
        subject: subject.into(),
        with_refresh_token: true,
        register_subject: true,
        request_id: request_id.into(),
        ..Default::default()
    };
    on.issuer.issue(request).await.map(drop)
}

async fn disable_user(on: &Scene<'_>) -> Result<(), Refused> {
    let request = v1::DisableUserRequest {
        subject: on.subject.clone(),
    };
    let admin = on.stage.at.admin();
    answer(admin.directory().disable_user(admin.request(request)).await).map(drop)
}

async fn disable_client(on: &Scene<'_>) -> Result<(), Refused> {
    let request = v1::DisableClientRequest {
        client_id: on.issuer.id.clone(),
    };
    let admin = on.stage.at.admin();
    answer(
        admin
            .directory()
            .disable_client(admin.request(request))
            .await,
    )
    .map(drop)
}

async fn new_secret(on: &Scene<'_>) -> Result<(), Refused> {
    let request = v1::RotateClientSecretRequest {
        client_id: on.issuer.id.clone(),
    };
    let admin = on.stage.at.admin();
    answer(
        admin
            .directory()
            .rotate_client_secret(admin.request(request))
            .await,
    )
    .map(drop)
}
