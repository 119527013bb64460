//! A deployment of real processes: two servers, each behind a road of its own to one
//! PostgreSQL of its own.

use super::proxy::Proxy;
use crate::support::free_address;
use countersign::{
    cli::postgres::{Cluster, ClusterOptions, home_for},
    domain::keys::new_key_line,
    store::migrate::{MigrateOptions, migrate, set_password},
    verify::Authorization,
};
use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio_postgres::{Client, NoTls};
use tonic::transport::Channel;

pub const ROLE: &str = "countersign_faults";
pub const PASSWORD: &str = "only-for-this-test";

/// What a server runs with beside its place.
pub type Settings<'a> = &'a [(&'a str, &'a str)];

/// PostgreSQL, two servers and their roads.
pub struct Site {
    pub postgres: Cluster,
    pub servers: Vec<Server>,
    place: TempDir,
}

/// A server process, and the roads from and to it.
pub struct Server {
    /// To PostgreSQL.
    pub database: Proxy,
    /// From its callers.
    pub callers: Proxy,
    child: Child,
    command: Vec<(String, String)>,
    log: PathBuf,
}

impl Site {
    /// Starts it all; every server with its own settings.
    pub async fn start(servers: &[Settings<'_>], lost_commits: u64) -> Self {
        let place = tempfile::tempdir().unwrap();
        let home = home_for(&place.path().join("postgres")).unwrap();
        let options = ClusterOptions::new(home)
            .setting("max_connections", "100")
            .setting("log_lock_waits", "on");
        let binaries = crate::postgres::binaries().await;
        let postgres = Cluster::start(&binaries, options).await.unwrap();
        let config: tokio_postgres::Config = postgres.superuser_url().parse().unwrap();
        let options = MigrateOptions {
            serving_role: ROLE.to_owned(),
            ..MigrateOptions::default()
        };
        migrate(&config, &options, |_| {}).await.unwrap();
        set_password(&config, ROLE, PASSWORD).await.unwrap();
        let keys = place.path().join("keys");
        fs::write(&keys, new_key_line(&[7; 36])).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&keys, mode).unwrap();
        let mut site = Self {
            postgres,
            servers: Vec::new(),
            place,
        };
        for (number, settings) in servers.iter().enumerate() {
            let server = site.serve(number, &keys, settings, lost_commits).await;
            site.servers.push(server);
        }
        site
    }

    async fn serve(
        &self,
        number: usize,
        keys: &Path,
        settings: Settings<'_>,
        lost_commits: u64,
    ) -> Server {
        let postgres = SocketAddr::from(([127, 0, 0, 1], self.postgres.port()));
        let database = Proxy::start(postgres, lost_commits).await;
        let port = database.address().port();
        let listen = free_address();
        let url = self.postgres.url_for(ROLE, PASSWORD, "postgres");
        let url = url.replace(&format!(":{}/", self.postgres.port()), &format!(":{port}/"));
        let mut command = vec![
            ("COUNTERSIGN_DATABASE_URL".to_owned(), url),
            (
                "COUNTERSIGN_KEYS_FILE".to_owned(),
                keys.display().to_string(),
            ),
            ("COUNTERSIGN_LISTEN".to_owned(), listen.to_string()),
            (
                "COUNTERSIGN_AUDIT_OUTPUT".to_owned(),
                "/dev/null".to_owned(),
            ),
        ];
        let own = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        command.extend(own);
        let log = self.place.path().join(format!("server-{number}.log"));
        Server {
            callers: Proxy::start(listen, 0).await,
            database,
            child: spawn(&command, &log),
            command,
            log,
        }
    }

    /// A superuser's connection, past every road.
    pub async fn sql(&self) -> Result<Client, tokio_postgres::Error> {
        connect(&self.postgres.superuser_url()).await
    }

    /// The first admin, made by the command for it.
    pub async fn admin(&self) -> Authorization {
        bootstrap(&self.servers[0].command).await
    }

    /// A channel to each server, over its road; connects when it is used, and again.
    pub fn channels(&self) -> Vec<Channel> {
        let servers = self.servers.iter();
        servers
            .map(|server| {
                Channel::from_shared(format!("http://{}", server.callers.address()))
                    .unwrap()
                    .connect_timeout(Duration::from_secs(2))
                    .connect_lazy()
            })
            .collect()
    }

    /// What PostgreSQL has logged.
    pub fn postgres_log(&self) -> String {
        fs::read_to_string(self.postgres.log()).unwrap_or_default()
    }
}

impl Server {
    /// Kills the process (SIGKILL) and starts another in its place.
    pub async fn kill(&mut self) {
        self.child.kill().await.unwrap();
        self.child = spawn(&self.command, &self.log);
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// What it has logged, in all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

/// The first admin of a server with these variables.
pub async fn bootstrap(command: &[(String, String)]) -> Authorization {
    let made = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .args(["client", "bootstrap", "--json"])
        .env_clear()
        .envs(command.iter().cloned())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&made.stderr);
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect(&told);
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    let pair = format!("{}:{}", text("client_id"), text("client_secret"));
    let pair = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair);
    format!("Basic {pair}").parse().unwrap()
}

/// A server process with these variables.
pub fn spawn(command: &[(String, String)], log: &Path) -> Child {
    let log = File::options().create(true).append(true).open(log).unwrap();
    Command::new(env!("CARGO_BIN_EXE_countersign"))
        .arg("serve")
        .env_clear()
        .envs(command.iter().cloned())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Connects; the connection ends with the client or with the server.
pub async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
