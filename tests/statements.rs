//! Every statement, on the migrated schema, as the role that serves.

use crate::support::server::Deployment;
use countersign::store::{parameters, statements};
use tokio_postgres::types::Type;

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
    let issuer = at.client(&[countersign::proto::v1::Role::Issuer]).await;
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
