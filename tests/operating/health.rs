//! Health: readiness and liveness, on both ports, and pushed to whoever watches.

use crate::support::{
    process::{Process, connect},
    server::Deployment,
};
use countersign::health::LIVENESS;
use std::time::Duration;
use tonic::{Code, Streaming, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus::{self, NotServing, Serving},
    health_client::HealthClient,
};

const TOKENS: &str = "countersign.v1.TokenAuthorityService";
const DIRECTORY: &str = "countersign.v1.DirectoryService";
const PATIENCE: Duration = Duration::from_mins(1);

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

async fn check(channel: &Channel, service: &str) -> ServingStatus {
    let mut client = HealthClient::new(channel.clone());
    let answer = client.check(of(service)).await.unwrap();
    answer.into_inner().status()
}

async fn watch(channel: &Channel, service: &str) -> Streaming<HealthCheckResponse> {
    let mut client = HealthClient::new(channel.clone());
    client.watch(of(service)).await.unwrap().into_inner()
}

async fn next(watched: &mut Streaming<HealthCheckResponse>) -> ServingStatus {
    let next = tokio::time::timeout(PATIENCE, watched.message()).await;
    let next = next.expect("a change is pushed");
    next.unwrap().expect("the stream goes on").status()
}

#[tokio::test]
async fn a_watch_is_pushed_when_the_database_goes_away_and_returns() {
    let at = Deployment::start().await;
    let server = Process::start(&at, &[("health.listen", "\"127.0.0.1:0\"")]).await;
    let own = connect(server.address_of("health")).await;
    let shared = server.channel().await;
    let mut watched = Vec::new();
    for channel in [&own, &shared] {
        for service in ["", TOKENS, DIRECTORY] {
            assert_eq!(check(channel, service).await, Serving);
            let mut stream = watch(channel, service).await;
            assert_eq!(next(&mut stream).await, Serving);
            watched.push(stream);
        }
    }

    // The role may not log in any more, and what it has is ended.
    let role = &at.database.serving_role;
    let statement = format!("ALTER ROLE {role} NOLOGIN");
    at.sql.batch_execute(&statement).await.unwrap();
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1";
    at.sql.query_one(end, &[role]).await.unwrap();
    for stream in &mut watched {
        assert_eq!(next(stream).await, NotServing);
    }
    for channel in [&own, &shared] {
        assert_eq!(check(channel, TOKENS).await, NotServing);
        assert_eq!(check(channel, LIVENESS).await, Serving, "the process lives");
    }

    let statement = format!("ALTER ROLE {role} LOGIN");
    at.sql.batch_execute(&statement).await.unwrap();
    for stream in &mut watched {
        assert_eq!(next(stream).await, Serving);
    }
    assert_eq!(check(&own, "").await, Serving);
}

#[tokio::test]
async fn the_port_of_health_answers_nothing_else() {
    let at = Deployment::start().await;
    let server = Process::start(&at, &[("health.listen", "\"127.0.0.1:0\"")]).await;
    let own = connect(server.address_of("health")).await;
    let mut tokens =
        countersign::proto::v1::token_authority_service_client::TokenAuthorityServiceClient::new(
            own.clone(),
        );
    let refused = tokens
        .introspect(at.admin().request(Default::default()))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::Unimplemented);
    let mut client = HealthClient::new(own);
    let unknown = client.check(of("no.such.Service")).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
}
