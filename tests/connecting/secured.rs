//! A PostgreSQL that speaks TLS, and the files of its clients.

use crate::support::certificates::{Authority, Pair, dns};
use countersign::{
    cli::postgres::{Cluster, ClusterOptions, home_for},
    store::DatabaseUrl,
};
use rcgen::DnType;
use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
    time::Duration,
};
use tokio_postgres::Client;

/// The role that proves itself by a certificate.
pub const BY_CERTIFICATE: &str = "by_certificate";

/// The server; its certificate is for `localhost`.
pub struct Secured {
    pub cluster: Cluster,
    pub authority: Authority,
    place: tempfile::TempDir,
}

impl Secured {
    pub async fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let home = home_for(&place.path().join("postgres")).unwrap();
        let binaries = crate::postgres::binaries().await;
        let options = ClusterOptions::new(home).setting("fsync", "off");
        let cluster = Cluster::start(&binaries, options).await.unwrap();
        let secured = Self {
            cluster,
            authority: Authority::new("spiffe://database.test"),
            place,
        };
        secured.speak_tls().await;
        secured
    }

    async fn speak_tls(&self) {
        let server = self.authority.sign(&[dns("localhost")]);
        let sql = self.sql().await;
        let data: String = sql
            .query_one("SHOW data_directory", &[])
            .await
            .unwrap()
            .get(0);
        let data = Path::new(&data);
        let certificate = give(data, "server.crt", &server.certificate);
        let key = give(data, "server.key", &server.key);
        let authorities = give(data, "clients.crt", &self.authority.pem);
        for (name, value) in [
            ("ssl_cert_file", certificate.to_str().unwrap()),
            ("ssl_key_file", key.to_str().unwrap()),
            ("ssl_ca_file", authorities.to_str().unwrap()),
            ("ssl", "on"),
        ] {
            let set = format!("ALTER SYSTEM SET {name} = '{value}'");
            sql.batch_execute(&set).await.unwrap();
        }
        let role = format!("CREATE ROLE {BY_CERTIFICATE} LOGIN");
        sql.batch_execute(&role).await.unwrap();
        let rules: String = sql.query_one("SHOW hba_file", &[]).await.unwrap().get(0);
        let own = format!("hostssl all {BY_CERTIFICATE} 127.0.0.1/32 cert\n");
        let others = fs::read_to_string(&rules).unwrap();
        fs::write(&rules, own + &others).unwrap();
        self.reload(&sql).await;
        // The reload reaches the next connections after a moment.
        for _ in 0..500 {
            let url = DatabaseUrl::parse(&self.url("localhost", "sslmode=require")).unwrap();
            if super::connect(&url).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!(
            "no TLS: {}",
            fs::read_to_string(self.cluster.log()).unwrap()
        );
    }

    pub async fn reload(&self, sql: &Client) {
        sql.execute("SELECT pg_reload_conf()", &[]).await.unwrap();
    }

    /// A superuser's connection, in the clear.
    pub async fn sql(&self) -> Client {
        let url = format!("{}?sslmode=disable", self.cluster.superuser_url());
        super::connect(&DatabaseUrl::parse(&url).unwrap())
            .await
            .unwrap()
    }

    /// The superuser's URL, by that name of the host and with these parameters.
    pub fn url(&self, host: &str, query: &str) -> String {
        let url = self.cluster.superuser_url().replace("127.0.0.1", host);
        format!("{url}?{query}")
    }

    /// A file for a client.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.place.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A client's certificate for a role.
    pub fn certificate_for(&self, role: &str) -> Pair {
        self.authority.sign_with(&[dns("client")], |params| {
            params.distinguished_name.push(DnType::CommonName, role);
        })
    }
}

/// A file in the data directory, for its owner.
fn give(data: &Path, name: &str, text: &str) -> PathBuf {
    let path = data.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let owner = fs::metadata(data).unwrap();
    chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    path
}
