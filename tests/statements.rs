//! Every statement, on the migrated schema, as the role that serves.

use crate::support::server::{Deployment, answer};
use countersign::{
    proto::v1,
    store::{parameters, statements},
};
use tokio_postgres::types::Type;
use tonic::Code;

#[tokio::test]
async fn every_statement_can_be_prepared_by_the_role_that_serves() {
    let at = Deployment::start().await;
    let client = at.database.serving_client().await;
    for statement in statements::ALL {
        let name = statement.name;
        let prepared = match client.prepare(statement.text).await {
            Ok(prepared) => prepared,
            Err(error) => panic!("{name}: {error:?}"),
        };
        if name.starts_with("bench/") {
            continue;
        }
        // Without a name it is sent with the types that its text tells, and answered in types
        // that need no look into the catalogue.
        let types = parameters::types_of(statement.text);
        assert_eq!(types.as_deref(), Some(prepared.params()), "{name}");
        for column in prepared.columns() {
            let known = Type::from_oid(column.type_().oid());
            assert!(known.is_some(), "{name}: {column:?}");
        }
    }
    assert!(statements::ALL.len() > 40);
}

#[tokio::test]
async fn new_ids_come_from_the_gaps_when_the_identity_nears_its_end() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let subject = at.user().await;
    let early = issuer.open(&subject).await;
    at.sql
        .execute(
            "SELECT setval('auth.refresh_session_id_seq', 2146483647)",
            &[],
        )
        .await
        .unwrap();
    // The next id lies in the reserve; from the one after it on, freed ids are taken.
    issuer.open(&subject).await;
    let mut last = Vec::new();
    for _ in 0..20 {
        last.push(issuer.open(&subject).await);
    }
    let ids = at
        .sql
        .query("SELECT id FROM auth.refresh_session ORDER BY id", &[])
        .await
        .unwrap();
    let ids: Vec<i32> = ids.iter().map(|row| row.get(0)).collect();
    assert_eq!(ids.len(), 22);
    let high = ids.iter().filter(|id| **id > 1_000_000).count();
    assert_eq!(high, 1, "{ids:?}");
    assert!(issuer.active(&early.access_token).await);
    for login in last {
        assert!(issuer.active(&login.access_token).await);
    }
}

#[tokio::test]
async fn ids_are_searched_past_all_that_are_taken() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let subject = at.user().await;
    // As many rows of others as a search looks at in one go, and the identity at its end.
    at.sql
        .batch_execute(
            "INSERT INTO auth.refresh_session (id, user_id, expires_at) OVERRIDING SYSTEM VALUE
             SELECT n, (SELECT min(id) FROM auth.\"user\"), now() FROM generate_series(1, 100000) n;
             SELECT setval('auth.refresh_session_id_seq', 2146483647)",
        )
        .await
        .unwrap();
    for _ in 0..3 {
        let login = issuer.open(&subject).await;
        assert!(issuer.active(&login.access_token).await);
    }
    let found = "SELECT count(*) FROM auth.refresh_session WHERE id IN (100001, 100002)";
    let found: i64 = at.sql.query_one(found, &[]).await.unwrap().get(0);
    assert_eq!(
        found, 2,
        "the first took the identity's last, the others these"
    );
}

#[tokio::test]
async fn new_users_get_freed_ids_when_their_identity_nears_its_end() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    // These have ids of users that are no ids of sessions.
    for _ in 0..3 {
        at.user().await;
    }
    let near = "SELECT setval('auth.user_id_seq', 2146483647)";
    at.sql.execute(near, &[]).await.unwrap();
    for _ in 0..20 {
        let login = issuer.open(&at.user().await).await;
        assert!(issuer.active(&login.access_token).await);
    }
    let ids = "SELECT count(*), count(*) FILTER (WHERE id > 1000000) FROM auth.\"user\"";
    let ids = at.sql.query_one(ids, &[]).await.unwrap();
    let (all, high): (i64, i64) = (ids.get(0), ids.get(1));
    assert_eq!(all, 23);
    assert_eq!(high, 1, "the first took the identity's last");
}

/// The last id that is ours is taken, and the cursor of freed ids is held there.
#[tokio::test]
async fn where_no_id_is_free_a_call_is_refused_and_leaves_nothing() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let subject = at.user().await;
    at.sql
        .batch_execute(
            "SELECT setval('auth.refresh_session_id_seq', 2146483646),
                    setval('auth.user_id_seq', 2146483646)",
        )
        .await
        .unwrap();
    let last = at.user().await;
    issuer.open(&last).await;
    at.sql
        .batch_execute(
            "UPDATE countersign.id_cursor SET next_id = 2146483647;
             CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER held BEFORE UPDATE ON countersign.id_cursor
                 FOR EACH ROW EXECUTE FUNCTION held()",
        )
        .await
        .unwrap();
    let before = at.counts().await;
    let open = || v1::IssueTokenRequest {
        subject: subject.clone(),
        with_refresh_token: true,
        ..Default::default()
    };
    let unknown = || v1::IssueTokenRequest {
        subject: uuid::Uuid::max().to_string(),
        register_subject: true,
        ..Default::default()
    };
    let admin = at.admin();
    for _ in 0..2 {
        let mut directory = admin.directory();
        let user = admin.request(v1::RegisterUserRequest::default());
        let user = answer(directory.register_user(user).await);
        for refused in [
            issuer.issue(open()).await.unwrap_err(),
            issuer.issue(unknown()).await.unwrap_err(),
            user.unwrap_err(),
        ] {
            assert_eq!(refused.code, Code::ResourceExhausted, "{refused:?}");
            assert_eq!(refused.reason, "IDS_EXHAUSTED");
        }
        assert_eq!(at.counts().await, before);
    }
    // Who needs no new id is not refused with those who do.
    let calls = (0..16_u128).map(async |n| {
        let subject = if n % 2 == 0 {
            uuid::Uuid::from_u128(n + 1).to_string()
        } else {
            subject.clone()
        };
        let request = v1::IssueTokenRequest {
            subject,
            register_subject: n % 2 == 0,
            ..Default::default()
        };
        (n % 2 == 0, issuer.issue(request).await.is_err())
    });
    for (wants_an_id, refused) in futures_util::future::join_all(calls).await {
        assert_eq!(refused, wants_an_id);
    }
    // As long as nobody searches again after a search that found none.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let free = "DROP TRIGGER held ON countersign.id_cursor";
    at.sql.batch_execute(free).await.unwrap();
    // From the last one, the search goes round.
    let login = issuer.open(&at.user().await).await;
    assert!(issuer.active(&login.access_token).await);
}

/// Where a search found none, the next one begins behind it, and goes round.
#[tokio::test]
async fn the_cursor_of_freed_ids_is_passed_on_and_goes_round() {
    let at = Deployment::start().await;
    let client = at.database.serving_client().await;
    let statement = statements::ALL.iter().find(|one| one.name == "ids/pass_on");
    let statement = statement.unwrap().text;
    let place = "SELECT next_id FROM countersign.id_cursor WHERE table_name = 'auth.user'";
    for expected in [401_i64, 801, 1, 401] {
        let moved = client.execute(statement, &[&"auth.user", &400_i64, &1_000_i64]);
        assert_eq!(moved.await.unwrap(), 1);
        let found: i64 = client.query_one(place, &[]).await.unwrap().get(0);
        assert_eq!(found, expected);
    }
}

/// COMMIT travels right behind them, before anybody counts their rows.
#[tokio::test]
async fn a_step_and_an_opening_do_the_whole_or_fail() {
    let at = Deployment::start().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let user = at.user().await;
    let session = issuer.open(&user).await.session_id;
    let client = at.database.serving_client().await;
    for name in ["sessions/rotate", "sessions/open"] {
        let statement = statements::ALL.iter().find(|one| one.name == name);
        let (statement, name) = (statement.unwrap(), name.replace('/', "_"));
        let prepare = format!("PREPARE {name} AS {}", statement.text);
        client.batch_execute(&prepare).await.unwrap();
    }
    let id = "00000000-0000-0000-0000-000000000001";
    let now = "2026-01-01 00:00:00+00";
    let step = |version: u32| {
        format!(
            "EXECUTE sessions_rotate('{{{session}}}', '{{{version}}}', '{{a}}', '{{b}}', '{{{id}}}',
                '{{{user}}}', '{{{now}}}', '{{NULL}}', '{{NULL}}')"
        )
    };
    let open = |user: &str| {
        format!(
            "EXECUTE sessions_open('{{{id}}}', '{{{id}}}', '{{{user}}}', '{{c}}', '{{{now}}}',
                '{{{now}}}', '{{NULL}}', '{{NULL}}', '{{NULL}}', '{{NULL}}')"
        )
    };
    // The session stands at 0, and nobody is that user.
    for fails in [step(1), open(id)] {
        let error = client.batch_execute(&fails).await.unwrap_err();
        let code = error.code().map(|code| code.code().to_owned());
        assert_eq!(code.as_deref(), Some("22012"), "{fails}: {error:?}");
    }
    let ledger = "SELECT count(*) FROM auth.refresh_tokens";
    let rows = async || -> i64 { at.sql.query_one(ledger, &[]).await.unwrap().get(0) };
    assert_eq!(rows().await, 1, "what fails leaves nothing");
    for succeeds in [step(0), open(&user)] {
        client.batch_execute(&succeeds).await.unwrap();
    }
    assert_eq!(rows().await, 3);
}
