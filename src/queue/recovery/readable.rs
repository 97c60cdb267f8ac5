//! Whether this program, with the keys it was given, can read the queued records.

use std::io;

use super::assess::Work;
use crate::{
    bodies::KeyMissing,
    disk::DiskFile,
    frame::{FRAME_HEADER_BYTES, FrameHeader},
    segment::{self, HeaderError, SegmentHeader, SegmentName},
    survey::newer,
};

/// Refuses a stream of which a segment that is still needed was written by a later version, or is
/// encrypted with a key that is not known, before anything is touched: a gateway that took in
/// what it can, and failed to send the rest, would seem to be well.
///
/// A segment has one key, so its first frame tells. Where that is damaged, and where a segment
/// cannot be read, it is left to whoever reads the records.
pub(super) fn require(work: &Work<'_>) -> io::Result<()> {
    let segments = &work.found.segments;
    for (number, segment) in segments.iter().enumerate() {
        let end = segments.get(number + 1).map_or(u64::MAX, |next| next.name.base);
        if work.found.settled.open_count(segment.name.base..end) > 0 {
            require_one(work, segment.name)?;
        }
    }
    Ok(())
}

fn require_one(work: &Work<'_>, name: SegmentName) -> io::Result<()> {
    let Ok(file) = segment::open(work.disk, work.dir, name) else { return Ok(()) };
    let header = match SegmentHeader::read(&*file, name) {
        Ok(header) => header,
        Err(HeaderError::Newer(version)) => return Err(newer(&name.file_name(), version)),
        Err(HeaderError::Damaged | HeaderError::Io(_)) => return Ok(()),
    };
    let first = first_frame(&*file, header.data_start, name);
    match first.and_then(|frame| frame.encoding.key()) {
        Some(tag) if !work.keys.tags().any(|known| known == tag) => {
            Err(KeyMissing::error(name, tag))
        }
        _ => Ok(()),
    }
}

fn first_frame(file: &dyn DiskFile, at: u64, name: SegmentName) -> Option<FrameHeader> {
    let mut front = [0; FRAME_HEADER_BYTES];
    file.read_at(&mut front, at).ok()?;
    FrameHeader::decode(&front, name.salt())
}
