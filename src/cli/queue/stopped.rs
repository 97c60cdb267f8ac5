//! Why a verb could not be carried out, and the exit code for it.

use std::{io, path::Path};

use super::exchange::ReadError;
use crate::{
    cli::{
        Exit,
        terminal::{tell, unwritable},
    },
    queue::{ImportError, InspectError, OpenError, RepairError},
};

/// The end of a verb that failed.
#[derive(Debug)]
pub(in crate::cli) struct Stopped {
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
    pub(in crate::cli) fn output(error: io::Error) -> Self {
        Self::failed(unwritable(&error))
    }

    /// A key that is not among those given.
    fn without_key(error: &impl std::fmt::Display) -> Self {
        let why = format!(
            "{error}, or name a file with it by --key-file (what systemd passes on as a \
             credential, only the service has)"
        );
        Self { exit: Exit::Config, why }
    }

    /// Says why on standard error; the exit code.
    pub(in crate::cli) fn told(self, command: &str) -> Exit {
        tell(format_args!("holdfast {command}: {}", self.why));
        self.exit
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
            InspectError::KeyMissing { .. } => Self::without_key(&error),
            InspectError::Io { .. } => Self::failed(error.to_string()),
        }
    }
}

impl From<OpenError> for Stopped {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::InUse(_) => Self { exit: Exit::InUse, why: error.to_string() },
            OpenError::KeyMissing { .. } => Self::without_key(&error),
            _ => Self::failed(error.to_string()),
        }
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
