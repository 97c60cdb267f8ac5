//! Where an export goes: a file that appears when it is complete, or whatever else takes bytes.

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    },
    path::{Path, PathBuf},
};

use super::Stopped;
use crate::{
    cli::terminal::{ended_early_is_fine, unwritable},
    queue::InspectError,
};

/// An export holds messages in the clear: nobody else may read it.
const MODE: u32 = 0o600;

/// Where an export goes.
#[derive(Debug)]
pub(super) enum Output {
    Stdout,
    /// A device or a pipe, which is written to where it is.
    Stream(PathBuf),
    /// A regular file, or nothing yet.
    File {
        /// As it was named.
        named: PathBuf,
        /// Behind all links.
        real: PathBuf,
        /// What is there now.
        old: Option<Metadata>,
    },
}

/// Why an export ended early.
#[derive(Debug)]
pub(super) enum Failure {
    Queue(InspectError),
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Failure {
    fn stopped(self, at: &Path) -> Stopped {
        match self {
            Self::Queue(error) => error.into(),
            Self::Output(error) => Stopped::at(at)(error),
        }
    }
}

impl Output {
    /// What is meant by a path; standard output where there is none.
    pub(super) fn of(path: Option<&Path>) -> Result<Self, Stopped> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout);
        };
        match fs::metadata(path) {
            Ok(found) if is_stdout(&found) => Ok(Self::Stdout),
            Ok(found) if found.is_file() => {
                let real = fs::canonicalize(path).map_err(Stopped::at(path))?;
                Ok(Self::File { named: path.to_owned(), real, old: Some(found) })
            }
            Ok(found) if found.is_dir() => {
                Err(Stopped::usage(format!("{} is a folder; name a file", path.display())))
            }
            Ok(_) => Ok(Self::Stream(path.to_owned())),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Stopped::at(path)(error)),
            Err(_) if fs::symlink_metadata(path).is_ok() => Err(Stopped::usage(format!(
                "{} is a link to what is not there; name the file itself",
                path.display()
            ))),
            Err(_) => Ok(Self::File { named: path.to_owned(), real: path.to_owned(), old: None }),
        }
    }

    /// Has it written. `None` if whoever reads it had seen enough.
    pub(super) fn take<T>(
        self,
        write: impl FnOnce(&mut dyn Write) -> Result<T, Failure>,
    ) -> Result<Option<T>, Stopped> {
        let (written, name) = match self {
            Self::File { named, real, old } => {
                return to_file(&real, old.as_ref(), write)
                    .map(Some)
                    .map_err(|failure| failure.stopped(&named));
            }
            Self::Stdout => (write(&mut io::stdout().lock()), None),
            Self::Stream(path) => {
                let opened = OpenOptions::new().write(true).open(&path);
                (opened.map_err(Failure::Output).and_then(|mut out| write(&mut out)), Some(path))
            }
        };
        match written {
            Ok(done) => Ok(Some(done)),
            Err(Failure::Output(error)) => match (ended_early_is_fine(Err(error)), name) {
                (Ok(()), _) => Ok(None),
                (Err(error), Some(path)) => Err(Stopped::at(&path)(error)),
                (Err(error), None) => Err(Stopped::failed(unwritable(&error))),
            },
            Err(Failure::Queue(error)) => Err(error.into()),
        }
    }
}

/// Whether a file is what standard output goes to; by that name (`/dev/stdout`) it must not be
/// replaced.
fn is_stdout(found: &Metadata) -> bool {
    let out = io::stdout().as_fd().try_clone_to_owned().map(File::from);
    out.and_then(|out| out.metadata())
        .is_ok_and(|out| (out.dev(), out.ino()) == (found.dev(), found.ino()))
}

/// Writes beside the file, syncs, and renames, so that the file is never there in part.
fn to_file<T>(
    path: &Path,
    old: Option<&Metadata>,
    write: impl FnOnce(&mut dyn Write) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
    let mut beside = OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(beside);
    let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&beside)?;
    let written = fill(file, old, write).and_then(|done| {
        fs::rename(&beside, path)?;
        Ok(done)
    });
    if written.is_err() {
        // It may not be there; the error that is reported says more.
        let _ = fs::remove_file(&beside);
    }
    let done = written?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    Ok(done)
}

fn fill<T>(
    mut file: File,
    old: Option<&Metadata>,
    write: impl FnOnce(&mut dyn Write) -> Result<T, Failure>,
) -> Result<T, Failure> {
    if let Some(old) = old {
        // Only root may, and whoever else replaces the file owns it from then on.
        let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
        file.set_permissions(old.permissions())?;
    }
    let done = write(&mut file)?;
    file.sync_all()?;
    Ok(done)
}
