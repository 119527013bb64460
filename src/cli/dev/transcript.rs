//! What `countersign dev` prints: where it serves, and what to try.

use super::description::Description;
use crate::cli::{failure::Failure, output};
use std::path::Path;

/// Prints it on stdout, the only place that shows secrets.
pub(super) fn print(dev: &Description, file: &Path) -> Result<(), Failure> {
    let binary = binary();
    let file = file.display();
    let mut text = format!(
        "Countersign serves on {}, and on {} with certificates of {}\n\n",
        dev.endpoint, dev.tls_endpoint, dev.tls_directory
    );
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    line(format!(
        "{:<13} {:<36}  client_secret",
        "client", "client_id"
    ));
    for client in &dev.clients {
        line(format!(
            "{:<13} {}  {}",
            client.name, client.client_id, client.client_secret
        ));
    }
    let subject = dev.subject;
    line(format!("{:<13} {subject}\n", "user"));
    line(format!(
        "Scripts read all of this from {file}. Try, in another terminal:\n"
    ));
    line(format!("export COUNTERSIGN_DEV_JSON={file}"));
    for command in [
        format!("--as issuer token issue --subject {subject} --scope read --with-refresh-token"),
        "--as introspector token introspect ACCESS_TOKEN".to_owned(),
        "--as introspector check --token ACCESS_TOKEN --scope read".to_owned(),
        "--as issuer token rotate REFRESH_TOKEN".to_owned(),
        "--as issuer session revoke --session-id SESSION_ID".to_owned(),
    ] {
        line(format!("{binary} {command}"));
    }
    line("\nCtrl-C stops everything that was started.".to_owned());
    output::write(text.as_bytes()).map(drop)
}

/// How the reader can start this binary from where they are.
fn binary() -> String {
    let Ok(binary) = std::env::current_exe() else {
        return "countersign".to_owned();
    };
    let here = std::env::current_dir().unwrap_or_default();
    binary
        .strip_prefix(&here)
        .unwrap_or(&binary)
        .display()
        .to_string()
}
