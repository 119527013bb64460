//! Certificates that change while the server runs.

use super::{DOMAIN, Mesh, proved_by, taken_for, write};
use crate::support::{
    certificates::{Authority, dns, uri},
    server::Deployment,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const LOGIN: &str = "spiffe://example.org/login";
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn certificates_are_renewed_under_load_and_no_call_fails() {
    let mesh = Arc::new(Mesh::start(&[]).await);
    let login = mesh.at.client_with(proved_by(&[LOGIN], &[])).await;
    let next = Arc::new(Authority::new(DOMAIN));
    let pair = mesh.authority.sign(&[uri(LOGIN)]);
    let over = Arc::new(AtomicBool::new(false));
    let mut load = JoinSet::new();
    // Half of them keep their connection, half open a new one for every call.
    for n in 0..8 {
        let (mesh, login, over) = (Arc::clone(&mesh), login.clone(), Arc::clone(&over));
        let pair = pair.clone();
        load.spawn(async move {
            let mut holder = mesh.holder(&pair).await;
            let mut calls = 0;
            while !over.load(Relaxed) {
                if n % 2 == 0 {
                    holder = mesh.holder(&pair).await;
                }
                assert_eq!(taken_for(&holder).await, Ok(login.id.clone()));
                calls += 1;
            }
            calls
        });
    }

    // First both authorities, as everybody does who changes over; the server's own
    // certificate is signed by the old one all the while.
    let both = format!("{}{}", mesh.authority.pem, next.pem);
    write(
        &mesh.files,
        &mesh.authority.sign(&[dns("localhost")]),
        &both,
    );
    let by_next = next.sign(&[uri(LOGIN)]);
    until("the next authority counts", async || {
        let Ok(channel) = mesh.connect(Some(&by_next)).await else {
            return false;
        };
        let holder = Deployment::over(&mesh.at.nobody(), channel);
        taken_for(&holder).await == Ok(login.id.clone())
    })
    .await;

    // A certificate without its key, and a file that is none: the old ones stay.
    let certificate = mesh.authority.sign(&[dns("localhost")]).certificate;
    std::fs::write(mesh.files.path().join("tls.crt"), certificate).unwrap();
    std::fs::write(mesh.files.path().join("ca.crt"), "nothing").unwrap();
    // The pause is the subject: the files are looked at every second, and taken at the second look.
    tokio::time::sleep(Duration::from_secs(3)).await;
    over.store(true, Relaxed);
    let calls: usize = load.join_all().await.into_iter().sum();
    assert!(calls > 20, "{calls}");

    // Then the next one alone.
    write(
        &mesh.files,
        &mesh.authority.sign(&[dns("localhost")]),
        &next.pem,
    );
    until("the old authority no longer counts", async || {
        let Ok(channel) = mesh.connect(Some(&pair)).await else {
            return true;
        };
        let holder = Deployment::over(&mesh.at.nobody(), channel);
        taken_for(&holder).await.is_err()
    })
    .await;
}

/// As a kubelet writes a secret: into a new directory, to which a link then points.
#[tokio::test]
async fn a_swapped_link_is_noticed() {
    let mut at = Deployment::start().await;
    let files = tempfile::TempDir::new().unwrap();
    let (one, two) = (Authority::new(DOMAIN), Authority::new(DOMAIN));
    for (name, authority) in [("..1", &one), ("..2", &two)] {
        let pair = authority.sign(&[dns("localhost")]);
        let directory = files.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("tls.crt"), pair.certificate).unwrap();
        std::fs::write(directory.join("tls.key"), pair.key).unwrap();
    }
    let link = |to: &str| {
        let new = files.path().join("..new");
        std::os::unix::fs::symlink(to, &new).unwrap();
        std::fs::rename(&new, files.path().join("..data")).unwrap();
    };
    link("..1");
    for name in ["tls.crt", "tls.key"] {
        let target = format!("..data/{name}");
        std::os::unix::fs::symlink(target, files.path().join(name)).unwrap();
    }
    let path = |name: &str| files.path().join(name).display().to_string();
    let port = at
        .another(&[
            ("COUNTERSIGN_TLS_CERTIFICATE_FILE", &path("tls.crt")),
            ("COUNTERSIGN_TLS_KEY_FILE", &path("tls.key")),
        ])
        .await;
    one.endpoint(port, None).connect().await.unwrap();
    assert!(two.endpoint(port, None).connect().await.is_err());
    link("..2");
    until("the new certificate is used", async || {
        two.endpoint(port, None).connect().await.is_ok()
    })
    .await;
    assert!(one.endpoint(port, None).connect().await.is_err());
}
