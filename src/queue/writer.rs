//! Writing one stream: frames into the active segment, synced, then published.
//!
//! Only the commit thread has writers.

use std::{io, sync::Arc};

use super::{
    AppendError, NewRecord, OnFull,
    accounts::{Neighbour, SourceId},
    bodies::BodyWriter,
    disk::{DiskFile, is_full},
    frame::{FrameWriter, RECORD_BYTES_MAX, encoded_bytes_max, framed_bytes_max},
    record::SEQUENCE_END,
    segment::{FORMAT_VERSION, FORMAT_VERSION_PLAIN, SegmentHeader, SegmentName},
    state::{Segment, Shared},
    store::Store,
};

/// A write that fails is tried again in a new segment, at most this often.
const WRITE_TRIES: usize = 3;
/// Frames are gathered up to this length for one write.
const WRITE_BYTES_MAX: u64 = 1024 * 1024;
/// The write buffer is given back when it has grown beyond this.
const BUFFER_KEPT_BYTES: usize = 2 * 1024 * 1024;

/// What became of one record: its sequence, or none where it was dropped and counted.
pub(super) type Outcome = Result<Option<u64>, AppendError>;

/// The segment being written.
#[derive(Debug)]
struct Active {
    name: SegmentName,
    file: Arc<dyn DiskFile>,
    bodies: BodyWriter,
    /// Where the next frame goes.
    tail: u64,
    file_bytes: u64,
    /// Written since the last sync.
    dirty: bool,
}

impl Active {
    fn segment(&self) -> Segment {
        Segment { name: self.name, file_bytes: self.file_bytes, data_end: self.tail }
    }
}

/// Appends to one stream.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Store,
    active: Option<Active>,
    buffer: Vec<u8>,
}

/// One attempt at writing records, none of which are published yet.
#[derive(Debug)]
struct Attempt {
    first: u64,
    written: usize,
    /// Segments begun in this attempt and already left behind.
    fresh: Vec<Segment>,
    /// The published segment into which the first of the records went: what of it is settled says
    /// nothing of them, so it must not be given up for room.
    kept: Option<SegmentName>,
    /// Whether the active segment was begun in this attempt.
    active_is_fresh: bool,
    /// Whether there was no room for the next record.
    full: bool,
}

impl Attempt {
    fn at(first: u64) -> Self {
        Self {
            first,
            written: 0,
            kept: None,
            fresh: Vec::new(),
            active_is_fresh: false,
            full: false,
        }
    }
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, store: Store) -> Self {
        Self { shared, store, active: None, buffer: Vec::new() }
    }

    /// Writes and syncs records in order; one outcome each.
    pub(super) fn append(&mut self, records: &[&NewRecord]) -> Vec<Outcome> {
        // Why is said by the stream's condition.
        if self.store.dispel_doubt(&self.shared).is_err() {
            return vec![Err(AppendError::StorageFailed); records.len()];
        }
        let mut outcomes = Vec::with_capacity(records.len());
        let sources = self.sources_of(records);
        while outcomes.len() < records.len() {
            let done = outcomes.len();
            let (records, sources) = (&records[done..], &sources[done..]);
            if self.can_never_fit(records[0]) {
                outcomes.push(Err(AppendError::StreamFull));
                continue;
            }
            match self.write_with_retries(records, sources) {
                Ok(attempt) if attempt.written > 0 => {
                    let end = attempt.first + attempt.written as u64;
                    outcomes.extend((attempt.first..end).map(|sequence| Ok(Some(sequence))));
                }
                Ok(_) => outcomes.extend(self.turn_away(sources)),
                Err(error) => {
                    self.shared.state().troubles.write = Some(error.to_string());
                    outcomes.resize(done + records.len(), Err(AppendError::StorageFailed));
                }
            }
        }
        if self.buffer.capacity() > BUFFER_KEPT_BYTES {
            self.buffer = Vec::new();
        }
        outcomes
    }

    fn sources_of(&self, records: &[&NewRecord]) -> Vec<SourceId> {
        let mut state = self.shared.state();
        let mut last = Neighbour::default();
        let ids = records.iter().map(|record| state.accounts.id_beside(&record.source, &mut last));
        ids.collect()
    }

    fn can_never_fit(&self, record: &NewRecord) -> bool {
        let bytes = encoded_bytes_max(record);
        bytes > RECORD_BYTES_MAX || bytes as u64 > self.shared.options.bytes_max / 2
    }

    fn write_with_retries(
        &mut self,
        records: &[&NewRecord],
        sources: &[SourceId],
    ) -> io::Result<Attempt> {
        let mut tries = 1;
        loop {
            let mut attempt = Attempt::at(self.shared.state().next);
            if SEQUENCE_END - attempt.first < records.len() as u64 {
                return Err(io::Error::other("the stream has no sequence numbers left"));
            }
            match self.write(&mut attempt, records, sources).and_then(|()| self.sync()) {
                Ok(()) => {
                    self.store.unpublished_bytes = 0;
                    self.publish(&attempt, sources);
                    return Ok(attempt);
                }
                Err(error) if is_full(&error) => {
                    let first = attempt.first;
                    self.abandon(attempt);
                    // Where freeing does not help, others fill the disk: no more is given up.
                    if tries == WRITE_TRIES || !self.store.free_oldest(&self.shared)? {
                        return Ok(Attempt::at(first));
                    }
                    tries += 1;
                }
                Err(error) => {
                    tracing::error!(
                        "stream {}: a write failed ({error}), try {tries} of {WRITE_TRIES}",
                        self.shared.options.name
                    );
                    self.abandon(attempt);
                    if tries == WRITE_TRIES {
                        return Err(error);
                    }
                    tries += 1;
                }
            }
        }
    }

    fn write(
        &mut self,
        attempt: &mut Attempt,
        records: &[&NewRecord],
        sources: &[SourceId],
    ) -> io::Result<()> {
        while attempt.written < records.len() {
            // Room must not be made for what will never fit.
            if self.can_never_fit(records[attempt.written]) {
                return Ok(());
            }
            let needed = framed_bytes_max(records[attempt.written]);
            let room = self.active.as_ref().map_or(0, |active| active.file_bytes - active.tail);
            if room < needed && !self.rotate(attempt, needed, sources)? {
                attempt.full = true;
                return Ok(());
            }
            self.write_frames(attempt, records)?;
        }
        Ok(())
    }

    /// Fills the active segment, or one write's worth of it.
    fn write_frames(&mut self, attempt: &mut Attempt, records: &[&NewRecord]) -> io::Result<()> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if !attempt.active_is_fresh {
            attempt.kept = Some(active.name);
        }
        let room = active.file_bytes - active.tail;
        self.buffer.clear();
        let mut frames = FrameWriter::new(&mut self.buffer, active.name.salt(), &mut active.bodies);
        while let Some(record) = records.get(attempt.written)
            && frames.bytes() + framed_bytes_max(record) <= room
            && frames.bytes() < WRITE_BYTES_MAX
        {
            frames.push(attempt.first + attempt.written as u64, record)?;
            attempt.written += 1;
        }
        frames.finish()?;
        active.dirty = true;
        active.file.write_at(&self.buffer, active.tail)?;
        active.tail += self.buffer.len() as u64;
        Ok(())
    }

    /// Leaves the active segment and begins one with room for `needed` bytes; false where the
    /// stream or the disk has none.
    fn rotate(
        &mut self,
        attempt: &mut Attempt,
        needed: u64,
        sources: &[SourceId],
    ) -> io::Result<bool> {
        self.sync()?;
        let base = attempt.first + attempt.written as u64;
        let accounts = {
            let state = self.shared.state();
            let mut accounts = state.accounts.clone();
            for source in &sources[..attempt.written] {
                accounts.accept(*source, 1);
            }
            accounts
        };
        let name = SegmentName { base, id: self.store.next_segment_id()? };
        let begun = self.shared.clock.now();
        let bodies = BodyWriter::new(&self.shared.keys, self.shared.options.compression, name);
        let version = if bodies.encodes() { FORMAT_VERSION } else { FORMAT_VERSION_PLAIN };
        let stream = &self.shared.options.name;
        let header = SegmentHeader::encode(version, stream, name, &begun, &accounts);
        let begun = self.store.begin(&self.shared, name, &header, needed, attempt.kept);
        if !attempt.active_is_fresh
            && let Some(active) = &self.active
            && self.shared.state().end_of(active.name).is_none()
        {
            // It was given back to make room.
            self.active = None;
        }
        let Some(begun) = begun? else { return Ok(false) };
        let active = Active {
            name,
            file: begun.file,
            bodies,
            tail: header.len() as u64,
            file_bytes: begun.file_bytes,
            dirty: false,
        };
        if let Some(left) = self.active.replace(active)
            && attempt.active_is_fresh
        {
            attempt.fresh.push(left.segment());
        } else if attempt.written > 0
            && let Some(left) = self.shared.state().segments.back_mut()
        {
            // Published with the attempt; until then readers stop at the durable end anyway.
            left.data_end = left.file_bytes;
        }
        attempt.active_is_fresh = true;
        Ok(true)
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(active) = self.active.as_mut().filter(|active| active.dirty) {
            active.file.sync()?;
            active.dirty = false;
        }
        Ok(())
    }

    /// After a failed write or sync nobody knows what the segment holds, so it is left behind.
    fn abandon(&mut self, attempt: Attempt) {
        self.store.unpublished_bytes = 0;
        if let Some(active) = self.active.take()
            && attempt.active_is_fresh
        {
            self.store.discard(&active.name.file_name());
        }
        for segment in attempt.fresh {
            self.store.discard(&segment.name.file_name());
        }
    }

    /// Makes what is synced visible.
    fn publish(&mut self, attempt: &Attempt, sources: &[SourceId]) {
        let next = attempt.first + attempt.written as u64;
        if attempt.active_is_fresh {
            self.replace_empty(attempt.first);
        }
        {
            let mut state = self.shared.state();
            for source in &sources[..attempt.written] {
                state.accounts.accept(*source, 1);
            }
            state.next = next;
            state.segments.extend(&attempt.fresh);
            if let Some(active) = &self.active {
                if attempt.active_is_fresh {
                    state.segments.push_back(active.segment());
                } else if let Some(last) =
                    state.segments.back_mut().filter(|last| last.name == active.name)
                {
                    last.data_end = active.tail;
                }
            }
            if attempt.written > 0 {
                state.troubles.write = None;
            }
            state.troubles.full = attempt.full;
        }
        self.shared.durable.send_if_modified(|durable| {
            let grown = *durable != next;
            *durable = next;
            grown
        });
    }

    /// A segment in which nothing was published before the last restart is replaced by the one
    /// that begins with the same sequence.
    fn replace_empty(&mut self, first: u64) {
        let mut state = self.shared.state();
        let Some(empty) = state.segments.pop_back_if(|last| last.name.base >= first) else {
            return;
        };
        drop(state);
        self.store.discard(&empty.name.file_name());
    }

    /// What happens to records for which there is no room.
    fn turn_away(&mut self, sources: &[SourceId]) -> Vec<Outcome> {
        self.shared.state().troubles.full = true;
        if self.shared.options.on_full != OnFull::DropNewest {
            return vec![Err(AppendError::StreamFull); sources.len()];
        }
        // They are acknowledged, so their count must be as durable as they would have been.
        let outcome = match self.store.drop_newest(&self.shared, sources) {
            Ok(()) => Ok(None),
            Err(_) => Err(AppendError::StorageFailed),
        };
        let next = self.shared.state().next;
        self.shared.durable.send_replace(next);
        vec![outcome; sources.len()]
    }
}
