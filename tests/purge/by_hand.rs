//! `countersign purge`.

use super::{count, expire, quiet, tokens};
use crate::cli::binary::countersign;
use countersign::proto::v1;
use serde_json::json;

#[tokio::test]
async fn by_hand_it_counts_what_is_due_and_then_removes_exactly_that() {
    let at = quiet().await;
    let issuer = at.client(&[v1::Role::Issuer]).await;
    let user = at.user().await;
    let login = issuer.open(&user).await;
    issuer.rotate(&login.refresh_token).await.unwrap();
    let ended = issuer.open(&user).await;
    let live = issuer.open(&user).await;
    let session = v1::revoke_session_request::Target::SessionId(ended.session_id.clone());
    issuer.revoke(session).await;
    expire(&at, &[login.session_id, ended.session_id]).await;
    tokens(&at, 1500, 3600, true).await;
    tokens(&at, 70, 3601, false).await;
    let proofs = "INSERT INTO countersign.dpop_proof
        SELECT decode(md5(n::text), 'hex'), now() + (n - 25.5) * interval '1 hour'
        FROM generate_series(1, 30) n";
    at.sql.batch_execute(proofs).await.unwrap();

    let due = |dry_run: bool| {
        json!({
            "dry_run": dry_run, "sessions": 1, "grants": 2, "ledger_rows": 3,
            "access_tokens": 1500, "dpop_proofs": 25,
        })
    };
    for url in [at.serving_url(), at.database.url()] {
        let environment = [("COUNTERSIGN_DATABASE_URL", url.as_str())];
        let run = countersign(&["purge", "--dry-run", "--json"], &environment, "").await;
        assert_eq!(run.ok().json(), due(true));
    }
    let url = at.serving_url();
    let environment = [("COUNTERSIGN_DATABASE_URL", url.as_str())];
    let run = countersign(&["purge", "--json", "--batch", "9"], &environment, "").await;
    assert_eq!(run.ok().json(), due(false));
    let run = countersign(&["purge"], &environment, "").await.ok();
    assert_eq!(
        run.stdout,
        "dry run        no\nsessions       0\ngrants         0\nledger rows    0\naccess tokens  0\n\
         dpop proofs    0\n"
    );
    let kept = "SELECT count(*) FROM countersign.dpop_proof";
    assert_eq!(count(&at, kept).await, 5);
    assert!(issuer.active(&live.access_token).await);
    let foreign =
        "SELECT count(*) FROM public.oauth_access_tokens WHERE NOT metadata ? 'countersign'";
    assert_eq!(count(&at, foreign).await, 70);
}

#[tokio::test]
async fn without_a_database_it_fails_with_its_code() {
    // Nobody listens on the first of the reserved ports.
    let url = "postgres://u:not-shown@127.0.0.1:1/d";
    let run = countersign(&["purge"], &[("COUNTERSIGN_DATABASE_URL", url)], "").await;
    assert_eq!(run.code, 69, "{}", run.stderr);
    assert!(!run.stderr.contains("not-shown"), "{}", run.stderr);
}
