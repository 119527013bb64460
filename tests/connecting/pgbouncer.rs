//! Behind `PgBouncer` in transaction mode: every transaction may have another session.

use crate::{
    cli::binary::countersign,
    support::{
        free_address,
        process::{Process, write_keys},
        server::{Deployment, first_key},
    },
};
use countersign::{
    proto::v1::{self, Role},
    store::{DatabaseUrl, connect::connect},
};
use futures_util::future::join_all;
use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// How long it may take to start, and a server to come back.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program: installed, or unpacked where `tests/run` says.
fn program() -> (PathBuf, Option<PathBuf>) {
    let Some(root) = std::env::var_os("COUNTERSIGN_TEST_PGBOUNCER").map(PathBuf::from) else {
        let installed = PathBuf::from("/usr/sbin/pgbouncer");
        assert!(
            installed.exists(),
            "no PgBouncer: run tests/run, which provides it"
        );
        return (installed, None);
    };
    (root.join("usr/sbin/pgbouncer"), Some(root.join("usr/lib")))
}

/// A running `PgBouncer` with two server connections, which end with the value.
struct Bouncer {
    child: Child,
    place: tempfile::TempDir,
    address: SocketAddr,
}

impl Bouncer {
    fn start(at: &Deployment) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let address = free_address();
        let users = place.path().join("users");
        let role = &at.database.serving_role;
        let owner = at.database.config();
        let known = format!(
            "\"{role}\" \"only-for-this-test\"\n\"{}\" \"{}\"\n",
            owner.get_user().unwrap(),
            String::from_utf8_lossy(owner.get_password().unwrap()),
        );
        fs::write(&users, known).unwrap();
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = {}\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
             auth_file = {}\npool_mode = transaction\ndefault_pool_size = 2\n\
             server_login_retry = 1\nserver_round_robin = 1\n",
            at.database.config().get_ports()[0],
            address.ip(),
            address.port(),
            users.display(),
        );
        fs::write(place.path().join("pgbouncer.ini"), configuration).unwrap();
        let child = Self::run(&place);
        let bouncer = Self {
            child,
            place,
            address,
        };
        bouncer.is_up();
        bouncer
    }

    /// The URL of a database's server, by way of this.
    fn instead(&self, at: &Deployment, url: &str) -> String {
        let direct = format!("127.0.0.1:{}/", at.database.config().get_ports()[0]);
        url.replace(&direct, &format!("{}/", self.address))
    }

    fn run(place: &tempfile::TempDir) -> Child {
        let (program, libraries) = program();
        let mut command = Command::new(program);
        if nix::unistd::Uid::effective().is_root() {
            // It refuses to be root.
            command.args(["-u", "nobody"]);
        }
        if let Some(libraries) = libraries {
            let all = fs::read_dir(&libraries).unwrap().flatten();
            let all: Vec<_> = all
                .map(|entry| entry.path().display().to_string())
                .collect();
            command.env("LD_LIBRARY_PATH", all.join(":"));
        }
        let log = fs::File::create(place.path().join("log")).unwrap();
        command
            .arg("-q")
            .arg(place.path().join("pgbouncer.ini"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn is_up(&self) {
        let began = Instant::now();
        while std::net::TcpStream::connect(self.address).is_err() {
            let log = fs::read_to_string(self.place.path().join("log")).unwrap();
            assert!(began.elapsed() < PATIENCE, "{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it at once, and starts another in its place.
    fn restart(&mut self) {
        self.end();
        // The pause is the subject: so long nobody listens there.
        std::thread::sleep(Duration::from_millis(300));
        self.child = Self::run(&self.place);
        self.is_up();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        self.end();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_works_by_unnamed_statements_and_a_restart_is_got_over() {
    let at = Deployment::start().await;
    let mut bouncer = Bouncer::start(&at);
    let url = bouncer.instead(&at, &at.serving_url());
    let server = Process::start(
        &at,
        &[
            ("database.url", &format!("{url:?}")),
            ("database.prepared_statements", "\"unnamed\""),
            ("metrics.listen", "\"127.0.0.1:0\""),
        ],
    )
    .await;
    let settings = v1::ClientSettings {
        roles: vec![
            Role::Issuer.into(),
            Role::Introspector.into(),
            Role::Revoker.into(),
        ],
        ..crate::support::server::settings()
    };
    let channel = server.channel().await;
    let admin = Deployment::over(&at.admin(), channel.clone());
    let request = v1::CreateClientRequest {
        client_id: String::new(),
        settings: Some(settings),
    };
    let mut directory = admin.directory();
    let made = directory.create_client(admin.request(request));
    let made = made.await.unwrap().into_inner();
    let caller = at.caller(&made.client.unwrap().client_id, &made.client_secret);
    let caller = Deployment::over(&caller, channel);

    // Many more at once than there are sessions; each with a life of its own.
    let life = async || {
        let register = admin.request(v1::RegisterUserRequest::default());
        let user = admin.directory().register_user(register).await.unwrap();
        let subject = user.into_inner().user.unwrap().subject;
        let opened = caller.open(&subject).await;
        assert!(caller.active(&opened.access_token).await);
        assert!(caller.active(&opened.refresh_token).await);
        let rotated = caller.rotate(&opened.refresh_token).await.unwrap();
        let again = caller.rotate(&opened.refresh_token).await.unwrap();
        assert_eq!(rotated.refresh_token, again.refresh_token);
        let listed = v1::ListSessionsRequest {
            subject: subject.clone(),
            ..v1::ListSessionsRequest::default()
        };
        let listed = caller.tokens().list_sessions(caller.request(listed)).await;
        assert_eq!(listed.unwrap().into_inner().sessions.len(), 1);
        let target = v1::revoke_session_request::Target::SessionId(opened.session_id);
        assert_eq!(caller.revoke(target).await, 1);
        assert!(!caller.active(&rotated.access_token).await);
        assert_eq!(
            caller.refusal(&rotated.refresh_token).await,
            "SESSION_REVOKED"
        );
    };
    for _ in 0..3 {
        join_all((0..16).map(|_| life())).await;
    }
    let prepared = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1";
    let sessions: i64 = at
        .sql
        .query_one(prepared, &[&at.database.serving_role])
        .await
        .unwrap()
        .get(0);
    // The deployment's own server has its own, direct ones.
    assert!(sessions >= 2);

    bouncer.restart();
    let began = Instant::now();
    loop {
        let request = v1::IssueTokenRequest::default();
        match caller.issue(request).await {
            Ok(_) => break,
            Err(refused) => {
                assert_eq!(refused.code, tonic::Code::Unavailable, "{refused:?}");
                assert!(refused.retry);
            }
        }
        assert!(began.elapsed() < PATIENCE, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "PgBouncer restarted: served again after {:?}",
        began.elapsed()
    );
    // One call may have found the one connection that had been made anew already.
    let began = Instant::now();
    while caller
        .issue(v1::IssueTokenRequest::default())
        .await
        .is_err()
    {
        assert!(began.elapsed() < PATIENCE);
    }
    join_all((0..16).map(|_| life())).await;
    assert!(
        !server.log().contains("prepared statement"),
        "{}",
        server.log()
    );
}

#[tokio::test]
async fn commands_find_nothing_of_the_ones_before_in_their_session() {
    let at = Deployment::start().await;
    let bouncer = Bouncer::start(&at);
    let serving = bouncer.instead(&at, &at.serving_url());
    let owner = bouncer.instead(&at, &at.database.url());
    let place = tempfile::tempdir().unwrap();
    let keys = place.path().join("keys");
    write_keys(&keys, &first_key());
    let keys = keys.to_str().unwrap();
    // Each transaction has another session than the one before it.
    for url in [&serving, &owner] {
        let url = DatabaseUrl::parse(url).unwrap();
        let (one, other) = (connect(&url).await.unwrap(), connect(&url).await.unwrap());
        for statement in ["BEGIN", "COMMIT"] {
            one.batch_execute(statement).await.unwrap();
            other.batch_execute(statement).await.unwrap();
        }
    }
    for _ in 0..4 {
        let url = [("COUNTERSIGN_DATABASE_URL", serving.as_str())];
        let run = countersign(&["keys", "check", "--file", keys], &url, "").await;
        assert_eq!(run.code, 0, "{}", run.stderr);
        let variables = [
            ("COUNTERSIGN_DATABASE_URL", serving.as_str()),
            ("COUNTERSIGN_DATABASE_PREPARED_STATEMENTS", "unnamed"),
            ("COUNTERSIGN_KEYS_FILE", keys),
        ];
        let found = countersign(&["doctor"], &variables, "").await.stdout;
        assert!(found.contains("ok      servers: 1 run\n"), "{found}");
        let url = [("COUNTERSIGN_DATABASE_URL", owner.as_str())];
        let run = countersign(&["fence", "--yes"], &url, "").await;
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
}
