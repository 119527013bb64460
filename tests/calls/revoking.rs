//! `RevokeSession` and `RevokeToken`.

use crate::{races::PATIENT, support::server::Deployment};
use countersign::proto::v1::{self, Role, UserSessions, revoke_session_request::Target};
use std::time::{Duration, Instant};
use uuid::Uuid;

fn user(subject: &str, except: &str) -> Target {
    Target::User(UserSessions {
        subject: subject.into(),
        except_session_id: except.into(),
    })
}

#[tokio::test]
async fn every_way_to_name_a_session_ends_it_once_and_on_every_replica() {
    let at = Deployment::start_with(2, &[]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let elsewhere = at.at(1, &issuer);
    let ways: [fn(&v1::IssueTokenResponse) -> Target; 4] = [
        |login| Target::SessionId(login.session_id.clone()),
        |login| Target::RefreshToken(login.refresh_token.clone()),
        |login| Target::AccessToken(login.access_token.clone()),
        |login| Target::RefreshToken(login.refresh_token.clone()),
    ];
    for (stale, way) in ways.into_iter().enumerate() {
        let login = issuer.open(&at.user().await).await;
        let newest = if stale == 3 {
            let stepped = issuer.rotate(&login.refresh_token).await.unwrap();
            issuer
                .rotate(&stepped.refresh_token)
                .await
                .unwrap()
                .refresh_token
        } else {
            login.refresh_token.clone()
        };
        assert!(elsewhere.active(&login.access_token).await);
        assert_eq!(issuer.revoke(way(&login)).await, 1);
        assert!(!elsewhere.active(&login.access_token).await);
        assert!(!elsewhere.active(&newest).await);
        assert_eq!(elsewhere.refusal(&newest).await, "SESSION_REVOKED");
        assert_eq!(issuer.revoke(way(&login)).await, 0, "it is gone");
    }
    let ended = at
        .events()
        .await
        .iter()
        .filter(|event| *event == "session_ended:revoked")
        .count();
    assert_eq!(ended, 4);
}

#[tokio::test]
async fn another_clients_session_answers_0_and_lives() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let stranger = at
        .client(&[Role::Issuer, Role::Introspector, Role::Admin])
        .await;
    let subject = at.user().await;
    let login = issuer.open(&subject).await;
    for target in [
        Target::SessionId(login.session_id.clone()),
        Target::RefreshToken(login.refresh_token.clone()),
        Target::AccessToken(login.access_token.clone()),
        user(&subject, ""),
    ] {
        assert_eq!(stranger.revoke(target).await, 0);
        assert!(issuer.active(&login.access_token).await);
    }
    let revoker = at.client(&[Role::Revoker]).await;
    assert_eq!(revoker.revoke(Target::SessionId(login.session_id)).await, 1);
    assert!(!issuer.active(&login.access_token).await);
}

#[tokio::test]
async fn a_user_loses_all_sessions_or_all_but_one() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let revoker = at.client(&[Role::Revoker]).await;
    let subject = at.user().await;
    let logins = [issuer.open(&subject).await, issuer.open(&subject).await];
    let alone = v1::IssueTokenRequest {
        subject: subject.clone(),
        ..Default::default()
    };
    let without_session = issuer.issue(alone.clone()).await.unwrap().access_token;
    let client_only = issuer.issue(Default::default()).await.unwrap().access_token;

    assert_eq!(
        revoker.revoke(user(&subject, &logins[1].session_id)).await,
        1
    );
    assert!(!issuer.active(&logins[0].access_token).await);
    assert!(
        issuer.active(&logins[1].access_token).await,
        "the one that stays"
    );
    assert!(!issuer.active(&without_session).await);

    let without_session = issuer.issue(alone).await.unwrap().access_token;
    assert_eq!(revoker.revoke(user(&subject, "")).await, 1);
    assert!(!issuer.active(&logins[1].access_token).await);
    assert!(
        !issuer.active(&without_session).await,
        "the cut-off covers it"
    );
    assert!(
        issuer.active(&client_only).await,
        "no user stands behind it"
    );
    let again = issuer.open(&subject).await;
    assert!(
        issuer.active(&again.access_token).await,
        "a new login lives"
    );
    assert_eq!(
        revoker
            .revoke(user(&uuid::Uuid::nil().to_string(), ""))
            .await,
        0
    );
}

#[tokio::test]
async fn a_revoked_access_token_dies_alone() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let stranger = at.client(&[]).await;
    let login = issuer.open(&at.user().await).await;
    let revoke = |token: &str| v1::RevokeTokenRequest {
        token: token.into(),
        token_type_hint: "refresh_token".into(),
    };
    stranger
        .tokens()
        .revoke_token(stranger.request(revoke(&login.access_token)))
        .await
        .unwrap();
    assert!(issuer.active(&login.access_token).await, "not theirs");
    issuer
        .tokens()
        .revoke_token(issuer.request(revoke(&login.access_token)))
        .await
        .unwrap();
    assert!(!issuer.active(&login.access_token).await);
    let stepped = issuer.rotate(&login.refresh_token).await.unwrap();
    issuer
        .tokens()
        .revoke_token(issuer.request(revoke(&stepped.refresh_token)))
        .await
        .unwrap();
    assert_eq!(
        issuer.refusal(&stepped.refresh_token).await,
        "SESSION_REVOKED"
    );
    issuer
        .tokens()
        .revoke_token(issuer.request(revoke("nonsense")))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_revoked_access_token_still_ends_its_session() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let request = v1::RevokeTokenRequest {
        token: login.access_token.clone(),
        ..v1::RevokeTokenRequest::default()
    };
    for _ in 0..2 {
        let request = issuer.request(request.clone());
        issuer.tokens().revoke_token(request).await.unwrap();
    }
    assert!(!issuer.active(&login.access_token).await);
    let ended = issuer.revoke(Target::AccessToken(login.access_token)).await;
    assert_eq!(ended, 1);
    assert_eq!(
        issuer.refusal(&login.refresh_token).await,
        "SESSION_REVOKED"
    );
    let told = at.events().await;
    let single = told.iter().filter(|kind| *kind == "token_revoked").count();
    assert_eq!(single, 1, "{told:?}");
}

#[tokio::test]
async fn sessions_are_listed_by_page_the_most_recently_used_first() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let revoker = at.client(&[Role::Revoker]).await;
    let subject = at.user().await;
    let mut opened = Vec::new();
    for _ in 0..5 {
        opened.push(issuer.open(&subject).await);
    }
    issuer.rotate(&opened[0].refresh_token).await.unwrap();
    issuer
        .revoke(Target::SessionId(opened[3].session_id.clone()))
        .await;
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ListSessionsRequest {
            subject: subject.clone(),
            page_size: 2,
            page_token,
        };
        let page = revoker
            .tokens()
            .list_sessions(revoker.request(request))
            .await
            .unwrap();
        let page = page.into_inner();
        assert!(page.sessions.len() <= 2);
        listed.extend(page.sessions.into_iter().map(|session| session.session_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = [0, 4, 2, 1]
        .map(|at: usize| opened[at].session_id.clone())
        .into();
    assert_eq!(listed, expected);
    let stranger = at.client(&[Role::Issuer]).await;
    let request = v1::ListSessionsRequest {
        subject,
        ..Default::default()
    };
    let page = stranger
        .tokens()
        .list_sessions(stranger.request(request))
        .await
        .unwrap();
    assert!(
        page.into_inner().sessions.is_empty(),
        "only its own client's"
    );
}

#[tokio::test]
async fn a_login_under_way_does_not_slip_through_the_revocation_of_its_user() {
    let at = Deployment::start_with(1, &PATIENT).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let revoker = at.client(&[Role::Revoker]).await;
    let subject = at.user().await;
    let held = at.database.client().await;
    held.batch_execute("BEGIN; LOCK TABLE public.oauth_access_tokens IN SHARE MODE")
        .await
        .unwrap();
    let started = Instant::now();
    let waiting = async |how_many: i64| loop {
        assert!(started.elapsed() < Duration::from_mins(1), "{how_many}");
        let found = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                     WHERE NOT l.granted AND a.datname = current_database()";
        if at.sql.query_one(found, &[]).await.unwrap().get::<_, i64>(0) >= how_many {
            return;
        }
        tokio::task::yield_now().await;
    };

    let login = tokio::spawn({
        let (issuer, subject) = (issuer.clone(), subject.clone());
        async move { issuer.open(&subject).await }
    });
    waiting(1).await;
    // All but one, so that no cut-off covers what the revocation overlooks.
    let target = user(&subject, &uuid::Uuid::max().to_string());
    let ended = tokio::spawn(async move { revoker.revoke(target).await });
    waiting(2).await;
    held.batch_execute("COMMIT").await.unwrap();
    let login = login.await.unwrap();
    assert_eq!(ended.await.unwrap(), 1);
    assert!(!issuer.active(&login.access_token).await);
}

/// Somebody with a user's password, or a machine, opens any number of sessions.
#[tokio::test]
async fn a_user_with_more_sessions_than_a_statement_can_end_is_revoked() {
    let settings = [
        ("COUNTERSIGN_DATABASE_STATEMENT_TIMEOUT", "2s"),
        ("COUNTERSIGN_CALLS_DEADLINE", "1m"),
    ];
    let at = Deployment::start_with(1, &settings).await;
    let (issuer, revoker) = (
        at.client(&[Role::Issuer]).await,
        at.client(&[Role::Revoker]).await,
    );
    let subject = at.user().await;
    let login = issuer.open(&subject).await;
    let session = Uuid::parse_str(&login.session_id).unwrap();
    for copy in [
        "INSERT INTO auth.refresh_session (jti, user_id, expires_at)
         SELECT md5('session ' || n)::uuid, s.user_id, s.expires_at
         FROM auth.refresh_session s, generate_series(1, 30000) n WHERE s.jti = $1",
        "INSERT INTO countersign.session_grant
         SELECT (jsonb_populate_record(g, jsonb_build_object('session_id', md5('session ' || n)))).*
         FROM countersign.session_grant g, generate_series(1, 30000) n WHERE g.session_id = $1",
        "INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked, session_id)
         SELECT t.instance_id, md5('token ' || n), t.user_id, false, md5('session ' || n)::uuid
         FROM auth.refresh_tokens t, generate_series(1, 30000) n WHERE t.session_id = $1",
    ] {
        at.sql.execute(copy, &[&session]).await.unwrap();
    }
    at.sql.batch_execute("ANALYZE").await.unwrap();
    let last = issuer.open(&subject).await;
    let but_one = user(&subject, &last.session_id);
    assert_eq!(revoker.revoke(but_one).await, 30_001);
    assert!(!issuer.active(&login.access_token).await);
    assert!(issuer.active(&last.access_token).await);
    let told = at.events().await;
    let ended = told.iter().filter(|kind| kind.starts_with("session_ended"));
    assert_eq!(ended.count(), 30_001);
}
