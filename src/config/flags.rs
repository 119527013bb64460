//! The command-line flags.

use clap::{Arg, ArgMatches, Command};

use super::{
    error::Origin,
    load::Given,
    parse::Raw,
    setting::{Kind, Need, Setting},
    table::SETTINGS,
};

/// The flags that were given, unchecked; [`Config::load`](super::Config::load) checks them.
#[derive(Debug, Clone, Default)]
pub struct Flags(Vec<(&'static Setting, String, String)>);

/// Adds a flag for every setting that is not a secret, under one help heading.
pub fn add_flags(command: Command) -> Command {
    command.args(
        SETTINGS
            .iter()
            .filter_map(|setting| Some(arg(setting, setting.flag()?))),
    )
}

/// Reads the flags that [`add_flags`] added.
pub fn read_flags(matches: &ArgMatches) -> Flags {
    let given = SETTINGS.iter().filter_map(|setting| {
        let value = matches.try_get_one::<String>(setting.key).ok()??;
        Some((setting, setting.flag()?, value.clone()))
    });
    Flags(given.collect())
}

impl Flags {
    pub(super) fn given(self) -> impl Iterator<Item = Given> {
        self.0.into_iter().map(|(setting, flag, value)| Given {
            setting,
            raw: Raw::Word(value),
            origin: Origin::Flag(flag),
        })
    }
}

fn arg(setting: &Setting, flag: String) -> Arg {
    let default = match setting.need {
        Need::Default(default) => format!(" [default: {default}]"),
        Need::Required(_) | Need::RequiredUnless(..) | Need::Optional(_) => String::new(),
    };
    let arg = Arg::new(setting.key)
        .long(flag)
        .value_name(value_name(&setting.kind))
        .help(format!("{}{default}", setting.documentation()))
        .help_heading("Configuration");
    match setting.kind {
        // Alone, it means true.
        Kind::Bool => arg
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
        // A negative number gets our own refusal, which names what is accepted.
        Kind::Integer(_) | Kind::Bytes(_) | Kind::Ratio | Kind::Duration(_) => {
            arg.allow_hyphen_values(true)
        }
        _ => arg,
    }
}

fn value_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Socket => "ADDRESS",
        Kind::Text(_) | Kind::Secret => "TEXT",
        Kind::Path => "PATH",
        Kind::Duration(_) => "DURATION",
        Kind::Integer(_) | Kind::Ratio => "NUMBER",
        Kind::Bytes(_) => "BYTES",
        Kind::Bool => "BOOL",
        Kind::Words(_) => "WORD",
        Kind::WordsOrPath(_) => "WORD|PATH",
        Kind::List(_) => "A,B",
    }
}
