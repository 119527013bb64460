//! TLS to the database: what libpq's `sslmode` means, over rustls.

use super::connect::ConnectError;
use std::{fmt, path::Path, path::PathBuf, sync::Arc};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::{
    self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject as _},
};

/// libpq's `sslmode`. Its `allow`, which asks for TLS only after a refusal, is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// In the clear.
    Disable,
    /// TLS where the server speaks it; verifies nothing.
    Prefer,
    /// TLS; verifies the chain where authorities are named, else nothing.
    Require,
    /// TLS, from a server that the authorities signed for, whatever its name.
    VerifyCa,
    /// TLS, from a server that the authorities signed for under the name that was dialled.
    VerifyFull,
}

/// Whom the server's certificate is traced to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// The authorities of the system.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}

/// How connections are secured.
#[derive(Debug, Clone)]
pub(super) struct TlsOptions {
    pub(super) mode: Mode,
    pub(super) roots: Option<Roots>,
    /// The client's certificate and its key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

impl Mode {
    const WORDS: [(&str, Self); 5] = [
        ("disable", Self::Disable),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    pub(super) fn parse(word: &str) -> Option<Self> {
        let found = Self::WORDS.into_iter().find(|(known, _)| *known == word);
        found.map(|(_, mode)| mode)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.into_iter().find(|(_, mode)| mode == self);
        f.write_str(word.map_or("", |(word, _)| word))
    }
}

impl TlsOptions {
    /// What a new connection shakes hands with, from the files as they are now.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, ConnectError> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match (self.mode, &self.roots) {
            (_, None) => Arc::new(Anyone(Arc::clone(&provider))),
            (mode, Some(roots)) => {
                let authorities = Arc::new(authorities(roots)?);
                let verifier =
                    WebPkiServerVerifier::builder_with_provider(authorities, Arc::clone(&provider));
                let chain = verifier.build().map_err(|error| ConnectError::File {
                    setting: "database.ca_file",
                    path: roots.path(),
                    why: error.to_string(),
                })?;
                if mode == Mode::VerifyFull {
                    chain
                } else {
                    Arc::new(AnyName(chain))
                }
            }
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ConnectError::Identity)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &self.identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates("database.certificate_file", certificate)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unreadable("database.key_file", key, &error))?;
                config
                    .with_client_auth_cert(chain, key)
                    .map_err(ConnectError::Identity)?
            }
        };
        Ok(MakeRustlsConnect::new(config))
    }
}

impl Roots {
    fn path(&self) -> PathBuf {
        match self {
            Self::System => PathBuf::from("system"),
            Self::File(path) => path.clone(),
        }
    }
}

fn authorities(roots: &Roots) -> Result<RootCertStore, ConnectError> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::System => {
            let found = rustls_native_certs::load_native_certs();
            store.add_parsable_certificates(found.certs);
        }
        Roots::File(path) => {
            store.add_parsable_certificates(certificates("database.ca_file", path)?);
        }
    }
    Ok(store)
}

fn certificates(
    setting: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let read = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(setting, path, &error))?;
    if read.is_empty() {
        return Err(unreadable(setting, path, &pem::Error::NoItemsFound));
    }
    Ok(read)
}

/// A PEM file that is of no use; nothing of it is quoted.
fn unreadable(setting: &'static str, path: &Path, error: &pem::Error) -> ConnectError {
    let why = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "holds nothing of its kind in PEM".to_owned(),
        _ => "is not PEM".to_owned(),
    };
    ConnectError::File {
        setting,
        path: path.to_owned(),
        why,
    }
}

/// Verifies the chain, and not the name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

/// Verifies nothing but that the server holds the key of what it shows.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.0
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is looked at last, so everything else holds.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
