//! Batch frames and the records inside them.
//!
//! The layout is in the module's head. All functions work on bytes that may be anything.

use std::{io, sync::Arc};

use bytes::Bytes;

use super::{
    NewRecord, Record, Stamp,
    bodies::{BodyWriter, ENCODING_BYTES_MAX, Encoding},
    codec::{Take, put_signed, put_varint},
    record::SEQUENCE_END,
};

/// The four bytes every frame begins with.
pub(super) const FRAME_MAGIC: [u8; 4] = *b"HFB1";
/// The length of a frame's header.
pub(super) const FRAME_HEADER_BYTES: usize = 32;
/// A frame is closed when its body, if it is plain, has reached this length.
pub(super) const FRAME_BODY_BYTES: usize = 256 * 1024;
/// The most records in one frame.
pub(super) const FRAME_RECORDS_MAX: usize = 4096;
/// The shortest record there can be.
pub(super) const RECORD_BYTES_MIN: usize = 29;
/// Its checksum, its length and its sequence.
const RECORD_FRONT_BYTES: usize = 16;
/// What a record takes beyond its source, topic and payload, at most.
const RECORD_OVERHEAD_BYTES_MAX: usize = 64;
/// The longest record; far beyond what a packet can bring.
pub(super) const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

const FLAG_WALL_TRUSTED: u8 = 1;

/// What every checksum in a segment is begun with, so that bytes left over from a segment's
/// earlier life never pass for its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Salt(u32);

impl Salt {
    pub(super) fn of(segment_id: u64) -> Self {
        Self(crc32c::crc32c(&segment_id.to_le_bytes()))
    }

    /// The checksum that all others begin with.
    pub(super) fn value(self) -> u32 {
        self.0
    }

    fn checksum(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, bytes)
    }
}

/// A frame's header, its checksum verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// How the body is encoded.
    pub(super) encoding: Encoding,
    pub(super) records: u32,
    pub(super) body_bytes: u32,
    pub(super) first_sequence: u64,
    body_checksum: u32,
}

impl FrameHeader {
    /// Decodes the header at the front of `bytes`; `None` where there is none that is intact.
    pub(super) fn decode(bytes: &[u8], salt: Salt) -> Option<Self> {
        let header = bytes.first_chunk::<FRAME_HEADER_BYTES>()?;
        let mut take = Take(header);
        if take.array()? != FRAME_MAGIC {
            return None;
        }
        let (flags, tag) = (take.u16()?, take.u16()?);
        let decoded = Self {
            encoding: Encoding::of_fields(flags, tag)?,
            records: take.u32()?,
            body_bytes: take.u32()?,
            first_sequence: take.u64()?,
            body_checksum: take.u32()?,
        };
        let checksum = take.u32()?;
        let intact = checksum == salt.checksum(&header[..FRAME_HEADER_BYTES - 4]);
        (intact && decoded.end_sequence() <= SEQUENCE_END).then_some(decoded)
    }

    pub(super) fn end_sequence(&self) -> u64 {
        self.first_sequence.saturating_add(u64::from(self.records))
    }

    pub(super) fn body_is_intact(&self, body: &[u8], salt: Salt) -> bool {
        body.len() == self.body_bytes as usize && salt.checksum(body) == self.body_checksum
    }
}

/// A record as it lies in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordView<'a> {
    pub(super) sequence: u64,
    pub(super) stamp: Stamp,
    pub(super) source: &'a str,
    pub(super) topic: &'a str,
    pub(super) payload: &'a [u8],
    /// The whole record's length.
    pub(super) bytes: usize,
}

impl<'a> RecordView<'a> {
    /// Decodes the record at the front of `bytes` without looking at its checksum; for bodies
    /// that passed theirs.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut take = Take(bytes);
        take.u32()?;
        let length = take.u32()? as usize;
        let mut take = Take(bytes.get(8..length)?);
        let sequence = take.u64().filter(|sequence| *sequence < SEQUENCE_END)?;
        let flags = take.u8()?;
        let stamp = Stamp {
            boot: take.u64()?,
            monotonic_millis: take.varint()?,
            wall_millis: take.signed()?,
            wall_trusted: flags & FLAG_WALL_TRUSTED != 0,
        };
        let source_bytes = take.length()?;
        let topic_bytes = take.length()?;
        let source = std::str::from_utf8(take.bytes(source_bytes)?).ok()?;
        let topic = std::str::from_utf8(take.bytes(topic_bytes)?).ok()?;
        Some(Self { sequence, stamp, source, topic, payload: take.0, bytes: length })
    }

    /// What the search of a segment does in a shorter way ([`Sums`](crate::sums::Sums)), for one
    /// record: for bytes of unknown health, the sequence must lie in `plausible` and the
    /// record's own checksum must fit.
    #[cfg(any(test, feature = "simulated"))]
    pub(super) fn decode_checked(
        bytes: &'a [u8],
        salt: Salt,
        plausible: &std::ops::Range<u64>,
    ) -> Option<Self> {
        let mut take = Take(bytes);
        let checksum = take.u32()?;
        let length = take.u32()? as usize;
        let sequence = take.u64()?;
        // The cheap conditions come first: a search asks at every byte.
        if !(RECORD_BYTES_MIN..=bytes.len()).contains(&length) || !plausible.contains(&sequence) {
            return None;
        }
        (salt.checksum(&bytes[4..length]) == checksum).then(|| Self::decode(bytes)).flatten()
    }

    /// What it says, with the payload as a part of `bytes`, in which it was found. `source` is
    /// shared with the record before it, if it is the same.
    pub(super) fn to_record(self, bytes: &Bytes, source: &mut Arc<str>) -> Record {
        if **source != *self.source {
            *source = self.source.into();
        }
        Record {
            sequence: self.sequence,
            source: Arc::clone(source),
            topic: self.topic.to_owned(),
            payload: bytes.slice_ref(self.payload),
            stamp: self.stamp,
        }
    }
}

/// The most that a record may take in a frame of its own.
pub(super) fn framed_bytes_max(record: &NewRecord) -> u64 {
    (FRAME_HEADER_BYTES + encoded_bytes_max(record) + ENCODING_BYTES_MAX) as u64
}

/// The most that a record may take when it is encoded.
pub(super) fn encoded_bytes_max(record: &NewRecord) -> usize {
    RECORD_OVERHEAD_BYTES_MAX + record.source.len() + record.topic.len() + record.payload.len()
}

/// The checksum of what a record says, wherever it lies: its bytes but for checksum, length and
/// sequence.
pub(super) fn content_checksum(record: &[u8]) -> u32 {
    crc32c::crc32c(record.get(RECORD_FRONT_BYTES..).unwrap_or_default())
}

impl NewRecord {
    /// The same of a record that has no place yet.
    pub(super) fn content_checksum(&self) -> u32 {
        let mut buffer = Vec::new();
        encode_record(&mut buffer, Salt(0), 0, self);
        content_checksum(&buffer)
    }
}

/// Builds frames one behind the other in one buffer.
#[derive(Debug)]
pub(super) struct FrameWriter<'a> {
    buffer: &'a mut Vec<u8>,
    salt: Salt,
    bodies: &'a mut BodyWriter,
    open: Option<OpenFrame>,
}

#[derive(Debug)]
struct OpenFrame {
    start: usize,
    first_sequence: u64,
    records: u32,
}

impl<'a> FrameWriter<'a> {
    pub(super) fn new(buffer: &'a mut Vec<u8>, salt: Salt, bodies: &'a mut BodyWriter) -> Self {
        Self { buffer, salt, bodies, open: None }
    }

    /// Adds a record; sequences must follow one another.
    pub(super) fn push(&mut self, sequence: u64, record: &NewRecord) -> io::Result<()> {
        let start = self.buffer.len();
        let open = self.open.get_or_insert_with(|| {
            self.buffer.resize(start + FRAME_HEADER_BYTES, 0);
            OpenFrame { start, first_sequence: sequence, records: 0 }
        });
        encode_record(self.buffer, self.salt, sequence, record);
        open.records += 1;
        let body = self.buffer.len() - open.start - FRAME_HEADER_BYTES;
        if body >= self.bodies.body_bytes() || open.records as usize >= FRAME_RECORDS_MAX {
            self.close_frame()?;
        }
        Ok(())
    }

    /// The length of the buffer so far.
    pub(super) fn bytes(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Completes the frame begun last.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.close_frame()
    }

    fn close_frame(&mut self) -> io::Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let body_start = open.start + FRAME_HEADER_BYTES;
        let encoding =
            self.bodies.encode(self.buffer, body_start, open.first_sequence, open.records)?;
        let (flags, tag) = encoding.fields();
        let (header, body) = self.buffer[open.start..].split_at_mut(FRAME_HEADER_BYTES);
        header[..4].copy_from_slice(&FRAME_MAGIC);
        header[4..6].copy_from_slice(&flags.to_le_bytes());
        header[6..8].copy_from_slice(&tag.to_le_bytes());
        header[8..12].copy_from_slice(&open.records.to_le_bytes());
        header[12..16].copy_from_slice(&(body.len() as u32).to_le_bytes());
        header[16..24].copy_from_slice(&open.first_sequence.to_le_bytes());
        header[24..28].copy_from_slice(&self.salt.checksum(body).to_le_bytes());
        let checksum = self.salt.checksum(&header[..28]);
        header[28..].copy_from_slice(&checksum.to_le_bytes());
        Ok(())
    }
}

fn encode_record(buffer: &mut Vec<u8>, salt: Salt, sequence: u64, record: &NewRecord) {
    let start = buffer.len();
    let source: &Arc<str> = &record.source;
    buffer.reserve(encoded_bytes_max(record));
    buffer.extend_from_slice(&[0; 8]);
    buffer.extend_from_slice(&sequence.to_le_bytes());
    buffer.push(if record.stamp.wall_trusted { FLAG_WALL_TRUSTED } else { 0 });
    buffer.extend_from_slice(&record.stamp.boot.to_le_bytes());
    put_varint(buffer, record.stamp.monotonic_millis);
    put_signed(buffer, record.stamp.wall_millis);
    put_varint(buffer, source.len() as u64);
    put_varint(buffer, record.topic.len() as u64);
    buffer.extend_from_slice(source.as_bytes());
    buffer.extend_from_slice(record.topic.as_bytes());
    buffer.extend_from_slice(&record.payload);
    let length = (buffer.len() - start) as u32;
    buffer[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
    let checksum = salt.checksum(&buffer[start + 4..]);
    buffer[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{keys::Keys, packing::Compression, segment::SegmentName};

    fn record(text: &str, payload: Vec<u8>, millis: u64, wall: i64) -> NewRecord {
        NewRecord {
            source: text.into(),
            topic: format!("t/{text}"),
            payload: Bytes::from(payload),
            stamp: Stamp {
                boot: 3,
                monotonic_millis: millis,
                wall_millis: wall,
                wall_trusted: wall > 0,
            },
        }
    }

    fn frame(salt: Salt, first: u64, records: &[NewRecord]) -> Vec<u8> {
        let mut buffer = Vec::new();
        let name = SegmentName { base: first, id: 9 };
        let mut bodies = BodyWriter::new(&Keys::none(), Compression::None, name);
        let mut writer = FrameWriter::new(&mut buffer, salt, &mut bodies);
        for (sequence, record) in (first..).zip(records) {
            writer.push(sequence, record).unwrap();
        }
        writer.finish().unwrap();
        buffer
    }

    proptest! {
        #[test]
        fn what_is_framed_is_read_back(
            text in ".{0,30}",
            payload in proptest::collection::vec(any::<u8>(), 0..300),
            millis in any::<u64>(),
            wall in any::<i64>(),
            first in 0..SEQUENCE_END - 2,
        ) {
            let salt = Salt::of(9);
            let record = record(&text, payload, millis, wall);
            let bytes = frame(salt, first, &[record.clone(), record.clone()]);
            let header = FrameHeader::decode(&bytes, salt).unwrap();
            let body = &bytes[FRAME_HEADER_BYTES..];
            prop_assert_eq!((header.records, header.first_sequence), (2, first));
            prop_assert!(header.body_is_intact(body, salt));
            let view = RecordView::decode(body).unwrap();
            prop_assert_eq!(view.sequence, first);
            prop_assert_eq!(view.source, &*record.source);
            prop_assert_eq!(view.topic, &record.topic);
            prop_assert_eq!(view.payload, &record.payload);
            prop_assert_eq!(view.stamp, record.stamp);
            prop_assert!(view.bytes <= encoded_bytes_max(&record));
            let second = RecordView::decode_checked(&body[view.bytes..], salt, &(0..u64::MAX));
            prop_assert_eq!(second.map(|view| view.sequence), Some(first + 1));
        }

        #[test]
        fn arbitrary_bytes_are_no_record_and_never_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..120),
        ) {
            prop_assert!(FrameHeader::decode(&bytes, Salt::of(1)).is_none());
            let plausible = 0..u64::MAX;
            prop_assert!(RecordView::decode_checked(&bytes, Salt::of(1), &plausible).is_none());
            let _ = RecordView::decode(&bytes);
        }
    }

    #[test]
    fn a_frame_of_another_segment_id_does_not_validate() {
        let bytes = frame(Salt::of(1), 5, &[record("a", vec![1; 40], 1, 1)]);
        let plausible = 0..u64::MAX;
        let other = Salt::of(2);
        assert!(FrameHeader::decode(&bytes, other).is_none());
        let body = &bytes[FRAME_HEADER_BYTES..];
        assert!(RecordView::decode_checked(body, other, &plausible).is_none());
        assert!(RecordView::decode_checked(body, Salt::of(1), &plausible).is_some());
    }

    #[test]
    fn every_flipped_bit_of_a_frame_is_noticed() {
        let salt = Salt::of(77);
        let good = frame(salt, 5, &[record("a", vec![1; 40], 1, 1)]);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let intact = FrameHeader::decode(&bad, salt)
                .is_some_and(|header| header.body_is_intact(&bad[FRAME_HEADER_BYTES..], salt));
            assert!(!intact, "bit {bit} went unnoticed");
        }
    }

    #[test]
    fn long_batches_are_cut_into_several_frames() {
        let salt = Salt::of(1);
        let records: Vec<_> =
            (0..3).map(|_| record("a", vec![7; FRAME_BODY_BYTES], 1, 1)).collect();
        let bytes = frame(salt, 0, &records);
        let header = FrameHeader::decode(&bytes, salt).unwrap();
        assert_eq!(header.records, 1);
        let second = FRAME_HEADER_BYTES + header.body_bytes as usize;
        assert_eq!(FrameHeader::decode(&bytes[second..], salt).unwrap().first_sequence, 1);
    }
}
