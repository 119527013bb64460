//! The server's certificate, its key, and the authorities of its callers: read from files
//! or from the SPIFFE Workload API, and again whenever they change.
//!
//! A connection keeps what it was opened with. What cannot be used leaves the old in place.

use spiffe::X509Source;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use thiserror::Error;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
        server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier},
        version::{TLS12, TLS13},
    },
};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What TLS asks of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is asked for.
    Off,
    /// One that is sent must hold.
    Optional,
    /// Without one there is no connection.
    Required,
}

/// The lowest version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    V12,
    /// RFC 8446.
    V13,
}

/// Where certificates and key come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// PEM files.
    Files {
        /// The chain, the server's own certificate first.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
        /// The authorities of client certificates.
        client_ca: Option<PathBuf>,
        /// The trust domain whose SPIFFE IDs count. `None`: any that these authorities sign.
        trust_domain: Option<String>,
    },
    /// The SPIFFE Workload API at this endpoint, `unix:///run/spire/agent.sock`.
    WorkloadApi(String),
}

/// Why certificates cannot be used.
#[derive(Debug, Error)]
pub enum MaterialError {
    /// A file cannot be read.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why. It quotes nothing of the file.
        error: String,
    },
    /// Certificate and key do not fit, or are of no kind that we know.
    #[error("the certificate and its key: {0}")]
    Pair(rustls::Error),
    /// The authorities cannot be used.
    #[error("the client authorities: {0}")]
    Authorities(#[from] VerifierBuilderError),
    /// The Workload API has nothing for us.
    #[error("the Workload API: {0}")]
    WorkloadApi(String),
}

/// What connections are opened with.
pub struct Material {
    config: Arc<ServerConfig>,
    trust_domain: Option<String>,
    expires_at: Option<i64>,
}

impl Material {
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    pub(super) fn trust_domain(&self) -> Option<&str> {
        self.trust_domain.as_deref()
    }

    /// When the server's own certificate expires, in seconds of the Unix epoch.
    pub fn expires_at(&self) -> Option<i64> {
        self.expires_at
    }
}

/// What a source gave.
struct Parts {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Vec<CertificateDer<'static>>,
    trust_domain: Option<String>,
}

/// How TLS is spoken.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// What is asked of callers.
    pub client_certificates: ClientCertificates,
    /// The lowest version.
    pub least: TlsVersion,
}

/// TLS of a listener.
pub struct Tls {
    source: Opened,
    terms: Terms,
    current: RwLock<Arc<Material>>,
}

enum Opened {
    Files(Files),
    WorkloadApi(X509Source),
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    trust_domain: Option<String>,
}

impl Tls {
    /// Reads what the source has. The Workload API is waited for as long as it takes.
    pub async fn open(source: Source, terms: Terms) -> Result<Self, MaterialError> {
        let source = match source {
            Source::Files {
                certificate,
                key,
                client_ca,
                trust_domain,
            } => Opened::Files(Files {
                certificate,
                key,
                client_ca,
                trust_domain,
            }),
            Source::WorkloadApi(endpoint) => {
                tracing::info!(
                    endpoint,
                    "asking the Workload API for the server's identity"
                );
                let source = X509Source::builder().endpoint(&endpoint).build().await;
                Opened::WorkloadApi(
                    source.map_err(|error| MaterialError::WorkloadApi(error.to_string()))?,
                )
            }
        };
        let material = material(source.read()?, terms)?;
        Ok(Self {
            source,
            terms,
            current: RwLock::new(Arc::new(material)),
        })
    }

    /// What new connections are opened with.
    pub fn current(&self) -> Arc<Material> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what changes, for ever.
    pub async fn keep_current(&self) {
        match &self.source {
            Opened::Files(files) => {
                let mut seen = files.bytes();
                loop {
                    tokio::time::sleep(LOOK_EVERY).await;
                    let now = files.bytes();
                    if now != seen {
                        seen = now;
                        self.renew();
                    }
                }
            }
            Opened::WorkloadApi(source) => {
                let mut updates = source.updated();
                while updates.changed().await.is_ok() {
                    self.renew();
                }
                std::future::pending::<()>().await;
            }
        }
    }

    fn renew(&self) {
        match self
            .source
            .read()
            .and_then(|parts| material(parts, self.terms))
        {
            Ok(material) => {
                let expires_at = material.expires_at;
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(material);
                tracing::info!(expires_at, "certificates were renewed");
            }
            Err(error) => {
                tracing::error!(%error, "certificates were changed, but cannot be used; the old ones stay");
            }
        }
    }
}

impl Opened {
    fn read(&self) -> Result<Parts, MaterialError> {
        match self {
            Self::Files(files) => files.read(),
            Self::WorkloadApi(source) => of_workload(source),
        }
    }
}

impl Files {
    /// What the files hold, whatever they are: a symlink swap changes it, a touch does not.
    fn bytes(&self) -> [Option<blake3::Hash>; 3] {
        let paths = [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_ref(),
        ];
        paths.map(|path| {
            let bytes = std::fs::read(path?).ok()?;
            Some(blake3::hash(&zeroize::Zeroizing::new(bytes)))
        })
    }

    fn read(&self) -> Result<Parts, MaterialError> {
        let authorities = match &self.client_ca {
            Some(path) => certificates(path)?,
            None => Vec::new(),
        };
        let key = PrivateKeyDer::from_pem_file(&self.key);
        Ok(Parts {
            chain: certificates(&self.certificate)?,
            key: key.map_err(|error| file(&self.key, error))?,
            authorities,
            trust_domain: self.trust_domain.clone(),
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| file(path, error))?
        .collect();
    let found = found.map_err(|error| file(path, error))?;
    if found.is_empty() {
        return Err(file(path, "holds no certificate"));
    }
    Ok(found)
}

fn file(path: &Path, error: impl ToString) -> MaterialError {
    MaterialError::File {
        path: path.to_owned(),
        error: error.to_string(),
    }
}

/// The server's own SVID, and the authorities of its trust domain: a workload of another
/// one is not let in, also where it is federated.
fn of_workload(source: &X509Source) -> Result<Parts, MaterialError> {
    let failed = |error: &dyn std::fmt::Display| MaterialError::WorkloadApi(error.to_string());
    let svid = source.svid().map_err(|error| failed(&error))?;
    let trust_domain = svid.spiffe_id().trust_domain();
    let bundle = source
        .try_bundle_for_trust_domain(trust_domain)
        .ok_or_else(|| failed(&"no bundle of the server's own trust domain"))?;
    let der =
        |certificate: &spiffe::Certificate| CertificateDer::from(certificate.as_bytes().to_vec());
    let key = PrivateKeyDer::try_from(svid.private_key().as_bytes().to_vec());
    Ok(Parts {
        chain: svid.cert_chain().iter().map(der).collect(),
        key: key.map_err(|error| failed(&error))?,
        authorities: bundle.authorities().iter().map(der).collect(),
        trust_domain: Some(trust_domain.to_string()),
    })
}

fn material(parts: Parts, terms: Terms) -> Result<Material, MaterialError> {
    let expires_at = parts.chain.first().and_then(|leaf| {
        let (_, leaf) = x509_parser::parse_x509_certificate(leaf).ok()?;
        Some(leaf.validity().not_after.timestamp())
    });
    let provider = Arc::new(ring::default_provider());
    let versions: &[_] = match terms.least {
        TlsVersion::V12 => &[&TLS13, &TLS12],
        TlsVersion::V13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(MaterialError::Pair)?;
    let builder = if terms.client_certificates == ClientCertificates::Off {
        builder.with_no_client_auth()
    } else {
        let mut roots = RootCertStore::empty();
        for authority in parts.authorities {
            roots.add(authority).map_err(MaterialError::Pair)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = match terms.client_certificates {
            ClientCertificates::Optional => verifier.allow_unauthenticated(),
            _ => verifier,
        };
        builder.with_client_cert_verifier(verifier.build()?)
    };
    let mut config = builder
        .with_single_cert(parts.chain, parts.key)
        .map_err(MaterialError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Each connection is verified against the authorities of its own time.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Material {
        config: Arc::new(config),
        trust_domain: parts.trust_domain,
        expires_at,
    })
}
