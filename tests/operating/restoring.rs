//! An hour-old backup takes the place of the database: what each kind of token, session,
//! secret and person is then, before the fence and after it, as docs/backup.md says.

use crate::{
    cli::binary::countersign,
    support::{
        process::Process,
        server::{Caller, Deployment},
    },
};
use countersign::{
    proto::v1::{self, Role, revoke_session_request::Target},
    store::DatabaseUrl,
};
use std::time::{Duration, Instant};

/// What existed when the backup was made, or came later, as its owner holds it.
struct Held {
    before: v1::IssueTokenResponse,
    plain: String,
    rotated: (v1::IssueTokenResponse, v1::RotateRefreshResponse),
    later: v1::IssueTokenResponse,
    later_plain: String,
    ended: v1::IssueTokenResponse,
    killed: String,
    disabled_user: (String, v1::IssueTokenResponse),
    disabled_client: (Caller, String),
    late_client: Caller,
    retired_secret: Caller,
    old_secret: String,
    new_secret: String,
}

async fn plain(issuer: &Caller) -> String {
    let token = issuer.issue(v1::IssueTokenRequest::default()).await;
    token.unwrap().access_token
}

/// Waits until the servers have their connections again.
async fn back(issuer: &Caller) {
    let started = Instant::now();
    while issuer
        .issue(v1::IssueTokenRequest::default())
        .await
        .is_err()
    {
        assert!(started.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A second secret for a client, whose first one is retired.
async fn replace_secret(admin: &Caller, client_id: &str) {
    let (mut directory, client_id) = (admin.directory(), client_id.to_owned());
    let get = v1::GetClientRequest {
        client_id: client_id.clone(),
    };
    let client = directory.get_client(admin.request(get)).await.unwrap();
    let [first] = &client.into_inner().client.unwrap().secrets[..] else {
        panic!("one secret");
    };
    let rotate = v1::RotateClientSecretRequest {
        client_id: client_id.clone(),
    };
    let rotated = directory.rotate_client_secret(admin.request(rotate)).await;
    rotated.unwrap();
    let retire = v1::RetireClientSecretRequest {
        client_id,
        secret_id: first.secret_id.clone(),
    };
    let retired = directory.retire_client_secret(admin.request(retire)).await;
    retired.unwrap();
}

/// The hour after the backup.
async fn an_hour(at: &Deployment, issuer: &Caller, admin: &Caller) -> (Held, String) {
    let before = issuer.open(&at.user().await).await;
    let rotated = issuer.open(&at.user().await).await;
    let ended = issuer.open(&at.user().await).await;
    let unlucky = at.user().await;
    let of_unlucky = issuer.open(&unlucky).await;
    let other = at.client(&[Role::Issuer]).await;
    let of_other = plain(&other).await;
    let careful = at.client(&[Role::Issuer]).await;
    let (first, killed) = (plain(issuer).await, plain(issuer).await);

    let backup = at.database.back_up().await;
    back(issuer).await;

    let successor = issuer.rotate(&rotated.refresh_token).await.unwrap();
    let later = issuer.open(&at.user().await).await;
    let later_plain = plain(issuer).await;
    assert_eq!(
        issuer
            .revoke(Target::SessionId(ended.session_id.clone()))
            .await,
        1
    );
    let revoke = v1::RevokeTokenRequest {
        token: killed.clone(),
        ..v1::RevokeTokenRequest::default()
    };
    issuer
        .tokens()
        .revoke_token(issuer.request(revoke))
        .await
        .unwrap();
    let mut directory = admin.directory();
    let disable = v1::DisableUserRequest {
        subject: unlucky.clone(),
    };
    directory
        .disable_user(admin.request(disable))
        .await
        .unwrap();
    let disable = v1::DisableClientRequest {
        client_id: other.id.clone(),
    };
    directory
        .disable_client(admin.request(disable))
        .await
        .unwrap();
    let rotate = v1::RotateClientSecretRequest {
        client_id: issuer.id.clone(),
    };
    let rotated_secret = directory.rotate_client_secret(admin.request(rotate)).await;
    let new_secret = rotated_secret.unwrap().into_inner();
    replace_secret(admin, &careful.id).await;
    let refused = careful.issue(v1::IssueTokenRequest::default()).await;
    assert_eq!(refused.unwrap_err().reason, "CREDENTIALS_INVALID");
    let held = Held {
        before,
        plain: first,
        rotated: (rotated, successor),
        later,
        later_plain,
        ended,
        killed,
        disabled_user: (unlucky, of_unlucky),
        disabled_client: (other, of_other),
        late_client: at.client(&[Role::Issuer]).await,
        retired_secret: careful,
        old_secret: issuer.secret.clone(),
        new_secret: new_secret.client_secret,
    };
    (held, backup)
}

#[tokio::test]
async fn an_old_backup_forgets_and_revives_and_the_fence_ends_what_it_revives() {
    let mut at = Deployment::start().await;
    let issuer = at
        .client(&[Role::Issuer, Role::Introspector, Role::Revoker])
        .await;
    let admin = at.admin();
    let (held, backup) = an_hour(&at, &issuer, &admin).await;
    for token in [
        &held.killed,
        &held.ended.access_token,
        &held.disabled_client.1,
    ] {
        assert!(
            !issuer.active(token).await,
            "it was dead before the restore"
        );
    }
    at.halt();

    // The copy takes the database's place.
    let serving = DatabaseUrl::parse(&backup).unwrap();
    let serving = serving.as_role(&at.database.serving_role, "only-for-this-test");
    let url = format!("{:?}", serving.to_url().to_string());
    let server = Process::start(&at, &[("database.url", &url)]).await;
    let channel = server.channel().await;
    let over = |caller: &Caller| Deployment::over(caller, channel.clone());
    let (issuer, admin) = (over(&issuer), over(&admin));

    // What came after the backup is not known any more.
    assert!(!issuer.active(&held.later_plain).await);
    assert!(!issuer.active(&held.later.access_token).await);
    assert_eq!(
        issuer.refusal(&held.later.refresh_token).await,
        "REFRESH_TOKEN_UNKNOWN"
    );
    let late = over(&held.late_client)
        .issue(v1::IssueTokenRequest::default())
        .await;
    assert_eq!(late.unwrap_err().reason, "CREDENTIALS_INVALID");
    let with_new = Caller::known(&issuer.id, &held.new_secret, channel.clone());
    let refused = with_new
        .issue(v1::IssueTokenRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.reason, "CREDENTIALS_INVALID");
    // A step that was taken after it: the new token hears so and ends nothing, and the old
    // one takes the same step again.
    let (opened, step) = &held.rotated;
    assert!(!issuer.active(&step.access_token).await);
    assert_eq!(
        issuer.refusal(&step.refresh_token).await,
        "REFRESH_TOKEN_UNKNOWN"
    );
    let again = issuer.rotate(&opened.refresh_token).await.unwrap();
    assert_eq!(
        again.refresh_token, step.refresh_token,
        "the same successor"
    );
    // What was ended is alive.
    for token in [
        &held.plain,
        &held.before.access_token,
        &held.killed,
        &held.ended.access_token,
        &held.disabled_user.1.access_token,
        &held.disabled_client.1,
    ] {
        assert!(
            issuer.active(token).await,
            "the backup does not know that it ended"
        );
    }
    issuer.rotate(&held.ended.refresh_token).await.unwrap();
    issuer
        .rotate(&held.disabled_user.1.refresh_token)
        .await
        .unwrap();
    plain(&over(&held.disabled_client.0)).await;
    plain(&over(&held.retired_secret)).await;
    plain(&Caller::known(
        &issuer.id,
        &held.old_secret,
        channel.clone(),
    ))
    .await;

    let owner = [("COUNTERSIGN_DATABASE_URL", backup.as_str())];
    let fenced = countersign(&["fence", "--yes"], &owner, "").await;
    assert!(fenced.ok().stdout.starts_with("fenced: "));

    // Whatever existed is dead, and says why; what was never known stays unknown.
    for token in [
        &held.plain,
        &held.before.access_token,
        &held.killed,
        &held.ended.access_token,
        &held.disabled_user.1.access_token,
        &held.disabled_client.1,
        &again.access_token,
        &held.later_plain,
    ] {
        assert!(!issuer.active(token).await);
    }
    for token in [
        &held.before.refresh_token,
        &held.ended.refresh_token,
        &step.refresh_token,
        &held.disabled_user.1.refresh_token,
    ] {
        assert_eq!(issuer.refusal(token).await, "SESSION_CUT_OFF");
    }
    assert_eq!(
        issuer.refusal(&held.later.refresh_token).await,
        "REFRESH_TOKEN_UNKNOWN"
    );
    // Clients, secrets and users are as the backup has them, and work at once.
    let user = &held.disabled_user.0;
    assert!(issuer.active(&issuer.open(user).await.access_token).await);
    assert!(
        issuer
            .active(&plain(&over(&held.disabled_client.0)).await)
            .await
    );
    let disable = v1::DisableUserRequest {
        subject: user.clone(),
    };
    admin
        .directory()
        .disable_user(admin.request(disable))
        .await
        .unwrap();
    let open = v1::IssueTokenRequest {
        subject: user.clone(),
        with_refresh_token: true,
        ..v1::IssueTokenRequest::default()
    };
    assert_eq!(
        issuer.issue(open).await.unwrap_err().reason,
        "SUBJECT_DISABLED"
    );
}

#[tokio::test]
async fn what_a_restored_database_lacks_of_the_role_comes_back_with_a_migration() {
    let at = Deployment::start_with(0, &[]).await;
    let role = &at.database.serving_role;
    let backup = at.database.back_up().await;
    let owner = [("COUNTERSIGN_DATABASE_URL", backup.as_str())];
    let serving = DatabaseUrl::parse(&backup).unwrap();
    let serving = serving.as_role(role, "only-for-this-test").to_url();
    let setting = async |name: &str| {
        let (client, connection) = tokio_postgres::connect(&serving, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let row = client.query_one(&format!("SHOW {name}"), &[]).await;
        row.unwrap().get::<_, String>(0)
    };

    // The tables are whole, which is all that a check looks at.
    let checked = countersign(&["migrate", "--check"], &owner, "").await.ok();
    assert!(checked.stdout.contains("exact"), "{}", checked.stdout);
    assert_eq!(setting("plan_cache_mode").await, "auto");
    assert_eq!(setting("statement_timeout").await, "0");

    let migrated = countersign(&["migrate", "--serving-role", role], &owner, "").await;
    assert_eq!(migrated.code, 0, "{}", migrated.stderr);
    assert_eq!(setting("plan_cache_mode").await, "force_generic_plan");
    assert_eq!(setting("statement_timeout").await, "5s");
}
