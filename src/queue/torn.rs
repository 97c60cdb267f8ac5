//! A write that was cut off, by the power or by the end of the process.

use std::{fmt, ops::Range};

use serde::Serialize;

use super::{scan::Gap, segment::SegmentName, survey::Survey};

/// A disk writes sectors of this length wholly or not at all, so a write is cut off where one
/// begins.
const SECTOR_BYTES: u64 = 512;
/// What a sector held before can begin, by chance, with as many of the bytes that were to be
/// written; then the last record before the cut is intact although it reaches beyond it.
const CHANCE_BYTES: u64 = 8;

/// Records at the end of the last write that did not get to the disk. Nobody was told that they
/// were stored, so they count as never accepted, and their sequences are given to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Torn {
    /// The stream.
    pub stream: String,
    /// The file, within the stream's folder.
    pub file: String,
    /// The bytes of the file in which they would have been.
    pub bytes: Range<u64>,
    /// The sequences that they would have had.
    pub sequences: Range<u64>,
}

impl Torn {
    pub(super) fn of(stream: &str, name: SegmentName, gap: &Gap) -> Self {
        Self {
            stream: stream.to_owned(),
            file: name.file_name(),
            bytes: gap.bytes.clone(),
            sequences: gap.sequences.clone(),
        }
    }
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stream, file, bytes, sequences } = self;
        let (count, last) = (sequences.end - sequences.start, sequences.end - 1);
        write!(
            f,
            "stream {stream}: {count} torn record(s), {} to {last}, in {file} bytes {} to {}: the \
             write was cut off; nobody was told that these were stored",
            sequences.start, bytes.start, bytes.end
        )
    }
}

impl Survey {
    /// What is missing at the end of the last segment because its write was cut off; the
    /// sequences before `known` were stored once. `None` where nothing is missing there, or
    /// where that cannot be the reason.
    pub(super) fn torn(&self, known: u64) -> Option<Gap> {
        let frame = self.scan.unfinished.as_ref()?;
        let last = self.scan.records.last();
        let last = last.filter(|last| frame.sequences.contains(&last.sequence));
        let first = last.map_or(frame.sequences.start, |last| last.sequence + 1).max(known);
        let lost_at = last.map_or(frame.body.start, |last| last.range().end as u64);
        let cut_at = lost_at.saturating_sub(CHANCE_BYTES).next_multiple_of(SECTOR_BYTES);
        let could_not_be_read = |bad: &Range<u64>| bad.start < frame.body.end && lost_at < bad.end;
        if first >= frame.sequences.end
            || cut_at >= frame.body.end
            || self.unreadable.iter().any(could_not_be_read)
        {
            return None;
        }
        // A frame of which nothing came goes with its header.
        let start = last.map_or(frame.at, |_| lost_at);
        Some(Gap { sequences: first..frame.sequences.end, bytes: start..frame.body.end })
    }
}
