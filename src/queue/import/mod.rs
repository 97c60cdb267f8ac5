//! Taking over the backlog of another queue, each record once.
//!
//! A record of another queue is known by its stream, the id of the segment that held it and its
//! sequence: none of them changes as long as the record exists, and no two records share all
//! three. Which were taken over is written down in `<dir>/imports`, so that a second import of
//! the same export, or of one that overlaps it, takes only what is new.
//!
//! Before a batch is appended, the file says what it holds and which sequence its first record
//! gets here. If the import is broken off by a crash or a power cut, the next opening of the
//! queue, by whomever, sees which of those sequences hold an intact record, and writes that down
//! before anything else is appended. So no record is taken over twice and none is passed over.
//! One exception: of a batch whose sync failed, nobody can say what will stay on the disk; it is
//! taken again, and what of it stayed after all is then there twice.
//!
//! The file is text, replaced as a whole by renaming:
//!
//! ```text
//! holdfast imports 1
//! taken <stream> <segment id, 16 hexadecimal> <first>-<last> …
//! pending <stream> <first sequence here> <segment id>:<first>-<last> …
//! crc32c <8 hexadecimal, of everything before this line>
//! ```

mod importer;
mod journal;
mod pending;

pub use importer::{Import, ImportError, Imported};
pub(super) use pending::settle_pending;

/// Which record of which queue this is, within its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The id of the segment that held it.
    pub segment: u64,
    /// Its sequence there.
    pub sequence: u64,
}
