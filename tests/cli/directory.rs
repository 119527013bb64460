//! `client` and `user`: what is sent and printed.

use super::authority::Authority;
use countersign::proto::v1;
use prost_types::Duration;
use serde_json::json;

const ID: &str = "0198c0de-0000-7000-8000-000000000003";
const SECRET_ID: &str = "0198c0de-0000-7000-8000-000000000004";

fn client() -> v1::Client {
    v1::Client {
        client_id: ID.to_owned(),
        settings: Some(v1::ClientSettings {
            name: "edge".to_owned(),
            roles: vec![v1::Role::Issuer.into(), v1::Role::Revoker.into()],
            rotation_grace: Some(Duration::default()),
            ..v1::ClientSettings::default()
        }),
        ..v1::Client::default()
    }
}

#[tokio::test]
async fn create_sends_the_settings_and_prints_the_secret_once() {
    let authority = Authority::start().await;
    authority.answers(v1::CreateClientResponse {
        client: Some(client()),
        client_secret: "cs_cs_new".to_owned(),
    });
    let words = "client create --name edge --id 0198c0de-0000-7000-8000-000000000003 \
        --role issuer --role revoker --spiffe-id spiffe://example.org/edge \
        --dns-name edge.example.org --scope a --audience https://a --default-audience https://b \
        --introspection-audience https://c --access-token-ttl 5m --session-ttl 30d \
        --idle-timeout 1h --rotation-grace 0s --sessions-per-user 3 \
        --session-limit end-least-recently-used --bearer-allowed false --dpop-required";
    let words: Vec<&str> = words.split_whitespace().collect();
    let run = authority.run(&words, "").await.ok();
    assert_eq!(
        run.stdout,
        "client id            0198c0de-0000-7000-8000-000000000003\n\
         name                 edge\n\
         roles                ISSUER REVOKER\n\
         rotation grace       0s\n\
         bearer allowed       yes\n\
         dpop required        no\n\
         dpop nonce required  no\n\
         client secret        cs_cs_new\n"
    );
    let span = |seconds| Some(Duration { seconds, nanos: 0 });
    assert_eq!(
        authority.asked::<v1::CreateClientRequest>(),
        v1::CreateClientRequest {
            client_id: ID.to_owned(),
            settings: Some(v1::ClientSettings {
                name: "edge".to_owned(),
                roles: vec![v1::Role::Issuer.into(), v1::Role::Revoker.into()],
                spiffe_ids: vec!["spiffe://example.org/edge".to_owned()],
                dns_names: vec!["edge.example.org".to_owned()],
                scopes: vec!["a".to_owned()],
                audience: vec!["https://a".to_owned()],
                default_audience: vec!["https://b".to_owned()],
                introspection_audience: vec!["https://c".to_owned()],
                access_token_ttl: span(300),
                session_ttl: span(30 * 86_400),
                idle_timeout: span(3_600),
                rotation_grace: span(0),
                sessions_per_user: 3,
                session_limit_policy: v1::SessionLimitPolicy::EndLeastRecentlyUsed.into(),
                bearer_allowed: Some(false),
                dpop_required: true,
                dpop_nonce_required: false,
            }),
        }
    );
}

#[tokio::test]
async fn update_changes_what_is_given_and_empties_what_is_cleared() {
    let authority = Authority::start().await;
    authority.answers(v1::UpdateClientResponse {
        client: Some(client()),
    });
    let words = "client update 0198c0de-0000-7000-8000-000000000003 --name edge --scope a --scope b \
        --clear audience,default-audience --json";
    let words: Vec<&str> = words.split_whitespace().collect();
    let run = authority.run(&words, "").await.ok();
    assert_eq!(
        run.json(),
        json!({ "client": { "client_id": ID, "settings": {
            "name": "edge", "roles": ["ISSUER", "REVOKER"], "rotation_grace": "0s",
            "bearer_allowed": true, "dpop_required": false, "dpop_nonce_required": false,
        } } })
    );
    let request = authority.asked::<v1::UpdateClientRequest>();
    assert_eq!(
        request.update_mask.unwrap().paths,
        ["name", "scopes", "audience", "default_audience"]
    );
    let settings = request.settings.unwrap();
    assert_eq!(settings.scopes, ["a", "b"]);
    assert!(settings.audience.is_empty());
}

#[tokio::test]
async fn an_update_that_contradicts_itself_or_changes_nothing_is_never_sent() {
    let authority = Authority::start().await;
    for words in [
        vec!["client", "update", ID],
        vec!["client", "update", ID, "--scope", "a", "--clear", "scopes"],
    ] {
        let run = authority.run(&words, "").await;
        assert_eq!(run.code, 64, "{}", run.stderr);
        assert!(!authority.was_asked());
    }
}

#[tokio::test]
async fn clients_are_listed_to_the_end() {
    let authority = Authority::start().await;
    for next in ["p2", ""] {
        authority.answers(v1::ListClientsResponse {
            clients: vec![client()],
            next_page_token: next.to_owned(),
        });
    }
    let run = authority
        .run(&["client", "list", "--all", "--json"], "")
        .await
        .ok();
    assert_eq!(run.json()["clients"].as_array().unwrap().len(), 2);
    assert_eq!(authority.asked::<v1::ListClientsRequest>().page_token, "");
    assert_eq!(authority.asked::<v1::ListClientsRequest>().page_token, "p2");
}

#[tokio::test]
async fn every_other_command_names_its_client_or_user() {
    let authority = Authority::start().await;
    let user = || {
        Some(v1::User {
            subject: ID.to_owned(),
            ..v1::User::default()
        })
    };
    let client_shown = json!(ID);

    authority.answers(v1::GetClientResponse {
        client: Some(client()),
    });
    let run = authority
        .run(&["client", "get", ID, "--json"], "")
        .await
        .ok();
    assert_eq!(run.json()["client"]["client_id"], client_shown);
    assert_eq!(authority.asked::<v1::GetClientRequest>().client_id, ID);

    authority.answers(v1::DisableClientResponse {
        client: Some(client()),
    });
    authority.run(&["client", "disable", ID], "").await.ok();
    assert_eq!(authority.asked::<v1::DisableClientRequest>().client_id, ID);

    authority.answers(v1::EnableClientResponse {
        client: Some(client()),
    });
    authority.run(&["client", "enable", ID], "").await.ok();
    assert_eq!(authority.asked::<v1::EnableClientRequest>().client_id, ID);

    authority.answers(v1::RotateClientSecretResponse {
        secret_id: SECRET_ID.to_owned(),
        client_secret: "cs_cs_next".to_owned(),
    });
    let run = authority
        .run(&["client", "rotate-secret", ID, "--json"], "")
        .await
        .ok();
    assert_eq!(
        run.json(),
        json!({ "secret_id": SECRET_ID, "client_secret": "cs_cs_next" })
    );
    assert_eq!(
        authority.asked::<v1::RotateClientSecretRequest>().client_id,
        ID
    );

    authority.answers(v1::RetireClientSecretResponse {
        client: Some(client()),
    });
    authority
        .run(&["client", "retire-secret", ID, SECRET_ID], "")
        .await
        .ok();
    let request = authority.asked::<v1::RetireClientSecretRequest>();
    assert_eq!((&*request.client_id, &*request.secret_id), (ID, SECRET_ID));

    authority.answers(v1::RegisterUserResponse { user: user() });
    let run = authority.run(&["user", "register"], "").await.ok();
    assert_eq!(run.stdout, format!("subject  {ID}\n"));
    assert_eq!(authority.asked::<v1::RegisterUserRequest>().subject, "");

    authority.answers(v1::GetUserResponse { user: user() });
    let run = authority.run(&["user", "get", ID, "--json"], "").await.ok();
    assert_eq!(run.json(), json!({ "user": { "subject": ID } }));
    assert_eq!(authority.asked::<v1::GetUserRequest>().subject, ID);

    authority.answers(v1::DisableUserResponse { user: user() });
    authority.run(&["user", "disable", ID], "").await.ok();
    assert_eq!(authority.asked::<v1::DisableUserRequest>().subject, ID);

    authority.answers(v1::EnableUserResponse { user: user() });
    authority.run(&["user", "enable", ID], "").await.ok();
    assert_eq!(authority.asked::<v1::EnableUserRequest>().subject, ID);
}
