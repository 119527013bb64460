//! What `countersign dev` prints: where it serves, and what to try.

use super::description::Description;
use std::path::Path;

/// Prints it on stdout, the only place that shows secrets.
pub(super) fn print(dev: &Description, file: &Path) {
    let binary = binary();
    let file = file.display();
    println!("Countersign serves on {}", dev.endpoint);
    println!();
    println!("{:<13} {:<36}  client_secret", "client", "client_id");
    for client in &dev.clients {
        println!(
            "{:<13} {}  {}",
            client.name, client.client_id, client.client_secret
        );
    }
    println!("user          {}", dev.subject);
    println!();
    println!("Scripts read all of this from {file}. Try, in another terminal:");
    println!();
    println!("export COUNTERSIGN_DEV={file}");
    let subject = dev.subject;
    for command in [
        format!("--as issuer token issue --subject {subject} --scope read --with-refresh-token"),
        "--as introspector token introspect ACCESS_TOKEN".to_owned(),
        "--as issuer token rotate REFRESH_TOKEN".to_owned(),
        "--as issuer session revoke --session-id SESSION_ID".to_owned(),
    ] {
        println!("{binary} {command}");
    }
    println!();
    println!("Ctrl-C stops everything that was started.");
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
