//! What a route demands of its requests: the configuration's default, and what Envoy's own
//! configuration says of the route. Nothing of the request itself contributes.

use std::borrow::Cow;
use thiserror::Error;

/// The namespace of metadata that is read, and the prefix of nothing: keys stand bare.
pub(super) const NAMESPACE: &str = "countersign";

/// What a request needs to be let through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirement {
    /// The audience that its token must be for.
    pub audience: Option<String>,
    /// Scopes that it must have, all of them.
    pub scopes: Vec<String>,
    /// Scopes of which it must have one; empty: none.
    pub any_scope: Vec<String>,
    /// A user must stand behind it.
    pub subject_required: bool,
    /// It must be bound to a key.
    pub dpop_required: bool,
    /// A request without a token is let through, too.
    pub anonymous_allowed: bool,
    /// The workloads that may send it, as Envoy knows them; empty: any.
    pub principals: Vec<String>,
}

/// Why a route's requirement makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Misconfigured {
    /// No such key.
    #[error("the route says {0:?}, which is no key of a requirement")]
    UnknownKey(String),
    /// A value that the key does not take.
    #[error("the route says {key:?}, whose value is not {expected}")]
    Value {
        /// The key.
        key: String,
        /// What it takes.
        expected: &'static str,
    },
    /// Said twice, and not the same.
    #[error("the route says {0:?} twice, and not the same")]
    Contradiction(String),
    /// Metadata that nobody can read.
    #[error("the metadata of the route cannot be read")]
    Metadata,
    /// Nobody says which audience tokens are for.
    #[error("neither the route nor sidecar.audience says which audience tokens are for")]
    NoAudience,
    /// A bound token came, and nobody says under which origin its proof was made.
    #[error("neither the audience nor sidecar.origins says the origin of {0:?}")]
    NoOrigin(String),
    /// Not a request of HTTP, or not one whose headers can be read.
    #[error("the check is of no HTTP request, or its headers cannot be read")]
    NoRequest,
}

impl Requirement {
    /// The requirement of a route: each key that it says replaces the default's.
    pub fn of_route(&self, said: &[(&str, Cow<'_, str>)]) -> Result<Self, Misconfigured> {
        let mut own = self.clone();
        for (place, (key, value)) in said.iter().enumerate() {
            match said[..place].iter().find(|(earlier, _)| earlier == key) {
                Some((_, earlier)) if earlier == value => {}
                Some(_) => return Err(Misconfigured::Contradiction((*key).to_owned())),
                None => own.take(key, value)?,
            }
        }
        if own.audience.is_none() {
            return Err(Misconfigured::NoAudience);
        }
        Ok(own)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), Misconfigured> {
        match key {
            "audience" => self.audience = Some(one(key, value)?),
            "scopes" => self.scopes = words(value),
            "any_scope" => self.any_scope = words(value),
            "subject_required" => self.subject_required = truth(key, value)?,
            "dpop_required" => self.dpop_required = truth(key, value)?,
            "anonymous_allowed" => self.anonymous_allowed = truth(key, value)?,
            "principals" => self.principals = words(value),
            _ => return Err(Misconfigured::UnknownKey(key.to_owned())),
        }
        Ok(())
    }

    /// Every scope that it names, for a challenge.
    pub fn all_scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes
            .iter()
            .chain(&self.any_scope)
            .map(String::as_str)
    }
}

fn words(value: &str) -> Vec<String> {
    value.split_ascii_whitespace().map(str::to_owned).collect()
}

fn one(key: &str, value: &str) -> Result<String, Misconfigured> {
    let mut words = value.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some(one), None) => Ok(one.to_owned()),
        _ => Err(Misconfigured::Value {
            key: key.to_owned(),
            expected: "one word",
        }),
    }
}

fn truth(key: &str, value: &str) -> Result<bool, Misconfigured> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Misconfigured::Value {
            key: key.to_owned(),
            expected: "true or false",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(said: &[(&str, &str)]) -> Result<Requirement, Misconfigured> {
        let default = Requirement {
            audience: Some("urn:default".into()),
            scopes: vec!["a".into()],
            ..Requirement::default()
        };
        let said = said.iter().map(|(key, value)| (*key, (*value).into()));
        let said: Vec<_> = said.collect();
        default.of_route(&said)
    }

    #[test]
    fn each_key_replaces_the_default_alone() {
        let own = route(&[("any_scope", "b  c"), ("anonymous_allowed", "true")]).unwrap();
        assert_eq!(own.audience.as_deref(), Some("urn:default"));
        assert_eq!(own.scopes, ["a"]);
        assert_eq!(own.any_scope, ["b", "c"]);
        assert!(own.anonymous_allowed && !own.dpop_required && !own.subject_required);
        let own = route(&[("audience", "urn:own"), ("scopes", "")]).unwrap();
        assert_eq!(
            (own.audience.as_deref(), own.scopes.len()),
            (Some("urn:own"), 0)
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_key() {
        for (said, why) in [
            (
                vec![("scope", "a")],
                Misconfigured::UnknownKey("scope".into()),
            ),
            (
                vec![("Audience", "a")],
                Misconfigured::UnknownKey("Audience".into()),
            ),
            (
                vec![("dpop_required", "yes")],
                Misconfigured::Value {
                    key: "dpop_required".into(),
                    expected: "true or false",
                },
            ),
            (
                vec![("audience", "a b")],
                Misconfigured::Value {
                    key: "audience".into(),
                    expected: "one word",
                },
            ),
            (
                vec![("scopes", "a"), ("scopes", "b")],
                Misconfigured::Contradiction("scopes".into()),
            ),
        ] {
            assert_eq!(route(&said), Err(why));
        }
        assert!(route(&[("scopes", "a"), ("scopes", "a")]).is_ok());
        let nothing = Requirement::default().of_route(&[]);
        assert_eq!(nothing, Err(Misconfigured::NoAudience));
    }
}
