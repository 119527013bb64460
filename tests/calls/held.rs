//! What calls do while somebody else is in the way, or what stands already is not as usual.

use crate::support::server::Deployment;
use countersign::proto::v1::{
    self, IssueTokenRequest, Role, RotationOutcome, revoke_session_request::Target,
};
use std::time::Duration;
use tonic::Code;
use uuid::Uuid;

/// Long enough for anything that is not held, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

/// A token is presented again within the window, by a caller who gives up, and the server
/// finds a connection for it long after the window.
#[tokio::test]
async fn what_held_a_call_up_is_no_part_of_a_tokens_age() {
    let at = Deployment::start_with(
        1,
        &[
            ("COUNTERSIGN_DATABASE_CONNECTIONS", "1"),
            ("COUNTERSIGN_DATABASE_ACQUIRE_TIMEOUT", "30s"),
            ("COUNTERSIGN_DATABASE_LOCK_TIMEOUT", "30s"),
            ("COUNTERSIGN_DATABASE_STATEMENT_TIMEOUT", "30s"),
            ("COUNTERSIGN_CALLS_DEADLINE", "60s"),
            ("COUNTERSIGN_ROTATION_GRACE", "3s"),
            ("COUNTERSIGN_ROTATION_DEADLINE", "1s"),
        ],
    )
    .await;
    let issuer = at.client(&[Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let mut other = at.database.client().await;
    let held = other.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE countersign.account IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let stuck = {
        let (issuer, token) = (issuer.clone(), login.access_token.clone());
        tokio::spawn(async move { issuer.active(&token).await })
    };
    // It has the only connection as soon as it waits for the table.
    until_one_waits(&at).await;
    let session = Uuid::parse_str(&login.session_id).unwrap();
    // A step, as if another replica had taken it just now.
    let step = "UPDATE auth.refresh_session
                SET refresh_version = refresh_version + 1, last_used_at = clock_timestamp()
                WHERE jti = $1";
    assert_eq!(at.sql.execute(step, &[&session]).await.unwrap(), 1);
    // By its own deadline, which is far shorter than that of calls.
    let gave_up = tokio::time::timeout(PATIENCE, issuer.rotate(&login.refresh_token)).await;
    let gave_up = gave_up.unwrap().unwrap_err();
    assert_eq!(gave_up.code, Code::DeadlineExceeded, "{gave_up:?}");
    // The window is the subject.
    tokio::time::sleep(Duration::from_secs(3)).await;
    held.rollback().await.unwrap();
    assert!(stuck.await.unwrap());
    // Behind the call that was given up.
    assert!(
        issuer.active(&login.access_token).await,
        "the family stands: its token was presented within the window"
    );
    assert!(
        at.events()
            .await
            .iter()
            .all(|kind| !kind.starts_with("session_ended"))
    );
}

/// A token is presented again within the window, and waits in the server, behind a batch that is
/// stuck, until long after the window.
#[tokio::test]
async fn what_a_call_waited_for_its_batch_is_no_part_of_a_tokens_age() {
    let at = Deployment::start_with(
        1,
        &[
            ("COUNTERSIGN_BATCH_IN_FLIGHT", "1"),
            ("COUNTERSIGN_BATCH_MAX_WAIT", "30s"),
            ("COUNTERSIGN_DATABASE_LOCK_TIMEOUT", "30s"),
            ("COUNTERSIGN_DATABASE_STATEMENT_TIMEOUT", "30s"),
            ("COUNTERSIGN_ROTATION_GRACE", "24s"),
            ("COUNTERSIGN_ROTATION_DEADLINE", "8s"),
        ],
    )
    .await;
    let issuer = at.client(&[Role::Issuer]).await;
    let subject = at.user().await;
    let (login, other) = (issuer.open(&subject).await, issuer.open(&subject).await);
    let mut elsewhere = at.database.client().await;
    let held = elsewhere.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE public.oauth_access_tokens IN SHARE MODE")
        .await
        .unwrap();
    let rotate = |token: &str| {
        let (issuer, token) = (issuer.clone(), token.to_owned());
        tokio::spawn(async move { issuer.rotate(&token).await })
    };
    let stuck = rotate(&other.refresh_token);
    until_one_waits(&at).await;
    let session = Uuid::parse_str(&login.session_id).unwrap();
    // A step, as if another replica had taken it, long ago but within the window.
    let step = "UPDATE auth.refresh_session
                SET refresh_version = refresh_version + 1,
                    last_used_at = clock_timestamp() - interval '20.5 seconds'
                WHERE jti = $1";
    assert_eq!(at.sql.execute(step, &[&session]).await.unwrap(), 1);
    let waits = rotate(&login.refresh_token);
    // The window is the subject.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!waits.is_finished(), "it waits behind the other");
    held.rollback().await.unwrap();
    let replayed = waits.await.unwrap().unwrap();
    assert_eq!(replayed.outcome, RotationOutcome::Replayed as i32);
    stuck.await.unwrap().unwrap();
    assert!(issuer.active(&replayed.access_token).await);
    assert!(
        at.events()
            .await
            .iter()
            .all(|kind| !kind.starts_with("session_ended"))
    );
}

async fn until_one_waits(at: &Deployment) {
    let waits = "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let wait = async {
        while at.sql.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

#[tokio::test]
async fn an_access_token_that_another_holds_holds_up_nobody_else() {
    let at = Deployment::start_with(
        1,
        &[
            ("COUNTERSIGN_BATCH_IN_FLIGHT", "1"),
            ("COUNTERSIGN_DATABASE_LOCK_TIMEOUT", "60s"),
            ("COUNTERSIGN_DATABASE_STATEMENT_TIMEOUT", "60s"),
        ],
    )
    .await;
    let issuer = at.client(&[Role::Issuer]).await;
    let token = issuer.issue(IssueTokenRequest::default()).await.unwrap();
    let token_id = Uuid::parse_str(&token.token_id).unwrap();
    let login = issuer.open(&at.user().await).await;

    let mut other = at.database.client().await;
    let held = other.transaction().await.unwrap();
    let lock = "SELECT FROM public.oauth_access_tokens WHERE jti = $1 FOR UPDATE";
    held.query_one(lock, &[&token_id]).await.unwrap();
    let waits = {
        let (issuer, token) = (issuer.clone(), token.access_token.clone());
        tokio::spawn(async move {
            let request = v1::RevokeTokenRequest {
                token,
                ..Default::default()
            };
            let request = issuer.request(request);
            issuer.tokens().revoke_token(request).await.map(drop)
        })
    };
    let ended = issuer.revoke(Target::SessionId(login.session_id));
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    assert_eq!(ended.expect("it waits for nobody's token"), 1);
    assert!(!waits.is_finished(), "its token is held");
    assert!(issuer.active(&token.access_token).await);

    held.rollback().await.unwrap();
    waits.await.unwrap().unwrap();
    assert!(!issuer.active(&token.access_token).await);
    let events = at.events().await;
    let told = events.iter().filter(|kind| *kind == "token_revoked");
    assert_eq!(told.count(), 1, "{events:?}");
}

#[tokio::test]
async fn who_cannot_be_registered_hears_so_alone() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    // Another system's table, which wants more of a user than we know.
    at.sql
        .batch_execute("ALTER TABLE public.users ADD COLUMN email text NOT NULL DEFAULT ''")
        .await
        .unwrap();
    at.sql
        .batch_execute("ALTER TABLE public.users ALTER COLUMN email DROP DEFAULT")
        .await
        .unwrap();
    let order = |subject: Uuid| IssueTokenRequest {
        subject: subject.to_string(),
        register_subject: true,
        with_refresh_token: true,
        ..IssueTokenRequest::default()
    };
    for _ in 0..4 {
        let mut calls = Vec::new();
        for at_all in [true, false, true, false, true, false] {
            let subject = countersign::domain::clock::uuid();
            if at_all {
                let theirs = "WITH theirs AS (INSERT INTO public.users (id, email) VALUES ($1, '') RETURNING id)
                              INSERT INTO auth.\"user\" (sub) SELECT id FROM theirs";
                at.sql.execute(theirs, &[&subject]).await.unwrap();
            }
            let (issuer, request) = (issuer.clone(), order(subject));
            calls.push((
                at_all,
                tokio::spawn(async move { issuer.issue(request).await }),
            ));
        }
        for (at_all, call) in calls {
            match call.await.unwrap() {
                Ok(login) => assert!(at_all && issuer.active(&login.access_token).await),
                Err(refused) => {
                    assert_eq!(refused.reason, "LINK_REQUIRED", "{refused:?}");
                    assert!(!at_all, "{refused:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_end_of_a_family_leaves_foreign_ledger_rows_alone() {
    let at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer]).await;
    let login = issuer.open(&at.user().await).await;
    let stepped = issuer.rotate(&login.refresh_token).await.unwrap();
    assert_eq!(stepped.outcome, RotationOutcome::Rotated as i32);
    let session = Uuid::parse_str(&login.session_id).unwrap();
    // With our session's id, under another client and under another user.
    let foreign =
        "INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked, session_id)
                   SELECT i.instance_id, 'foreign' || i.n, i.user_id, false, t.session_id
                   FROM auth.refresh_tokens t,
                        LATERAL (VALUES (1, gen_random_uuid(), t.user_id),
                                        (2, t.instance_id, '42')) AS i (n, instance_id, user_id)
                   WHERE t.session_id = $1 AND NOT t.revoked";
    assert_eq!(at.sql.execute(foreign, &[&session]).await.unwrap(), 2);
    assert_eq!(issuer.revoke(Target::SessionId(login.session_id)).await, 1);
    let revoked = "SELECT count(*) FILTER (WHERE revoked), count(*)
                   FROM auth.refresh_tokens
                   WHERE session_id = $1 AND (token LIKE 'foreign%') = $2";
    for (foreign, found) in [(true, (0, 2)), (false, (2, 2))] {
        let row = at.sql.query_one(revoked, &[&session, &foreign]).await;
        let row = row.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), found);
    }
}

#[tokio::test]
async fn an_administrative_call_gives_up_a_user_whom_another_holds() {
    let at = Deployment::start_with(
        1,
        &[
            ("COUNTERSIGN_DATABASE_LOCK_TIMEOUT", "200ms"),
            ("COUNTERSIGN_CALLS_DEADLINE", "60s"),
        ],
    )
    .await;
    let subject = at.user().await;
    let mut other = at.database.client().await;
    let held = other.transaction().await.unwrap();
    held.batch_execute("SELECT FROM countersign.account FOR UPDATE")
        .await
        .unwrap();
    let admin = at.admin();
    let revoker = at.client(&[Role::Revoker]).await;
    let sessions = v1::RevokeSessionRequest {
        target: Some(Target::User(v1::UserSessions {
            subject: subject.clone(),
            except_session_id: String::new(),
        })),
    };
    let disable = v1::DisableUserRequest {
        subject: subject.clone(),
    };
    let (mut tokens, mut directory) = (revoker.tokens(), admin.directory());
    let refused = async {
        let ended = tokens.revoke_session(revoker.request(sessions)).await;
        let disabled = directory.disable_user(admin.request(disable)).await;
        [ended.map(drop), disabled.map(drop)]
    };
    let refused = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    for refused in refused {
        assert_eq!(refused.unwrap_err().code(), Code::Aborted);
    }
    held.rollback().await.unwrap();
    let enabled = v1::EnableUserRequest { subject };
    let enabled = admin.directory().enable_user(admin.request(enabled)).await;
    enabled.unwrap();
}
