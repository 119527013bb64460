//! The account that PostgreSQL runs under: ours, or an unprivileged one when we are root.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};
use tokio::process::Command;

use super::PostgresError;

/// Whom PostgreSQL's programs run as.
#[derive(Debug, Clone)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    /// We are root, so programs must change to this account.
    change: bool,
}

impl Account {
    /// The account for the server of `data`, which need not exist yet: its
    /// owner; where it is missing, ourselves; when we are root, `postgres` or `nobody`.
    pub(super) fn for_data(data: &Path) -> Result<Self, PostgresError> {
        let ours = geteuid();
        let owner = fs::metadata(data).ok().map(|data| (data.uid(), data.gid()));
        if !ours.is_root() {
            return match owner {
                Some((uid, _)) if uid != ours.as_raw() => Err(PostgresError::OtherOwner {
                    path: data.to_owned(),
                    owner: uid,
                }),
                _ => Ok(Self {
                    name: ours.to_string(),
                    uid: ours.as_raw(),
                    gid: nix::unistd::getegid().as_raw(),
                    change: false,
                }),
            };
        }
        match owner {
            Some((uid, gid)) if uid != 0 => Ok(Self {
                name: match User::from_uid(Uid::from_raw(uid)) {
                    Ok(Some(user)) => user.name,
                    _ => uid.to_string(),
                },
                uid,
                gid,
                change: true,
            }),
            _ => Self::unprivileged(),
        }
    }

    fn unprivileged() -> Result<Self, PostgresError> {
        ["postgres", "nobody"]
            .into_iter()
            .filter_map(|name| User::from_name(name).ok().flatten())
            .find(|user| !user.uid.is_root())
            .map(|user| Self {
                name: user.name,
                uid: user.uid.as_raw(),
                gid: user.gid.as_raw(),
                change: true,
            })
            .ok_or(PostgresError::NoAccount)
    }

    /// A command that runs as this account, in a process group of its own, so
    /// that the terminal's Ctrl-C reaches us alone, and from `/`, because our
    /// own directory may be closed to the account.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").process_group(0).env("LC_ALL", "C");
        if self.change {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives `path` to this account.
    pub(super) fn own(&self, path: &Path) -> Result<(), PostgresError> {
        if !self.change {
            return Ok(());
        }
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(|source| PostgresError::io("change the owner of", path, source))
    }

    /// Whether this account is another than the one we run as.
    pub(super) fn is_another(&self) -> bool {
        self.change
    }

    /// Whether this account may enter every directory down to `dir`, itself included.
    pub(super) fn reaches(&self, dir: &Path) -> bool {
        self.barrier(dir).is_none()
    }

    /// Fails with [`PostgresError::Unreachable`] where [`Account::reaches`] is false.
    pub(super) fn require(&self, dir: &Path) -> Result<(), PostgresError> {
        match self.barrier(dir) {
            None => Ok(()),
            Some(path) => Err(PostgresError::Unreachable {
                path,
                account: self.name.clone(),
            }),
        }
    }

    /// As [`Account::require`] for the directories above `dir` alone. Those that
    /// are missing are no bar: they will be made by us, by [`make_enterable`].
    pub(super) fn require_above(&self, dir: &Path) -> Result<(), PostgresError> {
        let there = dir.ancestors().skip(1).find(|above| above.exists());
        there.map_or(Ok(()), |above| self.require(above))
    }

    /// The highest directory on the way down to `dir` that this account may not enter.
    fn barrier(&self, dir: &Path) -> Option<PathBuf> {
        if !self.change {
            return None;
        }
        let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        let mut way: Vec<&Path> = dir.ancestors().collect();
        way.reverse();
        way.into_iter()
            .find(|step| !fs::metadata(step).is_ok_and(|found| self.may_enter(&found)))
            .map(Path::to_owned)
    }

    fn may_enter(&self, dir: &Metadata) -> bool {
        let shift = if dir.uid() == self.uid {
            6
        } else if dir.gid() == self.gid {
            3
        } else {
            0
        };
        dir.mode() >> shift & 1 == 1
    }
}

/// Makes `dir` and what is missing above it, each with mode 0755 whatever our
/// umask says, so that [`Account`]s can pass.
pub(super) fn make_enterable(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(above) = dir.parent() {
        make_enterable(above)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => fs::set_permissions(dir, fs::Permissions::from_mode(0o755)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}
