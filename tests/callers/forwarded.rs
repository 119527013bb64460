//! `x-forwarded-client-cert`: whose word counts, and for whom.

use super::{Mesh, proved_by, taken_for};
use crate::support::{
    certificates::{dns, uri},
    meters::Meters,
    server::{Caller, Deployment, answer},
};
use countersign::{
    grpc::transport::{Address, Trust, bind},
    proto::v1::{self, Role},
};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

const LOGIN: &str = "spiffe://example.org/login";
const ADMIN: &str = "spiffe://example.org/admin";
const GATEWAY: &str = "spiffe://example.org/gateway";

/// The client that the server takes a caller for who brings these headers. Or why not.
async fn taken_with(caller: &Caller, headers: &[&str]) -> Result<String, String> {
    let mut request = caller.request(v1::IssueTokenRequest::default());
    for header in headers {
        let value = header.parse().unwrap();
        request
            .metadata_mut()
            .append("x-forwarded-client-cert", value);
    }
    let issued = answer::<v1::IssueTokenResponse>(caller.tokens().issue_token(request).await);
    let token = issued.map_err(|refused| refused.reason)?.access_token;
    let mut request = caller.request(v1::IntrospectRequest {
        token,
        ..Default::default()
    });
    for header in headers {
        let value = header.parse().unwrap();
        request
            .metadata_mut()
            .append("x-forwarded-client-cert", value);
    }
    let found = caller.tokens().introspect(request).await;
    Ok(found.unwrap().into_inner().client_id)
}

fn word(identity: &str) -> String {
    format!("By={GATEWAY};Hash=ab;Subject=\"CN=x,OU=y\";URI={identity}")
}

fn refused(reason: &str) -> Result<String, String> {
    Err(reason.to_owned())
}

#[tokio::test]
async fn a_forged_header_gains_nothing() {
    let meters = Meters::of_this_thread();
    let mesh = Mesh::start(&[]).await;
    let login = mesh.at.client_with(proved_by(&[LOGIN], &[])).await;
    let admin = v1::ClientSettings {
        roles: vec![Role::Admin.into()],
        ..proved_by(&[ADMIN], &[])
    };
    mesh.at.client_with(admin).await;
    let claim = word(ADMIN);
    let plain = mesh.at.nobody();
    assert_eq!(
        taken_with(&plain, &[&claim]).await,
        refused("CREDENTIALS_MISSING")
    );
    let stranger = mesh.authority.sign(&[uri("spiffe://example.org/stranger")]);
    let stranger = mesh.holder(&stranger).await;
    assert_eq!(
        taken_with(&stranger, &[&claim]).await,
        refused("CREDENTIALS_INVALID")
    );
    // Who may call is still who they are, and no more.
    let holder = mesh.holder(&mesh.authority.sign(&[uri(LOGIN)])).await;
    assert_eq!(taken_with(&holder, &[&claim]).await, Ok(login.id.clone()));
    assert_eq!(taken_with(&login, &[&claim]).await, Ok(login.id.clone()));
    let mut request = holder.request(v1::ListClientsRequest::default());
    let value = claim.parse().unwrap();
    request
        .metadata_mut()
        .append("x-forwarded-client-cert", value);
    let listed = holder.directory().list_clients(request).await;
    let listed: Result<v1::ListClientsResponse, _> = answer(listed);
    assert_eq!(listed.unwrap_err().reason, "PERMISSION_DENIED");
    let ignored = meters.of("countersign.forwarded.ignored{cause=untrusted}");
    assert_eq!(ignored.len(), 7);
}

#[tokio::test]
async fn a_listed_proxy_speaks_for_others_and_never_for_itself() {
    let meters = Meters::of_this_thread();
    let peers = [(
        "COUNTERSIGN_FORWARDED_PEERS",
        "spiffe://example.org/gateway, dns:old.example.org",
    )];
    let mesh = Mesh::start(&peers).await;
    let login = mesh.at.client_with(proved_by(&[LOGIN], &[])).await;
    let other = mesh.at.client(&[]).await;
    let gateways = v1::ClientSettings {
        roles: vec![Role::Admin.into()],
        ..proved_by(&[GATEWAY], &["old.example.org"])
    };
    mesh.at.client_with(gateways).await;
    for names in [vec![uri(GATEWAY)], vec![dns("old.example.org")]] {
        let gateway = mesh.holder(&mesh.authority.sign(&names)).await;
        assert_eq!(
            taken_with(&gateway, &[&word(LOGIN)]).await,
            Ok(login.id.clone())
        );
        let through = format!("{}, {}", word("spiffe://example.org/evil"), word(LOGIN));
        assert_eq!(
            taken_with(&gateway, &[&through]).await,
            Ok(login.id.clone())
        );
        let two = [word("spiffe://example.org/evil"), word(LOGIN)];
        let two = [two[0].as_str(), &two[1]];
        assert_eq!(taken_with(&gateway, &two).await, Ok(login.id.clone()));

        let missing = refused("CREDENTIALS_MISSING");
        assert_eq!(taken_for(&gateway).await, missing);
        let ambiguous = format!("{};URI={LOGIN}", word(LOGIN));
        for header in [
            &ambiguous,
            "URI=",
            "By=x",
            &format!("=x;{}", word(LOGIN)),
            "URI=\"spiffe",
            "",
        ] {
            assert_eq!(taken_with(&gateway, &[header]).await, missing, "{header}");
        }
        let itself = [word(GATEWAY), format!("{};DNS=x", word(GATEWAY))];
        for header in itself.iter().filter(|_| names == [uri(GATEWAY)]) {
            assert_eq!(taken_with(&gateway, &[header]).await, missing);
        }
        let unknown = word("spiffe://example.org/unknown");
        let invalid = refused("CREDENTIALS_INVALID");
        assert_eq!(taken_with(&gateway, &[&unknown]).await, invalid);

        // A secret goes through a proxy as well, if the two agree.
        let with_secret = Deployment::over(&login, gateway.channel());
        assert_eq!(
            taken_with(&with_secret, &[&word(LOGIN)]).await,
            Ok(login.id.clone())
        );
        assert_eq!(taken_for(&with_secret).await, Ok(login.id.clone()));
        let torn = Deployment::over(&other, gateway.channel());
        let conflict = refused("CREDENTIALS_CONFLICT");
        assert_eq!(taken_with(&torn, &[&word(LOGIN)]).await, conflict);
    }
    let causes = meters.sums("countersign.forwarded.ignored");
    let known = [
        ("malformed", 6.0),
        ("not_one_uri", 4.0),
        ("not_spiffe", 2.0),
        ("untrusted", 2.0),
    ];
    let known = known.map(|(cause, times)| (format!("{{cause={cause}}}"), times));
    assert_eq!(causes, known.into());
}

#[tokio::test]
async fn on_the_listener_for_proxies_everyone_is_one() {
    let mut at = Deployment::start().await;
    let home = tempfile::TempDir::new().unwrap();
    let socket = home.path().join("forwarded.sock");
    // Left behind by a process before.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let listen = format!("unix:{}", socket.display());
    at.another(&[("COUNTERSIGN_FORWARDED_LISTEN", &listen)])
        .await;
    let login = at.client_with(proved_by(&[LOGIN], &[])).await;
    let channel = over_socket(&socket).await;
    let sidecar = Deployment::over(&at.nobody(), channel.clone());
    assert_eq!(
        taken_with(&sidecar, &[&word(LOGIN)]).await,
        Ok(login.id.clone())
    );
    assert_eq!(taken_for(&sidecar).await, refused("CREDENTIALS_MISSING"));
    let with_secret = Deployment::over(&login, channel);
    assert_eq!(taken_for(&with_secret).await, Ok(login.id));

    // A path that was mistaken keeps its file.
    let precious = home.path().join("precious");
    std::fs::write(&precious, "data").unwrap();
    let address = Address::Unix(precious.clone());
    assert!(bind(&address, None, Trust::Everyone).await.is_err());
    assert_eq!(std::fs::read(&precious).unwrap(), b"data");
    let taken = bind(&Address::Unix(socket), None, Trust::Everyone).await;
    assert!(taken.is_err(), "somebody listens there");
}

async fn over_socket(path: &std::path::Path) -> Channel {
    let path = path.to_owned();
    let connector = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .unwrap()
}
