//! Walking over the frames of one segment.

use std::{io, ops::Range, sync::Arc};

use bytes::{Buf, Bytes};

use super::{
    Record,
    bodies::{BodyReader, Encoding},
    disk::DiskFile,
    frame::{FRAME_BODY_BYTES, FRAME_HEADER_BYTES, FrameHeader, RecordView, Salt},
    segment::{self, HeaderError, SegmentHeader, SegmentName},
    state::Shared,
    survey::newer,
};

/// The file is read in pieces of at least this length: two of the longest plain frames, so that
/// little is read twice.
const WINDOW_BYTES: u64 = 2 * FRAME_BODY_BYTES as u64 + 64 * 1024;

/// A place in a segment, between two records.
#[derive(Debug)]
pub(super) struct Walk {
    name: SegmentName,
    salt: Salt,
    bodies: BodyReader,
    file: Arc<dyn DiskFile>,
    window: Bytes,
    /// Where the window lies in the file.
    window_at: u64,
    /// Where the next frame begins in the file.
    frame_at: u64,
    /// What is left of the frame that was entered.
    body: Bytes,
    /// The sequence that comes next, if none is missing.
    expected: u64,
    /// Neighbours often share their source.
    source: Arc<str>,
}

/// What the next step came upon.
#[derive(Debug)]
pub(super) enum Step {
    /// An intact record.
    Record(Record),
    /// Nothing where these sequences should be; if any of them is not settled, the segment is
    /// damaged. If they reach to the end of the segment, this was the last step.
    Leap(Range<u64>),
    /// The end of what is wanted.
    End,
}

impl Walk {
    pub(super) fn enter(shared: &Shared, name: SegmentName) -> io::Result<Self> {
        let file = segment::open(&*shared.disk, &shared.dir, name)?;
        let frame_at = match SegmentHeader::read(&*file, name) {
            Ok(header) => header.data_start,
            Err(HeaderError::Newer(version)) => return Err(newer(&name.file_name(), version)),
            // There is no frame at the very front, so this leads to a search of the segment.
            Err(HeaderError::Damaged | HeaderError::Io(_)) => 0,
        };
        Ok(Self {
            name,
            salt: name.salt(),
            bodies: BodyReader::new(&shared.keys, name),
            file,
            window: Bytes::new(),
            window_at: 0,
            frame_at,
            body: Bytes::new(),
            expected: name.base,
            source: "".into(),
        })
    }

    /// Whether going on from here leads to a sequence.
    pub(super) fn leads_to(&self, name: SegmentName, sequence: u64) -> bool {
        self.name == name && self.expected <= sequence
    }

    /// The next record with a sequence in `wanted`, whose end is that of the segment, in the
    /// first `data_end` bytes of the file.
    pub(super) fn step(&mut self, wanted: &Range<u64>, data_end: u64) -> Step {
        loop {
            if self.expected >= wanted.end {
                return Step::End;
            }
            if self.body.is_empty() {
                match self.enter_frame(wanted, data_end) {
                    Some(expected) if expected > self.expected => {
                        let leapt = self.expected..expected;
                        self.expected = expected;
                        return Step::Leap(leapt);
                    }
                    Some(_) => continue,
                    None => return Step::Leap(self.expected..wanted.end),
                }
            }
            let Some(view) =
                RecordView::decode(&self.body).filter(|view| view.sequence == self.expected)
            else {
                return Step::Leap(self.expected..wanted.end);
            };
            let (sequence, length) = (view.sequence, view.bytes);
            self.expected = sequence + 1;
            let record =
                wanted.contains(&sequence).then(|| view.to_record(&self.body, &mut self.source));
            self.body.advance(length);
            if let Some(record) = record {
                return Step::Record(record);
            }
        }
    }

    /// Enters the next frame, or passes over it if it lies wholly before what is wanted. Returns
    /// the sequence it begins with, `None` where there is no intact frame.
    fn enter_frame(&mut self, wanted: &Range<u64>, data_end: u64) -> Option<u64> {
        let front = self.bytes(FRAME_HEADER_BYTES as u64, data_end)?;
        let header = FrameHeader::decode(&front, self.salt)?;
        let first = header.first_sequence;
        if first < self.expected || first >= wanted.end {
            return None;
        }
        let length = FRAME_HEADER_BYTES as u64 + u64::from(header.body_bytes);
        if header.end_sequence() <= wanted.start && first == self.expected {
            self.expected = header.end_sequence();
            self.frame_at += length;
            return Some(self.expected);
        }
        let body = self.bytes(length, data_end)?.slice(FRAME_HEADER_BYTES..);
        if !header.body_is_intact(&body, self.salt) {
            return None;
        }
        // What cannot be decoded is looked into by the survey that follows the missing step.
        self.body = match header.encoding {
            Encoding::PLAIN => body,
            _ => self.bodies.decode(&header, &body).ok()?.into(),
        };
        self.frame_at += length;
        Some(first)
    }

    /// The next bytes from the beginning of the frame on.
    fn bytes(&mut self, length: u64, data_end: u64) -> Option<Bytes> {
        if self.frame_at + length > data_end {
            return None;
        }
        let inside = self.frame_at >= self.window_at
            && self.frame_at + length <= self.window_at + self.window.len() as u64;
        if !inside {
            let wanted = length.max(WINDOW_BYTES).min(data_end - self.frame_at);
            let mut buffer = vec![0; usize::try_from(wanted).ok()?];
            // A read error is looked into by the survey that follows the missing step.
            let read = self.file.read_at(&mut buffer, self.frame_at).ok()?;
            buffer.truncate(read);
            self.window = buffer.into();
            self.window_at = self.frame_at;
        }
        let start = (self.frame_at - self.window_at) as usize;
        let end = start + length as usize;
        (end <= self.window.len()).then(|| self.window.slice(start..end))
    }
}
