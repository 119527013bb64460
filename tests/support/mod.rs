//! What every integration test stands on.

pub mod audit;
pub mod certificates;
pub mod collector;
pub mod dev;
pub mod figures;
pub mod meters;
pub mod process;
pub mod server;

use countersign::cli::postgres::{Cluster, ClusterOptions, home_for};
use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, Config, NoTls};

/// An address for a process that is about to be started, perhaps more than once. Everything else
/// of the tests is at another of the loopback's, so that nobody takes its port meanwhile.
pub fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.2:0").expect("a free port");
    free.local_addr().expect("its address")
}

/// A database of one test, empty at first. It and every role whose name begins with that of
/// its serving role end with the value.
pub struct TestDatabase {
    server: Config,
    log: PathBuf,
    /// Its name.
    pub name: String,
    /// A name for its serving role; the role is not made here.
    pub serving_role: String,
}

/// The one PostgreSQL of this run: started with the first test that needs it, ended by its
/// watchdog with this process. Its home is kept for the next run.
async fn server() -> (Config, PathBuf) {
    static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
    let cluster = CLUSTER
        .get_or_init(|| async {
            let binaries = crate::postgres::binaries().await;
            let home = Path::new(env!("CARGO_TARGET_TMPDIR"))
                .join(format!("postgres-{}", binaries.version));
            let options = ClusterOptions::new(home_for(&home).expect("a home"))
                // Nothing here has to outlive a power failure.
                .setting("fsync", "off")
                .setting("max_connections", "400")
                // The database too, so that a test finds its own.
                .setting("log_line_prefix", "%m [%p] %d ");
            Cluster::start(&binaries, options)
                .await
                .expect("a PostgreSQL for tests")
        })
        .await;
    let config = cluster.superuser_url().parse();
    (config.expect("a connection string"), cluster.log())
}

/// Creates an empty database.
pub async fn fresh_database() -> TestDatabase {
    let (server, log) = server().await;
    let client = connect(&server).await;
    let id = "SELECT replace(gen_random_uuid()::text, '-', '')";
    let id: String = client.query_one(id, &[]).await.expect("an id").get(0);
    let name = format!("countersign_test_{id}");
    client
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .expect("a new database");
    TestDatabase {
        server,
        log,
        serving_role: name.clone(),
        name,
    }
}

impl TestDatabase {
    /// What PostgreSQL has logged about its deadlocks.
    pub fn deadlocks_logged(&self) -> String {
        let log = std::fs::read(&self.log).expect("the log");
        let log = String::from_utf8_lossy(&log);
        let (mut ours, mut told) = (false, String::new());
        for line in log.lines() {
            // A line that goes on begins with a tab.
            if !line.starts_with('\t') {
                ours = line.contains(&self.name)
                    && (line.contains("deadlock detected") || line.contains("DETAIL:  Process"));
            }
            if ours {
                told.push_str(line);
                told.push('\n');
            }
        }
        told
    }

    /// How often PostgreSQL has logged that a statement waited too long for a lock of it.
    pub fn lock_timeouts_logged(&self) -> usize {
        let log = std::fs::read(&self.log).expect("the log");
        let log = String::from_utf8_lossy(&log);
        let ours = log.lines().filter(|line| line.contains(&self.name));
        ours.filter(|line| line.contains("due to lock timeout"))
            .count()
    }

    /// Connects to it as the superuser.
    pub fn config(&self) -> Config {
        let mut config = self.server.clone();
        config.dbname(&self.name);
        config
    }

    /// Connects to it as the superuser who has become `role`.
    pub fn config_as(&self, role: &str) -> Config {
        let mut config = self.config();
        config.options(format!("-c role={role}"));
        config
    }

    /// Its URL, as the superuser.
    pub fn url(&self) -> String {
        let password = String::from_utf8_lossy(self.server.get_password().unwrap_or_default());
        format!(
            "postgres://{}:{password}@127.0.0.1:{}/{}",
            self.server.get_user().unwrap(),
            self.server.get_ports()[0],
            self.name
        )
    }

    /// Copies it as it is, a backup of this moment; whoever is connected loses the connection.
    /// Returns the copy's URL, as the superuser; it ends with the original.
    pub async fn back_up(&self) -> String {
        let (name, copy) = (&self.name, self.copy());
        let client = connect(&self.server).await;
        for statement in [
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
            format!(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                 WHERE datname = '{name}'"
            ),
            format!("CREATE DATABASE {copy} TEMPLATE {name}"),
            format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
        ] {
            client.batch_execute(&statement).await.expect(&statement);
        }
        self.url().replace(name.as_str(), &copy)
    }

    fn copy(&self) -> String {
        format!("{}_copy", self.name)
    }

    /// A connection as the superuser.
    pub async fn client(&self) -> Client {
        connect(&self.config()).await
    }

    /// A connection as the serving role.
    pub async fn serving_client(&self) -> Client {
        connect(&self.config_as(&self.serving_role)).await
    }
}

/// The statements that drop the test's roles: those whose name begins with the serving one's.
const DROP_ROLES: &str =
    "SELECT format('DROP ROLE %I', rolname) FROM pg_roles WHERE starts_with(rolname, $1)";

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let server = self.server.clone();
        let drops = [self.copy(), self.name.clone()]
            .map(|name| format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        let role = self.serving_role.clone();
        // A runtime of its own, because the test's may be ending.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let cleaned = runtime.block_on(async {
                let client = connect(&server).await;
                for drop in drops {
                    client.batch_execute(&drop).await?;
                }
                for row in client.query(DROP_ROLES, &[&role]).await? {
                    client.batch_execute(row.get(0)).await?;
                }
                Ok::<_, tokio_postgres::Error>(())
            });
            if let Err(error) = cleaned {
                eprintln!("not cleaned up: {role}: {error}");
            }
        });
        let _ = cleaning.join();
    }
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("a connection");
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
}
