//! The key file is lost, or stolen: what its pages in docs/ tell an operator to do, done.

use crate::{
    cli::binary::{Run, countersign},
    support::{
        process::{Process, write_keys},
        server::{Caller, Deployment, first_key, new_secret},
    },
};
use countersign::{
    domain::{
        clock,
        keys::KeyRing,
        tokens::{AccessToken, ClientSecret, RefreshToken},
    },
    proto::v1::{self, Role, revoke_session_request::Target},
};
use serde_json::Value;
use std::{
    fs,
    time::{Duration, Instant},
};
use tonic::Code;
use uuid::Uuid;

/// Runs a command over one server's keys, with the rights of the role that serves.
async fn command(at: &Deployment, server: &Process, words: &[&str]) -> Run {
    let (keys, url) = (server.file("keys"), at.serving_url());
    let variables = [
        ("COUNTERSIGN_KEYS_FILE", keys.to_str().unwrap()),
        ("COUNTERSIGN_DATABASE_URL", url.as_str()),
    ];
    let mut all = words.to_vec();
    if words[0] == "keys" {
        all.extend(["--file", keys.to_str().unwrap()]);
    }
    countersign(&all, &variables, "").await
}

/// The same again and again, until it goes well.
async fn command_at_last(at: &Deployment, server: &Process, words: &[&str]) {
    let started = Instant::now();
    loop {
        let run = command(at, server, words).await;
        if run.code == 0 {
            return;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{}", run.stderr);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn refused(caller: &Caller) -> bool {
    let answer = caller.issue(v1::IssueTokenRequest::default()).await;
    answer.is_err_and(|refused| refused.code == Code::Unauthenticated)
}

#[tokio::test]
async fn a_lost_key_file_ends_everything_and_the_way_back_in_is_open() {
    let mut at = Deployment::start().await;
    let issuer = at.client(&[Role::Issuer, Role::Introspector]).await;
    let user = at.user().await;
    let login = issuer.open(&user).await;
    at.halt();

    // No server starts without the file; one that is made anew knows nobody.
    let place = tempfile::tempdir().unwrap();
    let keys = place.path().join("keys");
    let made = countersign(
        &["keys", "generate", "--file", keys.to_str().unwrap()],
        &[],
        "",
    )
    .await;
    assert_eq!(made.code, 0, "{}", made.stderr);
    let server = Process::start_in(place, &at, &[]).await;
    let channel = server.channel().await;
    let old = Caller::known(&issuer.id, &issuer.secret, channel.clone());
    assert!(refused(&old).await);
    let told = command(&at, &server, &["keys", "check", "--json"]).await;
    assert_eq!(told.code, 1, "{}", told.stderr);
    let troubles = told.json()["troubles"].to_string();
    assert!(
        troubles.contains("is dead without it: 1 sessions"),
        "{troubles}"
    );
    // Whatever becomes of the file: what lived under it is over.
    let url = at.database.url();
    let owner = [("COUNTERSIGN_DATABASE_URL", url.as_str())];
    countersign(&["fence", "--yes"], &owner, "").await.ok();

    let admin = command(&at, &server, &["client", "bootstrap", "--json"]).await;
    let admin: Value = admin.ok().json();
    let word = |name: &str| admin[name].as_str().unwrap().to_owned();
    let admin = Caller::known(&word("client_id"), &word("client_secret"), channel.clone());
    let issuer = new_secret(&admin, &issuer.id, true, &channel).await;
    assert!(!issuer.active(&login.access_token).await);
    assert_eq!(
        issuer.refusal(&login.refresh_token).await,
        "REFRESH_TOKEN_INVALID"
    );
    let again = issuer.open(&user).await;
    assert!(issuer.active(&again.access_token).await);
    issuer.rotate(&again.refresh_token).await.unwrap();

    // The file is found after all.
    let found = format!(
        "{}{}",
        fs::read_to_string(server.file("keys")).unwrap(),
        first_key()
    );
    write_keys(&server.file("keys"), &found);
    let started = Instant::now();
    while issuer.refusal(&login.refresh_token).await == "REFRESH_TOKEN_INVALID" {
        assert!(started.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        issuer.refusal(&login.refresh_token).await,
        "SESSION_CUT_OFF"
    );
    assert!(!issuer.active(&login.access_token).await);
    assert!(refused(&old).await, "its secret is retired");
    assert!(issuer.active(&again.access_token).await, "the new lives on");
}

/// What a thief makes of a key file alone: an access token, a refresh token of a session
/// whose id he has seen, and a client's secret.
fn forge(ring: &KeyRing, session: &str, client: &str) -> [String; 3] {
    let key = ring.minting();
    let now = u32::try_from(clock::now().timestamp()).unwrap();
    let (session, client) = (session.parse::<Uuid>(), client.parse::<Uuid>());
    [
        AccessToken::mint(key, now, &[1; 24]).plaintext(),
        RefreshToken::first(key, session.unwrap(), [1; 20]).plaintext(),
        ClientSecret::mint(key, client.unwrap(), &[1; 24]).plaintext(),
    ]
    .map(|plaintext| plaintext.reveal().to_owned())
}

#[tokio::test]
async fn a_stolen_key_file_opens_nothing_and_is_rolled_over_without_a_gap() {
    let mut at = Deployment::start().await;
    let roles = [Role::Issuer, Role::Introspector];
    let issuer = at.client(&roles).await;
    let login = issuer.open(&at.user().await).await;
    let (admin, admin_id) = (at.admin_secret(), at.admin().id);
    at.halt();
    let server = Process::start(&at, &[]).await;
    let channel = server.channel().await;
    let known = |caller: &Caller| Caller::known(&caller.id, &caller.secret, channel.clone());
    let (issuer, admin) = (known(&issuer), known(&admin.0));

    let stolen = KeyRing::parse(&first_key()).unwrap();
    let [access, refresh, secret] = forge(&stolen, &login.session_id, &issuer.id);
    assert!(!issuer.active(&access).await);
    assert_eq!(issuer.refusal(&refresh).await, "REFRESH_TOKEN_UNKNOWN");
    assert!(refused(&Caller::known(&issuer.id, &secret, channel.clone())).await);
    // What the ledger does not know is not active, and ends nothing.
    assert!(!issuer.active(&refresh).await);
    let revoked = issuer.revoke(Target::RefreshToken(refresh.clone())).await;
    assert_eq!(revoked, 0);
    let revoke = v1::RevokeTokenRequest {
        token: refresh.clone(),
        ..Default::default()
    };
    let mut tokens = issuer.tokens();
    tokens.revoke_token(issuer.request(revoke)).await.unwrap();
    // The owner notices nothing.
    let step = issuer.rotate(&login.refresh_token).await.unwrap();

    let added = command(&at, &server, &["keys", "add"]).await;
    let new = added.stderr.trim().strip_prefix("key ").unwrap().to_owned();
    command_at_last(&at, &server, &["keys", "promote", &new]).await;
    let started = Instant::now();
    loop {
        let minted = issuer
            .issue(v1::IssueTokenRequest::default())
            .await
            .unwrap();
        if AccessToken::parse(&minted.access_token, &stolen).is_err() {
            break;
        }
        assert!(started.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Secrets are replaced while the old ones still work; nobody is locked out.
    let next_admin = new_secret(&admin, &admin_id, false, &channel).await;
    let next = new_secret(&next_admin, &issuer.id, false, &channel).await;
    assert!(!refused(&issuer).await && !refused(&next).await);
    issuer.rotate(&step.refresh_token).await.unwrap();

    let old = stolen.minting().id().to_string();
    let kept = command(&at, &server, &["keys", "retire", &old]).await;
    assert_eq!(kept.code, 1, "what lives under it is told first");
    command_at_last(&at, &server, &["keys", "retire", &old, "--yes"]).await;
    let started = Instant::now();
    while !refused(&issuer).await {
        assert!(started.elapsed() < Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for token in [&access, &login.access_token] {
        assert!(!next.active(token).await);
    }
    for token in [&refresh, &step.refresh_token] {
        assert_eq!(next.refusal(token).await, "REFRESH_TOKEN_INVALID");
    }
    let again = next.open(&at_user(&next_admin).await).await;
    assert!(next.active(&again.access_token).await);
}

/// A new user, registered by an admin.
async fn at_user(admin: &Caller) -> String {
    let register = v1::RegisterUserRequest::default();
    let registered = admin
        .directory()
        .register_user(admin.request(register))
        .await;
    registered.unwrap().into_inner().user.unwrap().subject
}
