//! Every promise, while everything breaks: two server processes over one PostgreSQL, the
//! callers and the checker of `countersign verify`, and trouble of every kind.

pub mod proxy;
pub mod site;
mod trouble;

use crate::{
    resilience::load::Caller,
    support::{figures, server::Deployment},
};
use countersign::{
    proto::v1::{
        IntrospectRequest, IssueTokenRequest,
        token_authority_service_client::TokenAuthorityServiceClient,
    },
    verify::{self, Plan, Progress},
};
use site::{Settings, Site};
use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tonic::{Code, transport::Channel};
use trouble::Trouble;

/// What the callers of every run here do: they repeat what was lost for up to ten seconds,
/// well within their grace window.
fn plan(servers: Vec<Channel>, admin: verify::Authorization, operations: u64) -> Plan {
    Plan {
        servers,
        admin,
        concurrency: 64,
        duration: Duration::from_mins(30),
        operations,
        timeout: Duration::from_secs(5),
        patience: Duration::from_secs(10),
        grace: Duration::from_secs(40),
        settle: Duration::from_secs(15),
    }
}

fn is_long() -> bool {
    std::env::var_os("COUNTERSIGN_TEST_LONG").is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_on_two_servers() {
    let deployment = Deployment::start_with(2, &[]).await;
    let servers = vec![
        deployment.admin().channel(),
        deployment.at(1, &deployment.admin()).channel(),
    ];
    let operations = if is_long() { 300_000 } else { 15_000 };
    let plan = plan(servers, deployment.admin().authorization(), operations);
    let report = verify::run(plan, Arc::default()).await.unwrap();
    figures::write("verify-calm", &report.to_string());
    assert!(report.is_clean(), "{report}");
    assert!(report.operations >= operations, "{report}");
    // It tried what it is there to try.
    for outcome in ["ROTATED", "REPLAYED", "refused REFRESH_TOKEN_REUSED"] {
        assert!(
            report.count("RotateRefresh", outcome) > 0,
            "{outcome}\n{report}"
        );
    }
}

/// What was committed is read again for its answer, with the session among those that count.
#[tokio::test]
async fn a_login_whose_answer_was_lost_leaves_itself_room() {
    let one: Settings<'_> = &[("COUNTERSIGN_SESSIONS_PER_USER", "1")];
    let site = Site::start(&[one], 0).await;
    let caller = Caller::new(site.channels(), &site.admin().await).await;
    let road = &site.servers[0].database;
    road.lose_commits(500);
    for _ in 0..20 {
        let login = caller.open().await.unwrap();
        assert!(caller.introspect(&login.access_token).await.unwrap());
    }
    assert!(road.losses() > 0, "none lost its answer");
}

/// The commit does more than it knew: whoever asks for its answer again finds the user disabled.
/// To be refused now would say that nothing was done.
#[tokio::test]
async fn a_login_that_was_done_is_not_refused_for_what_came_after_it() {
    let patient: Settings<'_> = &[
        ("COUNTERSIGN_DATABASE_LOCK_TIMEOUT", "20s"),
        ("COUNTERSIGN_DATABASE_STATEMENT_TIMEOUT", "30s"),
        ("COUNTERSIGN_BATCH_MAX_WAIT", "20s"),
    ];
    let site = Site::start(&[patient], 0).await;
    let caller = Caller::new(site.channels(), &site.admin().await).await;
    let sql = site.sql().await.unwrap();
    sql.batch_execute(
        "CREATE FUNCTION disable() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
             UPDATE countersign.account SET disabled_at = now() WHERE subject = NEW.user_id;
             RETURN NULL;
         END';
         CREATE TRIGGER disable AFTER INSERT ON public.oauth_access_tokens
             FOR EACH ROW EXECUTE FUNCTION disable()",
    )
    .await
    .unwrap();
    let road = &site.servers[0].database;
    road.lose_commits(500);
    let mut untold = 0;
    for _ in 0..20 {
        if let Err(status) = caller.open().await {
            assert_eq!(status.code(), Code::Unavailable, "{status:?}");
            untold += 1;
        }
    }
    assert!(road.losses() > 0 && untold > 0, "{untold} were not told");
}

/// Such a token is one statement that is a transaction of its own.
#[tokio::test]
async fn a_token_whose_answer_was_lost_is_minted_once_and_lives() {
    let patient: Settings<'_> = &[
        ("COUNTERSIGN_DATABASE_PREPARED_STATEMENTS", "unnamed"),
        ("COUNTERSIGN_DATABASE_LOCK_TIMEOUT", "20s"),
        ("COUNTERSIGN_DATABASE_STATEMENT_TIMEOUT", "30s"),
        ("COUNTERSIGN_BATCH_MAX_WAIT", "20s"),
    ];
    let site = Site::start(&[patient], 0).await;
    let admin = site.admin().await;
    let tokens = TokenAuthorityServiceClient::new(site.channels().remove(0));
    let issue = async || {
        let mut request = tonic::Request::new(IssueTokenRequest::default());
        request
            .metadata_mut()
            .insert("authorization", admin.clone());
        let issued = tokens.clone().issue_token(request).await;
        issued.map(|issued| issued.into_inner().access_token)
    };
    // The process may still be starting.
    let started = Instant::now();
    while let Err(status) = issue().await {
        assert!(started.elapsed() < Duration::from_mins(1), "{status:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sql = site.sql().await.unwrap();
    let rows = "SELECT count(*) FROM public.oauth_access_tokens";
    let rows = async || -> i64 { sql.query_one(rows, &[]).await.unwrap().get(0) };
    let before = rows().await;
    let road = &site.servers[0].database;
    road.lose_answers_to("-- tokens.insert_unchanged", 500);
    for _ in 0..20 {
        let mut introspect = tonic::Request::new(IntrospectRequest {
            token: issue().await.unwrap(),
            ..Default::default()
        });
        let metadata = introspect.metadata_mut();
        metadata.insert("authorization", admin.clone());
        let found = tokens.clone().introspect(introspect).await.unwrap();
        assert!(found.into_inner().active);
    }
    assert!(road.losses() > 0, "none lost its answer");
    assert_eq!(rows().await - before, 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_holds_while_everything_breaks() {
    let impatient_statements = [("COUNTERSIGN_DATABASE_STATEMENT_TIMEOUT", "400ms")];
    let impatient_locks = [("COUNTERSIGN_DATABASE_LOCK_TIMEOUT", "200ms")];
    let mut site = Site::start(&[&impatient_statements, &impatient_locks], 20).await;
    let admin = site.admin().await;
    let operations = if is_long() { 1_200_000 } else { 200_000 };
    let plan = plan(site.channels(), admin, operations);
    let progress = Arc::new(Progress::default());
    let stop = AtomicBool::new(false);
    let (report, troubles) = tokio::join!(
        async {
            let report = verify::run(plan, Arc::clone(&progress)).await;
            stop.store(true, Ordering::Relaxed);
            report.unwrap()
        },
        trouble::make(&mut site, &stop),
    );

    let losses: u64 = site.servers.iter().map(|one| one.database.losses()).sum();
    let mut told = report.to_string();
    for (trouble, times) in &troubles {
        writeln!(told, "{:<30}  {times:>9}", format!("{trouble:?}")).unwrap();
    }
    writeln!(told, "commits whose answer was lost   {losses:>9}").unwrap();
    figures::write("verify-faults", &told);

    assert!(report.is_clean(), "{told}");
    assert!(report.operations >= operations, "{told}");
    assert!(losses > 0, "{told}");
    for trouble in [
        Trouble::ServerKilled,
        Trouble::PostgresStopped,
        Trouble::BackendsTerminated,
        Trouble::DatabaseCut,
        Trouble::CallersCut,
        Trouble::TableLocked,
        Trouble::RowsLocked,
    ] {
        assert!(troubles.contains_key(&trouble), "no {trouble:?}\n{told}");
    }
    let log = site.postgres_log();
    assert!(!log.contains("deadlock detected"), "a deadlock\n{told}");
    for server in &site.servers {
        let log = server.log();
        let bad = |line: &&str| line.contains("ERROR") || line.contains("panicked");
        let bad: Vec<_> = log.lines().filter(bad).take(5).collect();
        assert!(bad.is_empty(), "{bad:#?}\n{told}");
    }
}
