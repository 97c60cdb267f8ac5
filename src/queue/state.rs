//! What is shared between the commit thread, the readers and the handles of one stream.

use std::{
    collections::VecDeque,
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{
    Environment, Keys, Refusal, Stamp, StreamId, StreamLedger, StreamOptions,
    accounts::{Accounts, Fate, SourceId},
    clock::Clock,
    condition::Troubles,
    disk::Disk,
    handed::HandedOut,
    reader::Reader,
    segment::SegmentName,
    settled::Settled,
    trend::{Sample, Trend},
    wear::Meter,
};

/// A segment that holds durable records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) name: SegmentName,
    /// What its file takes on disk.
    pub(super) file_bytes: u64,
    /// Behind its last durable frame; the file's length where that is not known.
    pub(super) data_end: u64,
}

/// A segment of which nothing can be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unreadable {
    pub(super) name: SegmentName,
    /// How often it was tried.
    pub(super) times: u32,
    /// When it was tried first.
    pub(super) since_millis: u64,
}

/// One stream.
pub(super) struct Shared {
    pub(super) id: StreamId,
    pub(super) options: StreamOptions,
    pub(super) dir: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keys: Keys,
    pub(super) durable: watch::Sender<u64>,
    /// What its disk has counted.
    pub(super) meter: Arc<Meter>,
    state: Mutex<State>,
    reader: Mutex<Reader>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("stream", &self.options.name).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(
        id: StreamId,
        options: StreamOptions,
        dir: PathBuf,
        environment: Environment,
        meter: Arc<Meter>,
        state: State,
    ) -> Self {
        let Environment { disk, clock, keys } = environment;
        let durable = watch::Sender::new(state.next);
        let reader = Mutex::default();
        let state = Mutex::new(state);
        Self { id, options, dir, disk, clock, keys, durable, meter, state, reader }
    }

    // A panic while a lock is held is a bug that has been reported; the counts behind it are
    // changed in single steps, so going on is safer than spreading the panic to every session.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of how the stream fares; whoever does the regular work calls it.
    pub(super) fn observe(&self) {
        let now = self.clock.now();
        let mut state = self.state();
        let sample = state.sample(&now, &self.meter);
        let condition = state.troubles.condition();
        state.trend.observe(sample, &condition);
    }

    /// Counts a message that was not taken in.
    pub(super) fn refuse(&self, source: &str, reason: Refusal) {
        let mut state = self.state();
        let id = state.accounts.id(source);
        state.accounts.refuse(id, reason);
        state.changes += 1;
    }

    pub(super) fn ledger(&self) -> StreamLedger {
        self.state().ledger(&self.options.name)
    }
}

/// What is known about a stream without looking at the disk.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The durable end.
    pub(super) next: u64,
    pub(super) settled: Settled,
    pub(super) accounts: Accounts,
    /// Oldest first; the last is the one being written, or was before the restart.
    pub(super) segments: VecDeque<Segment>,
    pub(super) handed: HandedOut,
    /// Changes that the cursor on disk does not know yet.
    pub(super) changes: u64,
    pub(super) troubles: Troubles,
    /// The segment of which nothing could be read the last time, although the disk answered.
    pub(super) unreadable: Option<Unreadable>,
    /// What spare files take on disk.
    pub(super) spare_bytes: u64,
    pub(super) trend: Trend,
    /// The oldest queued record, when it was last looked for, and when it was taken in.
    pub(super) oldest: Option<(u64, Stamp)>,
}

impl State {
    /// Settles one record; false if it was settled before.
    pub(super) fn settle(&mut self, sequence: u64, source: SourceId, fate: Fate) -> bool {
        if !self.settled.insert(sequence) {
            return false;
        }
        self.accounts.settle(source, fate, 1);
        self.changes += 1;
        true
    }

    /// The segment that holds a sequence, and the sequence at which it ends.
    pub(super) fn segment_of(&self, sequence: u64) -> Option<(Segment, u64)> {
        let after = self.segments.partition_point(|segment| segment.name.base <= sequence);
        let segment = *self.segments.get(after.checked_sub(1)?)?;
        Some((segment, self.segments.get(after).map_or(self.next, |next| next.name.base)))
    }

    /// Where a segment ends, if it is still one of the stream's.
    pub(super) fn end_of(&self, name: SegmentName) -> Option<u64> {
        self.segment_of(name.base).filter(|(segment, _)| segment.name == name).map(|(_, end)| end)
    }

    /// The segment after this one, if there is one.
    pub(super) fn after(&self, name: SegmentName) -> Option<SegmentName> {
        let next = self.segments.partition_point(|segment| segment.name.base <= name.base);
        self.segments.get(next).map(|segment| segment.name)
    }

    /// What the stream takes on disk.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.spare_bytes + self.segments.iter().map(|segment| segment.file_bytes).sum::<u64>()
    }

    /// What is reserved on disk and not yet written.
    pub(super) fn reserved_bytes(&self) -> u64 {
        let last = self.segments.back();
        self.spare_bytes
            + last.map_or(0, |segment| segment.file_bytes.saturating_sub(segment.data_end))
    }

    /// What the counters show now.
    pub(super) fn sample(&self, now: &Stamp, meter: &Meter) -> Sample {
        Sample {
            monotonic_millis: now.monotonic_millis,
            accepted: self.accounts.accepted(),
            log_bytes: meter.log_bytes(),
            queued_bytes: self.queued_bytes(),
            written_bytes: meter.wear().written_bytes(),
        }
    }

    pub(super) fn queued(&self) -> u64 {
        self.accounts.queued()
    }

    /// About how many bytes the queued records take: their share of what the segments hold.
    pub(super) fn queued_bytes(&self) -> u64 {
        let Some(first) = self.segments.front() else { return 0 };
        let held = self.next - first.name.base;
        let bytes: u64 = self.segments.iter().map(|segment| segment.data_end).sum();
        let share = u128::from(bytes) * u128::from(self.queued());
        share.checked_div(u128::from(held)).map_or(0, |bytes| bytes as u64)
    }

    pub(super) fn ledger(&self, stream: &str) -> StreamLedger {
        let (total, sources) = self.accounts.page();
        StreamLedger { stream: stream.to_owned(), total, next_sequence: self.next, sources }
    }
}
