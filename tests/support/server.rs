//! A server in the test's own process, on a database of its own.

mod another;
mod refused;
mod ring;

pub use refused::{Refused, answer};
pub use ring::new_secret;

use super::{TestDatabase, fresh_database};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::{
    app,
    authority::Authority,
    config::{Config, Flags},
    domain::keys::{KeyRing, new_key_line},
    proto::v1::{
        self, directory_service_client::DirectoryServiceClient,
        token_authority_service_client::TokenAuthorityServiceClient,
    },
    store::{
        DatabaseUrl,
        migrate::{MigrateOptions, migrate},
    },
    telemetry::Telemetry,
};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio_postgres::Client;
use tonic::{
    Code, Request,
    metadata::{Ascii, MetadataValue},
    transport::Channel,
};

/// The audience that the tests' clients share.
pub const AUDIENCE: &str = "urn:test";

/// One or more servers on one database, with one key ring.
pub struct Deployment {
    pub database: TestDatabase,
    pub sql: Client,
    ring: Arc<KeyRing>,
    settings: Vec<(String, String)>,
    admin: (String, String),
    channels: Vec<Channel>,
    targets: Vec<String>,
    authority: Option<Arc<Authority>>,
    /// Dropped last: each ends its server.
    stops: Vec<oneshot::Sender<()>>,
}

/// A client that calls.
#[derive(Clone)]
pub struct Caller {
    pub id: String,
    pub secret: String,
    authorization: Option<MetadataValue<Ascii>>,
    channel: Channel,
}

impl Deployment {
    /// One server.
    pub async fn start() -> Self {
        Self::start_with(1, &[]).await
    }

    /// Several servers, with settings by the names of their variables.
    pub async fn start_with(servers: usize, settings: &[(&str, &str)]) -> Self {
        let database = fresh_database().await;
        let options = MigrateOptions {
            serving_role: database.serving_role.clone(),
            ..MigrateOptions::default()
        };
        migrate(&database.config(), &options, |_| {}).await.unwrap();
        let password = "only-for-this-test";
        countersign::store::migrate::set_password(
            &database.config(),
            &database.serving_role,
            password,
        )
        .await
        .unwrap();
        let url = database.url();
        let url = DatabaseUrl::parse(&url)
            .unwrap()
            .as_role(&database.serving_role, password);
        let mut own: Vec<(String, String)> = vec![
            ("COUNTERSIGN_LISTEN".into(), "127.0.0.1:0".into()),
            ("COUNTERSIGN_DATABASE_URL".into(), url.to_url().to_string()),
            ("COUNTERSIGN_KEYS_FILE".into(), "/unused".into()),
            ("COUNTERSIGN_AUDIT_OUTPUT".into(), "/dev/null".into()),
            // Tests fail on purpose, and often.
            (
                "COUNTERSIGN_LIMITS_FAILED_AUTHENTICATIONS".into(),
                "0".into(),
            ),
            ("COUNTERSIGN_SHUTDOWN_PAUSE".into(), "0s".into()),
        ];
        own.extend(
            settings
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into())),
        );
        let ring = KeyRing::parse(&first_key()).unwrap();
        let mut deployment = Self {
            sql: database.client().await,
            database,
            ring: Arc::new(ring),
            settings: own,
            admin: Default::default(),
            channels: Vec::new(),
            targets: Vec::new(),
            authority: None,
            stops: Vec::new(),
        };
        for _ in 0..servers {
            deployment.serve().await;
        }
        deployment
    }

    /// The database's URL as the role that serves.
    pub fn serving_url(&self) -> String {
        self.settings[1].1.clone()
    }

    async fn serve(&mut self) {
        let config =
            Config::load(None, self.settings.clone().into_iter(), Flags::default()).unwrap();
        let mut telemetry = Telemetry::off();
        let bound = app::build(&config, Arc::clone(&self.ring), &mut telemetry)
            .await
            .unwrap();
        self.authority = Some(Arc::clone(bound.authority()));
        if self.admin.0.is_empty() {
            self.admin = self.bootstrap().await;
        }
        let address = bound.address();
        let mut readiness = bound.readiness();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(bound.run(async {
            let _ = stopped.await;
        }));
        readiness.wait_for(|ready| *ready).await.unwrap();
        self.stops.push(stop);
        let target = format!("http://{address}");
        let endpoint = Channel::from_shared(target.clone()).unwrap();
        self.targets.push(target);
        self.channels.push(endpoint.connect().await.unwrap());
    }

    /// Stops the servers, and leaves their database.
    pub fn stop(self) -> TestDatabase {
        self.database
    }

    /// The admin, calling the first server.
    pub fn admin(&self) -> Caller {
        self.caller(&self.admin.0, &self.admin.1)
    }

    /// The admin and its secret.
    pub fn admin_secret(&self) -> (Caller, String) {
        (self.admin(), self.admin.1.clone())
    }

    /// Where the servers are.
    pub fn targets(&self) -> Vec<String> {
        self.targets.clone()
    }

    /// A caller with these credentials, calling the first server.
    pub fn caller(&self, id: &str, secret: &str) -> Caller {
        let header = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        Caller {
            id: id.to_owned(),
            secret: secret.to_owned(),
            authorization: Some(header.parse().unwrap()),
            channel: self.channels[0].clone(),
        }
    }

    /// Nobody.
    pub fn nobody(&self) -> Caller {
        Caller {
            id: String::new(),
            secret: String::new(),
            authorization: None,
            channel: self.channels[0].clone(),
        }
    }

    /// The same caller, calling another server.
    pub fn at(&self, server: usize, caller: &Caller) -> Caller {
        Caller {
            channel: self.channels[server].clone(),
            ..caller.clone()
        }
    }

    /// A new client with these roles, scopes `a` and `b`, and the shared audience.
    pub async fn client(&self, roles: &[v1::Role]) -> Caller {
        self.client_with(v1::ClientSettings {
            roles: roles.iter().map(|role| (*role).into()).collect(),
            ..settings()
        })
        .await
    }

    /// A new client with these settings.
    pub async fn client_with(&self, settings: v1::ClientSettings) -> Caller {
        let request = v1::CreateClientRequest {
            client_id: String::new(),
            settings: Some(settings),
        };
        let mut directory = self.admin().directory();
        let created = directory
            .create_client(self.admin().request(request))
            .await
            .unwrap();
        let created = created.into_inner();
        self.caller(&created.client.unwrap().client_id, &created.client_secret)
    }

    /// A new user.
    pub async fn user(&self) -> String {
        let admin = self.admin();
        let request = admin.request(v1::RegisterUserRequest::default());
        admin
            .directory()
            .register_user(request)
            .await
            .unwrap()
            .into_inner()
            .user
            .unwrap()
            .subject
    }

    /// How many rows each table of ours and of the documents has.
    pub async fn counts(&self) -> Vec<i64> {
        let mut counts = Vec::new();
        for table in [
            "auth.refresh_session",
            "auth.refresh_tokens",
            "public.oauth_access_tokens",
            "public.users",
            "public.oauth_clients",
            "auth.\"user\"",
            "countersign.client",
            "countersign.client_secret",
            "countersign.account",
            "countersign.session_grant",
            "countersign.event",
        ] {
            let count = format!("SELECT count(*) FROM {table}");
            counts.push(self.sql.query_one(&count, &[]).await.unwrap().get(0));
        }
        counts
    }

    /// The events of a kind, with their reasons, in order.
    pub async fn events(&self) -> Vec<String> {
        let rows = self
            .sql
            .query(
                "SELECT concat_ws(':', kind, reason) FROM countersign.event ORDER BY id",
                &[],
            )
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// The line of the key that every deployment starts with.
pub fn first_key() -> String {
    new_key_line(&[7; 36])
}

/// The settings that the tests' clients start from.
pub fn settings() -> v1::ClientSettings {
    v1::ClientSettings {
        name: "test".into(),
        scopes: vec!["a".into(), "b".into()],
        audience: vec![AUDIENCE.into(), "urn:other".into()],
        default_audience: vec![AUDIENCE.into()],
        ..v1::ClientSettings::default()
    }
}

impl Caller {
    /// A request with the caller's credentials.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(authorization) = &self.authorization {
            request
                .metadata_mut()
                .insert("authorization", authorization.clone());
        }
        request
    }

    /// What proves the caller.
    pub fn authorization(&self) -> MetadataValue<Ascii> {
        self.authorization.clone().unwrap()
    }

    /// The token calls.
    pub fn tokens(&self) -> TokenAuthorityServiceClient<Channel> {
        TokenAuthorityServiceClient::new(self.channel.clone())
    }

    /// The directory's calls.
    pub fn directory(&self) -> DirectoryServiceClient<Channel> {
        DirectoryServiceClient::new(self.channel.clone())
    }

    /// The connection.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// `IssueToken`.
    pub async fn issue(
        &self,
        request: v1::IssueTokenRequest,
    ) -> Result<v1::IssueTokenResponse, Refused> {
        answer(self.tokens().issue_token(self.request(request)).await)
    }

    /// `IssueToken` with a session.
    pub async fn open(&self, subject: &str) -> v1::IssueTokenResponse {
        let request = v1::IssueTokenRequest {
            subject: subject.into(),
            scopes: vec!["a".into(), "b".into()],
            with_refresh_token: true,
            ..v1::IssueTokenRequest::default()
        };
        self.issue(request).await.unwrap()
    }

    /// `RotateRefresh`.
    pub async fn rotate(&self, token: &str) -> Result<v1::RotateRefreshResponse, Refused> {
        let request = v1::RotateRefreshRequest {
            refresh_token: token.into(),
            ..v1::RotateRefreshRequest::default()
        };
        answer(self.tokens().rotate_refresh(self.request(request)).await)
    }

    /// The reason for which `RotateRefresh` refuses a token.
    pub async fn refusal(&self, token: &str) -> String {
        let refused = self.rotate(token).await.unwrap_err();
        assert_eq!(refused.code, Code::Unauthenticated, "{refused:?}");
        refused.reason
    }

    /// `Introspect`.
    pub async fn introspect(&self, token: &str) -> v1::IntrospectResponse {
        let request = v1::IntrospectRequest {
            token: token.into(),
            token_type_hint: String::new(),
            dpop: None,
        };
        let found: Result<_, Refused> =
            answer(self.tokens().introspect(self.request(request)).await);
        found.unwrap()
    }

    /// Whether `Introspect` says that a token is active.
    pub async fn active(&self, token: &str) -> bool {
        self.introspect(token).await.active
    }

    /// `RevokeSession`; how many ended.
    pub async fn revoke(&self, target: v1::revoke_session_request::Target) -> u32 {
        let request = v1::RevokeSessionRequest {
            target: Some(target),
        };
        let revoked: Result<_, Refused> =
            answer(self.tokens().revoke_session(self.request(request)).await);
        revoked.unwrap().revoked_sessions
    }
}
