//! Names by which a certificate, or a mesh on its behalf, proves a workload.

use spiffe::SpiffeId;
use std::{fmt, sync::Arc};
use thiserror::Error;

/// Longest SPIFFE ID in bytes (SPIFFE-ID section 2.3).
const SPIFFE_ID_BYTES: usize = 2048;
/// Longest DNS name in bytes without its final dot, and longest label (RFC 1035 section 2.3.4).
const DNS_NAME_BYTES: usize = 253;
const DNS_LABEL_BYTES: usize = 63;
const DNS: &str = "dns:";

/// A workload's name, in its one canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// A SPIFFE ID with a path, `spiffe://trust-domain/path`.
    Spiffe(Arc<str>),
    /// A DNS name in lower case.
    Dns(Arc<str>),
}

/// Why a text is no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidIdentity {
    /// Not by the rules of SPIFFE-ID section 2.
    #[error("is not a SPIFFE ID")]
    Spiffe,
    /// Names a trust domain, and nobody in it.
    #[error("is a SPIFFE ID without a path, which names a trust domain and no workload")]
    SpiffeWithoutPath,
    /// Not a host name (RFC 1123 section 2.1).
    #[error("is not a DNS name")]
    Dns,
    /// Of neither form.
    #[error("is neither a SPIFFE ID, spiffe://…, nor a DNS name, dns:…")]
    Form,
}

impl Identity {
    /// Reads a SPIFFE ID (SPIFFE-ID section 2) of a workload.
    pub fn spiffe(id: &str) -> Result<Self, InvalidIdentity> {
        if id.len() > SPIFFE_ID_BYTES {
            return Err(InvalidIdentity::Spiffe);
        }
        let read = SpiffeId::new(id).map_err(|_| InvalidIdentity::Spiffe)?;
        if read.path().is_empty() {
            return Err(InvalidIdentity::SpiffeWithoutPath);
        }
        let canonical = read.to_string();
        if canonical != id {
            return Err(InvalidIdentity::Spiffe);
        }
        Ok(Self::Spiffe(canonical.into()))
    }

    /// Reads a DNS name, whatever its case (RFC 1123 section 2.1); no wildcard.
    pub fn dns(name: &str) -> Result<Self, InvalidIdentity> {
        let label = |label: &str| {
            (1..=DNS_LABEL_BYTES).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if name.len() > DNS_NAME_BYTES || !name.split('.').all(label) {
            return Err(InvalidIdentity::Dns);
        }
        Ok(Self::Dns(name.to_ascii_lowercase().into()))
    }

    /// Reads the form that [`Display`](fmt::Display) writes.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentity> {
        if let Some(name) = text.strip_prefix(DNS) {
            return Self::dns(name);
        }
        if spiffe::spiffe_id::uri_has_spiffe_scheme(text) {
            return Self::spiffe(text);
        }
        Err(InvalidIdentity::Form)
    }

    /// The trust domain of a SPIFFE ID.
    pub fn trust_domain(&self) -> Option<&str> {
        match self {
            Self::Spiffe(id) => id.split('/').nth(2),
            Self::Dns(_) => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spiffe(id) => to.write_str(id),
            Self::Dns(name) => write!(to, "{DNS}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spiffe_ids_follow_the_rules() {
        let id = Identity::spiffe("spiffe://example.org/ns/prod/sa/login").unwrap();
        assert_eq!(id.trust_domain(), Some("example.org"));
        assert_eq!(Identity::parse(&id.to_string()), Ok(id));
        let without = Err(InvalidIdentity::SpiffeWithoutPath);
        assert_eq!(Identity::spiffe("spiffe://example.org"), without);
        for bad in [
            "",
            "spiffe://",
            "spiffe:///path",
            "spiffe://EXAMPLE.org/a",
            "spiffe://example.org/a/",
            "spiffe://example.org//a",
            "spiffe://example.org/a/../b",
            "spiffe://example.org/.",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a#b",
            "spiffe://example.org/%61",
            "spiffe://example.org:80/a",
            "spiffe://user@example.org/a",
            "spiffe://example.org/ä",
            "https://example.org/a",
        ] {
            assert!(Identity::spiffe(bad).is_err(), "{bad}");
        }
        let long = format!("spiffe://example.org/{}", "a".repeat(2048));
        assert!(Identity::spiffe(&long).is_err());
    }

    #[test]
    fn dns_names_are_host_names_in_lower_case() {
        let name = Identity::dns("Login.Prod.Example").unwrap();
        assert_eq!(name.to_string(), "dns:login.prod.example");
        assert_eq!(Identity::parse("dns:login.prod.example"), Ok(name));
        let long = format!("{}.example", "a".repeat(64));
        for bad in [
            "",
            ".",
            "a..b",
            "a.",
            "*.example",
            "-a",
            "a-",
            "a_b",
            "ä",
            &long,
        ] {
            assert_eq!(Identity::dns(bad), Err(InvalidIdentity::Dns), "{bad}");
        }
        assert_eq!(Identity::parse("login"), Err(InvalidIdentity::Form));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_written_the_same(text in ".*") {
            let read = [Identity::parse(&text), Identity::spiffe(&text), Identity::dns(&text)];
            for identity in read.into_iter().flatten() {
                prop_assert_eq!(Identity::parse(&identity.to_string()), Ok(identity));
            }
        }
    }
}
