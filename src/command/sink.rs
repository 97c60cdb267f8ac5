//! The contract between the uplink and the inbox of commands.

use std::{future::Future, pin::Pin};

use bytes::Bytes;
use thiserror::Error;

/// Why a command could not be kept. The uplink then does not acknowledge it, and the cloud sends
/// it again on a later connection.
#[derive(Debug, Error)]
pub enum SinkError {
    /// The state store could not be written.
    #[error("the command could not be stored: {0}")]
    Storage(String),
}

/// Resolves when the command is on disk (or known to need no keeping).
pub type Persisting<'a> = Pin<Box<dyn Future<Output = Result<(), SinkError>> + Send + 'a>>;

/// Where the uplink puts what came down.
pub trait CommandSink: Send + Sync {
    /// Takes a message from the cloud. After `Ok` the uplink acknowledges it to the cloud.
    fn accept<'a>(&'a self, topic: &'a str, payload: &'a Bytes) -> Persisting<'a>;
}
