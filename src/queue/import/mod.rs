//! Taking over the backlog of another queue, each record once.
//!
//! A record of another queue is known by its stream, the id of the segment that held it and its
//! sequence: none of them changes as long as the record exists, and no two records share all
//! three. Which were taken over is written down in `<dir>/imports`, so that a second import of
//! the same export, or of one that overlaps it, takes only what is new.
//!
//! Before a batch is appended, the file says what it holds and which sequence its first record
//! gets here, with a checksum of what each record says. If the import is broken off by a crash, a
//! power cut or a full disk, the next opening of the queue, by whomever, sees which of those
//! sequences hold just these records, makes them durable, and writes that down. So no record is
//! passed over: only what was seen in the queue counts as taken over, even where other records got
//! the sequences because an opening could not write. And none is taken over twice, with two
//! exceptions. Of a batch whose sync failed, nobody can say what will stay on the disk; it is
//! taken again, and what of it stayed after all is then there twice. The same holds for records
//! that were sent, or of which another import was begun, after an opening that could not write
//! down that they had arrived.
//!
//! The file is text, replaced as a whole by renaming:
//!
//! ```text
//! holdfast imports 1
//! taken <stream> <segment id, 16 hexadecimal> <first>-<last> …
//! pending <stream> <first sequence here> <segment id>:<first>-<last>:<checksums> …
//! crc32c <8 hexadecimal, of everything before this line>
//! ```
//!
//! A checksum is CRC32C in 8 hexadecimal digits, of the record's bytes behind its sequence.

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
