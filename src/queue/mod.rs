//! The disk-backed queue: one segmented log per stream.

mod api;
mod ledger;
mod record;

pub use api::{
    AppendError, Chunk, OpenError, Options, Queue, ReadError, Recovery, Stream, StreamId,
};
pub use ledger::{Counts, Ledger, Refusal, SourceLedger, StreamLedger};
pub use record::{NewRecord, Record, Stamp};
