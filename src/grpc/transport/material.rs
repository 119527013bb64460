//! The server's certificate, its key, and the authorities of its callers: read from files
//! or from the SPIFFE Workload API, and again when somebody says that they changed.
//!
//! A connection keeps what it was opened with.

use crate::domain::{clock, instruments::CERTIFICATE_LEFT};
use chrono::{DateTime, TimeDelta};
use spiffe::X509Source;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
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
    print: blake3::Hash,
}

impl Material {
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// How long the certificate is good for; `None`: it does not tell.
    pub fn left(&self) -> Option<TimeDelta> {
        let expires_at = DateTime::from_timestamp(self.expires_at?, 0)?;
        Some(expires_at - clock::now())
    }

    pub(super) fn trust_domain(&self) -> Option<&str> {
        self.trust_domain.as_deref()
    }
}

/// What a source gave.
struct Parts {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Vec<CertificateDer<'static>>,
    trust_domain: Option<String>,
}

impl Parts {
    /// Tells whether others are the same, and nothing else of the key.
    fn print(&self) -> blake3::Hash {
        let mut print = blake3::Hasher::new();
        let certificates = self.chain.iter().chain(&self.authorities);
        for part in certificates
            .map(AsRef::as_ref)
            .chain([self.key.secret_der()])
        {
            print.update(&part.len().to_le_bytes());
            print.update(part);
        }
        print.update(&self.chain.len().to_le_bytes());
        print.finalize()
    }
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
    pub async fn open(source: Source, terms: Terms) -> Result<Arc<Self>, MaterialError> {
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
        let tls = Arc::new(Self {
            source,
            terms,
            current: RwLock::new(Arc::new(material)),
        });
        observe(&tls);
        Ok(tls)
    }

    /// What new connections are opened with.
    pub fn current(&self) -> Arc<Material> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The files that it is read from.
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.source {
            Opened::Files(files) => files.paths().into_iter().flatten().cloned().collect(),
            Opened::WorkloadApi(_) => Vec::new(),
        }
    }

    /// Reads the source again, and says whether anything changed. What cannot be used leaves
    /// the old in place.
    pub fn renew(&self) -> Result<bool, MaterialError> {
        let parts = self.source.read()?;
        let print = parts.print();
        if print == self.current().print {
            return Ok(false);
        }
        let material = material(parts, self.terms)?;
        let expires_at = material.expires_at;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(material);
        tracing::info!(expires_at, "the certificates have changed");
        Ok(true)
    }

    /// Takes over what the Workload API changes, for ever.
    pub async fn follow(&self) {
        if let Opened::WorkloadApi(source) = &self.source {
            let mut updates = source.updated();
            while updates.changed().await.is_ok() {
                if let Err(error) = self.renew() {
                    tracing::error!(%error, "not renewed: the certificates in use stay");
                }
            }
        }
        std::future::pending::<()>().await;
    }
}

/// Tells how long the certificate in use is good for.
fn observe(tls: &Arc<Tls>) {
    // The last look may come after the server's end.
    let weak = Arc::downgrade(tls);
    opentelemetry::global::meter("countersign")
        .i64_observable_gauge(CERTIFICATE_LEFT.name)
        .with_unit(CERTIFICATE_LEFT.unit)
        .with_description(CERTIFICATE_LEFT.description)
        .with_callback(move |observer| {
            let expires_at = weak.upgrade().and_then(|tls| tls.current().expires_at);
            if let Some(expires_at) = expires_at {
                observer.observe(expires_at - clock::now().timestamp(), &[]);
            }
        })
        .build();
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
    fn paths(&self) -> [Option<&PathBuf>; 3] {
        [
            Some(&self.certificate),
            Some(&self.key),
            self.client_ca.as_ref(),
        ]
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
    let print = parts.print();
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
        print,
    })
}
