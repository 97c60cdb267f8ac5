//! Whether every key is there that the queued records need.

use std::io;

use super::assess::Work;
use crate::{
    bodies::{BodyError, BodyReader, KeyMissing},
    disk::is_no_damage,
    frame::{FRAME_HEADER_BYTES, FrameHeader},
    segment::{self, HeaderError, SegmentHeader, SegmentName},
    survey::Survey,
};

/// Refuses a stream of which a segment that is still needed is encrypted with a key that is not
/// known, before anything is touched: a gateway that took in what it can, and failed to send the
/// rest, would seem to be well.
///
/// A segment has one key, so its first frame tells. Two keys may have the same tag: where the
/// frame is intact and does not open, the others are asked. Where it is damaged, and where a
/// segment cannot be read, it is left to whoever reads the records.
pub(super) fn require(work: &Work<'_>) -> io::Result<()> {
    let segments = &work.found.segments;
    for (number, segment) in segments.iter().enumerate() {
        let end = segments.get(number + 1).map_or(u64::MAX, |next| next.name.base);
        if work.found.settled.open_count(segment.name.base..end) == 0 {
            continue;
        }
        match first_frame(work, segment.name) {
            Some(BodyError::KeyMissing(tag)) => return Err(KeyMissing::error(segment.name, tag)),
            Some(BodyError::KeyUnfit(_)) => {
                match Survey::of(work.disk, work.keys, work.dir, segment.name, end) {
                    Err(error) if is_no_damage(&error) => return Err(error),
                    _ => {}
                }
            }
            Some(BodyError::Damaged) | None => {}
        }
    }
    Ok(())
}

/// Why the first frame does not open, if it is encrypted and its header is intact.
fn first_frame(work: &Work<'_>, name: SegmentName) -> Option<BodyError> {
    let file = segment::open(work.disk, work.dir, name).ok()?;
    let data_start = match SegmentHeader::read(&*file, name) {
        Ok(header) => header.data_start,
        Err(HeaderError::Damaged | HeaderError::Newer(_) | HeaderError::Io(_)) => return None,
    };
    let mut front = [0; FRAME_HEADER_BYTES];
    file.read_at(&mut front, data_start).ok()?;
    let frame = FrameHeader::decode(&front, name.salt())?;
    let tag = frame.encoding.key()?;
    if !work.keys.tags().any(|known| known == tag) {
        return Some(BodyError::KeyMissing(tag));
    }
    // A length that the file does not have is damage, or a batch that was torn.
    let length = u64::from(frame.body_bytes).min(file.bytes().ok()?);
    let mut body = vec![0; usize::try_from(length).ok()?];
    file.read_at(&mut body, data_start + FRAME_HEADER_BYTES as u64).ok()?;
    if !frame.body_is_intact(&body, name.salt()) {
        return Some(BodyError::Damaged);
    }
    BodyReader::new(work.keys, name).decode(&frame, &body).err()
}
