//! The commit thread: everything that has gathered becomes one batch per stream and one sync
//! each.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    AppendError, NewRecord, StreamId,
    accounts::Fate,
    inbox::{Gathered, Inbox, Request},
    retention::{self, is_expired},
    segment::{self, SegmentHeader, SegmentName},
    state::Shared,
    writer::{Outcome, Writer},
};

/// The cursor is written, and what is settled given back, this often.
const TEND_INTERVAL: Duration = Duration::from_secs(1);
/// The thread looks up at least this often.
const PATIENCE: Duration = Duration::from_millis(500);
/// Or when this many records were settled since the cursor was written.
pub(super) const CHANGES_MAX: u64 = 4096;
/// Segments that expire in one round of regular work.
const EXPIRED_SEGMENTS_PER_ROUND: usize = 16;

/// The writers of all streams.
#[derive(Debug)]
pub(super) struct Committer {
    writers: Vec<Writer>,
    /// When the second oldest segment of a stream was begun: everything in the oldest is older.
    begun: HashMap<StreamId, (SegmentName, super::Stamp)>,
}

impl Committer {
    pub(super) fn new(writers: Vec<Writer>) -> Self {
        Self { writers, begun: HashMap::new() }
    }

    /// Writes the records of all requests; one list of outcomes each.
    pub(super) fn commit(&mut self, requests: &[&[(StreamId, NewRecord)]]) -> Vec<Vec<Outcome>> {
        let mut outcomes: Vec<Vec<Outcome>> =
            requests.iter().map(|records| vec![Err(AppendError::Closed); records.len()]).collect();
        for writer in &mut self.writers {
            let id = writer.shared.id;
            let mut records = Vec::new();
            let mut places = Vec::new();
            for (request, list) in requests.iter().enumerate() {
                for (place, (stream, record)) in list.iter().enumerate() {
                    if *stream == id {
                        records.push(record);
                        places.push((request, place));
                    }
                }
            }
            if records.is_empty() {
                continue;
            }
            let appended = writer.append(&records);
            let written = appended.iter().filter(|outcome| matches!(outcome, Ok(Some(_)))).count();
            if written > 0 {
                writer.shared.meter.commit(written as u64);
            }
            for ((request, place), outcome) in places.into_iter().zip(appended) {
                outcomes[request][place] = outcome;
            }
        }
        outcomes
    }

    /// The regular work of every stream.
    pub(super) fn tend(&mut self) {
        for number in 0..self.writers.len() {
            self.expire(number);
            let Writer { shared, store, .. } = &mut self.writers[number];
            if let Err(error) = store.tend(shared) {
                tracing::error!("stream {}: {error}", shared.options.name);
            }
            shared.observe();
        }
    }

    /// Whether so much was settled that the regular work should not wait.
    fn has_much_to_tend(&self) -> bool {
        self.writers.iter().any(|writer| writer.shared.state().changes >= CHANGES_MAX)
    }

    /// Gives up the oldest segments as long as everything in them is too old.
    fn expire(&mut self, number: usize) {
        let shared = Arc::clone(&self.writers[number].shared);
        let now = shared.clock.now();
        for _ in 0..EXPIRED_SEGMENTS_PER_ROUND {
            let (oldest, second) = {
                let state = shared.state();
                let [Some(oldest), Some(second)] = [state.segments.front(), state.segments.get(1)]
                else {
                    return;
                };
                (oldest.name, second.name)
            };
            let Some(begun) = self.begun_at(&shared, second) else { return };
            if !is_expired(&begun, &now, shared.options.age_max) {
                return;
            }
            if !retention::retire(&shared, oldest, Fate::Expired) {
                return;
            }
            let last = shared.state().segments.back().map(|last| last.name);
            if !matches!(self.writers[number].store.release(&shared, last), Ok(true)) {
                return;
            }
        }
    }

    fn begun_at(&mut self, shared: &Shared, name: SegmentName) -> Option<super::Stamp> {
        match self.begun.get(&shared.id) {
            Some((known, begun)) if *known == name => return Some(*begun),
            _ => {}
        }
        let file = segment::open(&*shared.disk, &shared.dir, name).ok()?;
        let begun = SegmentHeader::read(&*file, name).ok()?.begun;
        self.begun.insert(shared.id, (name, begun));
        Some(begun)
    }

    /// Writes every cursor, as far as the disk lets it; the first failure.
    pub(super) fn persist(&mut self) -> std::io::Result<()> {
        let written = self.writers.iter_mut().map(|writer| writer.store.persist(&writer.shared));
        written.fold(Ok(()), std::io::Result::and)
    }

    /// Writes every cursor.
    pub(super) fn close(&mut self) {
        for writer in &mut self.writers {
            if let Err(error) = writer.store.persist(&writer.shared) {
                let stream = &writer.shared.options.name;
                tracing::error!("stream {stream}: the cursor could not be written: {error}");
            }
        }
    }
}

/// The thread's loop; ends when the inbox is closed and empty.
pub(super) fn run(
    inbox: &Inbox,
    mut committer: Committer,
    interval: Duration,
    heartbeat: &AtomicU64,
) {
    let mut tended = Instant::now();
    loop {
        let Gathered { requests, closing } = inbox.gather(PATIENCE, interval);
        if !requests.is_empty() {
            let records: Vec<_> =
                requests.iter().map(|request| request.records.as_slice()).collect();
            let outcomes = committer.commit(&records);
            for (Request { done, permit, records }, outcomes) in requests.into_iter().zip(outcomes)
            {
                // Whoever gave up waiting does not hear of it; the records are durable anyway.
                let _ = done.send(outcomes);
                drop(records);
                drop(permit);
            }
        }
        if tended.elapsed() >= TEND_INTERVAL || committer.has_much_to_tend() {
            committer.tend();
            tended = Instant::now();
        }
        heartbeat.fetch_add(1, Ordering::Relaxed);
        if closing {
            committer.close();
            return;
        }
    }
}
