//! The cursor: what is settled and the accounts, in two slots written in turn.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    accounts::Accounts,
    codec::Take,
    disk::{Access, Disk, DiskFile, is_no_damage, read_whole},
    record::SEQUENCE_END,
    settled::Settled,
    survey::newer,
};

/// What every version begins with; its number follows, a digit.
const MAGIC: [u8; 7] = *b"HFCURSR";
const FORMAT_VERSION: u8 = 1;
/// Magic, generation, length, checksum.
const HEADER_BYTES: usize = 8 + 8 + 4 + 4;
/// A slot's file grows in steps of this size, so that a write rarely changes its length.
const SLOT_STEP_BYTES: u64 = 64 * 1024;
/// No slot is longer.
const SLOT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Generations stay below this, which one a second never reaches.
const GENERATION_END: u64 = 1 << 56;
const SLOTS: [&str; 2] = ["cursor.0", "cursor.1"];

/// What a slot says: everything before `next` that is not settled is queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The durable end when it was taken.
    pub(super) next: u64,
    pub(super) settled: Settled,
    pub(super) accounts: Accounts,
}

impl Snapshot {
    pub(super) fn encode(next: u64, settled: &Settled, accounts: &Accounts, buffer: &mut Vec<u8>) {
        buffer.clear();
        buffer.resize(HEADER_BYTES, 0);
        buffer.extend_from_slice(&next.to_le_bytes());
        settled.encode(buffer);
        accounts.encode(buffer);
    }

    fn decode(payload: &[u8]) -> Option<Self> {
        let mut take = Take(payload);
        let next = take.u64().filter(|next| *next <= SEQUENCE_END)?;
        let settled = Settled::decode(&mut take).filter(|settled| settled.end() <= next)?;
        Some(Self { next, settled, accounts: Accounts::decode(&mut take)? })
    }
}

/// What the two slots hold.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// The newest intact snapshot and its generation.
    pub(super) newest: Option<(u64, Snapshot)>,
    /// Of the other slot nothing is left that is intact: the newest snapshot may have been there.
    pub(super) damaged: bool,
}

/// The slots are written in turn, so from this generation on both hold something.
const BOTH_WRITTEN: u64 = 2;

pub(super) fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Slots> {
    let mut slots = Slots::default();
    let mut empty = false;
    for name in SLOTS {
        match read_slot(disk, &dir.join(name))? {
            Slot::Intact(generation, snapshot) => {
                if slots.newest.as_ref().is_none_or(|(newest, _)| generation > *newest) {
                    slots.newest = Some((generation, snapshot));
                }
            }
            Slot::Empty => empty = true,
            Slot::Newer(version) => return Err(newer(name, u16::from(version))),
            Slot::Damaged => slots.damaged = true,
        }
    }
    let written = slots.newest.as_ref().map_or(0, |(generation, _)| *generation);
    slots.damaged |= empty && written >= BOTH_WRITTEN;
    Ok(slots)
}

enum Slot {
    /// Its generation and what it says.
    Intact(u64, Snapshot),
    /// There is no file, or only zeros in it.
    Empty,
    /// Intact, and of this version, which is later than this program knows.
    Newer(u8),
    Damaged,
}

fn read_slot(disk: &dyn Disk, path: &Path) -> io::Result<Slot> {
    let read = disk.open(path, Access::Read).and_then(|file| read_whole(&*file, SLOT_BYTES_MAX));
    Ok(match read {
        Ok(bytes) if bytes.iter().all(|byte| *byte == 0) => Slot::Empty,
        Ok(bytes) => decode_slot(&bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Slot::Empty,
        Err(error) if is_no_damage(&error) => {
            return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())));
        }
        Err(_) => Slot::Damaged,
    })
}

fn decode_slot(bytes: &[u8]) -> Slot {
    let Some((version, generation, payload)) = checked_payload(bytes) else { return Slot::Damaged };
    if version > FORMAT_VERSION {
        return Slot::Newer(version);
    }
    let known = (version == FORMAT_VERSION && generation < GENERATION_END).then_some(payload);
    known
        .and_then(Snapshot::decode)
        .map_or(Slot::Damaged, |snapshot| Slot::Intact(generation, snapshot))
}

/// The version, the generation and what follows the header, where the checksum fits: that much is
/// the same in every version.
fn checked_payload(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let mut take = Take(bytes);
    if take.array()? != MAGIC {
        return None;
    }
    let version = take.u8().filter(u8::is_ascii_digit)? - b'0';
    let generation = take.u64()?;
    let length = take.u32()? as usize;
    let checksum = take.u32()?;
    let payload = take.bytes(length)?;
    let expected = crc32c::crc32c_append(crc32c::crc32c(&bytes[..20]), payload);
    (checksum == expected).then_some((version, generation, payload))
}

/// Writes the slots; only one writer may.
#[derive(Debug)]
pub(super) struct CursorFile {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    files: [Option<Arc<dyn DiskFile>>; 2],
    generation: u64,
}

impl CursorFile {
    /// `generation` is that of the newest intact slot; its slot is not written next.
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, generation: u64) -> Self {
        Self { disk, dir, files: [None, None], generation }
    }

    /// Writes and syncs an encoded snapshot. On failure the other slot still holds the one
    /// before.
    pub(super) fn write(&mut self, encoded: &mut [u8]) -> io::Result<()> {
        let generation = self.generation + 1;
        let (header, payload) = encoded.split_at_mut(HEADER_BYTES);
        header[..7].copy_from_slice(&MAGIC);
        header[7] = b'0' + FORMAT_VERSION;
        header[8..16].copy_from_slice(&generation.to_le_bytes());
        header[16..20].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[..20]), payload);
        header[20..24].copy_from_slice(&checksum.to_le_bytes());
        let slot = (generation % 2) as usize;
        let file = self.slot(slot)?;
        let length = encoded.len() as u64;
        if file.bytes()? < length {
            file.allocate(length.next_multiple_of(SLOT_STEP_BYTES))?;
        }
        file.write_at(encoded, 0)?;
        file.sync()?;
        self.generation = generation;
        Ok(())
    }

    /// Creates both slots with their space reserved, so that a full disk finds them there.
    pub(super) fn reserve(&mut self) -> io::Result<()> {
        for slot in 0..SLOTS.len() {
            let file = self.slot(slot)?;
            if file.bytes()? < SLOT_STEP_BYTES {
                file.allocate(SLOT_STEP_BYTES)?;
                file.sync()?;
            }
        }
        Ok(())
    }

    fn slot(&mut self, slot: usize) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = &self.files[slot] {
            return Ok(Arc::clone(file));
        }
        let path = self.dir.join(SLOTS[slot]);
        let file = match self.disk.open(&path, Access::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = self.disk.create(&path)?;
                self.disk.sync_dir(&self.dir)?;
                file
            }
            opened => opened?,
        };
        self.files[slot] = Some(Arc::clone(&file));
        Ok(file)
    }
}
