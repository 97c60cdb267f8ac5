//! The adapter trait, and the channels an adapter is given.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{Clock, Counters, DeviceName, PendingCommand, Reading};

/// The future of one run of an adapter.
pub type AdapterFuture<'a> = Pin<Box<dyn Future<Output = Result<(), AdapterError>> + Send + 'a>>;

/// A source of readings and a target of commands: one bus, one port, one line.
pub trait Adapter: Send + 'static {
    /// The configured name, unique on this gateway.
    fn name(&self) -> &str;

    /// The devices behind this adapter. Commands for them come to its [`AdapterIo`].
    fn devices(&self) -> Vec<DeviceName>;

    /// A view on the adapter's counters that outlives each run.
    fn counters(&self) -> Arc<dyn Counters>;

    /// Runs until `io.stop` is cancelled (`Ok`) or the adapter cannot go on (`Err`).
    ///
    /// A supervisor calls `run` again after an error, with a growing pause, on the same value:
    /// what an adapter knows (sequence numbers, which device is dead) lives in `self`. A device
    /// that does not answer is no error; an adapter deals with that itself.
    fn run<'a>(&'a mut self, io: &'a mut AdapterIo) -> AdapterFuture<'a>;
}

/// What the gateway gives an adapter.
pub struct AdapterIo {
    /// Where readings go. Bounded: an adapter that must wait here is being held back.
    pub readings: mpsc::Sender<Reading>,
    /// Commands for this adapter's devices, one at a time, in order of arrival.
    pub commands: mpsc::Receiver<PendingCommand>,
    /// The gateway's clock, for the source timestamp of a reading.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when the adapter is to stop between two transactions.
    pub stop: CancellationToken,
}

impl fmt::Debug for AdapterIo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdapterIo").finish_non_exhaustive()
    }
}

/// Why an adapter stopped.
#[derive(Debug, Error)]
pub enum AdapterError {
    /// The port or connection failed; another run may succeed.
    #[error("{adapter}: {context}: {source}")]
    Io {
        /// The adapter's name.
        adapter: String,
        /// What was being done, with the port or address.
        context: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// The gateway no longer takes readings; there is no point in another run.
    #[error("{adapter}: the gateway stopped taking readings")]
    Closed {
        /// The adapter's name.
        adapter: String,
    },
}

impl AdapterError {
    /// Whether another run may succeed.
    pub fn is_worth_a_retry(&self) -> bool {
        matches!(self, Self::Io { .. })
    }
}
