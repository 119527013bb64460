//! Client-only tokens that are decided on what an earlier batch has read: what has changed since
//! is seen by the very next call, at every server.

use crate::support::{
    process::Process,
    server::{Caller, Deployment, settings},
};
use countersign::{
    proto::v1::{self, Role, token_authority_service_client::TokenAuthorityServiceClient},
    store::{self, DatabaseUrl},
};
use std::{collections::HashMap, time::Duration};

/// Issues until everything that decides is known.
async fn learn(caller: &Caller) -> v1::IssueTokenResponse {
    caller.issue(Default::default()).await.unwrap();
    caller.issue(Default::default()).await.unwrap()
}

async fn update(at: &Deployment, client: &Caller, paths: &[&str], settings: v1::ClientSettings) {
    let admin = at.admin();
    let update = v1::UpdateClientRequest {
        client_id: client.id.clone(),
        settings: Some(settings),
        update_mask: Some(prost_types::FieldMask {
            paths: paths.iter().map(|&path| path.into()).collect(),
        }),
    };
    let mut directory = admin.directory();
    directory
        .update_client(admin.request(update))
        .await
        .unwrap();
}

fn of(scopes: &[&str]) -> v1::IssueTokenRequest {
    v1::IssueTokenRequest {
        scopes: scopes.iter().map(|&scope| scope.into()).collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_token_of_a_known_client_is_one_statement_and_no_transaction_around_it() {
    let at = Deployment::start().await;
    let client = at.client(&[Role::Introspector]).await;
    let metrics = [
        ("metrics.listen", "\"127.0.0.1:0\""),
        ("purge.enabled", "false"),
    ];
    let server = Process::start(&at, &metrics).await;
    let mut tokens = TokenAuthorityServiceClient::new(server.channel().await);
    let statements = async |name: &str| {
        let series = format!("countersign_database_duration_seconds_count{{statement=\"{name}\"}}");
        server.metric(&series).await
    };
    let names = [
        "tokens/insert_unchanged",
        "tokens/insert",
        "issuance/clients",
        "transactions/begin",
    ];
    let mut before = HashMap::new();
    let mut last = String::new();
    for issued in 0..=20 {
        let answer = tokens.issue_token(client.request(of(&["a"]))).await;
        last = answer.unwrap().into_inner().access_token;
        if issued == 0 {
            for name in &names[1..] {
                before.insert(*name, statements(name).await);
            }
        }
    }
    for name in &names[1..] {
        let more = statements(name).await - before[name];
        assert!(more < 1.0, "{more} of {name}");
    }
    // On another connection it is prepared once more.
    assert!((20.0..=30.0).contains(&statements(names[0]).await));
    assert!(client.active(&last).await);

    let retire =
        "UPDATE countersign.client_secret SET retired_at = now() WHERE client_id::text = $1";
    at.sql.execute(retire, &[&client.id]).await.unwrap();
    let before = statements(names[0]).await;
    for _ in 0..10 {
        let refused = tokens.issue_token(client.request(of(&["a"]))).await;
        assert_eq!(refused.unwrap_err().code(), tonic::Code::Unauthenticated);
    }
    let more = statements(names[0]).await - before;
    assert!(more <= 2.0, "it was asked {more} times in vain");
}

#[tokio::test]
async fn tokens_of_one_batch_have_each_their_own_terms() {
    let at = Deployment::start().await;
    let one = at.client(&[Role::Introspector]).await;
    let other = at.client(&[Role::Issuer]).await;
    learn(&one).await;
    learn(&other).await;
    let kinds = [&["a"][..], &["b"], &["a", "b"], &[]];
    let calls = (0..64_usize).map(async |number| {
        // A third of them for the other client, by the other.
        let (caller, client_id) = match number % 3 {
            0 => (&other, one.id.clone()),
            1 => (&other, String::new()),
            _ => (&one, String::new()),
        };
        let seconds = 60 + i64::try_from(number % 5).unwrap();
        let request = v1::IssueTokenRequest {
            client_id,
            access_token_ttl: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..of(kinds[number % kinds.len()])
        };
        let owner = if number % 3 == 1 { &other } else { &one };
        let issued = caller.issue(request).await.unwrap();
        (issued, owner.id.clone(), seconds)
    });
    let admin = at.admin();
    for (issued, owner, lives) in futures_util::future::join_all(calls).await {
        let told = admin.introspect(&issued.access_token).await;
        let seconds = |at: Option<prost_types::Timestamp>| at.unwrap().seconds;
        assert_eq!(seconds(told.expires_at) - seconds(told.issued_at), lives);
        assert_eq!((told.client_id, told.token_id), (owner, issued.token_id));
        assert_eq!(told.scopes, issued.scopes);
        assert_eq!(told.audience, issued.audience);
    }
}

#[tokio::test]
async fn every_change_of_a_known_client_decides_the_next_token() {
    let at = Deployment::start_with(2, &[]).await;
    let admin = at.admin();
    let client = at.client(&[]).await;
    let known = at.at(1, &client);
    learn(&known).await;

    let refused = async |request| match known.issue(request).await {
        Err(refusal) => refusal.reason,
        // In the words that tests/mutants/run looks for.
        Ok(_) => panic!("VIOLATION: issued by what the client was before"),
    };
    let narrow = v1::ClientSettings {
        scopes: vec!["a".into()],
        ..settings()
    };
    known.issue(of(&["b"])).await.unwrap();
    update(&at, &client, &["scopes"], narrow).await;
    assert_eq!(refused(of(&["b"])).await, "INVALID_SCOPE");
    known.issue(of(&["a"])).await.unwrap();
    update(&at, &client, &["scopes"], settings()).await;
    known.issue(of(&["b"])).await.unwrap();

    let short = v1::ClientSettings {
        access_token_ttl: Some(prost_types::Duration {
            seconds: 7,
            nanos: 0,
        }),
        ..settings()
    };
    learn(&known).await;
    update(&at, &client, &["access_token_ttl"], short).await;
    for _ in 0..3 {
        let issued = known.issue(Default::default()).await.unwrap();
        let told = known.introspect(&issued.access_token).await;
        let seconds = |at: Option<prost_types::Timestamp>| at.unwrap().seconds;
        let (from, until) = (seconds(told.issued_at), seconds(told.expires_at));
        assert_eq!(until - from, 7);
        assert_eq!(seconds(issued.access_token_expires_at), until);
    }

    let elsewhere = v1::ClientSettings {
        default_audience: vec!["urn:countersign:other".into()],
        audience: vec!["urn:countersign:other".into()],
        ..settings()
    };
    update(&at, &client, &["audience", "default_audience"], elsewhere).await;
    for _ in 0..2 {
        let issued = known.issue(Default::default()).await.unwrap();
        assert_eq!(issued.audience, ["urn:countersign:other"]);
    }

    learn(&known).await;
    let id = &client.id;
    let disable = v1::DisableClientRequest {
        client_id: id.clone(),
    };
    let mut directory = admin.directory();
    directory
        .disable_client(admin.request(disable))
        .await
        .unwrap();
    for _ in 0..2 {
        assert_eq!(refused(Default::default()).await, "CLIENT_DISABLED");
    }
    let enable = v1::EnableClientRequest {
        client_id: id.clone(),
    };
    directory
        .enable_client(admin.request(enable))
        .await
        .unwrap();
    let fresh = known.issue(Default::default()).await.unwrap();
    assert!(known.active(&fresh.access_token).await);
}

#[tokio::test]
async fn a_right_that_was_taken_away_mints_for_nobody_else_any_more() {
    let at = Deployment::start_with(2, &[]).await;
    let (issuer, other) = (at.client(&[Role::Issuer]).await, at.client(&[]).await);
    let known = at.at(1, &issuer);
    let for_other = || v1::IssueTokenRequest {
        client_id: other.id.clone(),
        ..Default::default()
    };
    for _ in 0..2 {
        known.issue(for_other()).await.unwrap();
    }
    update(&at, &issuer, &["roles"], settings()).await;
    for _ in 0..2 {
        let refused = known.issue(for_other()).await.unwrap_err();
        assert_eq!(refused.code, tonic::Code::PermissionDenied);
    }
    known.issue(Default::default()).await.unwrap();
}

#[tokio::test]
async fn a_retired_secret_mints_nothing_though_it_was_known() {
    let at = Deployment::start_with(2, &[]).await;
    let (old, admin) = (at.client(&[]).await, at.admin());
    let rotate = v1::RotateClientSecretRequest {
        client_id: old.id.clone(),
    };
    let mut directory = admin.directory();
    let made = directory.rotate_client_secret(admin.request(rotate)).await;
    let new = at.caller(&old.id, &made.unwrap().into_inner().client_secret);
    for secret in [&old, &new] {
        learn(&at.at(1, secret)).await;
    }
    let get = v1::GetClientRequest {
        client_id: old.id.clone(),
    };
    let client = directory.get_client(admin.request(get)).await.unwrap();
    let secret_id = client.into_inner().client.unwrap().secrets[0]
        .secret_id
        .clone();
    let retire = v1::RetireClientSecretRequest {
        client_id: old.id.clone(),
        secret_id,
    };
    directory
        .retire_client_secret(admin.request(retire))
        .await
        .unwrap();
    let before = at.counts().await;
    for _ in 0..2 {
        let refused = at.at(1, &old).issue(Default::default()).await.unwrap_err();
        assert_eq!(refused.reason, "CREDENTIALS_INVALID");
    }
    assert_eq!(at.counts().await, before);
    at.at(1, &new).issue(Default::default()).await.unwrap();
}

#[tokio::test]
async fn tokens_come_after_every_cut_off_though_the_clock_is_behind_it() {
    let at = Deployment::start().await;
    let client = at.client(&[]).await;
    learn(&client).await;
    for table in ["authority", "client"] {
        let cut =
            format!("UPDATE countersign.{table} SET not_before = now() + interval '1 minute'");
        at.sql.execute(&cut, &[]).await.unwrap();
        for _ in 0..3 {
            let issued = client.issue(Default::default()).await.unwrap();
            assert!(client.active(&issued.access_token).await, "{table}");
        }
    }
}

#[tokio::test]
async fn the_fence_ends_what_was_issued_on_what_was_known_and_nothing_after() {
    let at = Deployment::start().await;
    let client = at.client(&[]).await;
    let before = learn(&client).await.access_token;
    assert!(client.active(&before).await);
    let database = DatabaseUrl::parse(&at.database.url()).unwrap();
    store::fence(&database).await.unwrap();
    assert!(!client.active(&before).await);
    for _ in 0..3 {
        let after = client.issue(Default::default()).await.unwrap();
        assert!(client.active(&after.access_token).await);
    }
}

#[tokio::test]
async fn a_token_that_is_issued_while_its_client_is_cut_off_is_dead_or_comes_after() {
    let at = Deployment::start().await;
    let (client, admin) = (at.client(&[]).await, at.admin());
    learn(&client).await;
    let minting = tokio::spawn({
        let client = client.clone();
        async move {
            let mut issued = Vec::new();
            for _ in 0..200 {
                issued.push(client.issue(Default::default()).await.unwrap().access_token);
            }
            issued
        }
    });
    let mut directory = admin.directory();
    for _ in 0..10 {
        let cut_off = v1::CutOffClientRequest {
            client_id: client.id.clone(),
        };
        directory
            .cut_off_client(admin.request(cut_off))
            .await
            .unwrap();
    }
    let issued = minting.await.unwrap();
    let rows = at
        .sql
        .query_one(
            "SELECT count(*), count(*) FILTER (WHERE t.created_at > c.not_before) \
             FROM public.oauth_access_tokens t JOIN countersign.client c USING (client_id) \
             WHERE c.client_id::text = $1",
            &[&client.id],
        )
        .await
        .unwrap();
    let (all, alive): (i64, i64) = (rows.get(0), rows.get(1));
    assert_eq!(all, 202);
    let mut active = 0;
    for token in &issued {
        active += i64::from(client.active(token).await);
    }
    assert_eq!(active, alive);
}

#[tokio::test]
async fn a_known_client_that_is_being_cut_off_is_waited_for() {
    let at = Deployment::start().await;
    let client = at.client(&[]).await;
    learn(&client).await;
    let cut = format!(
        "BEGIN; \
         SELECT 1 FROM countersign.client WHERE client_id = '{0}' FOR UPDATE; \
         UPDATE countersign.client SET not_before = clock_timestamp() WHERE client_id = '{0}'",
        client.id
    );
    at.sql.batch_execute(&cut).await.unwrap();
    let issuing = tokio::spawn({
        let client = client.clone();
        async move { client.issue(Default::default()).await.unwrap().access_token }
    });
    // The pause is the subject: long enough for a token that waits for nothing.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!issuing.is_finished(), "it would be before the cut-off");
    at.sql.batch_execute("COMMIT").await.unwrap();
    assert!(client.active(&issuing.await.unwrap()).await);
}
