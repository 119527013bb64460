//! Certificates to develop against: an authority, the server's, and one a client.

use super::files;
use crate::cli::{exit::Exit, failure::Failure};
use crate::domain::caller::Role;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

/// The trust domain of the clients' SPIFFE IDs.
const TRUST_DOMAIN: &str = "spiffe://countersign.dev";

/// A directory of certificates and keys.
pub(super) struct Certificates(PathBuf);

/// The SPIFFE ID of a role's client.
pub(super) fn spiffe_id(role: Role) -> String {
    format!("{TRUST_DOMAIN}/{}", role.name())
}

impl Certificates {
    /// Makes all of them for a server at this address, unless they stand there already.
    pub(super) fn make(place: &Path, server: IpAddr) -> Result<Self, Failure> {
        let own = Self(place.to_owned());
        if own.ca().exists() {
            return Ok(own);
        }
        files::make_private_dir(place)?;
        own.fill(server).map_err(|error| match error {
            Trouble::File(failure) => failure,
            Trouble::Certificate(error) => {
                Failure::new(Exit::Refused, format!("cannot make certificates: {error}"))
            }
        })?;
        Ok(own)
    }

    /// The authority.
    pub(super) fn ca(&self) -> PathBuf {
        self.0.join("ca.crt")
    }

    /// A certificate, by the name of its role or `server`.
    pub(super) fn certificate(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.crt"))
    }

    /// The key of that certificate.
    pub(super) fn key(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.key"))
    }

    fn fill(&self, server: IpAddr) -> Result<(), Trouble> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let name = "Countersign development authority";
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![SanType::URI(TRUST_DOMAIN.try_into()?)];
        let key = KeyPair::generate()?;
        let authority = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);

        let names = vec![
            SanType::DnsName("localhost".try_into()?),
            SanType::IpAddress(server),
        ];
        self.sign(&issuer, "server", names)?;
        for role in Role::ALL {
            let id = SanType::URI(spiffe_id(role).try_into()?);
            self.sign(&issuer, role.name(), vec![id])?;
        }
        // Last: where it stands, all of them do.
        Ok(files::write_private(&self.ca(), &authority)?)
    }

    fn sign(
        &self,
        issuer: &Issuer<'_, KeyPair>,
        name: &str,
        names: Vec<SanType>,
    ) -> Result<(), Trouble> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        // An X.509-SVID says that it is no authority's (SPIFFE X.509-SVID section 4.1).
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, issuer)?;
        files::write_private(&self.certificate(name), &certificate.pem())?;
        Ok(files::write_private(&self.key(name), &key.serialize_pem())?)
    }
}

enum Trouble {
    File(Failure),
    Certificate(rcgen::Error),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::File(failure)
    }
}

impl From<rcgen::Error> for Trouble {
    fn from(error: rcgen::Error) -> Self {
        Self::Certificate(error)
    }
}
