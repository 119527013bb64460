//! The configuration of the private server, as its variables.

use super::home::Home;
use crate::store::DatabaseUrl;

/// What the server is told, and after it what `--set` says.
pub(super) fn of(
    set: &[(String, String)],
    url: &DatabaseUrl,
    home: &Home,
) -> Vec<(String, String)> {
    let path = |name: &str| home.file(name).display().to_string();
    let ours = [
        ("listen", "127.0.0.1:0".to_owned()),
        ("database.url", url.to_url().to_string()),
        ("keys.file", path("keys")),
        ("audit.output", path("audit.jsonl")),
        ("log.format", "json".to_owned()),
        ("shutdown.pause", "0s".to_owned()),
        // The longest there is: a run meets no end of a connection that it did not ask for.
        ("connections.max_age", "1d".to_owned()),
    ];
    let ours = ours.into_iter().map(|(key, value)| (key.to_owned(), value));
    ours.chain(set.iter().cloned())
        .map(|(key, value)| {
            let name = key.replace('.', "_").to_uppercase();
            (format!("COUNTERSIGN_{name}"), value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags};
    use std::time::Duration;

    #[test]
    fn no_connection_is_too_old_for_a_run_unless_that_was_asked_for() {
        let place = tempfile::tempdir().unwrap();
        let home = Home::open(Some(place.path())).unwrap();
        let url = DatabaseUrl::parse("postgres://bench@127.0.0.1/bench").unwrap();
        let age = |set: &[(String, String)]| {
            let variables = of(set, &url, &home).into_iter();
            let config = Config::load(None, variables, Flags::default()).unwrap();
            config.connections.max_age
        };
        assert_eq!(age(&[]), Duration::from_hours(24));
        let asked = ("connections.max_age".to_owned(), "7s".to_owned());
        assert_eq!(age(&[asked]), Duration::from_secs(7));
    }
}
