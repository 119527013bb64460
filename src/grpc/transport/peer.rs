//! Who is at the other end of a connection, read once when it opens.

use super::certificate::CertificateFault;
use crate::domain::identity::Identity;
use std::{net::SocketAddr, sync::Arc};

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Peer(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    address: Option<SocketAddr>,
    names: Result<Vec<Identity>, CertificateFault>,
    proxy: bool,
}

/// Whose word about a caller counts.
#[derive(Debug, Clone)]
pub enum Trust {
    /// That of peers whose certificate names one of these.
    Named(Arc<[Identity]>),
    /// That of everyone who connects here.
    Everyone,
}

impl Peer {
    pub(super) fn new(
        address: Option<SocketAddr>,
        names: Result<Vec<Identity>, CertificateFault>,
        trust: &Trust,
    ) -> Self {
        let proxy = match trust {
            Trust::Everyone => true,
            Trust::Named(proxies) => {
                let listed = |name| proxies.contains(name);
                names.as_ref().is_ok_and(|names| names.iter().any(listed))
            }
        };
        Self(Arc::new(Parts {
            address,
            names,
            proxy,
        }))
    }

    /// Where it connects from; a Unix socket has no address.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address
    }

    /// What its certificate names; empty without one.
    pub fn names(&self) -> Result<&[Identity], &CertificateFault> {
        self.0.names.as_deref()
    }

    /// Whether its own certificate names this.
    pub fn is(&self, identity: &Identity) -> bool {
        self.names().is_ok_and(|names| names.contains(identity))
    }

    /// It is a proxy, that speaks for others and never for itself.
    pub fn is_proxy(&self) -> bool {
        self.0.proxy
    }
}
