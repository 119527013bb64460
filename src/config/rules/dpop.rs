//! The rules of DPoP.

use super::{
    super::{error::Problem, value::Values},
    callers::list,
};
use crate::domain::dpop::{Algorithm, Origin};

/// Checks them.
pub(super) fn check(values: &Values) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut each = |key: &str, accepted: &str, why: &dyn Fn(&str) -> Option<String>| {
        let Some((entries, origin)) = list(values, key) else {
            return;
        };
        for (at, entry) in entries.iter().enumerate() {
            let repeated = entries[..at]
                .contains(entry)
                .then(|| "appears twice".to_owned());
            if let Some(why) = why(entry).or(repeated) {
                problems.push(Problem {
                    key: key.to_owned(),
                    origin: origin.clone(),
                    wrong: format!("{entry:?} {why}"),
                    accepted: Some(accepted.to_owned()),
                });
            }
        }
    };
    each("dpop.origins", "https://tokens.example.org", &|origin| {
        Origin::parse(origin).err().map(|why| why.to_string())
    });
    let names = Algorithm::ALL.map(Algorithm::name).join(", ");
    each("dpop.algorithms", &names, &|name| {
        let known = Algorithm::from_name(name).is_some();
        (!known).then(|| "is not an algorithm that is taken".to_owned())
    });
    problems
}
