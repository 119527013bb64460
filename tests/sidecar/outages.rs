//! Without a database, and without us: nobody gets in, nothing hangs, and it passes.

use super::{
    direct::{about, read},
    gateway::{Gateway, change, secured},
};
use crate::{
    faults::site::Site,
    support::{
        certificates::{Authority, Pair, dns, uri},
        server::{AUDIENCE, Caller, Deployment, settings},
    },
};
use countersign::proto::v1::{
    self, Role, directory_service_client::DirectoryServiceClient,
    token_authority_service_client::TokenAuthorityServiceClient,
};
use envoy_types::pb::envoy::service::auth::v3::{
    CheckRequest, authorization_client::AuthorizationClient,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tonic::{Request, metadata::MetadataValue, transport::Channel};

/// How long it may take until it has passed, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);
const SETTINGS: &[(&str, &str)] = &[("COUNTERSIGN_SIDECAR_AUDIENCE", AUDIENCE)];

/// A client of a site, and what proves it.
async fn client(
    channel: &Channel,
    admin: &MetadataValue<tonic::metadata::Ascii>,
) -> (String, String) {
    let mut request = Request::new(v1::CreateClientRequest {
        client_id: String::new(),
        settings: Some(v1::ClientSettings {
            roles: vec![Role::Introspector.into()],
            ..settings()
        }),
    });
    request
        .metadata_mut()
        .insert("authorization", admin.clone());
    let mut directory = DirectoryServiceClient::new(channel.clone());
    let created = directory.create_client(request).await.unwrap().into_inner();
    (created.client.unwrap().client_id, created.client_secret)
}

/// Waits until a request gets this status.
async fn until(gateway: &Gateway, sent: &str, status: u16) {
    let started = Instant::now();
    loop {
        let answer = gateway.get("/", &[sent]).await;
        if answer.status == status {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{answer:?} {}", gateway.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_database_or_a_server_nobody_gets_in_and_it_recovers_alone() {
    let mut site = Site::start(&[SETTINGS], 0).await;
    let channel = site.channels().remove(0);
    let admin = site.admin().await;
    let started = Instant::now();
    while tonic_ready(&channel).await.is_err() {
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (id, secret) = client(&channel, &admin).await;
    let caller = Caller::known(&id, &secret, channel.clone());
    let target = format!("http://{}", site.servers[0].callers.address());
    let gateway = Gateway::start(&target, &caller, &[]).await;
    let open = change("failure_mode_allow: false", "failure_mode_allow: true");
    let lax = Gateway::start(&target, &caller, &[open]).await;
    let request = caller.request(v1::IssueTokenRequest::default());
    let mut tokens = TokenAuthorityServiceClient::new(channel.clone());
    let token = tokens.issue_token(request).await.unwrap();
    let token = token.into_inner().access_token;
    let sent = format!("authorization: Bearer {token}");
    until(&gateway, &sent, 200).await;

    site.postgres.stop_immediately().await.unwrap();
    for _ in 0..20 {
        let asked = Instant::now();
        for gateway in [&gateway, &lax] {
            // Ours is a denial in an answer, so that even the lax one holds.
            let answer = gateway.get("/", &[&sent]).await;
            assert_eq!(answer.status, 503, "{answer:?}");
            assert_eq!(gateway.get("/public", &[]).await.status, 503);
        }
        assert!(asked.elapsed() < Duration::from_secs(10), "it hung");
    }
    site.postgres.start_again().await.unwrap();
    until(&gateway, &sent, 200).await;

    // The server is killed and comes back, under load: a forged token never gets in, and
    // whoever may comes in again.
    let stop = Arc::new(AtomicBool::new(false));
    let (denied, allowed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let gateway = Arc::new(gateway);
    let load: Vec<_> = (0..4)
        .map(|n| {
            let (gateway, stop, sent) = (Arc::clone(&gateway), Arc::clone(&stop), sent.clone());
            let (denied, allowed) = (Arc::clone(&denied), Arc::clone(&allowed));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    let forged = gateway.get("/", &["authorization: Bearer cs_at_x"]).await;
                    assert!([401, 503].contains(&forged.status), "{n}: {forged:?}");
                    let answer = gateway.get("/", &[&sent]).await;
                    match answer.status {
                        200 => allowed.fetch_add(1, Ordering::Relaxed),
                        503 => denied.fetch_add(1, Ordering::Relaxed),
                        other => panic!("{other}: {answer:?}"),
                    };
                    assert!(asked.elapsed() < Duration::from_secs(20), "it hung");
                }
            })
        })
        .collect();
    for _ in 0..3 {
        site.servers[0].kill().await;
        until(&gateway, &sent, 503).await;
        until(&gateway, &sent, 200).await;
    }
    stop.store(true, Ordering::Relaxed);
    for one in load {
        one.await.unwrap();
    }
    assert!(allowed.load(Ordering::Relaxed) > 0);

    // With nobody there at all: Envoy's own setting decides, which is why it is `false`.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let shut = Gateway::start(&gone, &caller, &[]).await;
    let answer = shut.get("/", &[&sent]).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let open = change("failure_mode_allow: false", "failure_mode_allow: true");
    let lax = Gateway::start(&gone, &caller, &[open]).await;
    assert_eq!(lax.get("/", &[]).await.status, 200);
}

async fn tonic_ready(channel: &Channel) -> Result<(), tonic::Status> {
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    let answer = health
        .check(tonic_health::pb::HealthCheckRequest::default())
        .await?;
    let serving = tonic_health::pb::health_check_response::ServingStatus::Serving;
    if answer.into_inner().status() == serving {
        Ok(())
    } else {
        Err(tonic::Status::unavailable("not ready"))
    }
}

/// A server with TLS, and the client that is Envoy, proved by a certificate alone.
struct Secured {
    at: Deployment,
    port: u16,
    authority: Authority,
    envoy: Pair,
    files: TempDir,
}

impl Secured {
    async fn start(settings_over: &[(&str, &str)]) -> Self {
        let files = TempDir::new().unwrap();
        let authority = Authority::new("spiffe://example.org");
        let server = authority.sign(&[dns("localhost"), uri("spiffe://example.org/countersign")]);
        let envoy = authority.sign(&[uri("spiffe://example.org/envoy")]);
        for (name, text) in [
            ("ca.crt", &authority.pem),
            ("own.crt", &server.certificate),
            ("own.key", &server.key),
            ("tls.crt", &envoy.certificate),
            ("tls.key", &envoy.key),
        ] {
            std::fs::write(files.path().join(name), text).unwrap();
        }
        let mut at = Deployment::start_with(1, SETTINGS).await;
        let path = |name| file(&files, name);
        let (own, key, ca) = (path("own.crt"), path("own.key"), path("ca.crt"));
        let secured = [
            ("COUNTERSIGN_TLS_CERTIFICATE_FILE", own.as_str()),
            ("COUNTERSIGN_TLS_KEY_FILE", &key),
            ("COUNTERSIGN_TLS_CLIENT_CA_FILE", &ca),
            ("COUNTERSIGN_TLS_CLIENT_CERTIFICATES", "required"),
        ];
        let port = at.another(&[&secured, settings_over].concat()).await;
        at.client_with(v1::ClientSettings {
            roles: vec![Role::Introspector.into()],
            spiffe_ids: vec!["spiffe://example.org/envoy".into()],
            ..settings()
        })
        .await;
        Self {
            at,
            port,
            authority,
            envoy,
            files,
        }
    }

    /// The value of `authorization` of a good request.
    async fn good(&self) -> String {
        let issuer = self.at.client(&[Role::Issuer]).await;
        let token = issuer.issue(v1::IssueTokenRequest::default()).await;
        format!("Bearer {}", token.unwrap().access_token)
    }
}

fn file(files: &TempDir, name: &str) -> String {
    files.path().join(name).to_str().unwrap().to_owned()
}

/// A certificate proves Envoy: no secret, and the same answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn envoy_proves_itself_by_a_certificate() {
    let site = Secured::start(&[]).await;
    let path = |name| file(&site.files, name);
    let mut changes = secured(&path("tls.crt"), &path("tls.key"), &path("ca.crt"));
    changes.extend([
        change("connect_timeout: 0.2s", "connect_timeout: 5s"),
        change("  timeout: 0.2s", "  timeout: 10s"),
    ]);
    let target = format!("http://127.0.0.1:{}", site.port);
    let gateway = Gateway::start(&target, &site.at.nobody(), &changes).await;
    let sent = format!("authorization: {}", site.good().await);
    until(&gateway, &sent, 200).await;
    assert_eq!(gateway.get("/", &[]).await.status, 401);
}

#[tokio::test]
async fn to_find_out_whose_certificate_it_is_counts_against_the_time_of_a_check() {
    let patient = [
        ("COUNTERSIGN_DATABASE_STATEMENT_TIMEOUT", "50s"),
        ("COUNTERSIGN_DATABASE_LOCK_TIMEOUT", "50s"),
    ];
    let site = Secured::start(&patient).await;
    let good = site.good().await;
    let endpoint = site.authority.endpoint(site.port, Some(&site.envoy));
    let envoy = endpoint.connect().await.unwrap();
    let check = async || {
        let attributes = Some(about(&[("authorization", &good)]));
        let answer = AuthorizationClient::new(envoy.clone())
            .check(CheckRequest { attributes })
            .await;
        read(answer.expect("never an error").into_inner()).0
    };
    let mut blocker = site.at.database.client().await;
    let held = blocker.transaction().await.unwrap();
    let lock = "LOCK TABLE countersign.client_identity IN ACCESS EXCLUSIVE MODE";
    held.batch_execute(lock).await.unwrap();
    let asked = Instant::now();
    assert_eq!(check().await, 503);
    let took = asked.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "a tenth of a second: {took:?}"
    );
    held.rollback().await.unwrap();
    while check().await != 200 {
        assert!(asked.elapsed() < PATIENCE);
    }
}
