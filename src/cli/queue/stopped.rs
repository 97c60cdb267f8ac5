//! Why a verb could not be carried out, and the exit code for it.

use std::{io, path::Path};

use super::exchange::ReadError;
use crate::{
    cli::Exit,
    queue::{ImportError, InspectError, OpenError, RepairError},
};

/// The end of a verb that failed.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) exit: Exit,
    pub(super) why: String,
}

impl Stopped {
    pub(super) fn failed(why: impl Into<String>) -> Self {
        Self { exit: Exit::Failure, why: why.into() }
    }

    pub(super) fn usage(why: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, why: why.into() }
    }

    /// For a file or folder of the operator's.
    pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| Self::failed(format!("{}: {error}", path.display()))
    }

    /// For standard output.
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(super) fn output(error: io::Error) -> Self {
        Self::failed(format!("standard output cannot be written: {error}"))
    }
}

impl From<ReadError> for Stopped {
    fn from(error: ReadError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<InspectError> for Stopped {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::NoStream { .. } => Self::usage(error.to_string()),
            InspectError::Io { .. } => Self::failed(error.to_string()),
        }
    }
}

impl From<OpenError> for Stopped {
    fn from(error: OpenError) -> Self {
        let exit = match error {
            OpenError::InUse(_) => Exit::InUse,
            OpenError::KeyMissing { .. } => Exit::Config,
            _ => Exit::Failure,
        };
        Self { exit, why: error.to_string() }
    }
}

impl From<ImportError> for Stopped {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Open(error) => error.into(),
            _ => Self::failed(error.to_string()),
        }
    }
}

impl From<RepairError> for Stopped {
    fn from(error: RepairError) -> Self {
        match error {
            RepairError::Open(error) => error.into(),
            RepairError::Inspect(error) => error.into(),
            RepairError::Write { .. } => Self::failed(error.to_string()),
        }
    }
}
