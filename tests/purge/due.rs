//! What is due, at every edge, and what a token of a purged family hears.

use super::{count, expire, purge, purger, quiet, tokens};
use crate::support::server::Deployment;
use countersign::proto::v1;
use std::time::Duration;
use uuid::Uuid;

/// A family and where it stands; times in seconds before now.
struct Case {
    what: &'static str,
    /// Since the end of the session's row. `None`: it was ended, and this is its tombstone.
    session: Option<i32>,
    /// Since the absolute expiry that the grant tells.
    grant: i32,
    end_reason: Option<&'static str>,
    /// Since the opening, of one with a request id.
    repeatable: Option<i32>,
    goes: bool,
}

const HOUR: i32 = 3600;

const fn case(what: &'static str, session: Option<i32>, grant: i32, goes: bool) -> Case {
    Case {
        what,
        session,
        grant,
        end_reason: if session.is_none() {
            Some("revoked")
        } else {
            None
        },
        repeatable: None,
        goes,
    }
}

const CASES: &[Case] = &[
    case("alive", Some(-HOUR), -HOUR, false),
    case("just expired", Some(100), 100, false),
    case("expired for the margin", Some(301), 301, true),
    case(
        "expired long ago",
        Some(90 * 24 * HOUR),
        90 * 24 * HOUR,
        true,
    ),
    case("ended, unexpired", None, -HOUR, false),
    case("ended, just expired", None, 100, false),
    case("ended, expired for the margin", None, 301, true),
    case("lengthened by hand", Some(-HOUR), HOUR, false),
    case("shortened by hand", Some(HOUR), -HOUR, false),
    Case {
        end_reason: Some("replaced"),
        ..case("replaced, unexpired", None, -HOUR, false)
    },
    Case {
        end_reason: Some("replaced"),
        ..case("replaced, expired", None, HOUR, true)
    },
    Case {
        end_reason: Some("reused"),
        ..case("reused, expired", None, HOUR, true)
    },
    Case {
        end_reason: Some("limit"),
        ..case("by limit, expired", None, HOUR, true)
    },
    Case {
        repeatable: Some(23 * HOUR),
        ..case("expired, its opening repeatable", Some(HOUR), HOUR, false)
    },
    Case {
        repeatable: Some(25 * HOUR),
        ..case(
            "expired, its opening no more repeatable",
            Some(HOUR),
            HOUR,
            true,
        )
    },
];

async fn stand(at: &Deployment, case: &Case) -> Uuid {
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    issuer.rotate(&login.refresh_token).await.unwrap();
    let session = Uuid::parse_str(&login.session_id).unwrap();
    let sql = &at.sql;
    if let Some(since) = case.session {
        let move_end = "UPDATE auth.refresh_session
            SET expires_at = now() - make_interval(secs => $2) WHERE jti = $1";
        let since = f64::from(since);
        sql.execute(move_end, &[&session, &since]).await.unwrap();
    } else {
        let end = "DELETE FROM auth.refresh_session WHERE jti = $1";
        sql.execute(end, &[&session]).await.unwrap();
    }
    sql.execute(
        "UPDATE countersign.session_grant
         SET expires_at = now() - make_interval(secs => $2), end_reason = $3,
             ended_at = CASE WHEN $3::text IS NOT NULL THEN now() END,
             request_id = CASE WHEN $4::float8 IS NOT NULL THEN 'again' END,
             opened_at = coalesce(now() - make_interval(secs => $4), opened_at)
         WHERE session_id = $1",
        &[
            &session,
            &f64::from(case.grant),
            &case.end_reason,
            &case.repeatable.map(f64::from),
        ],
    )
    .await
    .unwrap();
    session
}

#[tokio::test]
async fn a_family_goes_whole_once_its_absolute_expiry_has_passed_and_not_before() {
    let at = quiet().await;
    let mut sessions = Vec::new();
    for case in CASES {
        sessions.push(stand(&at, case).await);
    }
    let events = at.events().await;
    let purged = purge(&at).await;
    for (case, session) in CASES.iter().zip(&sessions) {
        let left = at
            .sql
            .query_one(
                "SELECT (SELECT count(*) FROM auth.refresh_session WHERE jti = $1),
                        (SELECT count(*) FROM countersign.session_grant WHERE session_id = $1),
                        (SELECT count(*) FROM auth.refresh_tokens WHERE session_id = $1)",
                &[session],
            )
            .await
            .unwrap();
        let left: [i64; 3] = [left.get(0), left.get(1), left.get(2)];
        let stands = [i64::from(case.session.is_some()), 1, 2];
        let expected = if case.goes { [0; 3] } else { stands };
        assert_eq!(left, expected, "{}", case.what);
    }
    let going = CASES.iter().filter(|case| case.goes);
    assert_eq!(purged.grants, going.clone().count() as u64);
    assert_eq!(purged.ledger, 2 * purged.grants);
    let rows = going.filter(|case| case.session.is_some()).count();
    assert_eq!(purged.sessions, rows as u64);
    assert_eq!(at.events().await, events, "time ended them, and nobody");
    assert_eq!(purge(&at).await, countersign::store::Purged::default());
}

#[tokio::test]
async fn an_access_token_goes_once_it_expired_whatever_its_session_is() {
    let at = quiet().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let user = at.user().await;
    for (what, seconds_ago, ended, goes) in [
        ("alive", -HOUR, false, false),
        ("just expired, of a live session", 100, false, false),
        ("expired, of a live session", 301, false, true),
        ("unexpired, of an ended session", -HOUR, true, false),
        ("expired, of an ended session", HOUR, true, true),
    ] {
        let login = issuer.open(&user).await;
        let token = Uuid::parse_str(&login.token_id).unwrap();
        let age =
            "UPDATE public.oauth_access_tokens SET expires_at = now() - make_interval(secs => $2)
             WHERE jti = $1";
        at.sql
            .execute(age, &[&token, &f64::from(seconds_ago)])
            .await
            .unwrap();
        if ended {
            let session = v1::revoke_session_request::Target::SessionId(login.session_id);
            assert_eq!(issuer.revoke(session).await, 1);
        }
        assert_eq!(purge(&at).await.access_tokens, u64::from(goes), "{what}");
        let find = "SELECT count(*) FROM public.oauth_access_tokens WHERE jti = $1";
        let left: i64 = at.sql.query_one(find, &[&token]).await.unwrap().get(0);
        assert_eq!(left, i64::from(!goes), "{what}");
    }
}

#[tokio::test]
async fn no_foreign_row_is_touched() {
    let at = quiet().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let session = Uuid::parse_str(&login.session_id).unwrap();
    let client = Uuid::parse_str(&issuer.id).unwrap();
    at.sql
        .execute(
            "INSERT INTO auth.refresh_session (user_id, expires_at)
             SELECT user_id, now() - interval '1 year' FROM auth.refresh_session WHERE jti = $1",
            &[&session],
        )
        .await
        .unwrap();
    // With our session's id, under another client, another user, and under neither.
    at.sql
        .execute(
            "INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked, updated_at, session_id)
             SELECT i.instance_id, 'foreign' || i.n, i.user_id, true, now() - interval '1 year', i.session_id
             FROM auth.refresh_tokens t,
                  LATERAL (VALUES (1, gen_random_uuid(), t.user_id, t.session_id),
                                  (2, t.instance_id, '42', t.session_id),
                                  (3, NULL, NULL, t.session_id),
                                  (4, t.instance_id, t.user_id, NULL)) AS i (n, instance_id, user_id, session_id)
             WHERE t.session_id = $1",
            &[&session],
        )
        .await
        .unwrap();
    at.sql
        .execute(
            "INSERT INTO public.oauth_access_tokens (digest, client_id, metadata, expires_at)
             SELECT decode(md5(n::text), 'hex'), $1, m, now() - interval '1 year'
             FROM (VALUES (1, '{}'::jsonb), (2, jsonb_build_object('session_id', $2::uuid)),
                          (3, '{\"issuer\": \"countersign\"}')) AS f (n, m)",
            &[&client, &session],
        )
        .await
        .unwrap();
    expire(&at, &[login.session_id]).await;
    let purged = purge(&at).await;
    assert_eq!(
        (purged.sessions, purged.ledger, purged.access_tokens),
        (1, 1, 0)
    );
    let foreign = "SELECT (SELECT count(*) FROM auth.refresh_session)
        + 10 * (SELECT count(*) FROM auth.refresh_tokens WHERE token LIKE 'foreign%')
        + 100 * (SELECT count(*) FROM public.oauth_access_tokens WHERE NOT metadata ? 'countersign')";
    assert_eq!(count(&at, foreign).await, 1 + 40 + 300);
}

#[tokio::test]
async fn a_token_of_a_purged_family_hears_that_it_expired_and_a_lost_one_is_an_alarm() {
    let at = quiet().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let user = at.user().await;
    let expired = issuer.open(&user).await;
    let ended = issuer.open(&user).await;
    let session = v1::revoke_session_request::Target::SessionId(ended.session_id.clone());
    assert_eq!(issuer.revoke(session).await, 1);
    let lost = issuer.open(&user).await;
    expire(&at, &[expired.session_id.clone(), ended.session_id.clone()]).await;

    // Of a family that is half purged only its ledger is gone.
    at.sql
        .execute("DELETE FROM auth.refresh_tokens", &[])
        .await
        .unwrap();
    for login in [&expired, &ended] {
        assert_eq!(
            issuer.refusal(&login.refresh_token).await,
            "SESSION_EXPIRED"
        );
    }
    assert_eq!(
        issuer.refusal(&lost.refresh_token).await,
        "REFRESH_TOKEN_UNKNOWN"
    );
    assert_eq!(purge(&at).await.grants, 2);
    for login in [&expired, &ended] {
        assert_eq!(
            issuer.refusal(&login.refresh_token).await,
            "SESSION_EXPIRED"
        );
    }
    at.sql
        .execute("DELETE FROM countersign.session_grant", &[])
        .await
        .unwrap();
    assert_eq!(
        issuer.refusal(&lost.refresh_token).await,
        "REFRESH_TOKEN_UNKNOWN"
    );
}

#[tokio::test]
async fn a_ledger_longer_than_one_transaction_may_remove_goes_before_its_grant() {
    let at = quiet().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    at.sql
        .execute(
            "INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked, session_id)
             SELECT instance_id, 'row' || n, user_id, true, session_id
             FROM auth.refresh_tokens, generate_series(1, 2500) n",
            &[],
        )
        .await
        .unwrap();
    expire(&at, &[login.session_id]).await;
    let purged = purge(&at).await;
    assert_eq!(
        (purged.sessions, purged.grants, purged.ledger),
        (1, 1, 2501)
    );
    assert_eq!(
        count(&at, "SELECT count(*) FROM auth.refresh_tokens").await,
        0
    );
}

#[tokio::test]
async fn families_that_are_not_due_yet_are_never_read_behind_the_limit() {
    let at = quiet().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let session = Uuid::parse_str(&login.session_id).unwrap();
    // Sessions of an hour, each opened under a request id that may come again for a day.
    let crowd = "INSERT INTO countersign.session_grant
        SELECT (jsonb_populate_record(g, jsonb_build_object(
            'session_id', gen_random_uuid(), 'request_id', n::text,
            'opened_at', now() - interval '2 hours',
            'expires_at', now() - interval '1 hour' - n * interval '1 microsecond'))).*
        FROM countersign.session_grant g, generate_series(1, 2500) n WHERE g.session_id = $1";
    at.sql.execute(crowd, &[&session]).await.unwrap();
    at.sql.batch_execute("ANALYZE").await.unwrap();
    expire(&at, &[login.session_id]).await;
    let look = include_str!("../../sql/purge/look_at_families.sql")
        .replace("$1::timestamptz", "'epoch'::timestamptz")
        .replace("$2::bigint", "300000")
        .replace("$3::bigint", "86400000");
    let explain = format!("EXPLAIN (ANALYZE, COSTS off, TIMING off)\n{look}");
    let plan = at.sql.query(&explain, &[]).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("actual rows=1000"), "{plan}");
    assert!(!plan.contains("Rows Removed"), "{plan}");

    let mut passes = purger(&at, 250, None);
    let (purged, lag) = passes.pass(&|| true).await.unwrap();
    assert_eq!((purged.sessions, purged.grants), (1, 1));
    assert_eq!(lag.families, Duration::ZERO, "nothing that is due is left");
    let left = "SELECT count(*) FROM countersign.session_grant";
    assert_eq!(count(&at, left).await, 2500);
}

#[tokio::test]
async fn access_tokens_go_though_families_cannot() {
    let at = quiet().await;
    tokens(&at, 300, 3600, true).await;
    let blind = format!(
        "REVOKE SELECT ON countersign.session_grant FROM {}",
        at.database.serving_role
    );
    at.sql.batch_execute(&blind).await.unwrap();
    let pass = purger(&at, 250, None).pass(&|| true).await;
    assert!(pass.is_err(), "it is told: {pass:?}");
    let left = "SELECT count(*) FROM public.oauth_access_tokens WHERE metadata ? 'countersign'";
    assert_eq!(count(&at, left).await, 0);
}
