//! The environment variables.

use std::net::IpAddr;

use super::{
    error::{Origin, Problem},
    file::nearest,
    load::Given,
    parse::Raw,
    setting::Setting,
    table::SETTINGS,
};

const PREFIX: &str = "COUNTERSIGN_";

/// Variables with our prefix that other commands read.
const OTHERS: &[&str] = &[
    "COUNTERSIGN_CONFIG",
    "COUNTERSIGN_TARGET",
    "COUNTERSIGN_CLIENT_ID",
    "COUNTERSIGN_CLIENT_SECRET",
    "COUNTERSIGN_CLIENT_SECRET_FILE",
    "COUNTERSIGN_CA_FILE",
    "COUNTERSIGN_CERTIFICATE_FILE",
    "COUNTERSIGN_KEY_FILE",
    "COUNTERSIGN_CACHE_DIR",
    "COUNTERSIGN_DEV_JSON",
];

/// The prefix of variables that only our tests read.
const TESTS: &str = "COUNTERSIGN_TEST_";

/// The process's variables with our prefix, for [`Config::load`](super::Config::load).
///
/// What is not UTF-8 is replaced by U+FFFD, and then refused like any bad value.
pub fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name
            .into_string()
            .ok()
            .filter(|name| name.starts_with(PREFIX))?;
        Some((name, value.to_string_lossy().into_owned()))
    })
}

/// Reads the variables into what they set.
pub(super) fn read(
    environment: impl Iterator<Item = (String, String)>,
    problems: &mut Vec<Problem>,
) -> Vec<Given> {
    let mut variables: Vec<_> = environment
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    variables.sort_unstable();
    variables
        .into_iter()
        .filter_map(|(name, value)| {
            if let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) {
                let origin = Origin::Variable(name);
                return Some(Given {
                    setting,
                    raw: Raw::Word(value),
                    origin,
                });
            }
            if !is_for_others(&name, &value) {
                problems.push(unknown(name));
            }
            None
        })
        .collect()
}

fn is_for_others(name: &str, value: &str) -> bool {
    OTHERS.contains(&name) || name.starts_with(TESTS) || is_kubernetes(name, value)
}

fn unknown(name: String) -> Problem {
    let others = OTHERS.iter().map(|name| (*name).to_owned());
    let known = SETTINGS.iter().map(Setting::variable).chain(others);
    let hint =
        nearest(&name, known).map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Problem {
        key: name.clone(),
        origin: Origin::Variable(name),
        wrong: format!("there is no such setting{hint}"),
        accepted: None,
    }
}

/// Whether Kubernetes put this variable into the pod, for a Service named
/// `countersign` or `countersign-…`.
///
/// It gives `…_SERVICE_HOST`, `…_SERVICE_PORT[_NAME]`, and for compatibility with
/// Docker links `…_PORT` and `…_PORT_7300_TCP[_PROTO|_PORT|_ADDR]`. The value's form is
/// checked too, so that a misspelt setting is not taken for one of them.
fn is_kubernetes(name: &str, value: &str) -> bool {
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
    let is_protocol = |text: &str| ["tcp", "udp", "sctp"].contains(&text);
    let is_url = |text: &str| {
        text.split_once("://").is_some_and(|(protocol, address)| {
            let address = address.rsplit_once(':');
            is_protocol(protocol)
                && address.is_some_and(|(host, port)| {
                    is_address(host.trim_start_matches('[').trim_end_matches(']')) && is_port(port)
                })
        })
    };

    let suffix = &name[PREFIX.len() - 1..];
    if suffix.ends_with("_SERVICE_HOST") {
        return is_address(value);
    }
    if suffix.ends_with("_SERVICE_PORT") || suffix.contains("_SERVICE_PORT_") {
        return is_port(value);
    }
    // The last `_PORT` that a number and a protocol follow, or nothing.
    suffix.match_indices("_PORT").any(|(index, part)| {
        let rest: Vec<&str> = suffix[index + part.len()..].split('_').collect();
        match rest.as_slice() {
            [""] => is_url(value),
            ["", port, protocol, detail @ ..] => {
                is_port(port)
                    && is_protocol(&protocol.to_lowercase())
                    && *protocol == protocol.to_uppercase()
                    && match detail {
                        [] => is_url(value),
                        ["PROTO"] => value.eq_ignore_ascii_case(protocol),
                        ["PORT"] => value == *port,
                        ["ADDR"] => is_address(value),
                        _ => false,
                    }
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::is_for_others;

    #[test]
    fn what_kubernetes_injects_is_tolerated() {
        for (name, value) in [
            ("COUNTERSIGN_SERVICE_HOST", "10.0.0.1"),
            ("COUNTERSIGN_SERVICE_HOST", "fd00::1"),
            ("COUNTERSIGN_SERVICE_PORT", "7300"),
            ("COUNTERSIGN_SERVICE_PORT_GRPC", "7300"),
            ("COUNTERSIGN_PORT", "tcp://10.0.0.1:7300"),
            ("COUNTERSIGN_PORT", "tcp://[fd00::1]:7300"),
            ("COUNTERSIGN_PORT_7300_TCP", "tcp://10.0.0.1:7300"),
            ("COUNTERSIGN_PORT_7300_TCP_PROTO", "tcp"),
            ("COUNTERSIGN_PORT_7300_TCP_PORT", "7300"),
            ("COUNTERSIGN_PORT_7300_TCP_ADDR", "10.0.0.1"),
            ("COUNTERSIGN_POSTGRESQL_SERVICE_HOST", "10.0.0.2"),
            ("COUNTERSIGN_POSTGRESQL_PORT_5432_TCP_ADDR", "10.0.0.2"),
        ] {
            assert!(is_for_others(name, value), "{name}={value}");
        }
    }

    #[test]
    fn other_names_and_values_are_not_kubernetes() {
        for (name, value) in [
            ("COUNTERSIGN_PORT", "7300"),
            ("COUNTERSIGN_PORTS", "tcp://10.0.0.1:7300"),
            ("COUNTERSIGN_LISTEN_PORT", "7300"),
            ("COUNTERSIGN_SERVICE_HOST", "db.example"),
            ("COUNTERSIGN_SERVICE_PORT", "0"),
            ("COUNTERSIGN_PORT_7300", "tcp://10.0.0.1:7300"),
            ("COUNTERSIGN_PORT_7300_tcp", "tcp://10.0.0.1:7300"),
            ("COUNTERSIGN_PORT_7300_TCP_NAME", "x"),
            ("COUNTERSIGN_PORT_7300_TCP_PORT", "7301"),
            ("COUNTERSIGN_", ""),
            ("COUNTERSIGN_TARGETS", "x"),
        ] {
            assert!(!is_for_others(name, value), "{name}={value}");
        }
        assert!(is_for_others("COUNTERSIGN_TARGET", "x"));
        assert!(is_for_others("COUNTERSIGN_TEST_BLESS", "1"));
    }
}
