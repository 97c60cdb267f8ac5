//! What a stream holds.

use std::sync::Arc;

use bytes::Bytes;

/// Sequences stay below this, which a million records a second reach after two thousand years;
/// what claims to be behind it is damaged.
pub(super) const SEQUENCE_END: u64 = 1 << 56;

/// When a record was taken in, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Which boot of the machine `monotonic_millis` counts from.
    pub boot: u64,
    /// Milliseconds since that boot.
    pub monotonic_millis: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z, by the wall clock of that moment.
    pub wall_millis: i64,
    /// Whether the wall clock was known to be right.
    pub wall_trusted: bool,
}

/// A message on its way into a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// The device it came from; the ledger's key.
    pub source: Arc<str>,
    /// The topic at the cloud.
    pub topic: String,
    /// The payload as the device sent it.
    pub payload: Bytes,
    /// When it was taken in.
    pub stamp: Stamp,
}

/// A message in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number in the stream, counted from 0 for ever, never used twice.
    pub sequence: u64,
    /// The device it came from.
    pub source: Arc<str>,
    /// The topic at the cloud.
    pub topic: String,
    /// The payload as the device sent it.
    pub payload: Bytes,
    /// When it was taken in.
    pub stamp: Stamp,
}
