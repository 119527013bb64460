//! The primary is replaced by its synchronous standby, and nothing acknowledged is lost.

use super::{
    load::{Caller, Load},
    pause,
};
use crate::{
    faults::site::{PASSWORD, ROLE, bootstrap, connect, spawn},
    support::{figures, free_address, process::write_keys},
};
use countersign::{
    cli::postgres::{Cluster, ClusterOptions, home_for},
    domain::keys::new_key_line,
    store::{
        DatabaseUrl,
        migrate::{MigrateOptions, migrate, set_password},
    },
};
use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use tonic::{Code, transport::Channel};

/// How long replication, or a start, may take.
const PATIENCE: Duration = Duration::from_mins(1);

async fn start(home: &Path, port: Option<u16>) -> Cluster {
    let binaries = crate::postgres::binaries().await;
    let options = ClusterOptions {
        port,
        ..ClusterOptions::new(home)
    };
    Cluster::start(&binaries, options).await.unwrap()
}

/// Copies a stopped server, and makes the copy a standby of it.
fn copy(from: &Path, to: &Path, primary: u16, password: &str) {
    fs::create_dir_all(to).unwrap();
    for part in ["data", "password"] {
        let copied = Command::new("cp")
            .arg("-a")
            .arg(from.join(part))
            .arg(to)
            .status();
        assert!(copied.unwrap().success());
    }
    let configuration = to.join("data/postgresql.auto.conf");
    let conninfo = format!(
        "primary_conninfo = 'host=127.0.0.1 port={primary} user=postgres password={password} \
         application_name=standby'\n"
    );
    let text = fs::read_to_string(&configuration).unwrap() + &conninfo;
    fs::write(&configuration, text).unwrap();
    // A copy of a file that belongs to the server's account, to belong to it too.
    let (version, standby) = (to.join("data/PG_VERSION"), to.join("data/standby.signal"));
    let copied = Command::new("cp")
        .arg("-a")
        .arg(version)
        .arg(standby)
        .status();
    assert!(copied.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_synchronous_standby_takes_over() {
    let place = tempfile::tempdir().unwrap();
    let home = home_for(&place.path().join("primary")).unwrap();
    let other = home_for(&place.path().join("standby")).unwrap();
    let primary = start(&home, None).await;
    let owner = DatabaseUrl::parse(&primary.superuser_url()).unwrap();
    let options = MigrateOptions {
        serving_role: ROLE.to_owned(),
        ..MigrateOptions::default()
    };
    migrate(&owner, &options, |_| {}).await.unwrap();
    set_password(&owner, ROLE, PASSWORD).await.unwrap();
    let port = primary.port();
    primary.stop().await.unwrap();
    let password = fs::read_to_string(home.join("password")).unwrap();
    copy(&home, &other, port, password.trim());
    let mut primary = start(&home, Some(port)).await;
    let standby = start(&other, None).await;
    let sql = connect(&primary.superuser_url()).await.unwrap();
    sql.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        .await
        .unwrap();
    sql.execute("SELECT pg_reload_conf()", &[]).await.unwrap();
    let began = Instant::now();
    let state = "SELECT coalesce(max(sync_state), 'none') FROM pg_stat_replication";
    loop {
        let state: String = sql.query_one(state, &[]).await.unwrap().get(0);
        if state == "sync" {
            break;
        }
        let log = fs::read_to_string(standby.log()).unwrap_or_default();
        assert!(began.elapsed() < PATIENCE, "{state}: {log}");
        pause(Duration::from_millis(50)).await;
    }

    let keys = place.path().join("keys");
    write_keys(&keys, &new_key_line(&[7; 36]));
    let listen = free_address();
    // The standby comes first: the one that takes writes is found all the same.
    let url = format!(
        "postgres://{ROLE}:{PASSWORD}@127.0.0.1:{},127.0.0.1:{port}/postgres",
        standby.port()
    );
    let variables = [
        ("COUNTERSIGN_DATABASE_URL", url),
        ("COUNTERSIGN_KEYS_FILE", keys.display().to_string()),
        ("COUNTERSIGN_LISTEN", listen.to_string()),
        ("COUNTERSIGN_AUDIT_OUTPUT", "/dev/null".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let log = place.path().join("server.log");
    let admin = bootstrap(&variables).await;
    let _server = spawn(&variables, &log);
    let began = Instant::now();
    while !fs::read_to_string(&log).unwrap().contains(" ready") {
        assert!(
            began.elapsed() < PATIENCE,
            "{}",
            fs::read_to_string(&log).unwrap()
        );
        pause(Duration::from_millis(10)).await;
    }
    let channel = Channel::from_shared(format!("http://{listen}")).unwrap();
    let caller = Caller::new(vec![channel.connect_lazy()], &admin).await;
    let load = Load::start(&caller, 16);
    load.recovers(Instant::now()).await;
    pause(Duration::from_secs(2)).await;

    // The old primary is gone for good before the new one takes writes.
    let lost = Instant::now();
    primary.stop_immediately().await.unwrap();
    pause(Duration::from_millis(500)).await;
    let sql = connect(&standby.superuser_url()).await.unwrap();
    sql.execute("SELECT pg_promote()", &[]).await.unwrap();
    let promoted = Instant::now();
    let took = load.recovers(promoted).await;
    pause(Duration::from_secs(1)).await;
    let refused = load
        .since(lost)
        .iter()
        .filter(|one| one.code != Code::Ok)
        .count();
    let held = load.end().await;
    let told = format!(
        "recovered {took:?} after the promotion; {refused} calls refused; {held} tokens as acknowledged\n"
    );
    figures::write("failover", &told);
    println!("{told}");
    assert!(refused > 0, "{told}");
}
