//! Callers who prove who they are: certificates, proxies, secrets, and how often they may.

mod certificates;
mod forwarded;
mod limits;
mod renewal;
mod standing;
mod workload;

use crate::support::{
    certificates::{Authority, Pair, dns},
    server::{Caller, Deployment, answer, settings},
};
use countersign::proto::v1;
use tempfile::TempDir;
use tonic::transport::Channel;

const DOMAIN: &str = "spiffe://example.org";

/// The identity of a client in these tests.
const LOGIN: &str = "spiffe://example.org/ns/prod/sa/login";

/// A server with TLS beside one without, on one database.
struct Mesh {
    at: Deployment,
    authority: Authority,
    files: TempDir,
    port: u16,
}

impl Mesh {
    /// With settings over its own; client certificates are optional without.
    async fn start(settings: &[(&str, &str)]) -> Self {
        let mut at = Deployment::start().await;
        let (authority, files) = (Authority::new(DOMAIN), TempDir::new().unwrap());
        write(&files, &authority.sign(&[dns("localhost")]), &authority.pem);
        let path = |name: &str| files.path().join(name).display().to_string();
        let (certificate, key, ca) = (path("tls.crt"), path("tls.key"), path("ca.crt"));
        let own = [
            ("COUNTERSIGN_TLS_CERTIFICATE_FILE", certificate.as_str()),
            ("COUNTERSIGN_TLS_KEY_FILE", &key),
            ("COUNTERSIGN_TLS_CLIENT_CA_FILE", &ca),
            ("COUNTERSIGN_TLS_CLIENT_CERTIFICATES", "optional"),
        ];
        let port = at.another(&[own.as_slice(), settings].concat()).await;
        Self {
            at,
            authority,
            files,
            port,
        }
    }

    async fn connect(&self, client: Option<&Pair>) -> Result<Channel, tonic::transport::Error> {
        self.authority.endpoint(self.port, client).connect().await
    }

    /// Nobody but for their certificate.
    async fn holder(&self, pair: &Pair) -> Caller {
        let channel = self.connect(Some(pair)).await.unwrap();
        Deployment::over(&self.at.nobody(), channel)
    }
}

fn write(files: &TempDir, pair: &Pair, ca: &str) {
    for (name, text) in [
        ("tls.crt", pair.certificate.as_str()),
        ("tls.key", &pair.key),
        ("ca.crt", ca),
    ] {
        std::fs::write(files.path().join(name), text).unwrap();
    }
}

/// Settings of a client that these prove.
fn proved_by(spiffe_ids: &[&str], dns_names: &[&str]) -> v1::ClientSettings {
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    v1::ClientSettings {
        spiffe_ids: texts(spiffe_ids),
        dns_names: texts(dns_names),
        ..settings()
    }
}

/// Gives a client these identities and no other, or the reason why it may not have them.
async fn prove_by(
    admin: &Caller,
    client_id: &str,
    spiffe_ids: &[&str],
) -> Result<v1::UpdateClientResponse, String> {
    let request = v1::UpdateClientRequest {
        client_id: client_id.to_owned(),
        settings: Some(proved_by(spiffe_ids, &[])),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["spiffe_ids".into()],
        }),
    };
    let mut directory = admin.directory();
    let updated = directory.update_client(admin.request(request)).await;
    answer(updated).map_err(|refused| refused.reason)
}

/// The client that the server takes a caller for: whose token it mints. Or why not.
async fn taken_for(caller: &Caller) -> Result<String, String> {
    let issued = caller.issue(v1::IssueTokenRequest::default()).await;
    let token = issued.map_err(|refused| refused.reason)?.access_token;
    let request = v1::IntrospectRequest {
        token,
        ..Default::default()
    };
    let found = caller.tokens().introspect(caller.request(request)).await;
    Ok(found.unwrap().into_inner().client_id)
}
