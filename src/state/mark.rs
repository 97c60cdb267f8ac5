//! The mark: a note of the last commit, outside sled, by which a store that went back in time is
//! recognised. It is not synced, so after a power cut it may be older than the store, which says
//! nothing; it is never newer than what was reported durable.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

const MARK_BYTES: usize = 20;

/// The last commit that was reported durable, as far as the mark knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    pub sequence: u64,
    pub epoch: u64,
}

#[derive(Debug)]
pub(super) struct Mark(File);

impl Mark {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().create(true).truncate(false).write(true).open(path).map(Self)
    }

    pub(super) fn write(&self, seen: Seen) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(MARK_BYTES);
        bytes.extend_from_slice(&seen.sequence.to_le_bytes());
        bytes.extend_from_slice(&seen.epoch.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        self.0.write_all_at(&bytes, 0)
    }
}

/// What the mark says; zeros where there is none or it is damaged.
pub(super) fn read(path: &Path) -> Seen {
    let Ok(bytes) = std::fs::read(path) else { return Seen::default() };
    let Ok(bytes) = <[u8; MARK_BYTES]>::try_from(bytes) else { return Seen::default() };
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let checksum = u32::from_le_bytes(bytes[16..].try_into().expect("4 bytes"));
    if crc32c::crc32c(&bytes[..16]) != checksum {
        return Seen::default();
    }
    Seen { sequence: number(0), epoch: number(8) }
}
