//! Where PostgreSQL's programs are on this machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::account::Account;
use super::{PostgresError, fetch, home};

/// The oldest major version that Countersign runs on.
pub const MIN_MAJOR: u32 = 15;

/// The major version that is fetched where none is asked for.
const FETCHED_MAJOR: u32 = 18;

/// Directories of programs where packages put them; `*` is any version.
const USUAL_PLACES: [(&str, &str); 6] = [
    ("/usr/lib/postgresql", "bin"),
    ("/usr", "bin"),
    ("/usr/local/pgsql", ""),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
];

/// One installation of PostgreSQL's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The directory that holds `postgres` and `initdb`.
    pub bin_dir: PathBuf,
    /// The major version, such as 15.
    pub version: u32,
}

impl Binaries {
    /// Finds PostgreSQL on the machine, else in the cache, else fetches it into the cache.
    ///
    /// `major` asks for that major version; without it the machine's newest
    /// from [`MIN_MAJOR`] on is taken. The machine's places are `PATH`, what
    /// `pg_config` says, and where packages usually install.
    ///
    /// The cache is `$COUNTERSIGN_CACHE_DIR`, else `/var/cache/countersign`
    /// when we are root (root's own cache is closed to the account that
    /// PostgreSQL must run under), else `$XDG_CACHE_HOME/countersign`, else
    /// `~/.cache/countersign`.
    ///
    /// Fails with [`PostgresError::TooOld`], [`PostgresError::NotFetched`],
    /// [`PostgresError::Unusable`], [`PostgresError::Unreachable`],
    /// [`PostgresError::NoAccount`] or [`PostgresError::Io`].
    pub async fn find_or_fetch(major: Option<u32>) -> Result<Self, PostgresError> {
        if let Some(major) = major.filter(|major| *major < MIN_MAJOR) {
            return Err(PostgresError::TooOld { major });
        }
        let account = Account::for_data(Path::new(""))?;
        let cache = fetch::cache_dir(&account)?;
        let fits =
            |found: &Self| major.map_or(found.version >= MIN_MAJOR, |major| found.version == major);
        for places in [places_on_the_machine().await, fetch::places(&cache)] {
            let mut newest: Option<Self> = None;
            for place in places {
                if let Ok(found) = Self::at(&place).await
                    && fits(&found)
                    && account.reaches(&found.bin_dir)
                    && newest
                        .as_ref()
                        .is_none_or(|best| best.version < found.version)
                {
                    newest = Some(found);
                }
            }
            if let Some(found) = newest {
                return Ok(found);
            }
        }
        let bin_dir = fetch::fetch(&cache, &account, major, major.unwrap_or(FETCHED_MAJOR)).await?;
        match Self::at(&bin_dir).await {
            Ok(found) => Ok(found),
            Err(reason) => Err(PostgresError::Unusable {
                path: bin_dir,
                reason,
            }),
        }
    }

    /// As [`Binaries::find_or_fetch`], for a home that may already hold data:
    /// then the major version that made the data is looked for.
    ///
    /// Fails with [`PostgresError::WrongMajor`] as well, where `major` asks for another.
    pub async fn for_home(home: &Path, major: Option<u32>) -> Result<Self, PostgresError> {
        let data = home.join(home::DATA);
        match (home::data_major(&data)?, major) {
            (Some(made_by), Some(program)) if made_by != program => {
                Err(PostgresError::WrongMajor {
                    path: data,
                    data: made_by,
                    program,
                })
            }
            (made_by, major) => Self::find_or_fetch(made_by.or(major)).await,
        }
    }

    /// The path of one of the programs.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    /// The installation in `dir`; the error says why there is none that runs.
    async fn at(dir: &Path) -> Result<Self, String> {
        let postgres = fs::canonicalize(dir.join("postgres")).map_err(|error| error.to_string())?;
        let bin_dir = postgres.parent().unwrap_or(dir).to_owned();
        if !bin_dir.join("initdb").is_file() {
            return Err(format!("no initdb in {}", bin_dir.display()));
        }
        let answer = Command::new(&postgres)
            .arg("--version")
            .output()
            .await
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&answer.stdout);
        match major_of(&text) {
            Some(version) => Ok(Self { bin_dir, version }),
            None => Err(String::from_utf8_lossy(&answer.stderr).trim().to_owned()),
        }
    }
}

/// The major version in the answer of `postgres --version`: `postgres
/// (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, or `18beta1` for the number.
fn major_of(answer: &str) -> Option<u32> {
    let number = answer.split_once("(PostgreSQL) ")?.1;
    let digits = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number[..digits].parse().ok()
}

async fn places_on_the_machine() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = env::split_paths(&path).collect();
    if let Ok(answer) = Command::new("pg_config").arg("--bindir").output().await {
        places.push(String::from_utf8_lossy(&answer.stdout).trim().into());
    }
    for (above, below) in USUAL_PLACES {
        for version in fs::read_dir(above).into_iter().flatten().flatten() {
            places.push(version.path().join(below));
        }
    }
    places.retain(|place| place.is_absolute() && place.join("postgres").is_file());
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_every_form_of_the_answer() {
        assert_eq!(
            major_of("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major_of("postgres (PostgreSQL) 18"), Some(18));
        assert_eq!(major_of("postgres: command not found"), None);
    }

    #[tokio::test]
    async fn a_version_too_old_is_refused_before_anything_is_fetched() {
        let refused = Binaries::find_or_fetch(Some(14)).await;
        assert!(matches!(refused, Err(PostgresError::TooOld { major: 14 })));
    }
}
