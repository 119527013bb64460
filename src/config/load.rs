//! From the sources to a checked configuration.

use std::{fs, path::Path};

use zeroize::Zeroizing;

use super::{
    Config, ConfigError, Flags, Secret, environment,
    error::{Origin, Problem},
    file,
    parse::{self, Raw},
    rules,
    setting::{Need, Setting},
    table::SETTINGS,
    value::{Value, Values},
};

/// What one source says about one setting.
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    pub(super) raw: Raw,
    pub(super) origin: Origin,
}

impl Config {
    /// Loads the configuration: `flags` over `environment` over `file` over the
    /// table's defaults.
    ///
    /// Of `environment` only names that begin with `COUNTERSIGN_` are looked at. The
    /// file that `database.url_file` names is read; `keys.file` is not.
    ///
    /// # Errors
    /// Everything that is wrong, in any source, even where another overrides it.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: Flags,
    ) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut values = Values::default();
        let from_file = file.map_or(Some(Vec::new()), |path| file::read(path, &mut problems));
        let file_is_known = from_file.is_some();
        let from_environment = environment::read(environment, &mut problems);
        for given in from_file
            .into_iter()
            .flatten()
            .chain(from_environment)
            .chain(flags.given())
        {
            set(&mut values, given, &mut problems);
        }
        read_secret_files(&mut values, &mut problems);
        // Without the file nobody knows what is missing, or what it would say.
        if file_is_known {
            fill(&mut values, &mut problems);
            rules::check(&values, &mut problems);
        }
        if problems.is_empty() {
            match Self::from_values(&mut values) {
                Ok(config) => return Ok(config),
                Err(key) => problems.push(Problem {
                    key: key.to_owned(),
                    origin: Origin::Nowhere,
                    wrong: "the table of settings and its field disagree".to_owned(),
                    accepted: None,
                }),
            }
        }
        Err(ConfigError { problems })
    }
}

fn set(values: &mut Values, given: Given, problems: &mut Vec<Problem>) {
    let Given {
        setting,
        raw,
        origin,
    } = given;
    let value = parse::parse(setting, raw)
        .map_err(|wrong| problems.push(problem(setting, origin.clone(), wrong)))
        .ok();
    values.set(setting.key, value, origin);
}

fn problem(setting: &Setting, origin: Origin, wrong: String) -> Problem {
    Problem {
        key: setting.key.to_owned(),
        origin,
        wrong,
        accepted: Some(setting.kind.accepts()),
    }
}

/// Fills each secret that a file holds.
fn read_secret_files(values: &mut Values, problems: &mut Vec<Problem>) {
    for setting in SETTINGS {
        let Need::RequiredUnless(file_key, _) = setting.need else {
            continue;
        };
        let Some(slot) = values.get(file_key) else {
            continue;
        };
        let origin = slot.origin.clone();
        if let Some(direct) = values.get(setting.key) {
            problems.push(Problem {
                key: setting.key.to_owned(),
                origin: direct.origin.clone(),
                wrong: format!("{file_key} ({origin}) is set too"),
                accepted: Some("exactly one of the two".to_owned()),
            });
            continue;
        }
        let secret = match &slot.value {
            Some(Value::Path(path)) => match read_secret(path) {
                Ok(secret) => Some(Value::Secret(secret)),
                // Not the path: somebody may have put the secret itself there.
                Err(wrong) => {
                    problems.push(Problem {
                        key: file_key.to_owned(),
                        origin: origin.clone(),
                        wrong: format!("the file that it names {wrong}"),
                        accepted: Some(format!("the path of a file that holds {}", setting.key)),
                    });
                    None
                }
            },
            _ => None,
        };
        values.set(setting.key, secret, origin);
    }
}

fn read_secret(path: &Path) -> Result<Secret, String> {
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|error| format!("cannot be read: {error}"))?;
    match text.trim() {
        "" => Err("is empty".to_owned()),
        secret => Ok(Secret::new(secret.to_owned())),
    }
}

/// Fills the defaults, and names what is missing.
fn fill(values: &mut Values, problems: &mut Vec<Problem>) {
    for setting in SETTINGS {
        if values.get(setting.key).is_some() {
            continue;
        }
        let missing = match setting.need {
            Need::Optional(_) => continue,
            Need::Default(text) => {
                let (raw, origin) = (Raw::Word(text.to_owned()), Origin::Default);
                set(
                    values,
                    Given {
                        setting,
                        raw,
                        origin,
                    },
                    problems,
                );
                continue;
            }
            Need::Required(_) => "it is required".to_owned(),
            Need::RequiredUnless(other, _) => format!("it is required, or {other} instead"),
        };
        let flag = setting
            .flag()
            .map(|flag| format!(" or --{flag}"))
            .unwrap_or_default();
        let wrong = format!(
            "{missing}; set it in the file, or by {}{flag}",
            setting.variable()
        );
        problems.push(problem(setting, Origin::Nowhere, wrong));
    }
}
