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
    certificates(values, &mut problems);
    let asked = client_certificates(values, &mut problems);
    peers(values, asked, &mut problems);
    listener(values, &mut problems);
    problems
}

fn wrong(problems: &mut Vec<Problem>, key: &str, origin: &Origin, wrong: String, accepted: &str) {
    problems.push(Problem {
        key: key.to_owned(),
        origin: origin.clone(),
        wrong,
        accepted: Some(accepted.to_owned()),
    });
}

fn set<'a>(values: &'a Values, key: &str) -> Option<&'a Origin> {
    values.get(key).map(|slot| &slot.origin)
}

/// Whether the server has certificates of its own.
fn has_tls(values: &Values) -> bool {
    let files = ["tls.certificate_file", "tls.key_file"];
    set(values, "tls.workload_api").is_some() || files.iter().all(|key| set(values, key).is_some())
}

/// The server's own certificates, and what is of no use without them.
fn certificates(values: &Values, problems: &mut Vec<Problem>) {
    let set = |key: &str| set(values, key);
    let (certificate, key) = (set("tls.certificate_file"), set("tls.key_file"));
    for (one, other, at) in [
        ("tls.certificate_file", key, certificate),
        ("tls.key_file", certificate, key),
    ] {
        if let (Some(origin), None) = (at, other) {
            let why = "is set, but of tls.certificate_file and tls.key_file only one";
            wrong(problems, one, origin, why.into(), "both or none");
        }
        if let (Some(origin), Some(_)) = (at, set("tls.workload_api")) {
            let why = "is set beside tls.workload_api, which gives certificate and key";
            wrong(
                problems,
                one,
                origin,
                why.into(),
                "files or the Workload API",
            );
        }
    }
    for needs_files in ["tls.client_ca_file", "tls.trust_domain"] {
        if let (Some(origin), false) = (set(needs_files), certificate.is_some()) {
            let why = "is of no use without tls.certificate_file";
            let accepted = "none, or certificates from files";
            wrong(problems, needs_files, origin, why.into(), accepted);
        }
    }
    if let Some((name, origin)) = text(values, "tls.trust_domain") {
        let id = Identity::spiffe(&format!("spiffe://{name}/workload"));
        if !id.is_ok_and(|id| id.trust_domain() == Some(name)) {
            let why =
                format!("{name:?} is not a trust domain, so that nobody's SPIFFE ID would count");
            let accepted = "the name alone, in lower case, like example.org";
            wrong(problems, "tls.trust_domain", origin, why, accepted);
        }
    }
    if let (Some(origin), false) = (set("tls.listen"), has_tls(values)) {
        let why = "is of no use without certificates";
        let accepted = "none, or certificates";
        wrong(problems, "tls.listen", origin, why.into(), accepted);
    }
}

/// Whether callers are asked for certificates.
fn client_certificates(values: &Values, problems: &mut Vec<Problem>) -> bool {
    let asked = values.get("tls.client_certificates").filter(|slot| {
        let asked = slot.value.clone().and_then(ClientCertificates::from_value);
        asked.is_some_and(|asked| asked != ClientCertificates::Off)
    });
    let authorities = ["tls.workload_api", "tls.client_ca_file"];
    let authorities = authorities.iter().any(|key| set(values, key).is_some());
    if let Some(slot) = asked.filter(|_| !(has_tls(values) && authorities)) {
        let key = "tls.client_certificates";
        let why =
            "needs certificates of the server's own, and tls.client_ca_file or tls.workload_api";
        wrong(problems, key, &slot.origin, why.into(), "off, without them");
    }
    asked.is_some()
}

/// The proxies whose word counts, by their certificates.
fn peers(values: &Values, asked: bool, problems: &mut Vec<Problem>) {
    let key = "forwarded.peers";
    let Some((peers, origin)) = list(values, key) else {
        return;
    };
    if !peers.is_empty() && !asked {
        let why = "names certificates, but tls.client_certificates is off";
        let accepted = "none, or client certificates";
        wrong(problems, key, origin, why.into(), accepted);
    }
    for peer in peers {
        if let Err(why) = Identity::parse(peer) {
            let example = "spiffe://example.org/gateway or dns:gateway.example.org";
            wrong(problems, key, origin, format!("{peer:?} {why}"), example);
        }
    }
}

/// Where proxies connect whose word counts without a certificate.
fn listener(values: &Values, problems: &mut Vec<Problem>) {
    let key = "forwarded.listen";
    let Some((listen, origin)) = text(values, key) else {
        return;
    };
    let unix = listen
        .strip_prefix("unix:")
        .is_some_and(|path| path.starts_with('/'));
    let loopback = listen
        .parse()
        .is_ok_and(|address: SocketAddr| address.ip().is_loopback());
    if !unix && !loopback {
        let why = format!("{listen:?} is reachable by others, or no address");
        let example = "unix:/path, 127.0.0.1:7301 or [::1]:7301";
        wrong(problems, key, origin, why, example);
    }
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
