//! What is on this machine: keys, certificates, addresses, and where records go.

use super::finding::Finding;
use crate::{
    config::{AuditOutput, Config},
    domain::{clock, keys::KeyRing},
    keyfile::load_key_file,
    listening,
};
use chrono::TimeDelta;
use std::{fs::OpenOptions, path::Path, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// A minting key that is older is worth another.
const KEY_AGE: TimeDelta = TimeDelta::days(365);
/// A certificate from files that ends sooner should have been renewed by now.
const CERTIFICATE_LEFT: TimeDelta = TimeDelta::days(14);
/// How long a place on the network may be silent.
const PATIENCE: Duration = Duration::from_secs(3);

/// The key file, and its ring if it can be read.
pub(super) fn keys(config: &Config) -> (Finding, Option<KeyRing>) {
    let what = "keys.file";
    let ring = match load_key_file(&config.keys.file) {
        Ok(ring) => ring,
        Err(problem) => {
            let remedy = "give the server the key file of the other replicas; only a first \
                          installation makes one, with `countersign keys generate`";
            return (Finding::trouble(what, problem, remedy), None);
        }
    };
    let minting = ring.minting();
    let age = minting.made().map(|made| clock::now() - made);
    let days = age.map_or_else(
        || "of unknown age".to_owned(),
        |age| format!("{} days old", age.num_days()),
    );
    let found = format!(
        "{} keys; {} mints, {days}",
        ring.ids().count(),
        minting.id()
    );
    let finding = if age.is_some_and(|age| age > KEY_AGE) {
        let remedy = "roll it over: `countersign keys add`, roll out, `countersign keys promote`";
        Finding::advice(what, found, remedy)
    } else {
        Finding::ok(what, found)
    };
    (finding, Some(ring))
}

/// The server's certificate, its key and its callers' authorities.
pub(super) async fn certificates(config: &Config) -> Vec<Finding> {
    let what = "tls";
    let loopback = config.listen.ip().is_loopback();
    let tls = match timeout(PATIENCE, listening::tls(&config.tls)).await {
        Ok(Ok(Some(tls))) => tls,
        Ok(Ok(None)) if loopback => return Vec::new(),
        Ok(Ok(None)) => {
            let found = format!(
                "tokens and secrets travel in the clear to {}",
                config.listen
            );
            let remedy = "set tls.certificate_file and tls.key_file, or tls.workload_api; or let \
                          a mesh's proxy be the only way to this port";
            return vec![Finding::advice(what, found, remedy)];
        }
        Ok(Err(error)) => {
            let remedy = "the server starts only with a certificate, its key and the authorities \
                          that fit";
            return vec![Finding::trouble(what, error, remedy)];
        }
        Err(_) => {
            let remedy = "see that the agent runs, that its socket is mounted, and that it has \
                          an entry for this workload";
            let found = "the Workload API does not answer";
            return vec![Finding::trouble(what, found, remedy)];
        }
    };
    let Some(left) = tls.current().left() else {
        return vec![Finding::ok(what, "the certificate does not tell its end")];
    };
    let found = format!("the certificate is good for {}", spoken(left));
    vec![if left <= TimeDelta::zero() {
        let remedy = "renew it; the server reads it again by itself";
        Finding::trouble(what, "the certificate has expired", remedy)
    } else if left < CERTIFICATE_LEFT && config.tls.workload_api.is_none() {
        Finding::advice(what, found, "see why it was not renewed yet")
    } else {
        Finding::ok(what, found)
    }]
}

fn spoken(left: TimeDelta) -> String {
    match (left.num_days(), left.num_hours()) {
        (0, hours) => format!("{hours} hours"),
        (days, _) => format!("{days} days"),
    }
}

/// How callers and watchers reach it.
pub(super) fn edge(config: &Config) -> Finding {
    let what = "watching";
    let watched = config.metrics.listen.is_some() || config.telemetry.endpoint.is_some();
    match (watched, config.health.listen) {
        (true, Some(_)) => Finding::ok(what, "metrics and a port for kubelets"),
        (true, None) => Finding::ok(what, "metrics; health on the port of the calls alone"),
        (false, _) => Finding::advice(
            what,
            "nobody sees its metrics",
            "set metrics.listen for Prometheus, or telemetry.endpoint for a collector",
        ),
    }
}

/// Where audit records go.
pub(super) fn audit(output: &AuditOutput) -> Finding {
    let what = "audit.output";
    let path = match output {
        AuditOutput::Stderr => return Finding::ok(what, "stderr"),
        AuditOutput::Stdout => return Finding::ok(what, "stdout"),
        AuditOutput::File(path) => path,
    };
    let remedy = "let the server's user append to it, and see that the disk has room";
    let found = path.display();
    if path.exists() {
        return match OpenOptions::new().append(true).open(path) {
            Ok(_) => Finding::ok(what, found),
            Err(error) => Finding::trouble(what, format!("{found}: {error}"), remedy),
        };
    }
    let home = path.parent().unwrap_or(Path::new("."));
    if home.is_dir() {
        Finding::ok(what, format!("{found}, which will be made"))
    } else {
        let remedy = "make the directory, and let the server's user write there";
        Finding::trouble(
            what,
            format!("{}: no such directory", home.display()),
            remedy,
        )
    }
}

/// Whether the collector can be reached.
pub(super) async fn telemetry(config: &Config) -> Option<Finding> {
    let what = "telemetry.endpoint";
    let endpoint = config.telemetry.endpoint.as_deref()?;
    let remedy = "calls go on without it; what it does not get is counted in \
                  countersign_telemetry_dropped_total";
    let uri: http::Uri = endpoint.parse().unwrap_or_default();
    let (host, port) = place_of(&uri);
    Some(
        match timeout(PATIENCE, TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => Finding::ok(what, format!("{host} answers")),
            Ok(Err(error)) => Finding::advice(what, format!("{host}: {error}"), remedy),
            Err(_) => Finding::advice(what, format!("{host} is silent"), remedy),
        },
    )
}

/// Where the exporter sends to: without a port to that of the scheme.
fn place_of(uri: &http::Uri) -> (&str, u16) {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let usual = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    (host, uri.port_u16().unwrap_or(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_without_a_port_is_at_that_of_its_scheme() {
        for (endpoint, place) in [
            ("http://otel.example", ("otel.example", 80)),
            ("https://otel.example/v1", ("otel.example", 443)),
            ("http://[::1]:4317", ("::1", 4317)),
        ] {
            assert_eq!(place_of(&endpoint.parse().unwrap()), place, "{endpoint}");
        }
    }
}
