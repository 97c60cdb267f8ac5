//! The engines, one a file, behind what a queue needs of them.

mod holdfast;
mod raw;
mod redb;
mod sled;
mod sqlite;

use std::path::Path;

use bytes::Bytes;

pub use holdfast::Holdfast;

/// Bytes in a message.
pub const PAYLOAD_BYTES: usize = 256;
/// What peers may cache.
pub const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Messages are read and removed by so many.
pub const DRAIN_BATCH: usize = 1000;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// pwrite and fdatasync, the least that durability costs.
    Raw,
    /// The same into blocks that are reserved and were never written, as a backlog's are.
    RawReserved,
    /// Our queue.
    Holdfast,
    /// sled 0.34, with the sync that its flush lacks.
    Sled,
    /// redb.
    Redb,
    /// SQLite.
    Sqlite,
}

impl Kind {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 6] =
        [Self::Raw, Self::RawReserved, Self::Holdfast, Self::Sled, Self::Redb, Self::Sqlite];

    /// Whether it is nothing but a file to write to.
    pub fn is_raw(self) -> bool {
        matches!(self, Self::Raw | Self::RawReserved)
    }

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::RawReserved => "raw-reserved",
            Self::Holdfast => "holdfast",
            Self::Sled => "sled",
            Self::Redb => "redb",
            Self::Sqlite => "sqlite",
        }
    }

    /// What the tables call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Raw => "raw pwrite + fdatasync",
            Self::RawReserved => "raw, into blocks never written",
            Self::Holdfast => "Holdfast's queue",
            Self::Sled => "sled 0.34 + fdatasync",
            Self::Redb => "redb",
            Self::Sqlite => "SQLite (WAL, FULL)",
        }
    }

    /// Opens one in a folder of its own. `messages` is what it will take, for those that must
    /// know.
    pub fn open(self, dir: &Path, messages: usize) -> Box<dyn Engine> {
        std::fs::create_dir_all(dir).expect("the folder can be made");
        match self {
            Self::Raw => Box::new(raw::Raw::zeroed(dir, messages)),
            Self::RawReserved => Box::new(raw::Raw::reserved(dir, messages)),
            Self::Holdfast => Box::new(Holdfast::open(dir)),
            Self::Sled => Box::new(sled::Sled::open(dir)),
            Self::Redb => Box::new(redb::Redb::open(dir)),
            Self::Sqlite => Box::new(sqlite::Sqlite::open(dir)),
        }
    }
}

/// A queue of messages, one behind the other.
pub trait Engine {
    /// Takes in a batch; it is synced to disk on return.
    fn append(&mut self, batch: &[Bytes]);

    /// Whether the oldest message can be read.
    fn has_first(&mut self) -> bool;

    /// Reads every message in order and removes it durably; how many there were.
    fn drain(&mut self) -> usize;

    /// Lets it finish what it does by itself after a drain.
    fn settle(&mut self) {}

    /// Closes it in good order.
    fn close(self: Box<Self>) {}
}
