//! The table as text: the effective configuration, the example file, the handbook.

use std::fmt::Write as _;

use super::{
    Config,
    parse::{self, Raw},
    setting::{Kind, Need, Setting, join},
    table::{SECTIONS, SETTINGS},
    value::Value,
};
use crate::domain::limits::FIXED;

/// The columns of a comment in the example file.
const WIDTH: usize = 88;

impl Config {
    /// The keys whose values differ in `other`, but for the one that is reloaded: the log's
    /// level.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let shown = |value: Option<Value>| match value {
            // Compared here, and shown to nobody.
            Some(Value::Secret(secret)) => Some(secret.expose().to_owned()),
            Some(value) => Some(format!("{value:?}")),
            None => None,
        };
        self.values()
            .zip(other.values())
            .filter(|((setting, own), (_, others))| {
                setting.key != "log.level" && shown(own.clone()) != shown(others.clone())
            })
            .map(|((setting, _), _)| setting.key)
            .collect()
    }

    /// The effective configuration as TOML that loads again, once the secrets are set:
    /// their lines are comments.
    pub fn print(&self) -> String {
        let mut text = "# The effective configuration. Secrets are left out.\n".to_owned();
        let mut section = None;
        for (setting, value) in self.values() {
            heading(&mut text, &mut section, setting, |_| String::new());
            let line = match value {
                Some(value) => match setting.kind.toml(&value) {
                    Some(toml) => format!("{} = {toml}", setting.name()),
                    None => format!("# {} = \"[secret]\"", setting.name()),
                },
                None => format!("# {} is not set", setting.name()),
            };
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

/// The example file: every setting, what it means, its default and its bounds.
pub fn example() -> String {
    let mut text = wrap(
        "Every setting of `countersign serve`. A commented line shows the default, or an example \
         where there is none. An environment variable (COUNTERSIGN_ROTATION_GRACE) overrides \
         this file, and a flag (--rotation-grace) overrides both. Relative paths are read from \
         the working directory. docs/configuration.md has the same as a table.",
    );
    let mut section = None;
    for setting in SETTINGS {
        let about = |name| {
            let about = SECTIONS.iter().find(|(section, _)| *section == name);
            about.map_or_else(String::new, |(_, about)| wrap(about))
        };
        heading(&mut text, &mut section, setting, about);
        let (line, standing) = match setting.need {
            Need::Default(value) => (
                assignment(setting, value, "#"),
                format!("Default: {value}."),
            ),
            Need::Required(value) => (assignment(setting, value, ""), "Required.".to_owned()),
            Need::RequiredUnless(other, value) => (
                assignment(setting, value, ""),
                format!("Required, unless {other} is set."),
            ),
            Need::Optional(value) => (assignment(setting, value, "#"), "Optional.".to_owned()),
        };
        if setting.section().is_none() || !text.ends_with("]\n") {
            text.push('\n');
        }
        text.push_str(&wrap(&setting.documentation()));
        text.push_str(&wrap(&format!(
            "{standing} Accepted: {}.",
            setting.kind.accepts()
        )));
        text.push_str(&line);
    }
    text
}

/// The handbook's page of settings and fixed limits.
pub fn handbook() -> String {
    let mut text = "# Configuration\n\n\
        <!-- Generated from the table of settings: COUNTERSIGN_TEST_BLESS=1 cargo test --lib config -->\n\n\
        `countersign serve` reads a TOML file, environment variables and flags.\n\
        A flag overrides a variable, a variable the file, and the file the default.\n\
        `rotation.grace` is `grace` in the section `[rotation]`, the variable `COUNTERSIGN_ROTATION_GRACE` and the flag `--rotation-grace`.\n\
        A secret has no flag, because every user of the machine can read a command line.\n\
        Anything unknown or out of bounds is refused with exit code 64, all of it at once, each by its exact key.\n\
        `--print-config` prints what is in effect.\n\n\
        A duration carries its unit: `250ms`, `30s`, `10m`, `12h`, `7d`.\n\
        A number of bytes may carry one: `64KiB`, `4MiB`, `1GiB`.\n\
        Relative paths are read from the working directory.\n"
        .to_owned();
    let mut section = Some("");
    for setting in SETTINGS {
        if section != setting.section() {
            section = setting.section();
            match SECTIONS.iter().find(|(name, _)| Some(*name) == section) {
                Some((name, about)) => {
                    let _ = writeln!(text, "\n## `{name}`\n\n{about}\n");
                }
                None => text.push_str("\n## Settings without a section\n\n"),
            }
            text.push_str("| setting | meaning | accepted | default |\n|---|---|---|---|\n");
        }
        let default = match setting.need {
            Need::Default(value) => format!("`{value}`"),
            Need::Required(_) => "required".to_owned(),
            Need::RequiredUnless(other, _) => format!("required, unless `{other}` is set"),
            Need::Optional(_) => "not set".to_owned(),
        };
        row(
            &mut text,
            &[
                &format!("`{}`", setting.key),
                &setting.documentation(),
                &setting.kind.accepts(),
                &default,
            ],
        );
    }
    text.push_str("\n## Fixed limits\n\nNo setting moves these.\n\n");
    text.push_str("| limit | value | meaning |\n|---|---|---|\n");
    for limit in FIXED {
        let name = format!("`{}`", limit.name);
        row(
            &mut text,
            &[&name, &limit.value.to_string(), &join(limit.meaning)],
        );
    }
    text
}

/// Writes a section's heading where one begins.
fn heading(
    text: &mut String,
    current: &mut Option<&'static str>,
    setting: &Setting,
    about: impl Fn(&'static str) -> String,
) {
    if let Some(name) = setting.section().filter(|name| Some(*name) != *current) {
        *current = Some(name);
        let _ = write!(text, "\n{}[{name}]\n", about(name));
    }
}

/// `name = value` as TOML, behind `comment`.
fn assignment(setting: &Setting, value: &str, comment: &str) -> String {
    let quoted = || toml::Value::String(value.to_owned()).to_string();
    let toml = match setting.kind {
        Kind::Integer(_) | Kind::Bool | Kind::Ratio | Kind::List(_) => {
            let parsed = parse::parse(setting, Raw::Word(value.to_owned())).ok();
            parsed
                .and_then(|value| setting.kind.toml(&value))
                .unwrap_or_else(quoted)
        }
        _ => quoted(),
    };
    format!("{comment}{} = {toml}\n", setting.name())
}

fn row(text: &mut String, cells: &[&str]) {
    for cell in cells {
        let _ = write!(text, "| {} ", cell.replace('|', "\\|"));
    }
    text.push_str("|\n");
}

/// Comment lines of at most [`WIDTH`] columns.
fn wrap(text: &str) -> String {
    let mut lines = String::new();
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line.truncate(1);
        }
        line.push(' ');
        line.push_str(word);
    }
    lines + &line + "\n"
}
