//! Where the uplink takes its messages from: a stream of the queue, or in tests something that
//! behaves like one.

use std::future::Future;

use thiserror::Error;
use tokio::sync::watch;

use crate::{
    config::Encoding,
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

impl Backlog for Stream {
    fn name(&self) -> &str {
        Stream::name(self)
    }

    fn priority(&self) -> u8 {
        self.options().priority
    }

    fn encoding(&self) -> Encoding {
        self.options().encoding
    }

    fn floor(&self) -> u64 {
        Stream::floor(self)
    }

    fn durable_end(&self) -> watch::Receiver<u64> {
        Stream::durable_end(self)
    }

    async fn read(
        &self,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Chunk, BacklogError> {
        Stream::read(self, from, records_max, bytes_max)
            .await
            .map_err(|error| BacklogError(error.to_string()))
    }

    fn acknowledge(&self, sequence: u64) -> bool {
        Stream::acknowledge(self, sequence)
    }
}
