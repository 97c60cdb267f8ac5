//! Where the uplink takes its messages from: a stream of the queue, or in tests something that
//! behaves like one.

use std::future::Future;

use thiserror::Error;
use tokio::sync::watch;

use crate::{
    config::{self, Encoding},
    queue::{Chunk, Stream},
};

/// The stream could not be read; reading it again later may succeed.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct BacklogError(pub String);

/// One stream, as the uplink sees it. The promises are those of [`Stream`].
pub trait Backlog: Clone + Send + Sync + 'static {
    /// The stream's name.
    fn name(&self) -> &str;
    /// Its priority; higher is served first.
    fn priority(&self) -> u8;
    /// The form of its messages on their way up.
    fn encoding(&self) -> Encoding;
    /// The first sequence that is not settled.
    fn floor(&self) -> u64;
    /// The sequence after the last synced record.
    fn durable_end(&self) -> watch::Receiver<u64>;
    /// Synced records from `from` on.
    fn read(
        &self,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> impl Future<Output = Result<Chunk, BacklogError>> + Send;
    /// The cloud has this record.
    fn acknowledge(&self, sequence: u64) -> bool;
}

/// A stream of the queue on its way to the cloud.
#[derive(Debug, Clone)]
pub struct Outbound {
    stream: Stream,
    priority: u8,
    encoding: Encoding,
}

impl Outbound {
    /// The stream with what is configured about it.
    pub fn new(config: &config::Stream, stream: Stream) -> Self {
        Self { stream, priority: config.priority, encoding: config.encoding }
    }
}

impl Backlog for Outbound {
    fn name(&self) -> &str {
        self.stream.name()
    }

    fn priority(&self) -> u8 {
        self.priority
    }

    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn floor(&self) -> u64 {
        self.stream.floor()
    }

    fn durable_end(&self) -> watch::Receiver<u64> {
        self.stream.durable_end()
    }

    async fn read(
        &self,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Chunk, BacklogError> {
        self.stream
            .read(from, records_max, bytes_max)
            .await
            .map_err(|error| BacklogError(error.to_string()))
    }

    fn acknowledge(&self, sequence: u64) -> bool {
        self.stream.acknowledge(sequence)
    }
}
