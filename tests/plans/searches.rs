//! The cut-offs that go through everything unexpired: by the indexes on the expiry, and
//! in more time than a call's statements have.

use super::{explained_nodes, fill::fill};
use crate::support::server::{Deployment, answer};
use countersign::{proto::v1, store::statements};

#[tokio::test]
async fn a_search_through_everything_unexpired_walks_the_indexes_on_the_expiry() {
    let at = Deployment::start_with(1, &[("COUNTERSIGN_PURGE_ENABLED", "false")]).await;
    fill(&at.sql, 20_000).await;
    let sql = at.database.client().await;
    sql.batch_execute("ANALYZE; SET enable_seqscan = off; SET jit = off")
        .await
        .unwrap();
    for name in ["clients/cut_off", "authority/fence"] {
        let statement = statements::ALL.iter().find(|one| one.name == name).unwrap();
        let prepare = format!("PREPARE p AS {}", statement.text);
        sql.batch_execute(&prepare).await.unwrap();
        let arguments = match name {
            "clients/cut_off" => "(gen_random_uuid(), NULL)",
            _ => "",
        };
        let nodes = explained_nodes(&sql, &format!("p{arguments}")).await;
        for index in [
            "idx_oauth_access_tokens_expires_at",
            "refresh_session_expires_at_idx",
        ] {
            let walks =
                |(used, cond): &(String, String)| used == index && cond.contains("expires_at");
            assert!(nodes.iter().any(walks), "{name}: {nodes:?}");
        }
        sql.batch_execute("DEALLOCATE p").await.unwrap();
    }
}

#[tokio::test]
async fn a_clients_cut_off_may_take_longer_than_other_statements() {
    let at = Deployment::start_with(1, &[("COUNTERSIGN_DATABASE_STATEMENT_TIMEOUT", "1s")]).await;
    let client = at.client(&[]).await;
    at.sql
        .batch_execute(
            "CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END';
             CREATE TRIGGER slow BEFORE UPDATE ON countersign.client
                 FOR EACH ROW EXECUTE FUNCTION public.slow()",
        )
        .await
        .unwrap();
    let admin = at.admin();
    let request = v1::CutOffClientRequest {
        client_id: client.id.clone(),
    };
    let done = admin
        .directory()
        .cut_off_client(admin.request(request))
        .await;
    assert!(answer(done).is_ok());
    // Another statement of the same slowness is ended.
    let request = v1::UpdateClientRequest {
        client_id: client.id,
        settings: Some(crate::support::server::settings()),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["name".into()],
        }),
    };
    let done = admin
        .directory()
        .update_client(admin.request(request))
        .await;
    assert!(answer(done).is_err());
}
