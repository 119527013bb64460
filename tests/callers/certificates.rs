//! mTLS (RFC 8705 section 2, SPIFFE X.509-SVID).

use super::{DOMAIN, LOGIN, Mesh, prove_by, proved_by, taken_for};
use crate::foreign::{passes, python};
use crate::support::{
    certificates::{Authority, dns, uri},
    server::Deployment,
};
use countersign::proto::v1;
use std::time::Duration;

#[tokio::test]
async fn a_spiffe_id_proves_its_client_and_nobody_else() {
    let mesh = Mesh::start(&[]).await;
    let login = mesh.at.client_with(proved_by(&[LOGIN], &[])).await;
    let other = mesh.at.client(&[]).await;

    let pair = mesh
        .authority
        .sign(&[uri(LOGIN), dns("ignored.example.org")]);
    let holder = mesh.holder(&pair).await;
    assert_eq!(taken_for(&holder).await, Ok(login.id.clone()));
    let stranger = mesh
        .authority
        .sign(&[uri("spiffe://example.org/ns/prod/sa/stranger")]);
    let stranger = mesh.holder(&stranger).await;
    let refused = |reason: &str| Err(reason.to_owned());
    assert_eq!(taken_for(&stranger).await, refused("CREDENTIALS_INVALID"));
    let anonymous = Deployment::over(&mesh.at.nobody(), mesh.connect(None).await.unwrap());
    assert_eq!(taken_for(&anonymous).await, refused("CREDENTIALS_MISSING"));

    // One identity decides: of several that disagree, none does.
    let both = Deployment::over(&login, holder.channel());
    assert_eq!(taken_for(&both).await, Ok(login.id.clone()));
    let torn = Deployment::over(&other, holder.channel());
    assert_eq!(taken_for(&torn).await, refused("CREDENTIALS_CONFLICT"));
    let by_secret = Deployment::over(&other, stranger.channel());
    assert_eq!(taken_for(&by_secret).await, Ok(other.id.clone()));
    let wrong = Deployment::over(&mesh.at.caller(&login.id, "wrong"), holder.channel());
    assert_eq!(taken_for(&wrong).await, refused("CREDENTIALS_INVALID"));
}

#[tokio::test]
async fn a_certificate_that_names_nobody_proves_nothing() {
    let mesh = Mesh::start(&[("COUNTERSIGN_TLS_TRUST_DOMAIN", "example.org")]).await;
    let other = "spiffe://example.com/login";
    mesh.at
        .client_with(proved_by(&[LOGIN, other], &["login.example.org"]))
        .await;
    for names in [
        vec![uri(LOGIN), uri("spiffe://example.org/second")],
        vec![uri("https://example.org/login"), dns("login.example.org")],
        vec![uri(DOMAIN), dns("login.example.org")],
        vec![uri(other)],
        vec![],
    ] {
        let holder = mesh.holder(&mesh.authority.sign(&names)).await;
        let refused = Err("CREDENTIALS_INVALID".to_owned());
        assert_eq!(taken_for(&holder).await, refused, "{names:?}");
    }
}

#[tokio::test]
async fn a_dns_name_proves_its_client_where_no_uri_stands() {
    let mesh = Mesh::start(&[]).await;
    let one = mesh
        .at
        .client_with(proved_by(&[], &["One.example.org"]))
        .await;
    let two = mesh
        .at
        .client_with(proved_by(&[], &["two.example.org"]))
        .await;
    let named = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| dns(name)).collect();
        mesh.authority.sign(&names)
    };
    let one_holds = mesh
        .holder(&named(&["unknown.example.org", "ONE.example.org"]))
        .await;
    assert_eq!(taken_for(&one_holds).await, Ok(one.id));
    let torn = mesh
        .holder(&named(&["one.example.org", "two.example.org"]))
        .await;
    let conflict = Err("CREDENTIALS_CONFLICT".to_owned());
    assert_eq!(taken_for(&torn).await, conflict);
    let torn = Deployment::over(&two, one_holds.channel());
    assert_eq!(taken_for(&torn).await, conflict);
    let wild = mesh.holder(&named(&["*.example.org"])).await;
    assert_eq!(
        taken_for(&wild).await,
        Err("CREDENTIALS_INVALID".to_owned())
    );
}

#[tokio::test]
async fn an_identity_moves_with_the_call_that_moves_it() {
    let mesh = Mesh::start(&[]).await;
    let admin = mesh.at.admin();
    let before = mesh.at.client_with(proved_by(&[LOGIN], &[])).await;
    let after = mesh.at.client(&[]).await;
    let holder = mesh.holder(&mesh.authority.sign(&[uri(LOGIN)])).await;
    let update =
        async |client_id: &str, spiffe_ids: &[&str]| prove_by(&admin, client_id, spiffe_ids).await;
    for _ in 0..3 {
        assert_eq!(taken_for(&holder).await, Ok(before.id.clone()));
        let taken = update(&after.id, &[LOGIN]).await.unwrap_err();
        assert_eq!(taken, "IDENTITY_TAKEN");
        let updated = update(&before.id, &[]).await.unwrap();
        assert!(
            updated
                .client
                .unwrap()
                .settings
                .unwrap()
                .spiffe_ids
                .is_empty()
        );
        let gone = Err("CREDENTIALS_INVALID".to_owned());
        assert_eq!(taken_for(&holder).await, gone);
        let updated = update(&after.id, &[LOGIN]).await.unwrap();
        assert_eq!(
            updated.client.unwrap().settings.unwrap().spiffe_ids,
            [LOGIN]
        );
        // The server has just known it as the other's.
        assert_eq!(taken_for(&holder).await, Ok(after.id.clone()));
        update(&after.id, &[]).await.unwrap();
        update(&before.id, &[LOGIN]).await.unwrap();
    }

    let request = v1::DisableClientRequest {
        client_id: before.id.clone(),
    };
    let request = admin.request(request);
    admin.directory().disable_client(request).await.unwrap();
    assert_eq!(taken_for(&holder).await, Err("CLIENT_DISABLED".to_owned()));
}

#[tokio::test]
async fn the_last_secret_may_go_where_a_certificate_proves_the_client() {
    let mesh = Mesh::start(&[]).await;
    let client = mesh.at.client_with(proved_by(&[LOGIN], &[])).await;
    let admin = mesh.at.admin();
    let request = v1::GetClientRequest {
        client_id: client.id.clone(),
    };
    let found = admin
        .directory()
        .get_client(admin.request(request))
        .await
        .unwrap();
    let secrets = found.into_inner().client.unwrap().secrets;
    let request = v1::RetireClientSecretRequest {
        client_id: client.id.clone(),
        secret_id: secrets[0].secret_id.clone(),
    };
    let request = admin.request(request);
    admin
        .directory()
        .retire_client_secret(request)
        .await
        .unwrap();
    assert_eq!(
        taken_for(&client).await,
        Err("CREDENTIALS_INVALID".to_owned())
    );
    let holder = mesh.holder(&mesh.authority.sign(&[uri(LOGIN)])).await;
    assert_eq!(taken_for(&holder).await, Ok(client.id));
}

#[tokio::test]
async fn what_the_authorities_did_not_sign_for_now_gets_no_connection() {
    let required = ("COUNTERSIGN_TLS_CLIENT_CERTIFICATES", "required");
    let mesh = Mesh::start(&[required]).await;
    mesh.at.client_with(proved_by(&[LOGIN], &[])).await;
    let refused = async |pair| {
        // A client of TLS 1.3 hears only from its first call that it was refused.
        let Ok(channel) = mesh.connect(pair).await else {
            return true;
        };
        let caller = Deployment::over(&mesh.at.nobody(), channel);
        let answer = caller.issue(v1::IssueTokenRequest::default()).await;
        answer.is_err_and(|refused| refused.reason.is_empty())
    };
    assert!(refused(None).await);
    let stranger = Authority::new(DOMAIN).sign(&[uri(LOGIN)]);
    assert!(refused(Some(&stranger)).await);
    let expired = mesh.authority.sign_with(&[uri(LOGIN)], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    assert!(refused(Some(&expired)).await);
    let for_servers = mesh.authority.sign_with(&[uri(LOGIN)], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert!(refused(Some(&for_servers)).await);
    let pair = mesh.authority.sign(&[uri(LOGIN)]);
    assert!(!refused(Some(&pair)).await);
}

#[tokio::test]
async fn a_peer_that_never_shakes_hands_keeps_nobody_waiting() {
    let mesh = Mesh::start(&[]).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(
            tokio::net::TcpStream::connect(("127.0.0.1", mesh.port))
                .await
                .unwrap(),
        );
    }
    let connected = tokio::time::timeout(Duration::from_secs(5), mesh.connect(None)).await;
    connected.unwrap().unwrap();
}

/// Certificate and key of a client, and the server's authority, as files.
fn as_files(mesh: &Mesh) -> [String; 3] {
    let pair = mesh.authority.sign(&[uri(LOGIN)]);
    let file = |name: &str, text: &str| {
        let path = mesh.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    [
        file("login.crt", &pair.certificate),
        file("login.key", &pair.key),
        file("server-ca.crt", &mesh.authority.pem),
    ]
}

#[tokio::test]
async fn the_command_line_calls_with_a_certificate() {
    let mesh = Mesh::start(&[("COUNTERSIGN_TLS_CLIENT_CERTIFICATES", "required")]).await;
    let login = mesh.at.client_with(proved_by(&[LOGIN], &[])).await;
    let [certificate, key, ca] = as_files(&mesh);
    let target = format!("https://localhost:{}", mesh.port);
    let run = async |arguments: &[&str]| {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_countersign"))
            .args(["token", "issue", "--json", "--target", &target])
            .args(arguments)
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let (out, err) = run(&[
        "--ca-file",
        &ca,
        "--certificate-file",
        &certificate,
        "--key-file",
        &key,
    ])
    .await;
    let issued: serde_json::Value = serde_json::from_str(&out).expect(&err);
    let token = issued["access_token"].as_str().unwrap();
    assert_eq!(mesh.at.admin().introspect(token).await.client_id, login.id);
    let (_, err) = run(&["--certificate-file", &certificate, "--key-file", &key]).await;
    assert!(err.contains("https needs --ca-file"), "{err}");
    let (_, err) = run(&["--ca-file", &ca, "--certificate-file", &certificate]).await;
    assert!(err.contains("--key-file"), "{err}");
}

/// A client that shares no code with the server, and none of its TLS.
#[tokio::test]
async fn a_client_in_another_language_proves_itself_by_its_certificate() {
    let mesh = Mesh::start(&[("COUNTERSIGN_TLS_CLIENT_CERTIFICATES", "required")]).await;
    let login = mesh.at.client_with(proved_by(&[LOGIN], &[])).await;
    let stubs = std::env::var("COUNTERSIGN_TEST_STUBS").expect("tests/run makes the stubs");
    let mut client = python("certificates.py");
    client
        .arg(stubs)
        .arg(mesh.port.to_string())
        .args(as_files(&mesh))
        .arg(login.id);
    passes(client).await;
}
