//! From the configuration to the listeners.

use crate::{
    app::AppError,
    config::{self, Config},
    domain::identity::Identity,
    grpc::{
        Rates,
        transport::{
            Address, Bound, ClientCertificates, Listeners, MaterialError, Source, Terms, Tls,
            TlsVersion, Trust, bind,
        },
    },
};
use std::{num::NonZeroU32, path::PathBuf, sync::Arc};

/// What the server listens on.
pub(crate) struct Listening {
    /// The listeners, the one of the gRPC port first.
    pub(crate) listeners: Listeners,
    /// Where the gRPC port is.
    pub(crate) address: std::net::SocketAddr,
    /// Where TLS is, if it has an address of its own.
    pub(crate) secure: Option<std::net::SocketAddr>,
    /// Its TLS.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Reads the certificates and binds.
pub(crate) async fn listen(config: &Config) -> Result<Listening, AppError> {
    let tls = tls(&config.tls).await?;
    let proxies: Vec<_> = config
        .forwarded
        .peers
        .iter()
        // The rules of the configuration have read each of them.
        .filter_map(|peer| Identity::parse(peer).ok())
        .collect();
    let trust = Trust::Named(proxies.into());
    let apart = config.tls.listen.filter(|_| tls.is_some());
    let at_main = tls.clone().filter(|_| apart.is_none());
    let main = bind_to(
        "listen",
        &Address::Ip(config.listen),
        at_main,
        trust.clone(),
    )
    .await?;
    let address = main.address().ip().unwrap_or(config.listen);
    let mut listeners = vec![main];
    let mut secure = None;
    if let Some(at) = apart {
        let bound = bind_to("tls.listen", &Address::Ip(at), tls.clone(), trust).await?;
        secure = bound.address().ip();
        listeners.push(bound);
    }
    if let Some(at) = &config.forwarded.listen {
        let at = forwarded(at);
        listeners.push(bind_to("forwarded.listen", &at, None, Trust::Everyone).await?);
    }
    Ok(Listening {
        listeners: Listeners(listeners),
        address,
        secure,
        tls,
    })
}

/// The certificates, if there are to be any.
pub(crate) async fn tls(config: &config::Tls) -> Result<Option<Arc<Tls>>, MaterialError> {
    match source(config) {
        Some(source) => Tls::open(source, terms(config)).await.map(Some),
        None => Ok(None),
    }
}

async fn bind_to(
    setting: &'static str,
    address: &Address,
    tls: Option<Arc<Tls>>,
    trust: Trust,
) -> Result<Bound, AppError> {
    bind(address, tls, trust)
        .await
        .map_err(|source| AppError::Listen {
            setting,
            address: address.to_string(),
            source,
        })
}

fn forwarded(at: &str) -> Address {
    match (at.strip_prefix("unix:"), at.parse()) {
        (None, Ok(address)) => Address::Ip(address),
        (path, _) => Address::Unix(PathBuf::from(path.unwrap_or(at))),
    }
}

fn source(tls: &config::Tls) -> Option<Source> {
    if let Some(endpoint) = &tls.workload_api {
        return Some(Source::WorkloadApi(endpoint.clone()));
    }
    Some(Source::Files {
        certificate: tls.certificate_file.clone()?,
        key: tls.key_file.clone()?,
        client_ca: tls.client_ca_file.clone(),
        trust_domain: tls.trust_domain.clone(),
    })
}

fn terms(tls: &config::Tls) -> Terms {
    Terms {
        client_certificates: match tls.client_certificates {
            config::ClientCertificates::Off => ClientCertificates::Off,
            config::ClientCertificates::Optional => ClientCertificates::Optional,
            config::ClientCertificates::Required => ClientCertificates::Required,
        },
        least: match tls.min_version {
            config::TlsVersion::V12 => TlsVersion::V12,
            config::TlsVersion::V13 => TlsVersion::V13,
        },
    }
}

/// The limits of callers.
pub(crate) fn rates(limits: &config::Limits) -> Rates {
    Rates {
        issue: NonZeroU32::new(limits.issue),
        introspect: NonZeroU32::new(limits.introspect),
        revoke: NonZeroU32::new(limits.revoke),
        directory: NonZeroU32::new(limits.directory),
        server: NonZeroU32::new(limits.server),
        failed_authentications: NonZeroU32::new(limits.failed_authentications),
    }
}

impl From<MaterialError> for AppError {
    fn from(error: MaterialError) -> Self {
        Self::Certificates(error)
    }
}
