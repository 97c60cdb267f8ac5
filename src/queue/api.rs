//! The signatures that the rest of the gateway uses. (Skeleton: bodies come with the engine.)
#![expect(
    unused_variables,
    clippy::unused_async,
    clippy::needless_pass_by_value,
    missing_debug_implementations,
    reason = "skeleton"
)]

use std::path::Path;

use thiserror::Error;
use tokio::sync::watch;

use super::{Ledger, NewRecord, Record, Refusal};
use crate::config;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamId(pub(super) u16);

#[derive(Debug, Clone)]
pub struct Options {
    pub streams: Vec<config::Stream>,
    /// longest wait for company before a commit; ZERO = commit whatever has gathered as soon as the disk is free
    pub commit_interval: std::time::Duration,
}

#[derive(Debug, Default)]
pub struct Recovery {/* what was found and repaired; Display / iterator of lines for the log */}

#[derive(Debug, Error)]
#[error("cannot open the queue")]
pub struct OpenError;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AppendError {
    #[error("the stream is full")]
    StreamFull,
    #[error("the disk could not be written")]
    StorageFailed,
    #[error("the queue is closed")]
    Closed,
}

#[derive(Debug, Error)]
#[error("cannot read the queue")]
pub struct ReadError;

/// Records in order, and where to go on.
#[derive(Debug)]
pub struct Chunk {
    pub records: Vec<Record>,
    /// The sequence to pass to the next `read`. Larger than the last record's by more than one
    /// where acknowledged, expired or damaged records were passed over.
    pub next: u64,
}

/// Handle; cheap to clone.
#[derive(Clone)]
pub struct Queue;

impl Queue {
    /// Opens (creating or recovering) and starts the commit thread. Stream folders found on disk
    /// but not configured are opened too, so that they drain.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovery), OpenError> {
        unimplemented!()
    }
    pub fn stream(&self, name: &str) -> Option<Stream> {
        unimplemented!()
    }
    /// All streams, configured and found.
    pub fn streams(&self) -> Vec<Stream> {
        unimplemented!()
    }
    /// Resolves when every record is synced to disk or has failed; one result per record, in
    /// order: its sequence, or None where `drop_newest` dropped it (counted as evicted).
    pub async fn append(
        &self,
        records: Vec<(StreamId, NewRecord)>,
    ) -> Vec<Result<Option<u64>, AppendError>> {
        unimplemented!()
    }
    /// Counts a message that was not taken in.
    pub fn refuse(&self, stream: StreamId, source: &str, reason: Refusal) {
        unimplemented!()
    }
    pub fn ledger(&self) -> Ledger {
        unimplemented!()
    }
    /// Bumped by the commit thread at least every second while it is alive and not stuck.
    pub fn heartbeat(&self) -> u64 {
        unimplemented!()
    }
    /// Syncs everything and stops the thread.
    pub async fn close(&self) {
        unimplemented!()
    }
}

/// Handle on one stream; cheap to clone.
#[derive(Clone)]
pub struct Stream;

impl Stream {
    pub fn id(&self) -> StreamId {
        unimplemented!()
    }
    pub fn name(&self) -> &str {
        unimplemented!()
    }
    pub fn options(&self) -> &config::Stream {
        unimplemented!()
    }
    /// The first sequence that is not yet acknowledged, expired or evicted.
    pub fn floor(&self) -> u64 {
        unimplemented!()
    }
    /// The durable end: the sequence after the last synced record. Changes wake readers.
    pub fn durable_end(&self) -> watch::Receiver<u64> {
        unimplemented!()
    }
    /// Reads synced records from `from` on, passing over what is acknowledged, expired (counting
    /// it) or damaged (quarantining and counting it). Empty only when `next` is the durable end.
    pub async fn read(
        &self,
        from: u64,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Chunk, ReadError> {
        unimplemented!()
    }
    /// The cloud has these; in memory at once, on disk with the next cursor write (at most a
    /// second later). Unknown or already settled sequences are ignored (false).
    pub fn acknowledge(&self, sequence: u64) -> bool {
        unimplemented!()
    }
    /// Queued records and bytes, cheap.
    pub fn depth(&self) -> (u64, u64) {
        unimplemented!()
    }
}
