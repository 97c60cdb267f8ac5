//! The decoders, on bytes that may be anything.

use std::ops::Range;

use super::mend;
use crate::{
    Compression, Keys, NewRecord,
    accounts::Accounts,
    bodies::{BodyReader, BodyWriter},
    codec::Take,
    frame::{FRAME_HEADER_BYTES, FrameHeader, FrameWriter, RecordView, Salt},
    scan::Scan,
    segment::{SegmentHeader, SegmentName},
    settled::Settled,
};

/// Decodes `bytes` as everything the queue's files are made of, as they are and once more with
/// their checksums mended.
pub fn record(bytes: &[u8]) {
    let name = SegmentName { base: 3, id: 0x1_0000_0001 };
    decode(bytes, name);
    let mut mended = bytes.to_vec();
    mend::frames(&mut mended, name);
    decode(&mended, name);
    mend::segment(&mut mended, name);
    decode(&mended, name);
}

fn decode(bytes: &[u8], name: SegmentName) {
    let salt = name.salt();
    if let Some(header) = FrameHeader::decode(bytes, salt) {
        let body = bytes.get(FRAME_HEADER_BYTES..).unwrap_or_default();
        let body = &body[..body.len().min(header.body_bytes as usize)];
        assert!(header.end_sequence() >= header.first_sequence);
        // Any answer will do, as long as there is one: nothing may panic.
        let _ = header.body_is_intact(body, salt);
        take_record(body, salt);
        // The same.
        let _ = BodyReader::new(&Keys::none(), name).decode(&header, body);
    }
    take_record(bytes, salt);
    for compression in [Compression::Lz4, Compression::Zstd] {
        // The same.
        let _ = compression.unpack(bytes);
    }
    let bodies = BodyReader::new(&Keys::none(), name);
    for limit in [name.base + 40, u64::MAX] {
        let scan = Scan::of(bytes, 0, name, &bodies, limit);
        check_scan(&scan, bytes, name.base..limit);
    }
    if let Ok(header) = SegmentHeader::decode(bytes, name) {
        assert_eq!(header.name, name);
        assert!(header.data_start as usize <= bytes.len());
    }
    if let Some(accounts) = Accounts::decode(&mut Take(bytes)) {
        let mut again = Vec::new();
        accounts.encode(&mut again);
        assert_eq!(Accounts::decode(&mut Take(&again)), Some(accounts));
    }
    if let Some(settled) = Settled::decode(&mut Take(bytes)) {
        let end = settled.floor().saturating_add(1000);
        assert!(settled.open_count(0..end) <= end);
        let mut again = Vec::new();
        settled.encode(&mut again);
        assert_eq!(Settled::decode(&mut Take(&again)), Some(settled));
    }
}

/// What can be decoded survives being encoded.
fn take_record(bytes: &[u8], salt: Salt) {
    let Some(view) = RecordView::decode(bytes) else { return };
    assert!(view.bytes <= bytes.len());
    let record = NewRecord {
        source: view.source.into(),
        topic: view.topic.to_owned(),
        payload: bytes::Bytes::copy_from_slice(view.payload),
        stamp: view.stamp,
    };
    let mut framed = Vec::new();
    let name = SegmentName { base: 0, id: 0 };
    let mut bodies = BodyWriter::new(&Keys::none(), Compression::None, name);
    let mut writer = FrameWriter::new(&mut framed, salt, &mut bodies);
    writer.push(view.sequence, &record).expect("a plain frame is always written");
    writer.finish().expect("a plain frame is always written");
    let plausible = view.sequence..view.sequence + 1;
    let again = RecordView::decode_checked(&framed[FRAME_HEADER_BYTES..], salt, &plausible);
    let again = again.expect("what was encoded is decoded");
    assert_eq!((again.source, again.topic), (view.source, view.topic));
    assert_eq!((again.payload, again.stamp), (view.payload, view.stamp));
}

/// Records come in order, from where they may be, and none overlaps another.
fn check_scan(scan: &Scan, bytes: &[u8], allowed: Range<u64>) {
    let (mut sequence, mut at) = (allowed.start, 0);
    for found in &scan.records {
        assert!((sequence..allowed.end).contains(&found.sequence), "{found:?} in {allowed:?}");
        assert!(found.range().start >= at, "{found:?} overlaps");
        sequence = found.sequence + 1;
        if found.inside.is_none() {
            assert!(RecordView::decode(&bytes[found.range()]).is_some());
            at = found.range().end;
        }
    }
    assert!(scan.data_end as usize <= bytes.len());
    assert!(scan.claimed_end >= sequence);
    for gap in scan.gaps(allowed.start, scan.claimed_end) {
        assert!(gap.sequences.start < gap.sequences.end, "{gap:?}");
        assert!(gap.bytes.start <= gap.bytes.end, "{gap:?}");
    }
}
