//! The files that were asked for: opened before anything starts, written when it is over.

use crate::cli::{exit::Exit, failure::Failure};
use std::{
    fmt::Display,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// A file that can be written. What it held stays until then, and what was made for nothing
/// goes.
pub(super) struct Outlet {
    path: PathBuf,
    file: File,
    made: bool,
}

impl Outlet {
    /// Opens it, so that whoever gave a path of no use hears of it before a long run.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let new = OpenOptions::new().write(true).create_new(true).open(path);
        let (file, made) = match new {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // A link that leads nowhere yet is there too.
                let mut there = OpenOptions::new();
                there.write(true).create(true).truncate(false);
                (there.open(path), false)
            }
            new => (new, true),
        };
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(|error| cannot(path, &error))?,
            made,
        })
    }

    /// Writes this in place of what it held.
    pub(super) fn write(mut self, text: &str) -> Result<(), Failure> {
        self.replace(text)
            .map_err(|error| cannot(&self.path, &error))?;
        self.made = false;
        Ok(())
    }

    fn replace(&mut self, text: &str) -> io::Result<()> {
        // A pipe or a terminal has no length.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        if self.made {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What is said of a file that cannot be written.
fn cannot(path: &Path, error: &dyn Display) -> Failure {
    Failure::new(
        Exit::BadInput,
        format!("cannot write {}: {error}", path.display()),
    )
}
