//! No token, secret or key stands in the clear in any table, log line or audit record.

use crate::support::dev::Dev;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::proto::v1::{self, token_authority_service_client::TokenAuthorityServiceClient};
use serde_json::Value;
use std::fs;
use tokio_postgres::NoTls;
use tonic::{Request, transport::Channel};

fn request<T>(client: &Value, message: T) -> Request<T> {
    let text = |name: &str| client[name].as_str().unwrap().to_owned();
    let pair = STANDARD.encode(format!("{}:{}", text("client_id"), text("client_secret")));
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", format!("Basic {pair}").parse().unwrap());
    request
}

/// Every row of every table, as text.
async fn dump(url: &str) -> String {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let driving = tokio::spawn(connection);
    let tables = client
        .query(
            "SELECT format('SELECT t::text FROM %I.%I t', schemaname, tablename) FROM pg_tables \
             WHERE schemaname IN ('public', 'auth', 'countersign')",
            &[],
        )
        .await
        .unwrap();
    let mut text = String::new();
    for table in tables {
        for row in client.query(&table.get::<_, String>(0), &[]).await.unwrap() {
            text.push_str(&row.get::<_, String>(0));
            text.push('\n');
        }
    }
    drop(client);
    drop(driving);
    text
}

#[tokio::test]
async fn nothing_secret_is_in_the_database_or_in_the_log() {
    let place = tempfile::tempdir().unwrap();
    let dev = Dev::start(place.path()).await;
    let description = dev.description();
    let clients = description["clients"].as_array().unwrap();
    let issuer = &clients[0];
    let endpoint = description["endpoint"].as_str().unwrap().to_owned();
    let channel = Channel::from_shared(endpoint)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut tokens = TokenAuthorityServiceClient::new(channel);

    let mut secrets: Vec<String> = clients
        .iter()
        .map(|client| client["client_secret"].as_str().unwrap().to_owned())
        .collect();
    let open = v1::IssueTokenRequest {
        subject: description["subject"].as_str().unwrap().to_owned(),
        with_refresh_token: true,
        scopes: vec!["read".into()],
        ..Default::default()
    };
    for _ in 0..5 {
        let login = tokens
            .issue_token(request(issuer, open.clone()))
            .await
            .unwrap()
            .into_inner();
        secrets.extend([login.access_token.clone(), login.refresh_token.clone()]);
        let mut newest = login.refresh_token.clone();
        for _ in 0..3 {
            let rotate = v1::RotateRefreshRequest {
                refresh_token: newest,
                ..Default::default()
            };
            let stepped = tokens
                .rotate_refresh(request(issuer, rotate))
                .await
                .unwrap();
            let stepped = stepped.into_inner();
            secrets.extend([stepped.access_token, stepped.refresh_token.clone()]);
            newest = stepped.refresh_token;
        }
        for bad in [
            &login.refresh_token,
            &login.access_token,
            &format!("{newest}x"),
        ] {
            let rotate = v1::RotateRefreshRequest {
                refresh_token: bad.clone(),
                ..Default::default()
            };
            tokens
                .rotate_refresh(request(issuer, rotate))
                .await
                .unwrap_err();
            let ask = v1::IntrospectRequest {
                token: bad.clone(),
                ..Default::default()
            };
            tokens.introspect(request(&clients[1], ask)).await.unwrap();
            let wrong = serde_json::json!({ "client_id": bad, "client_secret": bad });
            tokens
                .introspect(request(&wrong, Default::default()))
                .await
                .unwrap_err();
        }
    }
    let key = fs::read_to_string(place.path().join("keys")).unwrap();
    secrets.push(key.split_whitespace().nth(1).unwrap().to_owned());
    secrets.push(fs::read_to_string(place.path().join("serving-password")).unwrap());

    let dumped = dump(description["database_url"].as_str().unwrap()).await;
    assert!(dumped.len() > 10_000, "there is something to search");
    let stopped = dev.stop().await;
    assert!(
        stopped.stderr.contains("\"event\":\"rotate\""),
        "the audit stream is in the log"
    );
    let mut searched = stopped.stderr;
    searched.push_str(&dumped);
    for file in fs::read_dir(place.path().join("postgres"))
        .into_iter()
        .flatten()
        .flatten()
    {
        if file.file_name() == "postgres.log" {
            searched.push_str(&fs::read_to_string(file.path()).unwrap());
        }
    }
    for secret in &secrets {
        // The part that is random: a prefix alone would be no secret.
        assert!(
            !searched.contains(&secret[secret.len() / 2..]),
            "a secret is in the clear"
        );
    }
    for prefix in ["cs_at_", "cs_rt_", "cs_cs_"] {
        assert!(!searched.contains(prefix), "{prefix}");
    }
}
