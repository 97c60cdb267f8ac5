//! The records themselves, one segment in memory at a time.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    Folder, InspectError,
    folder::{Part, Sight, parts},
};
use crate::{
    Record,
    frame::RecordView,
    settled::Settled,
    survey::{Decoded, Survey},
};

/// A record as it lies in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The id of the segment that holds it. Together with the stream and the sequence it names
    /// the record among those of all queues that ever were.
    pub segment: u64,
    /// Whether it is settled, and only still there.
    pub settled: bool,
    /// The record.
    pub record: Record,
}

/// The intact records of a stream, in order.
///
/// What is queued is decided when the iterator is made; what a running gateway takes in after
/// that is not shown, what it gives back meanwhile is passed over.
#[derive(Debug)]
pub struct Records {
    folder: Folder,
    stream: String,
    parts: VecDeque<Part>,
    settled: Settled,
    from: u64,
    settled_too: bool,
    here: Option<(Part, Box<Survey>, Decoded, usize)>,
    damaged: u64,
}

impl Folder {
    /// The queued records of a stream with sequences from `from` on.
    pub fn records(&self, stream: &str, from: u64) -> Result<Records, InspectError> {
        self.expect(stream)?;
        let found = self.assess(stream).map_err(|source| self.failed(source))?;
        let wrong = found.report.damage.iter().filter(|damage| damage.sequences.end > from);
        let damaged = wrong.map(|damage| damage.sequences.end - damage.sequences.start).sum();
        let parts = parts(&found).into_iter().filter(|part| part.end > from).collect();
        Ok(Records {
            folder: self.clone(),
            stream: stream.to_owned(),
            parts,
            settled: found.settled,
            from,
            settled_too: false,
            here: None,
            damaged,
        })
    }
}

impl Records {
    /// Shows settled records too, as far as they are still there.
    #[must_use]
    pub fn with_settled(mut self) -> Self {
        self.settled_too = true;
        self
    }

    /// How many queued records were damaged, as far as the reading has come.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    fn enter(&mut self, part: Part) -> Result<(), InspectError> {
        let queued = part.queued(&self.settled);
        if queued == 0 && !self.settled_too {
            return Ok(());
        }
        let mut missing = None;
        // Twice, because a running gateway may have been caught in the middle of a write.
        for _ in 0..2 {
            match self.folder.look_at(&self.stream, part) {
                Ok(Sight::Seen(survey)) => {
                    let records = survey.scan.records.iter();
                    let intact = records
                        .filter(|found| !self.settled.contains(found.sequence))
                        .count() as u64;
                    missing = Some(queued.saturating_sub(intact));
                    self.here = Some((part, survey, Decoded::default(), 0));
                }
                Ok(Sight::Gone) => return Ok(()),
                Ok(Sight::Unreadable(_)) => missing = Some(queued),
                Err(error) => return Err(self.folder.failed(error)),
            }
            if missing == Some(0) {
                break;
            }
            self.folder.pause();
        }
        self.damaged += missing.unwrap_or(0);
        Ok(())
    }

    fn next_here(&mut self) -> Option<Stored> {
        let (part, survey, decoded, at) = self.here.as_mut()?;
        while let Some(found) = survey.scan.records.get(*at) {
            *at += 1;
            let settled = self.settled.contains(found.sequence);
            if found.sequence < self.from || (settled && !self.settled_too) {
                continue;
            }
            let Some(bytes) = survey.record(found, decoded) else { continue };
            let Some(view) = RecordView::decode(&bytes) else { continue };
            let record = Record {
                sequence: view.sequence,
                source: view.source.into(),
                topic: view.topic.to_owned(),
                payload: Bytes::copy_from_slice(view.payload),
                stamp: view.stamp,
            };
            return Some(Stored { segment: part.name.id, settled, record });
        }
        self.here = None;
        None
    }
}

impl Iterator for Records {
    type Item = Result<Stored, InspectError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(stored) = self.next_here() {
                return Some(Ok(stored));
            }
            let part = self.parts.pop_front()?;
            if let Err(error) = self.enter(part) {
                self.parts.clear();
                return Some(Err(error));
            }
        }
    }
}
