//! Whether this program, with the keys it was given, can read the queued records.

use std::io;

use super::assess::Work;
use crate::{
    bodies::{BodyError, BodyReader, KeyMissing},
    disk::{DiskFile, is_no_damage},
    frame::{FRAME_HEADER_BYTES, FrameHeader},
    segment::{self, HeaderError, SegmentHeader, SegmentName},
    survey::{Survey, newer},
};

/// Refuses a stream of which a segment that is still needed was written by a later version, or is
/// encrypted with a key that is not known, before anything is touched: a gateway that took in
/// what it can, and failed to send the rest, would seem to be well.
///
/// A segment has one key, so its first frame tells. Two keys may have the same tag: where the
/// frame is intact and does not open, the others are asked. Where it is damaged, and where a
/// segment cannot be read, it is left to whoever reads the records.
pub(super) fn require(work: &Work<'_>) -> io::Result<()> {
    let segments = &work.found.segments;
    for (number, segment) in segments.iter().enumerate() {
        let end = segments.get(number + 1).map_or(u64::MAX, |next| next.name.base);
        if work.found.settled.open_count(segment.name.base..end) > 0 {
            require_one(work, segment.name, end)?;
        }
    }
    Ok(())
}

fn require_one(work: &Work<'_>, name: SegmentName, end: u64) -> io::Result<()> {
    let Ok(file) = segment::open(work.disk, work.dir, name) else { return Ok(()) };
    let header = match SegmentHeader::read(&*file, name) {
        Ok(header) => header,
        Err(HeaderError::Newer(version)) => return Err(newer(&name.file_name(), version)),
        Err(HeaderError::Damaged | HeaderError::Io(_)) => return Ok(()),
    };
    match first_frame(&*file, header.data_start, name, work) {
        Some(BodyError::KeyMissing(tag)) => Err(KeyMissing::error(name, tag)),
        Some(BodyError::KeyUnfit(_)) => {
            match Survey::of(work.disk, work.keys, work.dir, name, end) {
                Err(error) if is_no_damage(&error) => Err(error),
                _ => Ok(()),
            }
        }
        Some(BodyError::Damaged) | None => Ok(()),
    }
}

/// Why the first frame does not open, where it is encrypted and its header is intact.
fn first_frame(
    file: &dyn DiskFile,
    at: u64,
    name: SegmentName,
    work: &Work<'_>,
) -> Option<BodyError> {
    let mut front = [0; FRAME_HEADER_BYTES];
    file.read_at(&mut front, at).ok()?;
    let frame = FrameHeader::decode(&front, name.salt())?;
    let tag = frame.encoding.key()?;
    if !work.keys.tags().any(|known| known == tag) {
        return Some(BodyError::KeyMissing(tag));
    }
    // A length that the file does not have is damage, or a batch that was torn.
    let length = u64::from(frame.body_bytes).min(file.bytes().ok()?);
    let mut body = vec![0; usize::try_from(length).ok()?];
    let read = file.read_at(&mut body, at + FRAME_HEADER_BYTES as u64).ok()?;
    body.truncate(read);
    if !frame.body_is_intact(&body, name.salt()) {
        return Some(BodyError::Damaged);
    }
    BodyReader::new(work.keys, name).decode(&frame, &body).err()
}
