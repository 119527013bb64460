//! What commands read: tokens, secrets, files, durations.

use super::failure::Failure;
use clap::Args;
use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::{Path, PathBuf},
    time::Duration,
};
use uuid::Uuid;
use zeroize::Zeroizing;

/// More than the 1,000 tokens of 4,096 characters that a call may carry.
const MAX_INPUT_BYTES: u64 = 8 << 20;

/// A token as it was typed. It has no `Debug`, and its memory is wiped.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl Token {
    /// The token, for the request that carries it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// One token, from an argument, stdin or a file.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct OneToken {
    /// The token, or `-` to read it from stdin. Other users of this machine can
    /// read arguments in its list of processes, so prefer `-` or --token-file
    #[arg(value_name = "TOKEN")]
    token: Option<Token>,
    /// Read the token from this file
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
}

impl OneToken {
    /// Reads it.
    pub fn read(&self, stdin: &mut Stdin) -> Result<Token, Failure> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => stdin.resolve(token),
            (None, Some(path)) => read_token_file(path),
            (None, None) => Err(no_token()),
        }
    }
}

/// One token or several, from arguments, stdin or a file.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct SomeTokens {
    /// The tokens, or `-` to read them from stdin, one a line. Other users of
    /// this machine can read arguments in its list of processes, so prefer `-`
    /// or --token-file
    #[arg(value_name = "TOKEN")]
    tokens: Vec<Token>,
    /// Read the tokens from this file, one a line
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,
}

impl SomeTokens {
    /// Reads them; at least one.
    pub fn read(&self, stdin: &mut Stdin) -> Result<Vec<Token>, Failure> {
        let tokens = match (&self.token_file, self.tokens.as_slice()) {
            (Some(path), _) => words(&read_file(path)?),
            (None, [only]) if only.reveal() == "-" => words(&stdin.read("the tokens")?),
            (None, tokens) if tokens.iter().any(|token| token.reveal() == "-") => {
                return Err(Failure::Input(
                    "`-` reads every token from stdin, so it stands alone".to_owned(),
                ));
            }
            (None, tokens) => tokens.to_vec(),
        };
        if tokens.is_empty() {
            return Err(no_token());
        }
        Ok(tokens)
    }
}

/// Standard input, which can be read for one purpose only.
#[derive(Default)]
pub struct Stdin {
    read_for: Option<&'static str>,
}

impl Stdin {
    /// The token itself, or the one on stdin where `-` was given.
    pub fn resolve(&mut self, token: &Token) -> Result<Token, Failure> {
        if token.reveal() == "-" {
            only_word(&self.read("the token")?)
        } else {
            Ok(token.clone())
        }
    }

    /// Everything on stdin.
    pub fn read(&mut self, purpose: &'static str) -> Result<Zeroizing<String>, Failure> {
        if let Some(before) = self.read_for.replace(purpose) {
            return Err(Failure::Input(format!(
                "stdin was read for {before} already; give {purpose} in a file"
            )));
        }
        bounded(io::stdin().lock()).map_err(|error| Failure::Input(format!("stdin: {error}")))
    }
}

/// Asks a person for a secret, without echo; `None` where nobody would see it.
pub fn prompt(text: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    if !io::stderr().is_terminal() {
        return Ok(None);
    }
    match rpassword::prompt_password(text) {
        Ok(secret) => Ok(Some(Zeroizing::new(secret))),
        Err(error) => Err(Failure::Input(format!("the terminal: {error}"))),
    }
}

/// A file's text.
pub fn read_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    File::open(path)
        .and_then(bounded)
        .map_err(|error| Failure::Input(format!("{}: {error}", path.display())))
}

/// A token file's only token.
pub fn read_token_file(path: &Path) -> Result<Token, Failure> {
    only_word(&read_file(path)?)
}

/// A duration like `5m` or `1h 30m`, in whole milliseconds, as clap reads it.
pub fn duration(text: &str) -> Result<prost_types::Duration, String> {
    let duration = whole_milliseconds(text)?;
    prost_types::Duration::try_from(duration).map_err(|_| "too long".to_owned())
}

/// A duration above zero, as clap reads it.
pub fn timeout(text: &str) -> Result<Duration, String> {
    let duration = whole_milliseconds(text)?;
    if duration.is_zero() {
        return Err("zero is no time to wait".to_owned());
    }
    Ok(duration)
}

/// A UUID from a setting that clap did not read.
pub fn uuid(setting: &str, text: &str) -> Result<Uuid, Failure> {
    text.parse()
        .map_err(|_| Failure::Input(format!("{setting}: expected a UUID")))
}

fn whole_milliseconds(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.subsec_nanos() % 1_000_000 != 0 {
        return Err("durations are whole milliseconds".to_owned());
    }
    Ok(duration)
}

fn bounded(reader: impl Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let length = reader.take(MAX_INPUT_BYTES + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_INPUT_BYTES {
        return Err(io::Error::other(format!(
            "longer than {MAX_INPUT_BYTES} bytes"
        )));
    }
    Ok(text)
}

fn words(text: &str) -> Vec<Token> {
    text.split_whitespace().map(Token::from).collect()
}

fn only_word(text: &str) -> Result<Token, Failure> {
    match words(text).as_slice() {
        [] => Err(no_token()),
        [token] => Ok(token.clone()),
        [_, _, ..] => Err(Failure::Input("expected one token, got several".to_owned())),
    }
}

fn no_token() -> Failure {
    Failure::Input("no token was given".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_milliseconds() {
        let five_minutes = duration("5m").unwrap();
        assert_eq!((five_minutes.seconds, five_minutes.nanos), (300, 0));
        assert_eq!(duration("250ms").unwrap().nanos, 250_000_000);
        for bad in ["5", "abc", "", "-1s", "10us", "9999999999999y"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(timeout("0s").is_err());
    }

    #[test]
    fn a_file_of_one_token_holds_one() {
        assert_eq!(only_word(" cs_at_x\n").unwrap().reveal(), "cs_at_x");
        assert!(only_word("\n").is_err());
        assert!(only_word("a b").is_err());
    }
}
