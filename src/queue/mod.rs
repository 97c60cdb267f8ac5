//! The disk-backed queue: one segmented log per stream.

mod accounts;
mod clock;
mod codec;
mod commit;
mod cursor;
mod damage;
mod disk;
mod frame;
mod handed;
mod health;
mod inbox;
mod inspect;
mod ledger;
mod open;
mod quarantine;
#[expect(clippy::module_inception, reason = "the queue is what this module is about")]
mod queue;
mod reader;
mod record;
mod recovery;
mod retention;
mod scan;
mod segment;
mod settled;
mod state;
mod store;
mod stream;
mod survey;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

pub use clock::{Clock, SystemClock};
pub use damage::Damage;
pub use disk::{Access, Disk, DiskFile, Entry, Lock, RealDisk};
pub use health::{Condition, Health, StreamHealth};
pub use inspect::{InspectError, Report, inspect, verify};
pub use ledger::{Counts, Ledger, Refusal, SourceLedger, StreamLedger};
pub use open::{Environment, OpenError};
pub use queue::{AppendError, Options, Queue};
pub use reader::{Chunk, ReadError};
pub use record::{NewRecord, Record, Stamp};
pub use recovery::Recovery;
pub use stream::{Stream, StreamId};
