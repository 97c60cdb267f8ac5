//! Reading one stream, in order and from where the last read stopped.

use std::{io, ops::Range, sync::Arc, time::Duration};

use thiserror::Error;

use super::{
    Record, Stamp,
    accounts::{Fate, Neighbour},
    damage,
    disk::is_no_damage,
    frame::RecordView,
    retention::is_expired,
    state::{Segment, Shared, State},
    survey::{Decoded, Survey},
    walk::{Step, Walk},
};

/// The queue could not be read; nothing was settled, so the same read may be tried again.
#[derive(Debug, Error)]
#[error("{file} cannot be read: {source}")]
pub struct ReadError {
    /// The segment's file.
    pub file: String,
    /// What the operating system says.
    pub source: io::Error,
}

/// Records in order, and where to go on.
#[derive(Debug)]
pub struct Chunk {
    /// The records. Each payload is a part of what was read from the disk at once, and keeps all
    /// of it in memory as long as it is kept itself: up to 576 KiB, or its frame where that is
    /// longer (that of one long record); of a damaged segment, the whole segment.
    pub records: Vec<Record>,
    /// The sequence to pass to the next `read`. Larger than the last record's by more than one
    /// where acknowledged, expired or damaged records were passed over.
    pub next: u64,
}

/// How much one read may bring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) records_max: usize,
    pub(super) bytes_max: usize,
}

/// Where the last read stopped.
#[derive(Debug, Default)]
pub(super) struct Reader {
    place: Option<Place>,
}

#[derive(Debug)]
enum Place {
    /// In a segment that has been intact so far.
    Walking(Walk),
    /// In a segment that was searched for its intact records up to a sequence.
    Salvaged(Survey, u64),
}

/// Reads from `from` on.
pub(super) fn read(shared: &Shared, from: u64, limits: Limits) -> Result<Chunk, ReadError> {
    let read = read_some(shared, from, limits);
    shared.state().troubles.read = read.as_ref().err().map(ToString::to_string);
    read
}

fn read_some(shared: &Shared, mut from: u64, limits: Limits) -> Result<Chunk, ReadError> {
    let mut reader = shared.reader();
    loop {
        let (segment, end) = {
            let state = shared.state();
            from = state.settled.next_open(from);
            match state.segment_of(from) {
                Some(found) if from < state.next => found,
                _ => return Ok(Chunk { records: Vec::new(), next: from.max(state.next) }),
            }
        };
        let mut records = reader
            .collect(shared, segment, from..end, limits)
            .map_err(|source| ReadError { file: segment.name.file_name(), source })?;
        let next = records.last().map_or(end, |record| record.sequence + 1);
        let now = shared.clock.now();
        let mut state = shared.state();
        let (age_max, mut last) = (shared.options.age_max, Neighbour::default());
        records.retain(|record| hand_out(&mut state, record, &mut last, &now, age_max));
        let floor = state.settled.floor();
        state.handed.forget_below(floor);
        drop(state);
        if !records.is_empty() {
            return Ok(Chunk { records, next });
        }
        from = next;
    }
}

/// Whether a record is to be sent; one that is too old is settled instead.
fn hand_out(
    state: &mut State,
    record: &Record,
    last: &mut Neighbour,
    now: &Stamp,
    age_max: Duration,
) -> bool {
    if state.settled.contains(record.sequence) {
        return false;
    }
    let source = state.accounts.id_beside(&record.source, last);
    if is_expired(&record.stamp, now, age_max) && state.settled.has_room(record.sequence) {
        state.settle(record.sequence, source, Fate::Expired);
        return false;
    }
    state.handed.insert(record.sequence, source);
    true
}

impl Reader {
    /// Records of one segment, fewer than asked for only at its end.
    fn collect(
        &mut self,
        shared: &Shared,
        segment: Segment,
        sequences: Range<u64>,
        limits: Limits,
    ) -> io::Result<Vec<Record>> {
        let place = match self.place.take() {
            Some(Place::Walking(walk)) if walk.leads_to(segment.name, sequences.start) => {
                Some(Place::Walking(walk))
            }
            Some(Place::Salvaged(survey, end)) if survey.name == segment.name => {
                Some(Place::Salvaged(survey, end))
            }
            _ => match Walk::enter(shared, segment.name) {
                Ok(walk) => Some(Place::Walking(walk)),
                Err(error) if is_no_damage(&error) => return Err(error),
                // Given up meanwhile, gone, or unreadable: the examination tells.
                Err(_) => None,
            },
        };
        let mut collected = Collected { records: Vec::new(), bytes: 0, limits };
        match place {
            Some(Place::Walking(mut walk)) => {
                if collected.walk(&mut walk, shared, segment.data_end, &sequences) {
                    self.place = Some(Place::Walking(walk));
                    return Ok(collected.records);
                }
            }
            Some(Place::Salvaged(survey, end)) if end == sequences.end => {
                collected.pick(&survey, &sequences);
                self.place = Some(Place::Salvaged(survey, end));
                return Ok(collected.records);
            }
            Some(Place::Salvaged(..)) | None => {}
        }
        // Damaged: what was collected before the damage is collected again with the rest.
        collected.records.clear();
        collected.bytes = 0;
        // `None`: the segment was given up meanwhile, with all that was in it.
        if let Some(survey) = damage::examine(shared, segment.name)? {
            collected.pick(&survey, &sequences);
            self.place = Some(Place::Salvaged(survey, sequences.end));
        }
        Ok(collected.records)
    }
}

struct Collected {
    records: Vec<Record>,
    bytes: usize,
    limits: Limits,
}

impl Collected {
    fn is_full(&self) -> bool {
        !self.records.is_empty()
            && (self.records.len() >= self.limits.records_max
                || self.bytes >= self.limits.bytes_max)
    }

    /// Collects along the frames; false where they are damaged.
    fn walk(
        &mut self,
        walk: &mut Walk,
        shared: &Shared,
        data_end: u64,
        sequences: &Range<u64>,
    ) -> bool {
        while !self.is_full() {
            match walk.step(sequences, data_end) {
                Step::Record(record) => self.take(record),
                Step::Leap(leapt) if shared.state().settled.open_count(leapt.clone()) == 0 => {
                    if leapt.end == sequences.end {
                        return true;
                    }
                }
                Step::Leap(_) => return false,
                Step::End => return true,
            }
        }
        true
    }

    fn pick(&mut self, survey: &Survey, sequences: &Range<u64>) {
        let records = &survey.scan.records;
        let (mut decoded, mut source) = (Decoded::default(), Arc::from(""));
        let first = records.partition_point(|found| found.sequence < sequences.start);
        for found in records[first..].iter().take_while(|found| found.sequence < sequences.end) {
            if self.is_full() {
                return;
            }
            let bytes = survey.record(found, &mut decoded).unwrap_or_default();
            if let Some(view) = RecordView::decode(&bytes) {
                self.take(view.to_record(&bytes, &mut source));
            }
        }
    }

    fn take(&mut self, record: Record) {
        self.bytes += record.topic.len() + record.payload.len();
        self.records.push(record);
    }
}

/// The source of a record that nobody remembers having read.
pub(super) fn source_of(shared: &Shared, sequence: u64) -> Option<Arc<str>> {
    look_up(shared, sequence).map(|record| record.source)
}

/// When a record was taken in.
pub(super) fn stamp_of(shared: &Shared, sequence: u64) -> Option<Stamp> {
    look_up(shared, sequence).map(|record| record.stamp)
}

fn look_up(shared: &Shared, sequence: u64) -> Option<Record> {
    let (segment, end) = shared.state().segment_of(sequence)?;
    let mut reader = Reader::default();
    let limits = Limits { records_max: 1, bytes_max: usize::MAX };
    let records = reader.collect(shared, segment, sequence..end, limits).ok()?;
    records.into_iter().find(|record| record.sequence == sequence)
}
