//! The private PostgreSQL server: its life, its end, and what it says when it cannot live.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use countersign::cli::postgres::{Binaries, Cluster, ClusterOptions, PostgresError};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// The PostgreSQL to test with: that of the major version in
/// `COUNTERSIGN_TEST_POSTGRES`, fetched if need be, else the machine's newest.
pub async fn binaries() -> Binaries {
    let major = env::var("COUNTERSIGN_TEST_POSTGRES").ok().map(|major| {
        major
            .parse()
            .expect("COUNTERSIGN_TEST_POSTGRES is a major version, such as 18")
    });
    Binaries::find_or_fetch(major)
        .await
        .expect("a PostgreSQL to test with")
}

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

async fn start(home: &Path) -> Cluster {
    let started = Cluster::start(&binaries().await, ClusterOptions::new(home)).await;
    started.unwrap_or_else(|error| panic!("{error}"))
}

async fn connect(cluster: &Cluster) -> Client {
    connect_to(&cluster.superuser_url()).await
}

async fn connect_to(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("a connection");
    // It ends with the client or with the server; either is some test's wish.
    tokio::spawn(connection);
    client
}

async fn text(client: &Client, query: &str) -> String {
    client
        .query_one(query, &[])
        .await
        .expect("an answer")
        .get(0)
}

/// Whether `pid` is no running process; one that only awaits its parent's look runs no more.
fn is_gone(pid: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.contains(") Z ") || kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH)
}

async fn until_gone(pid: i32) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is_gone(pid) {
        assert!(Instant::now() < until, "process {pid} still runs");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_server_answers_on_the_loopback_alone_and_is_durable() {
    let home = home();
    let cluster = start(home.path()).await;
    let client = connect(&cluster).await;
    assert_eq!(text(&client, "show listen_addresses").await, "127.0.0.1");
    assert_eq!(text(&client, "show unix_socket_directories").await, "");
    assert_eq!(text(&client, "show fsync").await, "on");
    assert_eq!(text(&client, "show synchronous_commit").await, "on");
    assert_eq!(text(&client, "show server_encoding").await, "UTF8");
    let pid = cluster.pid().expect("it runs");
    cluster.stop().await.expect("a stop");
    assert!(is_gone(pid));
}

#[tokio::test]
async fn the_password_is_asked_for_and_lies_in_a_file_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = home();
    let cluster = start(home.path()).await;
    let wrong = cluster.url_for("postgres", "wrong", "postgres");
    assert!(tokio_postgres::connect(&wrong, NoTls).await.is_err());
    let mode = fs::metadata(home.path().join("password"))
        .expect("the password")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_setting_of_the_caller_wins_over_ours() {
    let home = home();
    let options = ClusterOptions::new(home.path())
        .setting("jit", "on")
        .setting("max_connections", "17");
    let cluster = Cluster::start(&binaries().await, options)
        .await
        .expect("a server");
    let client = connect(&cluster).await;
    assert_eq!(text(&client, "show jit").await, "on");
    assert_eq!(text(&client, "show max_connections").await, "17");
}

#[tokio::test]
async fn a_user_with_any_password_connects_by_the_url_made_for_it() {
    let home = home();
    let cluster = start(home.path()).await;
    let client = connect(&cluster).await;
    client
        .batch_execute("create role \"a b\" login password 'p@:/?#%é'")
        .await
        .expect("a role");
    let url = cluster.url_for("a b", "p@:/?#%é", "postgres");
    assert_eq!(
        text(&connect_to(&url).await, "select current_user::text").await,
        "a b"
    );
}

#[tokio::test]
async fn what_was_committed_outlives_an_immediate_stop_and_a_second_start() {
    let home = home();
    let mut cluster = start(home.path()).await;
    let (port, before) = (cluster.port(), cluster.pid());
    let client = connect(&cluster).await;
    client
        .batch_execute("create table kept as select 'yes'::text as word")
        .await
        .expect("a table");

    cluster.stop_immediately().await.expect("a stop");
    assert_eq!(cluster.pid(), None);
    assert!(
        tokio_postgres::connect(&cluster.superuser_url(), NoTls)
            .await
            .is_err()
    );
    cluster.start_again().await.expect("a start");
    assert_eq!(cluster.port(), port);
    assert_ne!(cluster.pid(), before);
    assert_eq!(
        text(&connect(&cluster).await, "select word from kept").await,
        "yes"
    );
    cluster.stop().await.expect("a stop");

    let second = start(home.path()).await;
    assert_eq!(
        text(&connect(&second).await, "select word from kept").await,
        "yes"
    );
}

#[tokio::test]
async fn a_server_that_ends_by_itself_is_noticed() {
    let home = home();
    let mut cluster = start(home.path()).await;
    let pid = cluster.pid().expect("it runs");
    kill(Pid::from_raw(pid), nix::sys::signal::SIGINT).expect("a signal");
    assert!(cluster.wait().await.expect("an end").success());
}

#[tokio::test]
async fn a_dropped_cluster_leaves_no_postgres() {
    let home = home();
    let pid = start(home.path())
        .await
        .pid()
        .expect("it ran until its drop");
    assert!(is_gone(pid));
}

#[tokio::test]
async fn a_start_given_up_half_way_leaves_no_postgres() {
    let home = home();
    drop(start(home.path()).await);
    let binaries = binaries().await;
    let mut begun = Box::pin(Cluster::start(&binaries, ClusterOptions::new(home.path())));
    let pid_file = home.path().join("data/postmaster.pid");
    let pid = loop {
        tokio::select! {
            biased;
            _ = &mut begun => panic!("it was ready before we could give it up"),
            () = tokio::task::yield_now() => {}
        }
        let text = fs::read_to_string(&pid_file).unwrap_or_default();
        if let Some(pid) = text.lines().next().and_then(|pid| pid.parse().ok()) {
            break pid;
        }
    };
    drop(begun);
    assert!(is_gone(pid));
}

/// Runs itself once more, as the parent that is to be killed.
#[tokio::test]
async fn killing_the_parent_leaves_no_postgres_and_a_home_to_go_on_with() {
    const HOME: &str = "COUNTERSIGN_TEST_PARENT_HOME";
    if let Some(home) = env::var_os(HOME) {
        let cluster = start(Path::new(&home)).await;
        let client = connect(&cluster).await;
        client
            .batch_execute("create table kept as select 'yes'::text as word")
            .await
            .expect("a table");
        println!("\nserver {}", cluster.pid().expect("it runs"));
        std::future::pending::<()>().await;
    }
    let home = home();
    let mut parent = Command::new(env::current_exe().expect("this program"))
        .args([
            "postgres::killing_the_parent_leaves_no_postgres_and_a_home_to_go_on_with",
            "--exact",
            "--nocapture",
        ])
        .env(HOME, home.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a parent");
    let said = BufReader::new(parent.stdout.take().expect("its words")).lines();
    let pid = said
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("server ")?.parse().ok())
        .expect("the server's process id");
    assert!(!is_gone(pid));

    parent.kill().expect("a SIGKILL");
    parent.wait().expect("its end");
    let cluster = start(home.path()).await;
    assert_eq!(
        text(&connect(&cluster).await, "select word from kept").await,
        "yes"
    );
    drop(cluster);
    until_gone(pid).await;
}

#[tokio::test]
async fn a_stranger_under_a_dead_servers_number_does_not_bar_the_start() {
    let home = home();
    drop(start(home.path()).await);
    let stranger = std::process::id();
    fs::write(
        home.path().join("data/postmaster.pid"),
        format!("{stranger}\n"),
    )
    .expect("a pid file");
    let cluster = start(home.path()).await;
    assert_ne!(cluster.pid(), i32::try_from(stranger).ok());
}

#[tokio::test]
async fn what_an_interrupted_initdb_left_is_cleared_away() {
    let home = home();
    let left = home.path().join("data-under-way-00000000");
    fs::create_dir(&left).expect("a directory");
    fs::write(left.join("PG_VERSION"), "15\n").expect("a file");
    let cluster = start(home.path()).await;
    assert_eq!(text(&connect(&cluster).await, "select 'yes'").await, "yes");
    assert!(!left.exists());
}

#[tokio::test]
async fn data_of_another_major_version_is_refused_by_both_numbers() {
    let home = home();
    fs::create_dir(home.path().join("data")).expect("a directory");
    fs::write(home.path().join("data/PG_VERSION"), "14\n").expect("a version");
    let binaries = binaries().await;
    let asked = Binaries::for_home(home.path(), Some(binaries.version))
        .await
        .map(drop);
    let started = Cluster::start(&binaries, ClusterOptions::new(home.path()))
        .await
        .map(drop);
    for refused in [asked, started] {
        let error = refused.expect_err("a refusal");
        assert!(
            matches!(error, PostgresError::WrongMajor { data: 14, .. }),
            "{error}"
        );
        assert!(
            error.to_string().contains("made by PostgreSQL 14"),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains(&format!("PostgreSQL {} cannot", binaries.version)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn the_version_that_made_the_data_is_chosen_for_it() {
    let home = home();
    let binaries = binaries().await;
    drop(start(home.path()).await);
    let chosen = Binaries::for_home(home.path(), None)
        .await
        .expect("binaries");
    assert_eq!(chosen.version, binaries.version);
}

#[tokio::test]
async fn a_home_in_use_is_refused() {
    let home = home();
    let _cluster = start(home.path()).await;
    let second = Cluster::start(&binaries().await, ClusterOptions::new(home.path())).await;
    assert!(matches!(second, Err(PostgresError::InUse { .. })));
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let home = home();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = taken.local_addr().expect("its address").port();
    let options = ClusterOptions {
        port: Some(port),
        ..ClusterOptions::new(home.path())
    };
    let error = Cluster::start(&binaries().await, options)
        .await
        .expect_err("a refusal");
    assert!(
        matches!(error, PostgresError::PortTaken { port: named } if named == port),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_that_does_not_start_shows_the_end_of_its_log() {
    let home = home();
    let options = ClusterOptions::new(home.path()).setting("shared_buffers", "much");
    let error = Cluster::start(&binaries().await, options)
        .await
        .expect_err("a refusal");
    assert!(matches!(error, PostgresError::NotStarted { .. }), "{error}");
    assert!(error.to_string().contains("shared_buffers"), "{error}");
}

#[tokio::test]
async fn a_lost_password_is_named() {
    let home = home();
    drop(start(home.path()).await);
    fs::remove_file(home.path().join("password")).expect("a removal");
    let error = Cluster::start(&binaries().await, ClusterOptions::new(home.path()))
        .await
        .expect_err("a refusal");
    assert!(
        matches!(error, PostgresError::PasswordMissing { .. }),
        "{error}"
    );
}
