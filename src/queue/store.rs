//! The files of one stream: beginning segments, giving them back, and the cursor.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    OnFull,
    accounts::{Accounts, Fate, SourceId},
    cursor::{CursorFile, Snapshot},
    disk::{Access, Disk, DiskFile, is_full},
    recovery::SPARE_SUFFIX,
    retention,
    segment::{GENERATION_END, SEGMENT_BYTES, SegmentName},
    settled::Settled,
    state::{Segment, Shared, State},
};

/// A stream with a small limit has shorter ones, so that it consists of this many.
const SEGMENTS_PER_STREAM_MIN: u64 = 8;
/// But none is shorter than this.
const SEGMENT_BYTES_MIN: u64 = 16 * 1024;
/// Retired segments kept to be used again.
const SPARES_MAX: usize = 2;
/// A file that is removed when the cursor finds no space, and made again when there is some.
const BALLAST: &str = "ballast";
pub(super) const BALLAST_BYTES: u64 = 256 * 1024;

/// A file that will be a segment.
#[derive(Debug)]
struct Spare {
    file_name: String,
    file_bytes: u64,
}

/// A segment that has been begun durably.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) file_bytes: u64,
}

/// The files of one stream.
#[derive(Debug)]
pub(super) struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    bytes_max: u64,
    segment_bytes: u64,
    generation: u32,
    spares: Vec<Spare>,
    cursor: CursorFile,
    cursor_buffer: Vec<u8>,
    /// The floor that is on disk.
    floor_persisted: u64,
    /// Whether the cursor on disk may say of sequences that were not used that they are.
    in_doubt: bool,
    /// What segments take that were begun and hold nothing published yet.
    pub(super) unpublished_bytes: u64,
}

impl Store {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        bytes_max: u64,
        segment_generation: u32,
        cursor_generation: u64,
    ) -> Self {
        let segment_bytes =
            (bytes_max / SEGMENTS_PER_STREAM_MIN).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES);
        Self {
            cursor: CursorFile::new(Arc::clone(&disk), dir.to_owned(), cursor_generation),
            disk,
            dir: dir.to_owned(),
            bytes_max,
            segment_bytes,
            generation: segment_generation,
            spares: Vec::new(),
            cursor_buffer: Vec::new(),
            floor_persisted: 0,
            in_doubt: false,
            unpublished_bytes: 0,
        }
    }

    /// An id that no segment of this stream ever had.
    pub(super) fn next_segment_id(&mut self) -> io::Result<u64> {
        let next = Some(self.generation + 1).filter(|next| *next < GENERATION_END);
        self.generation =
            next.ok_or_else(|| io::Error::other("the stream has no segment ids left"))?;
        let mut chance = [0; 4];
        getrandom::fill(&mut chance).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(u64::from(self.generation) << 32 | u64::from(u32::from_le_bytes(chance)))
    }

    /// Begins a segment with room for `needed` bytes behind its header; `None` where neither the
    /// stream's limit nor the disk allows it, even after the stream's policy was applied.
    pub(super) fn begin(
        &mut self,
        shared: &Shared,
        name: SegmentName,
        header: &[u8],
        needed: u64,
        keep: Option<SegmentName>,
    ) -> io::Result<Option<Begun>> {
        let length = header.len() as u64 + needed.max(self.segment_bytes / 2);
        let length = length.max(self.segment_bytes);
        let Some(spare) = self.make_room(shared, length, keep)? else { return Ok(None) };
        shared.state().spare_bytes = self.spare_bytes();
        let path = self.dir.join(&spare.file_name);
        let begun = self.write_header(&path, name, header);
        match begun {
            Ok(file) => {
                self.unpublished_bytes += spare.file_bytes;
                Ok(Some(Begun { file, file_bytes: spare.file_bytes }))
            }
            Err(error) => {
                self.discard(&spare.file_name);
                self.discard(&name.file_name());
                Err(error)
            }
        }
    }

    fn write_header(
        &self,
        spare: &Path,
        name: SegmentName,
        header: &[u8],
    ) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(spare, Access::Write)?;
        file.write_at(header, 0)?;
        file.sync()?;
        self.disk.rename(spare, &self.dir.join(name.file_name()))?;
        self.disk.sync_dir(&self.dir)?;
        Ok(file)
    }

    fn make_room(
        &mut self,
        shared: &Shared,
        length: u64,
        keep: Option<SegmentName>,
    ) -> io::Result<Option<Spare>> {
        if length > self.bytes_max {
            return Ok(None);
        }
        loop {
            if let Some(at) = self.spares.iter().position(|spare| spare.file_bytes >= length) {
                return Ok(Some(self.spares.swap_remove(at)));
            }
            let taken = shared.state().disk_bytes() + self.unpublished_bytes;
            if taken + length <= self.bytes_max {
                match self.create_spare(length) {
                    Err(error) if is_full(&error) => {}
                    created => return created.map(Some),
                }
            }
            if let Some(short) = self.spares.pop() {
                self.discard(&short.file_name);
                shared.state().spare_bytes = self.spare_bytes();
                continue;
            }
            if self.release(shared, keep)? {
                continue;
            }
            let may_evict = shared.options.on_full == OnFull::DropOldest;
            if may_evict && self.evict_oldest(shared, keep)? {
                continue;
            }
            return Ok(None);
        }
    }

    fn create_spare(&mut self, length: u64) -> io::Result<Spare> {
        let file_name = format!("{:016x}{SPARE_SUFFIX}", self.next_segment_id()?);
        let path = self.dir.join(&file_name);
        let created = self.disk.create(&path).and_then(|file| file.allocate(length));
        match created {
            Ok(()) => Ok(Spare { file_name, file_bytes: length }),
            Err(error) => {
                self.discard(&file_name);
                Err(error)
            }
        }
    }

    /// Drops the oldest segment's records; false where there is none that may be given up.
    fn evict_oldest(&mut self, shared: &Shared, keep: Option<SegmentName>) -> io::Result<bool> {
        let oldest = shared.state().segments.front().map(|segment| segment.name);
        let Some(oldest) = oldest.filter(|oldest| Some(*oldest) != keep) else { return Ok(false) };
        if !retention::retire(shared, oldest, Fate::Evicted) {
            return Ok(false);
        }
        self.release(shared, keep)
    }

    /// The disk is full although space was reserved: gives space back to it, at the price of the
    /// oldest records where the stream's policy allows that. False where there is none to give.
    pub(super) fn free_oldest(&mut self, shared: &Shared) -> io::Result<bool> {
        let mut freed = self.release(shared, None)?;
        if !freed && shared.options.on_full == OnFull::DropOldest {
            freed = self.evict_oldest(shared, None)?;
        }
        for spare in std::mem::take(&mut self.spares) {
            self.discard(&spare.file_name);
            freed = true;
        }
        shared.state().spare_bytes = 0;
        Ok(freed)
    }

    /// Gives back the oldest segments as far as everything in them is settled, all but `keep`.
    pub(super) fn release(
        &mut self,
        shared: &Shared,
        keep: Option<SegmentName>,
    ) -> io::Result<bool> {
        let settled = {
            let state = shared.state();
            let first = state.segments.front().filter(|first| Some(first.name) != keep);
            first
                .and_then(|first| state.end_of(first.name))
                .filter(|end| state.settled.floor() >= *end)
        };
        let Some(end) = settled else { return Ok(false) };
        if self.floor_persisted < end {
            self.persist(shared)?;
        }
        let mut released = Vec::new();
        {
            let mut state = shared.state();
            while let Some(first) = state.segments.front().copied()
                && Some(first.name) != keep
                && state.end_of(first.name).is_some_and(|end| end <= self.floor_persisted)
            {
                state.segments.pop_front();
                released.push(first);
            }
        }
        for segment in &released {
            self.retire_file(segment);
        }
        self.disk.sync_dir(&self.dir)?;
        let mut state = shared.state();
        state.spare_bytes = self.spare_bytes();
        state.troubles.full = false;
        Ok(!released.is_empty())
    }

    fn retire_file(&mut self, segment: &Segment) {
        let file_name = segment.name.file_name();
        if self.spares.len() < SPARES_MAX && segment.file_bytes == self.segment_bytes {
            let spare_name = format!("{:016x}{SPARE_SUFFIX}", segment.name.id);
            match self.disk.rename(&self.dir.join(&file_name), &self.dir.join(&spare_name)) {
                Ok(()) => {
                    self.spares
                        .push(Spare { file_name: spare_name, file_bytes: segment.file_bytes });
                    return;
                }
                Err(error) => tracing::warn!("{file_name} could not be kept as a spare: {error}"),
            }
        }
        self.discard(&file_name);
    }

    fn spare_bytes(&self) -> u64 {
        self.spares.iter().map(|spare| spare.file_bytes).sum()
    }

    /// Removes a file that holds nothing needed. What stays is recognised as dead when the queue
    /// is opened again.
    pub(super) fn discard(&self, file_name: &str) {
        match self.disk.remove(&self.dir.join(file_name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(
                    "{} could not be removed: {error}",
                    self.dir.join(file_name).display()
                );
            }
            _ => {}
        }
    }

    /// Gives back the space behind the last frame of a segment that will not be written again.
    pub(super) fn trim(&self, segment: &mut Segment) -> io::Result<()> {
        let path = self.dir.join(segment.name.file_name());
        self.disk.open(&path, Access::Write)?.truncate(segment.data_end)?;
        segment.file_bytes = segment.data_end;
        Ok(())
    }

    /// Creates what must be there before the disk is full.
    pub(super) fn reserve(&mut self) -> io::Result<()> {
        self.cursor.reserve()?;
        self.restore_ballast()
    }

    /// A power cut may have left the file and taken its length.
    fn restore_ballast(&self) -> io::Result<()> {
        let path = self.dir.join(BALLAST);
        let file = match self.disk.create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.open(&path, Access::Write)?
            }
            created => created?,
        };
        if file.bytes()? >= BALLAST_BYTES {
            return Ok(());
        }
        let allocated = file.allocate(BALLAST_BYTES);
        if allocated.is_err() {
            self.discard(BALLAST);
        }
        allocated
    }

    /// Writes what is settled, and the accounts, durably.
    pub(super) fn persist(&mut self, shared: &Shared) -> io::Result<()> {
        let (changes, floor) = {
            let state = shared.state();
            let buffer = &mut self.cursor_buffer;
            Snapshot::encode(state.next, &state.settled, &state.accounts, buffer);
            (state.changes, state.settled.floor())
        };
        self.write_cursor(shared, changes, floor)
    }

    /// Settles records that are dropped as they come, durably; nothing changes where that fails.
    ///
    /// What is written is what will be, and only when it is on disk it is so: whoever is told of a
    /// failure sends the records again, and they must not have been counted then. But a write that
    /// is reported as failed may be on disk all the same, and it says of the next sequences that
    /// they are settled. A record that got one of them would be passed over after a restart. So
    /// the store is in doubt from then on, and nothing is appended before a cursor without them is
    /// on disk ([`Store::dispel_doubt`]): it goes to the same slot, since the generation rises
    /// only with a write that succeeded, so that nothing is left of the other. If the process ends
    /// before that, the next opening finds one of the two, whole (a torn slot leaves the one
    /// before, which knows nothing of it either), and no record has such a sequence by then: the
    /// only trace is that what was refused may be counted as dropped once.
    pub(super) fn drop_newest(&mut self, shared: &Shared, sources: &[SourceId]) -> io::Result<()> {
        let (changes, floor) = {
            let state = shared.state();
            let (mut settled, mut accounts) = (state.settled.clone(), state.accounts.clone());
            let next = drop_all(state.next, &mut settled, &mut accounts, sources);
            Snapshot::encode(next, &settled, &accounts, &mut self.cursor_buffer);
            (state.changes, settled.floor())
        };
        self.in_doubt = true;
        self.write_cursor(shared, changes, floor)?;
        // What was acknowledged meanwhile is in the state and not in what was written.
        let mut state = shared.state();
        let State { next, settled, accounts, .. } = &mut *state;
        *next = drop_all(*next, settled, accounts, sources);
        Ok(())
    }

    /// Makes sure that the cursor on disk knows of no sequence that was not used.
    pub(super) fn dispel_doubt(&mut self, shared: &Shared) -> io::Result<()> {
        if self.in_doubt { self.persist(shared) } else { Ok(()) }
    }

    /// Writes the snapshot in the buffer, which knows of `changes` and gives `floor`.
    fn write_cursor(&mut self, shared: &Shared, changes: u64, floor: u64) -> io::Result<()> {
        let mut written = self.cursor.write(&mut self.cursor_buffer);
        if written.as_ref().is_err_and(is_full) {
            self.discard(BALLAST);
            written = self.cursor.write(&mut self.cursor_buffer);
        }
        let mut state = shared.state();
        match written {
            Ok(()) => {
                state.changes -= changes;
                self.in_doubt = false;
                self.floor_persisted = floor;
                state.troubles.cursor = None;
                Ok(())
            }
            Err(error) => {
                state.troubles.cursor = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// The regular work: the cursor, what can be given back, the ballast.
    pub(super) fn tend(&mut self, shared: &Shared) -> io::Result<()> {
        let due = {
            let state = shared.state();
            // A cursor that failed is tried again even if nothing new is to be said.
            state.changes > 0 || state.troubles.cursor.is_some()
        };
        if due {
            self.persist(shared)?;
        }
        let last = shared.state().segments.back().map(|segment| segment.name);
        self.release(shared, last)?;
        // Without space there is no reserve yet; it is tried again with the next round.
        let _ = self.restore_ballast();
        let _ = self.lay_by_a_spare(shared);
        Ok(())
    }

    /// Takes over what a queue that ended had laid by; what is of no use goes.
    pub(super) fn adopt(&mut self, shared: &Shared, spares: Vec<(String, u64)>) -> io::Result<()> {
        for (file_name, file_bytes) in spares {
            let taken = shared.state().disk_bytes();
            let fits = taken + file_bytes <= self.bytes_max;
            if file_bytes == self.segment_bytes && fits && self.spares.len() < SPARES_MAX {
                self.spares.push(Spare { file_name, file_bytes });
                shared.state().spare_bytes = self.spare_bytes();
            } else {
                self.discard(&file_name);
            }
        }
        // A name that was given to a spare and is not durable yet might be a segment's again.
        if self.spares.is_empty() { Ok(()) } else { self.disk.sync_dir(&self.dir) }
    }

    /// The next segment's space is taken before it is needed, so that another stream that fills
    /// the disk leaves it.
    pub(super) fn lay_by_a_spare(&mut self, shared: &Shared) -> io::Result<()> {
        let taken = shared.state().disk_bytes() + self.unpublished_bytes;
        if !self.spares.is_empty() || taken + self.segment_bytes > self.bytes_max {
            return Ok(());
        }
        let spare = self.create_spare(self.segment_bytes)?;
        self.spares.push(spare);
        shared.state().spare_bytes = self.spare_bytes();
        Ok(())
    }
}

/// Accepts records behind `next` and evicts them at once; the sequence behind them.
fn drop_all(
    next: u64,
    settled: &mut Settled,
    accounts: &mut Accounts,
    sources: &[SourceId],
) -> u64 {
    for source in sources {
        accounts.accept(*source, 1);
        accounts.settle(*source, Fate::Evicted, 1);
    }
    let end = next + sources.len() as u64;
    settled.insert_range(next..end);
    end
}
