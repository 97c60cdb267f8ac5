//! Whether every key is there that the queued records need.

use std::io;

use super::assess::Work;
use crate::{
    bodies::KeyMissing,
    frame::{FRAME_HEADER_BYTES, FrameHeader},
    segment::{self, HeaderError, SegmentHeader, SegmentName},
};

/// Refuses a stream of which a segment that is still needed is encrypted with a key that is not
/// known, before anything is touched: a gateway that took in what it can, and failed to send the
/// rest, would seem to be well.
///
/// A segment has one key, so its first frame tells. Where that is damaged, and where a segment
/// cannot be read, it is left to whoever reads the records.
pub(super) fn require(work: &Work<'_>) -> io::Result<()> {
    let segments = &work.found.segments;
    for (number, segment) in segments.iter().enumerate() {
        let end = segments.get(number + 1).map_or(u64::MAX, |next| next.name.base);
        if work.found.settled.open_count(segment.name.base..end) == 0 {
            continue;
        }
        let needed = first_frame(work, segment.name).and_then(|frame| frame.encoding.key());
        if let Some(tag) = needed.filter(|tag| !work.keys.tags().any(|known| known == *tag)) {
            return Err(KeyMissing::error(segment.name, tag));
        }
    }
    Ok(())
}

fn first_frame(work: &Work<'_>, name: SegmentName) -> Option<FrameHeader> {
    let file = segment::open(work.disk, work.dir, name).ok()?;
    let data_start = match SegmentHeader::read(&*file, name) {
        Ok(header) => header.data_start,
        Err(HeaderError::Damaged | HeaderError::Newer(_) | HeaderError::Io(_)) => return None,
    };
    let mut front = [0; FRAME_HEADER_BYTES];
    file.read_at(&mut front, data_start).ok()?;
    FrameHeader::decode(&front, name.salt())
}
