//! Why the gateway could not start.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{broker::StartError, cli::Exit, queue::OpenError, uplink::UplinkConfigError};

/// Why the gateway could not start.
#[derive(Debug, Error)]
pub enum AppError {
    /// The data folder cannot be made or written.
    #[error("gateway.data_dir: {path}: {source}; make it writable for the service's user", path = .path.display())]
    DataDir {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The queue cannot be opened.
    #[error(transparent)]
    Queue(#[from] OpenError),
    /// A listener cannot be started.
    #[error(transparent)]
    Broker(#[from] StartError),
    /// The uplink's settings are wrong.
    #[error(transparent)]
    Uplink(#[from] UplinkConfigError),
    /// An adapter's or a route's settings are wrong; `holdfast check` shows the same.
    #[error("{0}")]
    Config(String),
    /// Signals cannot be received.
    #[error("cannot receive signals: {0}")]
    Signals(io::Error),
}

impl AppError {
    /// The exit code this ends with.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Queue(OpenError::InUse(_)) => Exit::InUse,
            Self::Queue(OpenError::KeyMissing { .. }) | Self::Uplink(_) | Self::Config(_) => {
                Exit::Config
            }
            _ => Exit::Failure,
        }
    }
}

impl From<Vec<holdfast_adapter_api::Problem>> for AppError {
    fn from(problems: Vec<holdfast_adapter_api::Problem>) -> Self {
        let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Self::Config(lines.join("\n"))
    }
}
