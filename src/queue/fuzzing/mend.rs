//! Making the checksums of a tampered file right again, so that what is behind them is reached.

use crate::{
    frame::{FRAME_HEADER_BYTES, FRAME_MAGIC},
    segment::SegmentName,
};

const CURSOR_FRONT_BYTES: usize = 24;
const SEGMENT_FRONT_BYTES: usize = 36;

/// The checksum of what belongs to a segment.
fn salted(name: SegmentName, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&name.id.to_le_bytes()), bytes)
}

fn number_at(bytes: &[u8], at: usize) -> usize {
    let number = bytes[at..].first_chunk().copied().map_or(0, u32::from_le_bytes);
    number as usize
}

fn put(bytes: &mut [u8], at: usize, number: u32) {
    bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
}

/// A slot of the cursor; a length beyond the file is cut to it.
pub(super) fn cursor(bytes: &mut [u8]) {
    let Some(rest) = bytes.len().checked_sub(CURSOR_FRONT_BYTES) else { return };
    let length = number_at(bytes, 16).min(rest);
    bytes[..8].copy_from_slice(b"HFCURSR1");
    put(bytes, 16, length as u32);
    let front = crc32c::crc32c(&bytes[..20]);
    let payload = &bytes[CURSOR_FRONT_BYTES..CURSOR_FRONT_BYTES + length];
    let checksum = crc32c::crc32c_append(front, payload);
    put(bytes, 20, checksum);
}

/// A segment: its header and its frames.
pub(super) fn segment(bytes: &mut [u8], name: SegmentName) {
    if bytes.len() < SEGMENT_FRONT_BYTES {
        return;
    }
    let length = number_at(bytes, 12).clamp(SEGMENT_FRONT_BYTES, bytes.len());
    bytes[..8].copy_from_slice(b"HOLDFSEG");
    put(bytes, 12, length as u32);
    bytes[20..28].copy_from_slice(&name.id.to_le_bytes());
    bytes[28..36].copy_from_slice(&name.base.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..16]), &bytes[20..length]);
    put(bytes, 16, checksum);
    frames(&mut bytes[length..], name);
}

/// All frames that begin somewhere in the bytes.
pub(super) fn frames(mut bytes: &mut [u8], name: SegmentName) {
    while let Some(at) = bytes.windows(4).position(|four| four == FRAME_MAGIC) {
        let Some((header, rest)) = bytes[at..].split_at_mut_checked(FRAME_HEADER_BYTES) else {
            return;
        };
        let length = number_at(header, 12).min(rest.len());
        let (body, rest) = rest.split_at_mut(length);
        if header[4..6] == [0; 2] {
            records(body, name);
        }
        // Where the body is cut off this is the checksum of a batch that was torn.
        put(header, 24, salted(name, body));
        let checksum = salted(name, &header[..FRAME_HEADER_BYTES - 4]);
        put(header, FRAME_HEADER_BYTES - 4, checksum);
        bytes = rest;
    }
}

fn records(mut body: &mut [u8], name: SegmentName) {
    while body.len() >= 8 {
        let length = number_at(body, 4);
        if !(8..=body.len()).contains(&length) {
            return;
        }
        let (record, rest) = body.split_at_mut(length);
        let checksum = salted(name, &record[4..]);
        put(record, 0, checksum);
        body = rest;
    }
}
