//! The state store: keyed state that is small, rarely written and can be rebuilt (command inbox,
//! credentials, sessions …). Messages never go here; they have the queue.
//!
//! sled does the work, and is not trusted with it. Its `flush()` is no sync, so the `db` file is
//! synced after each flush, before any write is reported as durable. It refuses to open, or
//! panics, on many kinds of damage, so it is opened behind a guard and there is a way back.
//! (That needs panics that unwind: the release profiles must not set `panic = "abort"`.)
//!
//! # Files in the data directory
//!
//! | Name | What it is |
//! |---|---|
//! | `state/` | sled's folder; only its `db` file carries what was reported durable |
//! | `state.export` | all rows at one commit, written beside the store after changes, and on close |
//! | `state.mark` | number and epoch of the last commit, written after it, not synced |
//! | `state.opening` | how many attempts at opening did not come back, and the kernel's id of the start of the machine they count for; removed when one does |
//! | `state.rebuilding/` | a store being built, the first one too; of no value after a crash |
//! | `state.damaged-<n>/` | what was put aside; the newest [`Options::quarantined_max`] are kept |
//!
//! # Rows
//!
//! All tables share sled's default tree, so that one batch is one atomic commit. A value is cut
//! into pieces of at most 4 KiB, one row each: a leaf of sled holds up to 17 rows whatever their
//! size, and a leaf beyond 127 KiB would go to a blob file, which nothing syncs.
//!
//! ```text
//! key    table, 0x00, length of the entry's key (u16 BE), the entry's key, piece number (u16 BE)
//! value  number of pieces (u16 LE), the piece
//! ```
//!
//! The row under the key `0x00` belongs to the store: sequence, epoch, digest and count, each u64
//! LE. The sequence counts commits. The digest is the wrapping sum of FNV-1a over every other row
//! (length of the key as u32 LE, key, value), and the count is their number; every commit carries
//! them forward and every opening computes them again, so that a store which lost or mixed up
//! rows in silence is recognised as damaged. The epoch grows whenever the store came back without
//! everything it had promised: state that must not be relied upon then records its epoch.
//!
//! # Power cuts
//!
//! A power cut alone takes nothing that was reported durable, nor anything that was shown since
//! the store was opened; it leaves the content of one commit, whole, between the last that was
//! reported and the last that was begun, and the opening after it reports [`Intact`] or [`Fresh`]
//! under the same epoch. That holds in the first start, in an export, in closing, and in opening
//! after another power cut or a killed process. What it rests on, beside the sync at each commit:
//!
//! - A store is built in `state.rebuilding/`, synced, and renamed: half of one is never found.
//! - Opening removes the snapshots that sled had not finished (it would take one for its newest
//!   and refuse), and then syncs every file and the folder: sled does not sync its configuration,
//!   nor what it read of a log that a killed process left in the kernel.
//! - A rebuilt store has its new epoch from its first byte.
//! - After a failed sync, which may leave on disk neither the old nor the new, the engine that
//!   has the store open exports it before sled touches the file again.
//!
//! A power cut while a damaged store is rebuilt leaves what was exported: it is rebuilt again, or
//! found rebuilt, under a grown epoch. What it can take:
//!
//! - the mark, which is not synced: of commits after the export, a damaged store then does not
//!   know that they were (it says that it was damaged all the same); and if sled went back in
//!   time as well, to a sound earlier commit, that goes unnoticed;
//! - acknowledged commits, if before it a sync failed and the process was killed (or sled failed
//!   as well) ahead of the export that follows a second later, or when the disk takes it: the
//!   next opening reads what the kernel shows, and that may never have reached the disk.
//!
//! `tests/power_cut.rs` proves this on recorded system calls: whatever was not synced is lost,
//! kept, kept up to a point with a torn write there, or kept in random sectors or pages, and so
//! are lengths and names. `tests/random_damage.rs` does the same for damage.
//!
//! [`Intact`]: RecoveryOutcome::Intact
//! [`Fresh`]: RecoveryOutcome::Fresh
//!
//! # Export
//!
//! ```text
//! header  "HFSTATE1", sequence, epoch, number of rows (u64 LE each), CRC32C of all that (u32 LE)
//! row     length of key, length of value (u32 LE each), key, value, CRC32C of all that (u32 LE)
//! ```
//!
//! It is written to `state.export.tmp`, synced, renamed, and its directory synced. A row that
//! fails its checksum is passed over and counted; behind a length that makes no sense nothing
//! can be read any more, and that is counted too.
//!
//! # Mark
//!
//! ```text
//! sequence, epoch (u64 LE each), CRC32C of both (u32 LE)
//! ```

mod engine;
mod export;
mod files;
mod mark;
mod opening;
mod recovery;
mod rows;
mod store;
mod worker;

#[cfg(test)]
mod tests;

pub use recovery::{Recovery, RecoveryOutcome};
pub use store::{Change, Options, State, StateError, Table};
