//! The rules of TLS and of proxies.

use super::super::{
    choices::ClientCertificates,
    error::{Origin, Problem},
    value::{Field as _, Value, Values},
};
use crate::domain::identity::Identity;
use std::net::SocketAddr;

/// Checks them.
pub(super) fn check(values: &Values) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |key: &str, origin: &Origin, wrong: String, accepted: &str| {
        problems.push(Problem {
            key: key.to_owned(),
            origin: origin.clone(),
            wrong,
            accepted: Some(accepted.to_owned()),
        });
    };
    let set = |key: &str| values.get(key).map(|slot| &slot.origin);
    let (certificate, key) = (set("tls.certificate_file"), set("tls.key_file"));
    let workload_api = set("tls.workload_api");
    for (one, other, at) in [
        ("tls.certificate_file", key, certificate),
        ("tls.key_file", certificate, key),
    ] {
        if let (Some(origin), None) = (at, other) {
            let why = "is set, but of tls.certificate_file and tls.key_file only one";
            wrong(one, origin, why.into(), "both or none");
        }
        if let (Some(origin), Some(_)) = (at, workload_api) {
            let why = "is set beside tls.workload_api, which gives certificate and key";
            wrong(one, origin, why.into(), "files or the Workload API");
        }
    }
    let tls = workload_api.is_some() || (certificate.is_some() && key.is_some());
    let authorities = workload_api.is_some() || set("tls.client_ca_file").is_some();
    for needs_files in ["tls.client_ca_file", "tls.trust_domain"] {
        if let (Some(origin), false) = (set(needs_files), certificate.is_some()) {
            let why = "is of no use without tls.certificate_file";
            wrong(
                needs_files,
                origin,
                why.into(),
                "none, or certificates from files",
            );
        }
    }
    if let Some((name, origin)) = text(values, "tls.trust_domain") {
        let id = Identity::spiffe(&format!("spiffe://{name}/workload"));
        if !id.is_ok_and(|id| id.trust_domain() == Some(name)) {
            let why =
                format!("{name:?} is no trust domain, so that nobody's SPIFFE ID would count");
            let example = "the name alone, in lower case: example.org";
            wrong("tls.trust_domain", origin, why, example);
        }
    }
    if let (Some(origin), false) = (set("tls.listen"), tls) {
        let why = "is of no use without certificates";
        wrong("tls.listen", origin, why.into(), "none, or certificates");
    }
    let asked = values.get("tls.client_certificates").filter(|slot| {
        let asked = slot.value.clone().and_then(ClientCertificates::from_value);
        asked.is_some_and(|asked| asked != ClientCertificates::Off)
    });
    if let Some(slot) = asked.filter(|_| !(tls && authorities)) {
        let why =
            "needs certificates of the server's own, and tls.client_ca_file or tls.workload_api";
        wrong(
            "tls.client_certificates",
            &slot.origin,
            why.into(),
            "off, without them",
        );
    }
    if let Some((peers, origin)) = list(values, "forwarded.peers") {
        if !peers.is_empty() && asked.is_none() {
            let why = "names certificates, but tls.client_certificates is off";
            wrong(
                "forwarded.peers",
                origin,
                why.into(),
                "none, or client certificates",
            );
        }
        for peer in peers {
            if let Err(why) = Identity::parse(peer) {
                let example = "spiffe://example.org/gateway or dns:gateway.example.org";
                wrong(
                    "forwarded.peers",
                    origin,
                    format!("{peer:?} {why}"),
                    example,
                );
            }
        }
    }
    if let Some((listen, origin)) = text(values, "forwarded.listen") {
        let unix = listen
            .strip_prefix("unix:")
            .is_some_and(|path| path.starts_with('/'));
        let loopback = listen
            .parse()
            .is_ok_and(|address: SocketAddr| address.ip().is_loopback());
        if !unix && !loopback {
            let why = format!("{listen:?} is reachable by others, or no address");
            let example = "unix:/path, 127.0.0.1:7301 or [::1]:7301";
            wrong("forwarded.listen", origin, why, example);
        }
    }
    problems
}

pub(super) fn list<'a>(values: &'a Values, key: &str) -> Option<(&'a [String], &'a Origin)> {
    let slot = values.get(key)?;
    match &slot.value {
        Some(Value::List(list)) => Some((list, &slot.origin)),
        _ => None,
    }
}

pub(super) fn text<'a>(values: &'a Values, key: &str) -> Option<(&'a str, &'a Origin)> {
    let slot = values.get(key)?;
    match &slot.value {
        Some(Value::Text(text)) => Some((text, &slot.origin)),
        _ => None,
    }
}
