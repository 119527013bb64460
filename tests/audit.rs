//! Rotation, replay, reuse and every refusal of `RotateRefresh`: each is counted by its
//! reason, and one record tells of it with session, client and generation, never with a token.

mod revoking;

use crate::support::{
    audit::AuditFile,
    meters::Meters,
    server::{Caller, Deployment, answer, settings},
};
use countersign::{
    domain::{
        keys::{KeyRing, new_key_line},
        tokens::RefreshToken,
    },
    proto::v1::{self, Role, revoke_session_request::Target},
    store::{self, DatabaseUrl},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, pin::Pin};
use uuid::Uuid;

/// A session that has rotated twice; the newest token is that of generation 2.
struct Scene<'a> {
    at: &'a Deployment,
    issuer: Caller,
    subject: String,
    session_id: String,
    /// The refresh tokens by their generations.
    tokens: Vec<String>,
    /// Every access token.
    access: Vec<String>,
}

type Doing<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Who presents what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presents {
    /// The grant's client, the token of this generation.
    Own(usize),
    /// Another client, the token of this generation.
    Stranger(usize),
    /// The grant's client, the newest token, asking for these scopes or this audience.
    Wants(&'static str, &'static str),
    /// The grant's client, text that is no token of ours.
    Mistyped,
    /// The grant's client, a token under a key that nobody knows.
    Forged,
    /// The grant's client with a secret that was retired.
    RetiredSecret,
    /// Nobody.
    Nobody,
}

struct Row {
    what: &'static str,
    before: for<'a> fn(&'a Scene<'_>) -> Doing<'a>,
    presents: Presents,
    /// The record's event, outcome and reason.
    tells: (&'static str, &'static str, Option<&'static str>),
}

macro_rules! rows {
    ($($what:literal, $before:expr, $presents:expr => $event:literal $outcome:literal $reason:expr;)*) => {
        &[$(Row {
            what: $what,
            before: $before,
            presents: $presents,
            tells: ($event, $outcome, $reason),
        }),*]
    };
}

/// SQL about the session `$1`.
macro_rules! sql {
    ($statement:literal) => {
        |on| {
            Box::pin(async move {
                let session = Uuid::parse_str(&on.session_id).unwrap();
                assert!(on.at.sql.execute($statement, &[&session]).await.unwrap() > 0);
            })
        }
    };
}

macro_rules! first {
    (|$on:ident| $body:expr) => {
        |$on| {
            Box::pin(async move {
                let _ = $body;
            })
        }
    };
}

const NOTHING: for<'a> fn(&'a Scene<'_>) -> Doing<'a> = |_| Box::pin(async {});
const LONG_AGO: for<'a> fn(&'a Scene<'_>) -> Doing<'a> = |on| Box::pin(on.long_ago());

const ROWS: &[Row] = rows![
    "the current token", NOTHING, Presents::Own(2) => "rotate" "done" None;
    "the one before", NOTHING, Presents::Own(1) => "rotate" "done" Some("REPLAYED");
    "a delayed duplicate", NOTHING, Presents::Own(0) => "rotate" "refused" Some("REFRESH_TOKEN_SUPERSEDED");
    "one behind, too late", LONG_AGO, Presents::Own(1) => "rotate" "refused" Some("REFRESH_TOKEN_REUSED");
    "further behind, too late", LONG_AGO, Presents::Own(0) => "rotate" "refused" Some("REFRESH_TOKEN_REUSED");
    "the newest of a reused family", first!(|on| { on.long_ago().await; on.issuer.refusal(&on.tokens[0]).await }),
        Presents::Own(2) => "rotate" "refused" Some("REFRESH_TOKEN_REUSED");
    "another client's", NOTHING, Presents::Stranger(2) => "rotate" "refused" Some("INVALID_GRANT");
    "another client's stale one", LONG_AGO, Presents::Stranger(0) => "rotate" "refused" Some("INVALID_GRANT");
    "another client's ended one", first!(|on| on.issuer.revoke(Target::SessionId(on.session_id.clone())).await),
        Presents::Stranger(2) => "rotate" "refused" Some("INVALID_GRANT");
    "a bound one without its proof", sql!("UPDATE countersign.session_grant SET dpop_jkt = 'other' WHERE session_id = $1"),
        Presents::Own(2) => "rotate" "refused" Some("INVALID_GRANT");
    "ahead", sql!("UPDATE auth.refresh_session SET refresh_version = 1 WHERE jti = $1"),
        Presents::Own(2) => "rotate" "refused" Some("REFRESH_TOKEN_UNKNOWN");
    "not in the ledger", sql!("DELETE FROM auth.refresh_tokens WHERE session_id = $1"),
        Presents::Own(2) => "rotate" "refused" Some("REFRESH_TOKEN_UNKNOWN");
    "revoked", first!(|on| on.issuer.revoke(Target::SessionId(on.session_id.clone())).await),
        Presents::Own(2) => "rotate" "refused" Some("SESSION_REVOKED");
    "revoked, a stale one", first!(|on| on.issuer.revoke(Target::SessionId(on.session_id.clone())).await),
        Presents::Own(0) => "rotate" "refused" Some("SESSION_REVOKED");
    "replaced", first!(|on| on.issuer.issue(login(&on.subject)).await.unwrap()),
        Presents::Own(2) => "rotate" "refused" Some("SESSION_REVOKED");
    "expired", sql!("UPDATE auth.refresh_session SET expires_at = now() WHERE jti = $1"),
        Presents::Own(2) => "rotate" "refused" Some("SESSION_EXPIRED");
    "idle", sql!("UPDATE auth.refresh_session SET last_used_at = now() - interval '8 days' WHERE jti = $1"),
        Presents::Own(2) => "rotate" "refused" Some("SESSION_IDLE");
    "the user disabled", first!(|on| {
            let request = v1::DisableUserRequest { subject: on.subject.clone() };
            let admin = on.at.admin();
            answer(admin.directory().disable_user(admin.request(request)).await).unwrap()
        }), Presents::Own(2) => "rotate" "refused" Some("SUBJECT_DISABLED");
    "the user cut off", sql!("UPDATE countersign.account n SET not_before = now() FROM auth.refresh_session s \
                              WHERE s.user_id = n.user_id AND s.jti = $1"),
        Presents::Own(2) => "rotate" "refused" Some("SESSION_CUT_OFF");
    "the client cut off", first!(|on| {
            let request = v1::CutOffClientRequest { client_id: on.issuer.id.clone() };
            let admin = on.at.admin();
            answer(admin.directory().cut_off_client(admin.request(request)).await).unwrap()
        }), Presents::Own(2) => "rotate" "refused" Some("SESSION_CUT_OFF");
    "fenced", first!(|on| store::fence(&DatabaseUrl::parse(&on.at.database.url()).unwrap()).await.unwrap()),
        Presents::Own(2) => "rotate" "refused" Some("SESSION_CUT_OFF");
    "a scope withdrawn", first!(|on| {
            let request = v1::UpdateClientRequest {
                client_id: on.issuer.id.clone(),
                settings: Some(v1::ClientSettings { scopes: vec!["b".into()], ..settings() }),
                update_mask: Some(prost_types::FieldMask { paths: vec!["scopes".into()] }),
            };
            let admin = on.at.admin();
            answer(admin.directory().update_client(admin.request(request)).await).unwrap()
        }), Presents::Own(2) => "rotate" "refused" Some("SCOPE_WITHDRAWN");
    "more scopes than granted", NOTHING, Presents::Wants("c", "") => "rotate" "refused" Some("INVALID_SCOPE");
    "an audience beyond the grant's", NOTHING, Presents::Wants("", "urn:other") => "rotate" "refused" Some("INVALID_TARGET");
    "mistyped", NOTHING, Presents::Mistyped => "rotate" "refused" Some("REFRESH_TOKEN_INVALID");
    "forged", NOTHING, Presents::Forged => "rotate" "refused" Some("REFRESH_TOKEN_INVALID");
    "the client disabled", first!(|on| {
            let request = v1::DisableClientRequest { client_id: on.issuer.id.clone() };
            let admin = on.at.admin();
            answer(admin.directory().disable_client(admin.request(request)).await).unwrap()
        }), Presents::Own(2) => "caller" "refused" Some("CLIENT_DISABLED");
    "a retired secret", NOTHING, Presents::RetiredSecret => "caller" "refused" Some("CREDENTIALS_INVALID");
    "no credentials", NOTHING, Presents::Nobody => "caller" "refused" Some("CREDENTIALS_MISSING");
];

fn login(subject: &str) -> v1::IssueTokenRequest {
    v1::IssueTokenRequest {
        subject: subject.into(),
        scopes: vec!["a".into()],
        with_refresh_token: true,
        request_id: "r".into(),
        ..Default::default()
    }
}

impl<'a> Scene<'a> {
    async fn set(at: &'a Deployment) -> Self {
        let issuer = at.client(&[Role::Issuer]).await;
        let subject = at.user().await;
        let login = issuer.issue(login(&subject)).await.unwrap();
        let mut tokens = vec![login.refresh_token];
        let mut access = vec![login.access_token];
        for _ in 0..2 {
            let step = issuer.rotate(tokens.last().unwrap()).await.unwrap();
            tokens.push(step.refresh_token);
            access.push(step.access_token);
        }
        let session_id = login.session_id;
        Self {
            at,
            issuer,
            subject,
            session_id,
            tokens,
            access,
        }
    }

    /// Moves the steps of the session back, beyond every window.
    async fn long_ago(&self) {
        let session = Uuid::parse_str(&self.session_id).unwrap();
        for statement in [
            "UPDATE auth.refresh_session SET last_used_at = last_used_at - interval '1 hour' WHERE jti = $1",
            "UPDATE auth.refresh_tokens SET updated_at = updated_at - interval '1 hour' WHERE session_id = $1",
        ] {
            self.at.sql.execute(statement, &[&session]).await.unwrap();
        }
    }

    /// A caller with a second secret, which is retired by now.
    async fn retired(&self) -> Caller {
        let admin = self.at.admin();
        let client_id = self.issuer.id.clone();
        let request = v1::RotateClientSecretRequest {
            client_id: client_id.clone(),
        };
        let made = answer(
            admin
                .directory()
                .rotate_client_secret(admin.request(request))
                .await,
        )
        .unwrap();
        let secret_id = made.secret_id;
        let request = v1::RetireClientSecretRequest {
            client_id,
            secret_id,
        };
        answer(
            admin
                .directory()
                .retire_client_secret(admin.request(request))
                .await,
        )
        .unwrap();
        self.at.caller(&self.issuer.id, &made.client_secret)
    }
}

#[tokio::test]
async fn every_outcome_of_a_rotation_is_counted_and_on_record_without_a_token() {
    let meters = Meters::of_this_thread();
    let audit = AuditFile::new();
    let path = audit.path();
    let at = Deployment::start_with(1, &[("COUNTERSIGN_AUDIT_OUTPUT", &path)]).await;
    let stranger = at.client(&[Role::Issuer, Role::Revoker]).await;
    let mut seen = Vec::new();
    for row in ROWS {
        let scene = Scene::set(&at).await;
        (row.before)(&scene).await;
        let (caller, generation) = match row.presents {
            Presents::Own(generation) => (scene.issuer.clone(), generation),
            Presents::Stranger(generation) => (stranger.clone(), generation),
            Presents::RetiredSecret => (scene.retired().await, 2),
            Presents::Nobody => (at.nobody(), 2),
            Presents::Wants(..) | Presents::Mistyped | Presents::Forged => {
                (scene.issuer.clone(), 2)
            }
        };
        let mut request = v1::RotateRefreshRequest {
            refresh_token: scene.tokens[generation].clone(),
            ..Default::default()
        };
        match row.presents {
            Presents::Wants(scope, audience) => {
                let words = |text: &str| text.split_whitespace().map(Into::into).collect();
                (request.scopes, request.audience) = (words(scope), words(audience));
            }
            Presents::Mistyped => drop(request.refresh_token.pop()),
            Presents::Forged => {
                let ring = KeyRing::parse(&new_key_line(&[8; 36])).unwrap();
                let session = Uuid::parse_str(&scene.session_id).unwrap();
                let forged = RefreshToken::first(ring.minting(), session, [1; 20]);
                request.refresh_token = forged.plaintext().reveal().to_owned();
            }
            _ => {}
        }
        let presented = request.refresh_token.clone();
        audit.news(&at).await;

        let before = meters.sums("countersign.");
        let answered = answer(
            caller
                .tokens()
                .rotate_refresh(caller.request(request))
                .await,
        );
        let counted = moved(&before, &meters.sums("countersign."));
        let news = audit.news(&at).await;

        let [record] = news.as_slice() else {
            panic!("{}: one record, not {news:?}", row.what)
        };
        let (event, outcome, reason) = row.tells;
        let told = (&record["event"], &record["outcome"], &record["reason"]);
        assert_eq!(
            told,
            (&json!(event), &json!(outcome), &json!(reason)),
            "{}",
            row.what
        );
        let due = match (&answered, reason) {
            (Ok(_), None) => vec!["rotations{outcome=rotated}".to_owned()],
            (Ok(_), Some(_)) => vec!["rotations{outcome=replayed}".to_owned()],
            (Err(refused), _) => {
                assert_eq!(Some(refused.reason.as_str()), reason, "{}", row.what);
                let mut due = vec![format!("refusals{{reason={}}}", refused.reason)];
                let outcome = match refused.reason.as_str() {
                    "REFRESH_TOKEN_SUPERSEDED" => "superseded",
                    "REFRESH_TOKEN_REUSED" => "reused",
                    "REFRESH_TOKEN_UNKNOWN" => "unknown",
                    _ => "refused",
                };
                // At the door, or of a token that is none of ours, nothing is decided.
                let at_the_door = record["call"].is_null();
                if !at_the_door && refused.reason != "REFRESH_TOKEN_INVALID" {
                    due.push(format!("rotations{{outcome={outcome}}}"));
                }
                due
            }
        };
        let due: BTreeMap<_, _> = due.into_iter().map(|name| (name, 1.0)).collect();
        assert_eq!(counted, due, "{}", row.what);
        check_whom(row, record, &scene, &caller, generation);
        seen.push(presented);
        if let Ok(step) = answered {
            assert_eq!(record["token_id"], step.token_id);
            seen.extend([step.refresh_token, step.access_token]);
        }
        seen.extend(scene.tokens.into_iter().chain(scene.access));
    }
    let text = audit.text();
    for token in &seen {
        // The checked part of a token is its secret, too.
        let secret = token.split('_').next_back().unwrap();
        assert!(!text.contains(token.as_str()) && !text.contains(secret));
    }
}

/// Session, client and generation stand in the record wherever they are known: a forged
/// token says nothing that could be believed, and a call without credentials has no caller.
fn check_whom(row: &Row, record: &Value, scene: &Scene<'_>, caller: &Caller, generation: usize) {
    let what = row.what;
    let known = row.presents != Presents::Nobody;
    assert_eq!(record["call"].is_string(), known, "{what}: {record}");
    assert!(record["peer"].is_string(), "{what}: {record}");
    assert_eq!(
        record["caller"].as_str(),
        known.then_some(&*caller.id),
        "{what}: {record}"
    );
    let authentic = !matches!(
        row.presents,
        Presents::Mistyped | Presents::Forged | Presents::Nobody
    );
    let expected = |value: &str| authentic.then_some(value.to_owned());
    let told = |name: &str| record[name].as_str().map(str::to_owned);
    assert_eq!(
        told("session_id"),
        expected(&scene.session_id),
        "{what}: {record}"
    );
    assert_eq!(
        told("client_id"),
        expected(&scene.issuer.id),
        "{what}: {record}"
    );
    assert_eq!(
        told("subject"),
        expected(&scene.subject),
        "{what}: {record}"
    );
    let generation = authentic.then_some(generation as u64);
    assert_eq!(
        record["generation"].as_u64(),
        generation,
        "{what}: {record}"
    );
}

/// Which of the counters of refusals and rotations moved, and by how much.
fn moved(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    after
        .iter()
        .filter(|(name, _)| name.starts_with("refusals") || name.starts_with("rotations"))
        .map(|(name, sum)| (name.clone(), sum - before.get(name).unwrap_or(&0.0)))
        .filter(|(_, by)| *by > 0.0)
        .collect()
}
