//! The rules of the check that Envoy asks for.

use super::{
    super::{error::Problem, value::Values},
    callers::{list, text},
};
use crate::sidecar::{is_header_name, parse_origin};
use std::collections::BTreeSet;

/// The settings that name a header.
const HEADERS: [&str; 6] = [
    "sidecar.subject_header",
    "sidecar.client_id_header",
    "sidecar.scopes_header",
    "sidecar.session_id_header",
    "sidecar.token_id_header",
    "sidecar.expires_at_header",
];

/// Checks them.
pub(super) fn check(values: &Values) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |key: &str, origin, wrong: String, accepted: &str| {
        problems.push(Problem {
            key: key.to_owned(),
            origin,
            wrong,
            accepted: Some(accepted.to_owned()),
        });
    };
    if let Some((entries, origin)) = list(values, "sidecar.origins") {
        let mut audiences = BTreeSet::new();
        for entry in entries {
            let why = match parse_origin(entry) {
                None => format!("{entry:?} is no audience with its origin"),
                Some((audience, _)) if !audiences.insert(audience.clone()) => {
                    format!("{entry:?} names {audience:?} again, which has an origin already")
                }
                Some(_) => continue,
            };
            let example = "urn:orders=https://orders.example.org, and each audience once";
            wrong("sidecar.origins", origin.clone(), why, example);
        }
    }
    for key in ["sidecar.scopes", "sidecar.any_scope", "sidecar.principals"] {
        if let Some((entries, origin)) = list(values, key)
            && let Some(bad) = entries
                .iter()
                .find(|entry| entry.contains(char::is_whitespace))
        {
            let why = format!("{bad:?} has a space");
            wrong(key, origin.clone(), why, "one word an entry");
        }
    }
    let mut names: Vec<&str> = Vec::new();
    for key in HEADERS {
        let Some((name, origin)) = text(values, key) else {
            continue;
        };
        if !is_header_name(name) {
            let why = format!("{name:?} is no name of a header that is free to set");
            wrong(
                key,
                origin.clone(),
                why,
                "letters in lower case, digits and -",
            );
        } else if names.contains(&name) {
            let why = format!("{name:?} is the name of another header, too");
            wrong(key, origin.clone(), why, "a name of its own");
        }
        names.push(name);
    }
    problems
}
