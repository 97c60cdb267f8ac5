//! Files whose every field is chosen by the fuzzer. Their checksums are left to [`super::mend`].

use super::input::Input;
use crate::{
    bodies::BodyWriter,
    codec::{put_bytes, put_signed, put_varint},
    frame::{FRAME_HEADER_BYTES, FRAME_MAGIC},
    segment::{FORMAT_VERSION, SegmentName},
};

const SOURCES_MAX: usize = 6;
const RANGES_MAX: usize = 12;
const FRAMES_MAX: usize = 5;
const RECORDS_MAX: usize = 8;
const NAMES: [&str; 4] = ["a", "b", "(unknown)", "(other)"];

/// A segment's name: any base and any id.
pub(super) fn segment_name(input: &mut Input<'_>) -> SegmentName {
    let base = input.number();
    let id = input.number() << 32 | input.number() & 0xffff_ffff;
    SegmentName { base, id }
}

/// A slot of the cursor.
pub(super) fn cursor(input: &mut Input<'_>) -> Vec<u8> {
    let mut payload = Vec::new();
    let generation = input.number();
    payload.extend_from_slice(&input.number().to_le_bytes());
    put_varint(&mut payload, input.number());
    let ranges = input.choice(RANGES_MAX);
    put_count(&mut payload, input, ranges);
    for _ in 0..ranges {
        put_varint(&mut payload, input.number());
        put_varint(&mut payload, input.number());
    }
    accounts(&mut payload, input);
    let mut bytes = vec![0; 24];
    bytes[8..16].copy_from_slice(&generation.to_le_bytes());
    bytes[16..20].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&payload);
    bytes
}

/// A segment with a few frames.
pub(super) fn segment(input: &mut Input<'_>, bodies: &mut BodyWriter) -> Vec<u8> {
    let mut bytes = vec![0; 36];
    let version = if input.byte() == u8::MAX { input.short() } else { FORMAT_VERSION };
    bytes[8..10].copy_from_slice(&version.to_le_bytes());
    put_bytes(&mut bytes, b"telemetry");
    stamp(&mut bytes, input);
    accounts(&mut bytes, input);
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    let length = bytes.len() as u32;
    bytes[12..16].copy_from_slice(&length.to_le_bytes());
    for _ in 0..input.choice(FRAMES_MAX) {
        frame(&mut bytes, input, bodies);
    }
    bytes
}

/// Nearly always the true count.
fn put_count(bytes: &mut Vec<u8>, input: &mut Input<'_>, count: usize) {
    let count = if input.byte() == u8::MAX { input.number() } else { count as u64 };
    put_varint(bytes, count);
}

fn stamp(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    put_varint(bytes, input.number());
    put_varint(bytes, input.number());
    put_signed(bytes, input.number() as i64);
    bytes.push(input.byte());
}

fn accounts(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let sources = 2 + input.choice(SOURCES_MAX);
    put_count(bytes, input, sources);
    for _ in 0..sources {
        put_bytes(bytes, NAMES[input.choice(NAMES.len())].as_bytes());
        for _ in 0..9 {
            put_varint(bytes, input.number());
        }
    }
}

/// A frame that is right in itself, and encoded as those of its stream, but for what the input
/// chose.
pub(super) fn frame(bytes: &mut Vec<u8>, input: &mut Input<'_>, bodies: &mut BodyWriter) {
    let first = input.number();
    let count = input.choice(RECORDS_MAX);
    let claimed = if input.byte() == u8::MAX { input.number() as u32 } else { count as u32 };
    let flags = (input.byte() == u8::MAX).then(|| (input.short(), input.short()));
    let start = bytes.len();
    bytes.resize(start + FRAME_HEADER_BYTES, 0);
    let body_start = bytes.len();
    for number in 0..count as u64 {
        let odd = input.byte() == u8::MAX;
        let sequence = if odd { input.number() } else { first.wrapping_add(number) };
        record(bytes, input, sequence);
    }
    let encoding = bodies.encode(bytes, body_start, first, claimed).expect("it can be encoded");
    let (flags, tag) = flags.unwrap_or(encoding.fields());
    let (header, body) = bytes[start..].split_at_mut(FRAME_HEADER_BYTES);
    header[..4].copy_from_slice(&FRAME_MAGIC);
    header[4..6].copy_from_slice(&flags.to_le_bytes());
    header[6..8].copy_from_slice(&tag.to_le_bytes());
    header[8..12].copy_from_slice(&claimed.to_le_bytes());
    header[12..16].copy_from_slice(&(body.len() as u32).to_le_bytes());
    header[16..24].copy_from_slice(&first.to_le_bytes());
}

fn record(bytes: &mut Vec<u8>, input: &mut Input<'_>, sequence: u64) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 8]);
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.push(input.byte());
    bytes.extend_from_slice(&input.number().to_le_bytes());
    put_varint(bytes, input.number());
    put_signed(bytes, input.number() as i64);
    let source = NAMES[input.choice(NAMES.len())];
    put_count(bytes, input, source.len());
    put_count(bytes, input, 1);
    bytes.extend_from_slice(source.as_bytes());
    bytes.push(b't');
    bytes.extend_from_slice(input.bytes());
    let length = (bytes.len() - start) as u32;
    let claimed = if input.byte() == u8::MAX { input.number() as u32 } else { length };
    bytes[start + 4..start + 8].copy_from_slice(&claimed.to_le_bytes());
}
