//! Finding what is intact in the bytes of a segment, damaged or not.
//!
//! Whole frames are taken as they come. Where one does not validate, the search goes on byte by
//! byte for the next frame or the next record that does, so that one bad bit costs one record.

use std::ops::Range;

use super::{
    bodies::{BodyError, BodyReader, Encoding},
    frame::{
        FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, RECORD_BYTES_MAX, RECORD_BYTES_MIN,
        RecordView, Salt,
    },
    keys::KeyTag,
    segment::SegmentName,
    sums::Sums,
};

/// How far ahead of the last intact record a sequence may lie and still be believed.
const SEQUENCE_LEAP_MAX: u64 = 1 << 24;

/// An intact record in the bytes of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) sequence: u64,
    /// Where it lies in the file; where its frame lies, if that is encoded.
    pub(super) at: u32,
    pub(super) bytes: u32,
    /// Where it lies in the decoded body of its frame, if that is encoded.
    pub(super) inside: Option<(u32, u32)>,
}

impl Found {
    /// Where it, or its frame, lies in the file.
    pub(super) fn range(&self) -> Range<usize> {
        self.at as usize..(self.at + self.bytes) as usize
    }
}

/// What is missing between intact records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) sequences: Range<u64>,
    /// Where in the file they were, or would have been.
    pub(super) bytes: Range<u64>,
}

/// A frame whose header is intact and whose body is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfinished {
    /// Where it begins.
    pub(super) at: u64,
    /// Where its body lies by its header; the file may end before that.
    pub(super) body: Range<u64>,
    pub(super) sequences: Range<u64>,
}

/// The intact records of a segment, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) records: Vec<Found>,
    /// Behind the last intact frame or record.
    pub(super) data_end: u64,
    /// The sequence after the last that an intact frame header or record speaks of.
    pub(super) claimed_end: u64,
    /// The last frame, where its body is not intact and nothing is behind it that is.
    pub(super) unfinished: Option<Unfinished>,
    /// The key of its encrypted frames: a segment has one.
    pub(super) key: Option<KeyTag>,
    /// A key without which some of it could not be read.
    pub(super) key_missing: Option<KeyTag>,
}

impl Scan {
    /// Scans `bytes` from `start` on for records from `name.base` up to before `limit`.
    pub(super) fn of(
        bytes: &[u8],
        start: usize,
        name: SegmentName,
        bodies: &BodyReader,
        limit: u64,
    ) -> Self {
        let scan = Self { data_end: start as u64, claimed_end: name.base, ..Self::default() };
        let mut scanner = Scanner {
            bytes,
            sums: Sums::new(bytes, name.salt()),
            salt: name.salt(),
            bodies,
            limit,
            scan,
            unfit: None,
            opens: false,
        };
        scanner.run(start);
        // A segment has one key: if it opens anything, what it does not open is damaged.
        let missing = scanner.unfit.filter(|_| !scanner.opens);
        scanner.scan.key_missing = scanner.scan.key_missing.or(missing);
        scanner.scan
    }

    /// The sequences of `[from, end)` that were not found, and where they should be.
    pub(super) fn gaps(&self, from: u64, end: u64) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let (mut expected, mut at) = (from, 0);
        for record in self.records.iter().filter(|record| record.sequence < end) {
            let start = u64::from(record.at);
            if record.sequence > expected {
                gaps.push(Gap { sequences: expected..record.sequence, bytes: at..start });
            }
            expected = expected.max(record.sequence + 1);
            at = start + u64::from(record.bytes);
        }
        if expected < end {
            gaps.push(Gap { sequences: expected..end, bytes: at..self.data_end.max(at) });
        }
        gaps
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    sums: Sums<'a>,
    salt: Salt,
    bodies: &'a BodyReader,
    limit: u64,
    scan: Scan,
    /// A key that did not open an intact body.
    unfit: Option<KeyTag>,
    /// Whether any body was opened.
    opens: bool,
}

impl Scanner<'_> {
    fn run(&mut self, start: usize) {
        let mut at = start;
        while at < self.bytes.len() {
            if let Some(header) = self.frame_at(at) {
                at = self.take_frame(at, &header);
                continue;
            }
            let plausible = self.plausible();
            match self.next_intact(at, self.bytes.len(), &plausible) {
                Some((found_at, Some(length))) => {
                    self.push(found_at, length);
                    at = found_at + length;
                    self.scan.data_end = at as u64;
                    self.scan.unfinished = None;
                }
                Some((found_at, None)) => at = found_at,
                None => break,
            }
        }
    }

    fn plausible(&self) -> Range<u64> {
        let from = self.scan.claimed_end;
        from..self.limit.min(from.saturating_add(SEQUENCE_LEAP_MAX))
    }

    fn frame_at(&self, at: usize) -> Option<FrameHeader> {
        FrameHeader::decode(self.bytes.get(at..)?, self.salt)
            .filter(|header| (self.scan.claimed_end..self.limit).contains(&header.first_sequence))
    }

    /// Takes a frame whose header is intact; returns where the next one begins.
    fn take_frame(&mut self, at: usize, header: &FrameHeader) -> usize {
        let start = at + FRAME_HEADER_BYTES;
        let end = start.saturating_add(header.body_bytes as usize).min(self.bytes.len());
        let sequences = header.first_sequence..header.end_sequence().min(self.limit);
        let body = &self.bytes[start..end];
        let is_intact = header.body_is_intact(body, self.salt);
        self.scan.key = self.scan.key.or(header.encoding.key());
        if header.encoding != Encoding::PLAIN {
            if is_intact {
                self.take_encoded(start - FRAME_HEADER_BYTES, header, body);
            }
        } else if is_intact {
            let mut at = start;
            while at < end
                && let Some(view) = RecordView::decode(&self.bytes[at..end])
            {
                let (sequence, length) = (view.sequence, view.bytes);
                if (self.scan.claimed_end..self.limit).contains(&sequence) {
                    self.push_known(sequence, at, length);
                }
                at += length;
            }
        } else {
            let mut at = start;
            let mut plausible = sequences.clone();
            while let Some((found_at, length)) = self.next_record(at, end, &plausible) {
                plausible.start = self.push(found_at, length) + 1;
                at = found_at + length;
            }
        }
        let body = start as u64..start as u64 + u64::from(header.body_bytes);
        let at = body.start - FRAME_HEADER_BYTES as u64;
        self.scan.claimed_end = self.scan.claimed_end.max(sequences.end);
        self.scan.data_end = end as u64;
        self.scan.unfinished = (!is_intact).then_some(Unfinished { at, body, sequences });
        end
    }

    fn take_encoded(&mut self, at: usize, header: &FrameHeader, stored: &[u8]) {
        let body = match self.bodies.decode(header, stored) {
            Ok(body) => body,
            Err(BodyError::KeyMissing(tag)) => {
                self.scan.key_missing = Some(tag);
                return;
            }
            Err(BodyError::KeyUnfit(tag)) => {
                self.unfit = Some(tag);
                return;
            }
            Err(BodyError::Damaged) => return,
        };
        self.opens |= header.encoding.key().is_some();
        let bytes = (FRAME_HEADER_BYTES + stored.len()) as u32;
        let mut inside = 0;
        while let Some(view) = RecordView::decode(&body[inside..]) {
            if view.sequence < self.limit {
                let place = Some((inside as u32, view.bytes as u32));
                let found = Found { sequence: view.sequence, at: at as u32, bytes, inside: place };
                self.scan.records.push(found);
            }
            inside += view.bytes;
        }
    }

    /// The next intact frame (`None` for its length) or record in `[at, end)`.
    fn next_intact(
        &self,
        at: usize,
        end: usize,
        plausible: &Range<u64>,
    ) -> Option<(usize, Option<usize>)> {
        let window = self.bytes.get(at..end)?;
        for (offset, front) in window.windows(16).enumerate() {
            let here = at + offset;
            if front[..4] == FRAME_MAGIC && self.frame_at(here).is_some() {
                return Some((here, None));
            }
            if let Some(length) = self.record_at(front, here, end, plausible) {
                return Some((here, Some(length)));
            }
        }
        None
    }

    fn next_record(&self, at: usize, end: usize, plausible: &Range<u64>) -> Option<(usize, usize)> {
        let window = self.bytes.get(at..end)?;
        window.windows(16).enumerate().find_map(|(offset, front)| {
            let here = at + offset;
            Some((here, self.record_at(front, here, end, plausible)?))
        })
    }

    /// The length of the intact record at `here`, of which `front` is the beginning.
    fn record_at(
        &self,
        front: &[u8],
        here: usize,
        end: usize,
        plausible: &Range<u64>,
    ) -> Option<usize> {
        let length = u32::from_le_bytes(front[4..8].try_into().ok()?) as usize;
        let sequence = u64::from_le_bytes(front[8..16].try_into().ok()?);
        // Cheap conditions that nearly every wrong place fails.
        if !(RECORD_BYTES_MIN..=RECORD_BYTES_MAX).contains(&length)
            || !plausible.contains(&sequence)
            || here + length > end
        {
            return None;
        }
        let record = here..here + length;
        let checksum = u32::from_le_bytes(front[..4].try_into().ok()?);
        let is_intact = self.sums.of(record.start + 4..record.end) == checksum;
        is_intact.then(|| RecordView::decode(&self.bytes[record])).flatten().map(|view| view.bytes)
    }

    fn push(&mut self, at: usize, length: usize) -> u64 {
        let sequence = self.bytes[at + 8..at + 16].try_into().map_or(0, u64::from_le_bytes);
        self.push_known(sequence, at, length);
        sequence
    }

    fn push_known(&mut self, sequence: u64, at: usize, length: usize) {
        let found = Found { sequence, at: at as u32, bytes: length as u32, inside: None };
        self.scan.records.push(found);
        self.scan.claimed_end = self.scan.claimed_end.max(sequence + 1);
    }
}

#[cfg(test)]
mod tests;
