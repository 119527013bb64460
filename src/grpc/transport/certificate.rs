//! Who a client certificate names (SPIFFE X.509-SVID sections 2 to 5, RFC 6125).

use crate::domain::identity::{Identity, InvalidIdentity};
use thiserror::Error;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

/// DNS names of one certificate at most.
const DNS_NAMES: usize = 32;

/// Why a certificate, though its chain holds, names nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateFault {
    /// Its extensions cannot be read.
    #[error("its extensions cannot be read")]
    Unreadable,
    /// An authority's, which proves no workload (X.509-SVID section 5.2).
    #[error("it is an authority's, not a workload's")]
    Authority,
    /// More than one URI SAN (X.509-SVID section 2).
    #[error("it has {0} URI SANs, an X.509-SVID has one")]
    SeveralUris(usize),
    /// Its URI SAN is no SPIFFE ID.
    #[error("its URI SAN {0}")]
    Uri(InvalidIdentity),
    /// Of another trust domain than ours.
    #[error("its SPIFFE ID is of another trust domain")]
    TrustDomain,
    /// Neither a URI nor a DNS SAN.
    #[error("it has neither a SPIFFE ID nor a DNS SAN")]
    Nameless,
    /// Too many DNS names.
    #[error("it has more than {DNS_NAMES} DNS SANs")]
    ManyNames,
}

/// The names of a certificate in DER: its SPIFFE ID, or else its DNS names without
/// wildcards. The subject is never looked at.
///
/// `trust_domain`: the one whose SPIFFE IDs count. `None`: any.
pub fn names(der: &[u8], trust_domain: Option<&str>) -> Result<Vec<Identity>, CertificateFault> {
    let unreadable = |_| CertificateFault::Unreadable;
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| CertificateFault::Unreadable)?;
    let constraints = certificate.basic_constraints().map_err(unreadable)?;
    let usage = certificate.key_usage().map_err(unreadable)?;
    let signs = usage.is_some_and(|usage| usage.value.key_cert_sign() || usage.value.crl_sign());
    if signs || constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err(CertificateFault::Authority);
    }
    let names = certificate.subject_alternative_name().map_err(unreadable)?;
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let uris: Vec<_> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        })
        .collect();
    match uris[..] {
        [] => {}
        [uri] => {
            let identity = Identity::spiffe(uri).map_err(CertificateFault::Uri)?;
            if trust_domain.is_some_and(|ours| identity.trust_domain() != Some(ours)) {
                return Err(CertificateFault::TrustDomain);
            }
            return Ok(vec![identity]);
        }
        _ => return Err(CertificateFault::SeveralUris(uris.len())),
    }
    let mut hosts: Vec<_> = names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Identity::dns(name).ok(),
            _ => None,
        })
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    match hosts.len() {
        0 => Err(CertificateFault::Nameless),
        1..=DNS_NAMES => Ok(hosts),
        _ => Err(CertificateFault::ManyNames),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, KeyUsagePurpose, SanType};

    fn certificate(sans: &[SanType], change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = sans.to_vec();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    fn dns(text: &str) -> SanType {
        SanType::DnsName(text.try_into().unwrap())
    }

    fn read(sans: &[SanType]) -> Result<Vec<String>, CertificateFault> {
        let names = names(&certificate(sans, |_| {}), Some("example.org"))?;
        Ok(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_spiffe_id_stands_before_dns_names() {
        let id = "spiffe://example.org/login";
        assert_eq!(read(&[dns("a.b"), uri(id)]), Ok(vec![id.into()]));
        let names = vec!["dns:a.b".into(), "dns:c.d".into()];
        assert_eq!(read(&[dns("C.d"), dns("a.b"), dns("*.x")]), Ok(names));
    }

    #[test]
    fn each_fault_is_told() {
        use CertificateFault as F;
        let (one, two) = (uri("spiffe://example.org/a"), uri("spiffe://example.org/b"));
        assert_eq!(read(&[one.clone(), two]), Err(F::SeveralUris(2)));
        assert_eq!(read(&[one.clone(), one.clone()]), Err(F::SeveralUris(2)));
        let other = uri("spiffe://example.com/a");
        assert_eq!(read(&[other]), Err(F::TrustDomain));
        let web = uri("https://example.org/a");
        assert_eq!(
            read(&[web, dns("a.b")]),
            Err(F::Uri(InvalidIdentity::Spiffe))
        );
        assert_eq!(read(&[]), Err(F::Nameless));
        assert_eq!(read(&[dns("*.example.org")]), Err(F::Nameless));
        let many: Vec<_> = (0..33).map(|n| dns(&format!("a{n}.b"))).collect();
        assert_eq!(read(&many), Err(F::ManyNames));
        let authority = certificate(std::slice::from_ref(&one), |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        });
        assert_eq!(names(&authority, None), Err(F::Authority));
        let signer = certificate(&[one], |params| {
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        });
        assert_eq!(names(&signer, None), Err(F::Authority));
        assert_eq!(names(b"", None), Err(F::Unreadable));
    }

    /// Names of every kind, so that what is read gets past the outer shell.
    fn san() -> impl Strategy<Value = SanType> {
        prop_oneof![
            "[ -~]{0,40}".prop_map(|text| uri(&text)),
            "spiffe://[a-z./%?#:@-]{0,30}".prop_map(|text| uri(&text)),
            "[ -~]{0,40}".prop_map(|text| dns(&text)),
        ]
    }

    fn cases() -> ProptestConfig {
        let long = std::env::var("COUNTERSIGN_TEST_LONG").is_ok_and(|set| set == "1");
        ProptestConfig::with_cases(if long { 1_000_000 } else { 500 })
    }

    proptest! {
        #![proptest_config(cases())]

        #[test]
        fn no_bytes_panic(sans in prop::collection::vec(san(), 0..3), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            static WHOLE: std::sync::LazyLock<Vec<u8>> =
                std::sync::LazyLock::new(|| certificate(&[uri("spiffe://example.org/a")], |_| {}));
            let mut der = WHOLE.clone();
            let at = at.index(der.len());
            der[at] = byte;
            let _ = names(&der, Some("example.org"));
            let _ = names(&der[..at], None);
            for name in sans {
                if let SanType::URI(text) = name {
                    let _ = Identity::spiffe(text.as_str());
                }
            }
        }
    }
}
