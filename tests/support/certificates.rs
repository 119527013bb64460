//! Certificate authorities and what they sign, for tests.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub pem: String,
    /// The same in DER.
    pub der: Vec<u8>,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
    pub certificate_der: Vec<u8>,
    pub key_der: Vec<u8>,
}

/// A SAN that is a URI.
pub fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A SAN that is a DNS name.
pub fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

impl Authority {
    /// A new one; `id`: a SPIFFE trust domain.
    pub fn new(id: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.subject_alt_names = vec![uri(id)];
        // Authorities with one name would be taken for each other.
        let name = format!("test {}", countersign::domain::clock::uuid());
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().to_vec(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Signs for a server and for clients, with these names.
    pub fn sign(&self, names: &[SanType]) -> Pair {
        self.sign_with(names, |_| {})
    }

    /// The same, changed.
    pub fn sign_with(
        &self,
        names: &[SanType],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names.to_vec();
        // An X.509-SVID says that it is no authority's.
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            certificate_der: certificate.der().to_vec(),
            key_der: key.serialize_der(),
        }
    }

    /// A channel to a server whose certificate this authority signed for `localhost`.
    pub fn endpoint(&self, port: u16, client: Option<&Pair>) -> Endpoint {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.pem))
            .domain_name("localhost");
        if let Some(pair) = client {
            tls = tls.identity(Identity::from_pem(&pair.certificate, &pair.key));
        }
        Channel::from_shared(format!("https://127.0.0.1:{port}"))
            .unwrap()
            .tls_config(tls)
            .unwrap()
    }
}
