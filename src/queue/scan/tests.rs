use bytes::Bytes;

use super::*;
use crate::{
    Compression, NewRecord, Stamp, bodies::BodyWriter, frame::FrameWriter, keys::Keys,
    sums::SEARCH_WORK_MAX,
};

const NAME: SegmentName = SegmentName { base: 100, id: 0x1234 };

fn segment(batches: &[usize]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sequence = NAME.base;
    for count in batches {
        let mut bodies = BodyWriter::new(&Keys::none(), Compression::None, NAME);
        let mut writer = FrameWriter::new(&mut bytes, NAME.salt(), &mut bodies);
        for _ in 0..*count {
            let record = NewRecord {
                source: "s".into(),
                topic: "t".to_owned(),
                payload: Bytes::from(sequence.to_string()),
                stamp: Stamp { boot: 1, monotonic_millis: 1, wall_millis: 1, wall_trusted: true },
            };
            writer.push(sequence, &record).unwrap();
            sequence += 1;
        }
        writer.finish().unwrap();
    }
    bytes
}

fn scan(bytes: &[u8], limit: u64) -> Scan {
    Scan::of(bytes, 0, NAME, &BodyReader::new(&Keys::none(), NAME), limit)
}

fn sequences(scan: &Scan) -> Vec<u64> {
    scan.records.iter().map(|record| record.sequence).collect()
}

#[test]
fn an_intact_segment_is_read_to_its_end_and_no_further() {
    let mut bytes = segment(&[3, 1, 5]);
    let end = bytes.len() as u64;
    bytes.resize(bytes.len() + 500, 0);
    let scan = scan(&bytes, u64::MAX);
    assert_eq!(sequences(&scan), (100..109).collect::<Vec<_>>());
    assert_eq!((scan.data_end, scan.claimed_end), (end, 109));
    assert!(scan.gaps(100, 109).is_empty());
}

#[test]
fn one_flipped_bit_costs_at_most_one_record() {
    let good = segment(&[3, 1, 5]);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let found = sequences(&scan(&bad, u64::MAX));
        assert!(found.len() >= 8, "bit {bit}: {found:?}");
        assert!(found.is_sorted_by(|a, b| a < b));
    }
}

#[test]
fn of_two_records_with_one_number_the_first_counts() {
    let mut bytes = segment(&[2]);
    let body = bytes.split_off(FRAME_HEADER_BYTES);
    let twice = [body.as_slice(), &body].concat();
    // A frame that says it is intact, around the same records twice.
    let salt = crc32c::crc32c(&NAME.id.to_le_bytes());
    bytes[12..16].copy_from_slice(&(twice.len() as u32).to_le_bytes());
    bytes[24..28].copy_from_slice(&crc32c::crc32c_append(salt, &twice).to_le_bytes());
    let checksum = crc32c::crc32c_append(salt, &bytes[..28]);
    bytes[28..32].copy_from_slice(&checksum.to_le_bytes());
    let found = scan(&[bytes, twice].concat(), u64::MAX);
    assert_eq!(sequences(&found), vec![100, 101]);
}

#[test]
fn records_at_or_behind_the_limit_are_not_taken() {
    let scan = scan(&segment(&[3, 4]), 105);
    assert_eq!(sequences(&scan), vec![100, 101, 102, 103, 104]);
}

#[test]
fn a_torn_batch_says_how_many_it_held() {
    let bytes = segment(&[2, 4]);
    let scan = scan(&bytes[..bytes.len() - 1], u64::MAX);
    assert_eq!(sequences(&scan), vec![100, 101, 102, 103, 104]);
    assert_eq!(scan.claimed_end, 106);
    assert_eq!(scan.gaps(100, 106)[0].sequences, 105..106);
}

#[test]
fn only_the_last_frame_can_be_unfinished_and_only_with_nothing_intact_behind_it() {
    let whole = segment(&[2, 4]);
    assert_eq!(scan(&whole, u64::MAX).unfinished, None);
    let mut bytes = whole.clone();
    bytes[FRAME_HEADER_BYTES + 20] ^= 1;
    assert_eq!(scan(&bytes, u64::MAX).unfinished, None, "another frame is behind it");
    let second = whole.len() - segment(&[4]).len();
    bytes[second] ^= 1;
    assert_eq!(scan(&bytes, u64::MAX).unfinished, None, "records are behind it");
    bytes[second..].fill(0);
    let sequences = scan(&bytes, u64::MAX).unfinished.map(|frame| frame.sequences);
    assert_eq!(sequences, Some(100..102));
}

/// A record whose payload looks like the beginning of a long record at every sixteenth byte.
fn forging(bytes: &mut Vec<u8>, payload_bytes: usize) {
    let mut front = [0; 16];
    front[4..8].copy_from_slice(&(payload_bytes as u32 / 2).to_le_bytes());
    front[8..].copy_from_slice(&(NAME.base + 2).to_le_bytes());
    let payload = Bytes::from(front.repeat(payload_bytes / front.len()));
    let stamp = Stamp { boot: 1, monotonic_millis: 1, wall_millis: 1, wall_trusted: true };
    let record = NewRecord { source: "s".into(), topic: "t".to_owned(), payload, stamp };
    let mut bodies = BodyWriter::new(&Keys::none(), Compression::None, NAME);
    let mut writer = FrameWriter::new(bytes, NAME.salt(), &mut bodies);
    writer.push(NAME.base, &record).unwrap();
    writer.push(NAME.base + 1, &NewRecord { payload: Bytes::from("x"), ..record }).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_search_through_a_payload_that_forges_records_is_no_more_than_linear() {
    let mut bytes = Vec::new();
    forging(&mut bytes, 4 * 1024 * 1024);
    // The frame's header, and the front of the first record.
    bytes[5] ^= 1;
    bytes[FRAME_HEADER_BYTES + 9] ^= 1;
    let bodies = BodyReader::new(&Keys::none(), NAME);
    let mut scanner = Scanner {
        bytes: &bytes,
        sums: Sums::new(&bytes, NAME.salt()),
        salt: NAME.salt(),
        bodies: &bodies,
        limit: u64::MAX,
        scan: Scan { claimed_end: NAME.base, ..Scan::default() },
        unfit: None,
        opens: false,
    };
    scanner.run(0);
    assert_eq!(sequences(&scanner.scan), vec![101], "the record behind it is found");
    let (checksummed, most) = (scanner.sums.checksummed.get(), SEARCH_WORK_MAX * bytes.len());
    assert!(checksummed > bytes.len(), "it was searched");
    assert!(checksummed <= most, "{checksummed} of {most} bytes");
}
