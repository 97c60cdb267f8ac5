//! The disk-backed queue: one segmented log per stream.
//!
//! Appends go to the commit thread, which turns everything that has gathered into one batch per
//! stream, writes it, syncs it, and only then resolves the appends and moves the durable end.
//! Readers read up to the durable end. Acknowledgements settle records in memory; the cursor
//! makes that durable about once a second, and always before anything is removed.
//!
//! # Invariants
//!
//! - Nothing is acknowledged before it is synced; a segment whose write or sync failed is left
//!   behind and its batch written into a new one.
//! - Every sequence below the durable end is either settled (delivered, expired, evicted or
//!   damaged), once, or queued. Queued is never stored: it is accepted less settled.
//! - A segment's file is removed or used again only when a synced cursor says that all of it is
//!   settled.
//! - A stream that fills the disk leaves the others their reserve: each has the space of its next
//!   segment and of its cursor laid by.
//! - No sequence is used for two records that anyone could have seen.
//! - Damage never stops anything: what is intact is found behind it, what is not is named,
//!   counted under its source, and copied to the quarantine.
//!
//! # On disk, format versions 1 and 2
//!
//! A segment of version 1 has plain frames only; where frames may be compressed or encrypted, it
//! says 2. Both are read; a later version, of a segment that is still needed or of the cursor, and a
//! key that is needed and missing are refused before anything is touched in any of the streams.
//!
//! All integers are little-endian; `varint` is LEB128, `signed` is zigzag in a varint, `text` and
//! `bytes` are a varint length and the content. Checksums are CRC32C. Offsets are 64 bits wide.
//!
//! ```text
//! <dir>/lock                          held (flock) while a gateway has the queue open
//! <dir>/imports                       what was taken over from other queues (see `import`)
//! <dir>/<stream>/<base>-<id>.seg      segment: base in 20 decimal digits, id in 16 hexadecimal
//! <dir>/<stream>/<id>.spare           retired segment, or the next one, laid by; content void
//! <dir>/<stream>/cursor.0, cursor.1   the two slots of the cursor
//! <dir>/<stream>/ballast              removed when the cursor finds no space
//! <dir>/<stream>/quarantine/*.bad     bytes cut out, named <base>-<id>-<offset>-<sequence>
//! <dir>/<stream>/quarantine/*.txt     beside each a line: which records were lost, where and why
//! ```
//!
//! **Segment**: a header, frames one behind the other, then anything (zeros, or what a retired
//! segment held before). It covers the sequences from `base` to the next segment's. The id is
//! unique: a generation (upper 32 bits, one more than any seen) and chance (lower 32). Of two
//! segments, the one with the higher id replaces everything the other holds from its base on;
//! that is how the remains of a failed write are told apart. The id's CRC is the *salt*: every
//! checksum of frames and records begins with it, so that what an earlier life of the file left
//! behind never validates.
//!
//! ```text
//! header  "HOLDFSEG"  version u16  flags u16 (0)  length u32  crc u32  id u64  base u64
//!         stream text  begun: boot varint, monotonic varint, wall signed, trusted u8
//!         accounts (as of base)  zeros up to `length`, a multiple of 64
//!         crc: over the 16 bytes before it, then everything behind it up to `length`
//! ```
//!
//! **Frame** (one batch, or part of a long one):
//!
//! ```text
//! "HFB1"  flags u16  key u16  records u32  body length u32  first sequence u64  body crc u32
//! header crc u32 (salted, over the 28 bytes before it)
//! body: records, perhaps compressed, perhaps encrypted
//! ```
//!
//! Flags: bits 0 to 3 say how the body is compressed (0 not, 1 LZ4 block, 2 Zstandard), bits 4 to
//! 7 how it is encrypted then (0 not, 1 ChaCha20-Poly1305, 2 AES-256-GCM); the others are 0. The
//! body's checksum is over what lies on disk; it makes a batch that was torn recognisable as one,
//! and lets damage be told without the key.
//!
//! ```text
//! compressed  length when plain u32  compressed bytes
//! encrypted   nonce (12 bytes, random)  encrypted bytes  authentication tag (16 bytes)
//! ```
//!
//! A segment's key is HKDF-SHA256 (RFC 5869) of the key in the file, with the salt
//! `holdfast queue` and the info `segment`, id u64, base u64. The additional data are flags u16,
//! key u16, records u32, first sequence u64. `key` is the key's tag, so that a missing key is
//! never taken for damage: the first two bytes of HMAC-SHA256 over `tag`, keyed with the same
//! HKDF and the info `tag`; 0, which says that there is no key, becomes 1. Names and counts of
//! sources, in headers and cursors, are not encrypted; topics and payloads are.
//!
//! Encryption does not protect from forging. Plain frames are accepted in any segment, as they must
//! be where encryption is switched on with records waiting, and headers and cursors have checksums
//! only: whoever can write to the disk can insert frames. A virtual machine that is resumed twice
//! from one snapshot may go on twice in the same segment and so with the same key; that no nonce is
//! used twice then rests on the guest's random generator being seeded anew.
//!
//! A frame is closed at 256 KiB of records, one that is compressed or encrypted at 16 KiB: of a
//! plain one, damage costs the records it hits, of the others the frame.
//!
//! **Record**: its own length, sequence and checksum let it be found when the frame around it is
//! damaged.
//!
//! ```text
//! crc u32 (salted, over the rest)  length u32 (all of it)  sequence u64
//! flags u8 (bit 0: wall clock trusted)  boot u64  monotonic varint  wall signed
//! source length varint  topic length varint  source  topic  payload
//! ```
//!
//! **Cursor slot**; the intact one with the higher generation counts, the other is written next:
//!
//! ```text
//! "HFCURSR1"  generation u64  length u32  crc u32 (over the 20 bytes before it, then `length`)
//! next u64 (the durable end)  floor varint  ranges varint
//! per range: distance from the end of the last (or the floor) varint, length varint
//! accounts (as of next)
//! ```
//!
//! The last letter of `HFCURSR1` is the version, a digit. In every version the first line and its
//! checksum are as they are here, so that a later one is told from damage: it is intact.
//!
//! **Accounts**: source 0 is `(unknown)`, source 1 is `(other)`.
//!
//! ```text
//! sources varint, per source: name text, accepted, delivered, expired, evicted, damaged, refused
//! (topic invalid, payload too large, stream full, storage failed), each varint
//! ```
//!
//! # Recovery
//!
//! The accounts are complete as of the cursor's `next` and as of each segment's base, so only the
//! records behind the later of the two are counted, which normally means that only the last
//! segment is read. That segment is not written again; the next append begins a new one. Without
//! a cursor every segment is read, everything on disk counts as queued (it is sent again), and
//! what came before counts as delivered where the newest header does not know better.
//!
//! A damaged header is not written anew: the accounts in it cannot be had exactly from anywhere
//! else, and wrong ones would do harm. No record is lost by it, since the file's name has the base
//! and the id; it goes with the file. Of a file the first 24 MiB are read, which no segment exceeds.
//!
//! Before anything is handed out the last segment is synced: a gateway that was killed may have
//! left the end of it to the operating system.
//!
//! **Torn**: a write that was cut off, by the power or by the end of the process, leaves the last
//! frame that anything in the last segment speaks of without its end. All of it is missing from
//! some record on (all, if it is compressed or encrypted), nothing behind it is intact, and neither
//! a cursor nor a header knew of it. A disk writes sectors of 512 bytes wholly or not at all, so
//! one of these must begin in what is missing, or in the 8 bytes before it, which may be there by
//! chance; and what the disk cannot read is not torn. Nobody was told of these records, and nobody
//! saw them, since both wait for the sync. They are told, but not accepted: the records that come
//! next get their sequences, in a new segment, which by its id replaces whatever may be left of
//! them.
//!
//! What is missing anywhere else counts as accepted and damaged: in the middle of a frame, before
//! an intact record, before another frame. So does the end of a frame behind which the same write
//! had another one, of which anything is left.
//!
//! Damage looks the same as a torn write, is told as one, and the sequences are used again, where
//! it takes the end of the last batch of a gateway that was killed before its cursor knew of that
//! batch (the cursor is written within about a second of an acknowledgement, not for appends
//! alone), or of one whose cursor is damaged as well. Where damage takes the end of the last
//! segment, behind all that the cursor knew, and leaves nothing that speaks of it, it cannot be
//! told from a write that never was.
//!
//! A last segment that cannot be read holds an unknown number of records. The stream goes on behind
//! the most that the file can hold; that many count as queued, of source `(unknown)`, until it can
//! be read: then those that are there get their sources, and the rest counts as damaged. The same
//! holds of a tail that cannot be read. Where a file cannot be read that would replace others, it
//! is passed over and left there, and they stay.
//!
//! While a segment cannot be read at all, reading stops before it, and says so. It is taken for
//! damaged when that has lasted for a minute and three tries in which the disk did all else that
//! was asked of it: another file could be read and synced, and no write failed. A disk that is
//! gone costs nothing.
//!
//! **Quarantine**: what is damaged is copied to `.bad` as it was found, unless it is zeros, and
//! named in `.txt` with the reason: the disk could not read it, the file ends before it, there are
//! only zeros, or no checksum fits. So is what lies where records were torn. The folder takes at
//! most a sixteenth of the stream's limit, 16 MiB and 1000 files; the oldest make room.

mod accounts;
mod bodies;
mod clock;
mod codec;
mod commit;
mod condition;
mod cursor;
mod damage;
mod disk;
mod forecast;
mod frame;
#[cfg(any(test, feature = "simulated"))]
#[doc(hidden)]
pub mod fuzzing;
mod handed;
mod health;
mod import;
mod inbox;
mod inspect;
mod keys;
mod ledger;
mod open;
mod options;
mod packing;
mod quarantine;
mod queue;
mod reader;
mod record;
mod recovery;
mod repair;
mod retention;
mod scan;
mod sealing;
mod segment;
mod settled;
mod state;
mod store;
mod stream;
mod sums;
mod survey;
#[cfg(test)]
mod tests;
mod torn;
mod trend;
mod walk;
mod wear;
mod writer;

pub use clock::Clock;
pub use condition::Condition;
pub use damage::Damage;
pub use disk::{Access, Disk, DiskFile, Entry, Lock, RealDisk, Space};
pub use forecast::{Forecast, LimitReason};
pub use health::{DiskHealth, Health, StreamHealth};
pub use import::{Import, ImportError, Imported, Origin};
pub use inspect::{
    Folder, InspectError, OtherFile, Purpose, Records, Report, SegmentFile, Stored, StreamFiles,
    StreamOverview,
};
pub use keys::{KeyTag, Keys, KeysError};
pub use ledger::{Counts, Ledger, Refusal, SourceLedger, StreamLedger};
pub use open::{Environment, OpenError};
pub use options::{OnFull, Options, StreamOptions};
pub use packing::Compression;
pub use queue::{AppendError, Queue};
pub use reader::{Chunk, ReadError};
pub use record::{NewRecord, Record, Stamp};
pub use recovery::Recovery;
pub use repair::{RepairError, Repaired, removable, repair};
pub use stream::{Stream, StreamId};
pub use torn::Torn;
pub use trend::Rates;
pub use wear::{DEVICE_WRITE_AMPLIFICATION, ENDURANCE_CYCLES, PAGE_BYTES, Wear, flash_life_years};
