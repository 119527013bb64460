//! The door to the database: TLS, credentials that change, and several servers.

mod pgbouncer;
mod rotating;
mod secured;

use crate::support::{certificates::Authority, fresh_database};
use countersign::store::{
    DatabaseFiles, DatabaseUrl,
    connect::{self, ConnectError},
    migrate::{MigrateOptions, migrate},
    readiness::{self, Verdict},
};
use secured::{BY_CERTIFICATE, Secured};
use std::{
    error::Error as _,
    net::TcpListener,
    time::{Duration, Instant},
};
use tokio_postgres::Client;

pub async fn connect(url: &DatabaseUrl) -> Result<Client, ConnectError> {
    connect::connect(url).await
}

/// Whether a URL's connection came about, and was TLS; else the chain of what was wrong.
async fn tries(url: &str) -> Result<bool, String> {
    tries_with(url, DatabaseFiles::default()).await
}

async fn tries_with(url: &str, files: DatabaseFiles) -> Result<bool, String> {
    let url = DatabaseUrl::with_files(url, files).map_err(|error| error.to_string())?;
    let client = connect(&url).await.map_err(|error| told(&error))?;
    let secured = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    Ok(client.query_one(secured, &[]).await.unwrap().get(0))
}

fn told(error: &ConnectError) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        line = format!("{line}: {cause}");
        next = cause.source();
    }
    line
}

#[tokio::test]
async fn each_mode_of_tls_accepts_and_refuses_what_libpq_does() {
    let at = Secured::start().await;
    let own = at.file("ca.crt", &at.authority.pem);
    let other = Authority::new("spiffe://other.test");
    let other = at.file("other.crt", &other.pem);
    let (own, other) = (own.to_str().unwrap(), other.to_str().unwrap());
    let wrong_name = "not valid for name";
    let wrong_authority = "UnknownIssuer";
    for (host, query, expected) in [
        ("localhost", "sslmode=disable".to_owned(), Ok(false)),
        ("localhost", "sslmode=prefer".to_owned(), Ok(true)),
        ("127.0.0.1", String::new(), Ok(true)),
        ("127.0.0.1", "sslmode=require".to_owned(), Ok(true)),
        (
            "127.0.0.1",
            "sslmode=require&channel_binding=require".to_owned(),
            Ok(true),
        ),
        (
            "127.0.0.1",
            format!("sslmode=require&sslrootcert={own}"),
            Ok(true),
        ),
        (
            "localhost",
            format!("sslmode=require&sslrootcert={other}"),
            Err(wrong_authority),
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-ca&sslrootcert={own}"),
            Ok(true),
        ),
        (
            "localhost",
            format!("sslmode=verify-ca&sslrootcert={other}"),
            Err(wrong_authority),
        ),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={own}"),
            Ok(true),
        ),
        (
            "127.0.0.1",
            format!("sslmode=verify-full&sslrootcert={own}"),
            Err(wrong_name),
        ),
        ("127.0.0.1", format!("sslrootcert={own}"), Err(wrong_name)),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={other}"),
            Err(wrong_authority),
        ),
        (
            "localhost",
            "sslrootcert=system".to_owned(),
            Err("invalid peer certificate"),
        ),
        (
            "localhost",
            "sslrootcert=/nowhere".to_owned(),
            Err("database.ca_file: /nowhere: "),
        ),
    ] {
        let found = tries(&at.url(host, &query)).await;
        match (&found, expected) {
            (Ok(tls), Ok(expected)) => assert_eq!(*tls, expected, "{host} {query}"),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{host} {query}: {why}"),
            _ => panic!("{host} {query}: {found:?}, not {expected:?}"),
        }
    }
    // A file is read for each connection.
    let files = DatabaseFiles {
        ca: Some(at.file("rotated.crt", &at.authority.pem)),
        ..DatabaseFiles::default()
    };
    let url = at.url("localhost", "");
    assert_eq!(tries_with(&url, files.clone()).await, Ok(true));
    at.file("rotated.crt", "nothing");
    let why = tries_with(&url, files).await.unwrap_err();
    assert!(
        why.contains("database.ca_file") && why.contains("PEM"),
        "{why}"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_used_only_where_that_is_allowed() {
    let database = fresh_database().await;
    for (mode, expected) in [
        ("disable", Ok(false)),
        ("prefer", Ok(false)),
        ("require", Err("server does not support TLS")),
    ] {
        let found = tries(&format!("{}?sslmode={mode}", database.url())).await;
        match (&found, expected) {
            (Ok(tls), Ok(expected)) => assert_eq!(*tls, expected, "{mode}"),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{mode}: {why}"),
            _ => panic!("{mode}: {found:?}, not {expected:?}"),
        }
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_the_server_wants_one() {
    let at = Secured::start().await;
    let own = at.certificate_for(BY_CERTIFICATE);
    let others = at.certificate_for("somebody");
    let strangers = Authority::new("spiffe://strangers.test").sign(&[]);
    let url = format!(
        "postgres://{BY_CERTIFICATE}@localhost:{}/postgres?sslmode=require",
        at.cluster.port()
    );
    let files = |name: &str, pair: &crate::support::certificates::Pair| DatabaseFiles {
        ca: Some(at.file("ca.crt", &at.authority.pem)),
        certificate: Some(at.file(&format!("{name}.crt"), &pair.certificate)),
        key: Some(at.file(&format!("{name}.key"), &pair.key)),
        password: None,
    };
    assert_eq!(tries_with(&url, files("own", &own)).await, Ok(true));
    let why = tries(&url).await.unwrap_err();
    assert!(why.contains("valid client certificate"), "{why}");
    let why = tries_with(&url, files("others", &others))
        .await
        .unwrap_err();
    assert!(why.contains("certificate authentication failed"), "{why}");
    assert!(
        tries_with(&url, files("strangers", &strangers))
            .await
            .is_err()
    );
    // A certificate that changed under the same name holds from the next connection on.
    let rotating = files("rotating", &others);
    assert!(tries_with(&url, rotating.clone()).await.is_err());
    files("rotating", &own);
    assert_eq!(tries_with(&url, rotating.clone()).await, Ok(true));
    at.file("rotating.key", &others.key);
    let why = tries_with(&url, rotating).await.unwrap_err();
    assert!(why.contains("database.key_file"), "{why}");
}

#[tokio::test]
async fn of_several_servers_the_one_that_takes_writes_is_found() {
    let at = Secured::start().await;
    let database = fresh_database().await;
    let role = format!("{}_both", database.serving_role);
    let create = format!("CREATE ROLE {role} LOGIN PASSWORD 'only-for-this-test'");
    database
        .client()
        .await
        .batch_execute(&create)
        .await
        .unwrap();
    let sql = at.sql().await;
    sql.batch_execute(&create).await.unwrap();
    let standby = format!("ALTER ROLE {role} SET default_transaction_read_only = on");
    sql.batch_execute(&standby).await.unwrap();
    let create = format!("CREATE DATABASE {}", database.name);
    sql.batch_execute(&create).await.unwrap();

    // Somebody who takes connections and says nothing, and nobody at all.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().port();
    let writes = database.config().get_ports()[0];
    let url = |hosts: &[u16], query: &str| {
        let hosts: Vec<_> = hosts
            .iter()
            .map(|port| format!("127.0.0.1:{port}"))
            .collect();
        let (hosts, name) = (hosts.join(","), &database.name);
        let text = format!("postgres://{role}:only-for-this-test@{hosts}/{name}{query}");
        DatabaseUrl::parse(&text).unwrap()
    };
    let reads = at.cluster.port();
    for (hosts, query, expected) in [
        (&[reads, writes][..], "", Some(writes)),
        (&[reads, writes], "?target_session_attrs=any", Some(reads)),
        (&[writes, reads], "?load_balance_hosts=random", Some(writes)),
        (&[silent, 1, reads, writes], "", Some(writes)),
        (&[reads], "?target_session_attrs=read-write", None),
        (&[silent], "?connect_timeout=1", None),
    ] {
        let began = Instant::now();
        let found = connect(&url(hosts, query)).await;
        assert!(
            began.elapsed() < Duration::from_secs(9),
            "{hosts:?} {query}"
        );
        match (found, expected) {
            (Ok(client), Some(expected)) => {
                let port = client.query_one("SELECT inet_server_port()", &[]).await;
                let port: i32 = port.unwrap().get(0);
                assert_eq!(port, i32::from(expected), "{hosts:?} {query}");
            }
            (Err(ConnectError::ReadOnly(place)), None) => {
                assert_eq!(place.to_string(), format!("127.0.0.1:{reads}"));
            }
            (Err(ConnectError::Silent(place)), None) => {
                assert_eq!(place.to_string(), format!("127.0.0.1:{silent}"));
            }
            (found, _) => panic!("{hosts:?} {query}: {:?}", found.err()),
        }
    }

    // A server is ready with the one that its calls will go to, whatever the URL says.
    let options = MigrateOptions {
        serving_role: role.clone(),
        ..MigrateOptions::default()
    };
    let owner = database.config();
    migrate(&owner, &options, |_| {}).await.unwrap();
    let examine = async |hosts: &[u16]| {
        let url = url(hosts, "?target_session_attrs=any");
        readiness::examine(&url, true).await
    };
    let found = examine(&[reads, writes]).await;
    assert!(matches!(found, Verdict::Ready), "{found:?}");
    match examine(&[reads]).await {
        Verdict::Waiting(why) => assert_eq!(why, "the database is a read-only standby"),
        found => panic!("{found:?}"),
    }
}
