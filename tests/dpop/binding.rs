//! Tokens are bound to the key of the call that asked for them.

use super::{Holder, ISSUE, ORIGINS, ROTATE, issue, login, open, reason, rotate, why};
use crate::support::server::Deployment;
use countersign::proto::v1::{self, Role, RotationOutcome, TokenType};

#[tokio::test]
async fn tokens_bear_the_thumbprint_of_the_key_that_was_proved() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let holder = Holder::new();
    let own = v1::IssueTokenRequest::default();
    let token = issue(&issuer, own, &holder.call(ISSUE, None))
        .await
        .unwrap();
    assert_eq!(token.token_type(), TokenType::Dpop);
    let found = issuer.introspect(&token.access_token).await;
    assert!(found.active);
    assert_eq!(found.token_type(), TokenType::Dpop);
    assert_eq!(found.confirmation.unwrap().jkt, holder.jkt());

    let session = open(&at, &issuer, &holder).await;
    assert_eq!(session.token_type(), TokenType::Dpop);
    for token in [&session.access_token, &session.refresh_token] {
        let found = issuer.introspect(token).await;
        assert_eq!(found.confirmation.unwrap().jkt, holder.jkt());
    }
    let step = rotate(&issuer, &session.refresh_token, &holder.call(ROTATE, None)).await;
    let step = step.unwrap();
    assert_eq!(step.token_type(), TokenType::Dpop);
    let found = issuer.introspect(&step.access_token).await;
    assert_eq!(found.confirmation.unwrap().jkt, holder.jkt());
}

#[tokio::test]
async fn a_bound_refresh_token_needs_its_key_each_time_and_nothing_else_consumes_it() {
    let at = Deployment::start_with(2, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let elsewhere = at.at(1, &issuer);
    let (holder, thief) = (Holder::new(), Holder::new());
    let session = open(&at, &issuer, &holder).await;
    let first = session.refresh_token.as_str();

    assert_eq!(issuer.refusal(first).await, "INVALID_GRANT");
    let stolen = rotate(&issuer, first, &thief.call(ROTATE, None)).await;
    assert_eq!(reason(stolen), "INVALID_GRANT");
    let wrong = rotate(&issuer, first, &holder.call(ISSUE, None)).await;
    assert_eq!(why(wrong), ("INVALID_DPOP_PROOF".into(), "htu".into()));
    assert!(issuer.active(first).await, "it was consumed");

    let proof = holder.call(ROTATE, None);
    let step = rotate(&issuer, first, &proof).await.unwrap();
    assert_eq!(step.outcome(), RotationOutcome::Rotated);
    // Byte for byte the same call, as after a lost answer, at another replica.
    let again = rotate(&elsewhere, first, &proof).await.unwrap();
    assert_eq!(again.outcome(), RotationOutcome::Replayed);
    assert_eq!(again.refresh_token, step.refresh_token);
    // Within the grace too, only the key's holder.
    let stolen = rotate(&issuer, first, &thief.call(ROTATE, None)).await;
    assert_eq!(reason(stolen), "INVALID_GRANT");
    assert_eq!(issuer.refusal(first).await, "INVALID_GRANT");
    assert!(issuer.active(&step.refresh_token).await, "it was ended");

    // Long after, a thief without the key does not end the family either.
    at.sql
        .batch_execute(
            "UPDATE auth.refresh_session SET last_used_at = last_used_at - interval '1 hour'",
        )
        .await
        .unwrap();
    let stolen = rotate(&issuer, first, &thief.call(ROTATE, None)).await;
    assert_eq!(reason(stolen), "INVALID_GRANT");
    assert!(issuer.active(&step.refresh_token).await, "it was ended");
    let reused = rotate(&issuer, first, &holder.call(ROTATE, None)).await;
    assert_eq!(reason(reused), "REFRESH_TOKEN_REUSED");
}

#[tokio::test]
async fn a_family_without_a_key_takes_no_proof() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let session = issuer.open(&at.user().await).await;
    let token = session.refresh_token.as_str();
    let bound = rotate(&issuer, token, &Holder::new().call(ROTATE, None)).await;
    assert_eq!(reason(bound), "INVALID_GRANT");
    assert!(issuer.rotate(token).await.is_ok());
}

#[tokio::test]
async fn an_opening_is_repeated_with_the_proof_that_it_had() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let (holder, subject) = (Holder::new(), at.user().await);
    let request = v1::IssueTokenRequest {
        request_id: "lost".into(),
        ..login(&subject)
    };
    let proof = holder.call(ISSUE, None);
    let first = issue(&issuer, request.clone(), &proof).await.unwrap();
    let second = issue(&issuer, request, &proof).await.unwrap();
    assert!(!issuer.active(&first.access_token).await);
    let found = issuer.introspect(&second.access_token).await;
    assert_eq!(found.confirmation.unwrap().jkt, holder.jkt());
}

/// The documented constraint on `token_type` and `dpop_jkt`: every way to mint, with and
/// without a proof, and every pair that the table itself would refuse.
#[tokio::test]
async fn type_and_thumbprint_agree_in_the_table_whatever_mints() {
    let at = Deployment::start_with(1, &[ORIGINS]).await;
    let issuer = at.client(&[Role::Issuer]).await;
    let (holder, subject) = (Holder::new(), at.user().await);
    let user = v1::IssueTokenRequest {
        subject: subject.clone(),
        ..v1::IssueTokenRequest::default()
    };
    for request in [v1::IssueTokenRequest::default(), user, login(&subject)] {
        issuer.issue(request.clone()).await.unwrap();
        let bound = issue(&issuer, request, &holder.call(ISSUE, None))
            .await
            .unwrap();
        if !bound.refresh_token.is_empty() {
            for _ in 0..2 {
                let proof = holder.call(ROTATE, None);
                rotate(&issuer, &bound.refresh_token, &proof).await.unwrap();
            }
        }
    }
    let plain = issuer.open(&subject).await;
    issuer.rotate(&plain.refresh_token).await.unwrap();
    let rows = at
        .sql
        .query(
            "SELECT token_type::text, dpop_jkt, count(*) FROM public.oauth_access_tokens \
             GROUP BY 1, 2 ORDER BY 1",
            &[],
        )
        .await
        .unwrap();
    let found: Vec<(String, Option<String>, i64)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let expected = [
        ("Bearer".to_owned(), None, 5),
        ("DPoP".to_owned(), Some(holder.jkt()), 5),
    ];
    assert_eq!(found, expected);

    for (kind, jkt, taken) in [
        ("Bearer", "NULL", true),
        ("Bearer", "dpop_jkt", false),
        ("DPoP", "NULL", false),
        ("DPoP", "dpop_jkt", true),
        ("DPoP", "'short'", false),
    ] {
        let pair = format!(
            "UPDATE public.oauth_access_tokens SET token_type = '{kind}', dpop_jkt = {jkt} \
             WHERE dpop_jkt IS NOT NULL"
        );
        let done = at
            .sql
            .batch_execute(&format!("BEGIN; {pair}; ROLLBACK"))
            .await;
        assert_eq!(done.is_ok(), taken, "{kind} {jkt}");
        at.sql.batch_execute("ROLLBACK").await.unwrap();
    }
}
