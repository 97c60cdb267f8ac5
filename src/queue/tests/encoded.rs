//! Frames that are compressed or encrypted keep every promise that plain ones do; damage costs the
//! frame it hits and no more.

use std::{collections::HashMap, io::ErrorKind, sync::Arc};

use super::harness::{Coding, Harness, KEY, SMALL, STREAM, root};
use crate::{
    Compression, Folder, Keys, OnFull, OpenError, StreamOptions,
    disk::simulated::{Op, SimulatedDisk},
    open::open_streams,
};

const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const SECRET: &str = "the pressure in tank 4";

fn encoded() -> impl Iterator<Item = Coding> {
    Coding::all().filter(|coding| *coding != Coding::PLAIN)
}

/// Twelve batches of eight records each in one segment.
fn filled(coding: Coding) -> Harness {
    let mut queue = Harness::coded(SMALL, OnFull::Reject, coding);
    for batch in 0..12 {
        let records = (0..8).map(|n| queue.record("tank", format!("{SECRET} {batch} {n}")));
        let records = records.collect();
        queue.append(records);
    }
    // The cursor knows how many there are, so that no loss goes unnoticed.
    queue.shared().state().changes += 1;
    queue.tend();
    queue
}

fn reopened(disk: SimulatedDisk, keys: Keys) -> Harness {
    let options = StreamOptions { bytes_max: SMALL, ..StreamOptions::with_defaults(STREAM) };
    Harness::with_keys(disk, options, keys)
}

fn open_error(disk: &SimulatedDisk, keys: Keys) -> OpenError {
    let queue =
        Harness::with_keys(SimulatedDisk::default(), StreamOptions::with_defaults("x"), keys);
    let mut environment = queue.environment();
    environment.disk = std::sync::Arc::new(disk.clone());
    open_streams(&root(), vec![], &environment).unwrap_err()
}

#[test]
fn encoded_records_are_read_back_after_a_kill() {
    for coding in encoded() {
        let mut queue = filled(coding);
        queue.kill();
        queue.open();
        assert!(queue.recovery.is_clean(), "{coding:?}: {}", queue.recovery);
        let records = queue.check();
        assert_eq!(records.len(), 96, "{coding:?}");
        assert_eq!(records[10].payload, format!("{SECRET} 1 2"), "{coding:?}");
    }
}

#[test]
fn nothing_of_an_encrypted_message_can_be_read_in_the_files() {
    let holds_secret = |queue: &Harness| {
        let contents = queue.disk.paths().into_iter().map(|path| queue.disk.content(&path));
        contents.into_iter().any(|content| {
            let text = String::from_utf8_lossy(&content);
            text.contains("tank 4") || text.contains("t/tank")
        })
    };
    assert!(holds_secret(&filled(Coding::PLAIN)), "else this test proves nothing");
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let queue = filled(Coding { compression, encrypted: true });
        assert!(!holds_secret(&queue), "{compression:?}");
    }
}

#[test]
fn compressed_streams_take_less_of_the_disk() {
    let bytes = |compression| {
        let queue = filled(Coding { compression, encrypted: false });
        queue.shared().state().segments[0].data_end
    };
    let plain = bytes(Compression::None);
    assert!(bytes(Compression::Lz4) < plain / 2);
    assert!(bytes(Compression::Zstd) < plain / 2);
}

/// Every byte of the segment behind its header is changed once.
#[test]
fn a_wrong_byte_costs_one_encoded_frame_and_is_named() {
    for coding in encoded() {
        let queue = filled(coding);
        let segment = queue.shared().state().segments[0];
        let path = queue.shared().dir.join(segment.name.file_name());
        let good = queue.disk.content(&path);
        let whole = queue.disk.duplicate();
        for at in (64..segment.data_end as usize).step_by(3) {
            let disk = whole.duplicate();
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            disk.set_content(&path, &bad);
            let report = Folder::on(Arc::new(disk.clone()), &root())
                .with_keys(coding.keys())
                .verify()
                .unwrap();
            let queue = reopened(disk, coding.keys());
            let records = queue.check();
            assert!(records.len() >= 88, "{coding:?}: byte {at} cost {}", 96 - records.len());
            for record in &records {
                let (batch, n) = (record.sequence / 8, record.sequence % 8);
                assert_eq!(
                    record.payload,
                    format!("{SECRET} {batch} {n}"),
                    "{coding:?}, byte {at}"
                );
            }
            let named: u64 =
                report.damage.iter().map(|d| d.sequences.end - d.sequences.start).sum();
            assert_eq!(named, 96 - records.len() as u64, "{coding:?}: byte {at}");
            assert_eq!(queue.total().damaged, named, "{coding:?}: byte {at}");
        }
    }
}

#[test]
fn without_the_right_key_nothing_is_opened_and_nothing_is_touched() {
    let mut queue = filled(Coding { compression: Compression::None, encrypted: true });
    queue.kill();
    // Another stream, opened before it, that needs no key and would be worked on.
    let options = StreamOptions { bytes_max: SMALL, ..StreamOptions::with_defaults("archive") };
    let keys = Keys::parse(&format!("none\n{KEY}")).unwrap();
    let mut other = Harness::with_keys(queue.disk.clone(), options, keys);
    other.fill("tank", 5, 50);
    other.kill();
    let before: Vec<_> = contents(&queue.disk);
    for keys in [Keys::none(), Keys::parse(OTHER_KEY).unwrap()] {
        let error = open_error(&queue.disk, keys);
        assert!(matches!(error, OpenError::KeyMissing { .. }), "{error}");
        assert!(error.to_string().contains("key file"), "{error}");
    }
    assert!(contents(&queue.disk) == before, "something was touched");
    queue.open();
    assert_eq!(queue.folder().records(STREAM, 0).unwrap().count(), 96);
}

#[test]
fn a_key_that_only_older_segments_need_is_missed_before_anything_is_touched() {
    let both = format!("{OTHER_KEY}\n{KEY}\n");
    let mut queue = filled(Coding { compression: Compression::None, encrypted: true });
    queue.kill();
    queue.keys = Keys::parse(&both).unwrap();
    queue.open();
    queue.fill("tank", 5, 50);
    queue.close();
    let before = contents(&queue.disk);
    let error = open_error(&queue.disk, Keys::parse(OTHER_KEY).unwrap());
    assert!(matches!(error, OpenError::KeyMissing { .. }), "{error}");
    assert_eq!(contents(&queue.disk), before);
    queue.open();
    assert_eq!(queue.check().len(), 101);
}

/// Two keys that their tags do not tell apart.
fn twins() -> [Keys; 2] {
    let mut seen = HashMap::new();
    for number in 0u64.. {
        let text = format!("{number:064x}");
        let tag = Keys::parse(&text).unwrap().tags().next();
        if let Some(twin) = seen.insert(tag, text.clone()) {
            return [Keys::parse(&twin).unwrap(), Keys::parse(&text).unwrap()];
        }
    }
    unreachable!("there are only 65536 tags");
}

#[test]
fn the_wrong_key_is_no_damage_even_where_its_tag_is_the_right_ones() {
    let [right, wrong] = twins();
    let options = StreamOptions { bytes_max: SMALL, ..StreamOptions::with_defaults(STREAM) };
    let mut queue = Harness::with_keys(SimulatedDisk::default(), options, right);
    queue.fill("tank", 5, 50);
    queue.kill();
    queue.open();
    queue.fill("tank", 5, 50);
    queue.close();
    let before = contents(&queue.disk);
    let error = open_error(&queue.disk, wrong.clone());
    assert!(matches!(error, OpenError::KeyMissing { .. }), "{error}");
    assert_eq!(contents(&queue.disk), before);

    // Where an older segment could not be read at first, it is whoever reads it that notices.
    let segments: Vec<_> = queue.disk.paths();
    let segments = segments.iter().filter(|path| path.extension().is_some_and(|e| e == "seg"));
    let (old, new) = (segments.clone().min().unwrap(), segments.max().unwrap());
    let new_content = queue.disk.content(new);
    queue.disk.set_content(new, &[]);
    queue.disk.fail(Op::Read, old.to_str().unwrap(), ErrorKind::Other, 50);
    let right = std::mem::replace(&mut queue.keys, wrong);
    queue.open();
    queue.disk.heal();
    let damaged = queue.total().damaged;
    let error = queue.try_read_from(0).unwrap_err();
    assert_eq!(error.source.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!((queue.total().damaged, queue.counts_of("tank").expired), (damaged, 0));
    queue.kill();
    queue.keys = right;
    queue.disk.set_content(new, &new_content);
    queue.open();
    let records = queue.read_all();
    assert!(records.iter().map(|record| record.sequence).take(5).eq(0..5), "{records:?}");
}

fn contents(disk: &SimulatedDisk) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let paths = disk.paths().into_iter().filter(|path| !path.ends_with("lock"));
    paths.map(|path| (path.clone(), disk.content(&path))).collect()
}

#[test]
fn a_new_key_is_for_new_segments_and_the_old_one_goes_when_they_are_gone() {
    let mut queue = filled(Coding { compression: Compression::Zstd, encrypted: true });
    queue.kill();
    queue.keys = Keys::parse(&format!("{OTHER_KEY}\n{KEY}\n")).unwrap();
    queue.open();
    queue.fill("tank", 5, 50);
    assert_eq!(queue.check().len(), 101);
    for record in queue.read_all().iter().take(96) {
        queue.acknowledge(record.sequence);
    }
    queue.tend();
    queue.kill();
    queue.keys = Keys::parse(OTHER_KEY).unwrap();
    queue.open();
    assert_eq!(queue.check().len(), 5);
}

#[test]
fn the_files_are_shown_with_the_key_that_each_needs() {
    let mut queue = filled(Coding { compression: Compression::Lz4, encrypted: true });
    queue.kill();
    queue.keys = Keys::parse(&format!("{OTHER_KEY}\n{KEY}\n")).unwrap();
    queue.open();
    queue.fill("tank", 5, 50);
    queue.kill();
    queue.keys = Keys::parse(&format!("none\n{OTHER_KEY}\n{KEY}\n")).unwrap();
    queue.open();
    queue.fill("tank", 5, 50);
    let shown: Vec<_> =
        queue.folder().files(STREAM).unwrap().segments.iter().map(|file| file.key).collect();
    let tag = |key| Keys::parse(key).unwrap().tags().next();
    assert_eq!(shown, [tag(KEY), tag(OTHER_KEY), None]);
}

#[test]
fn encryption_can_be_begun_and_ended_with_records_in_the_queue() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("tank", 5, 50);
    queue.kill();
    queue.keys = Keys::parse(KEY).unwrap();
    queue.open();
    queue.fill("tank", 5, 50);
    queue.kill();
    queue.open();
    assert_eq!(queue.check().len(), 10);
    queue.options.compression = Compression::Lz4;
    queue.kill();
    queue.keys = Keys::parse(&format!("none\n{KEY}")).unwrap();
    queue.open();
    queue.fill("tank", 5, 500);
    assert_eq!(queue.check().len(), 15);
    for record in queue.read_all().iter().take(10) {
        queue.acknowledge(record.sequence);
    }
    queue.tend();
    queue.kill();
    queue.keys = Keys::none();
    queue.open();
    assert_eq!(queue.check().len(), 5);
}

#[test]
fn a_segment_says_the_lowest_version_that_can_read_it() {
    let version = |coding| {
        let queue = filled(coding);
        let name = queue.shared().state().segments[0].name;
        let content = queue.disk.content(&queue.shared().dir.join(name.file_name()));
        u16::from_le_bytes([content[8], content[9]])
    };
    assert_eq!(version(Coding::PLAIN), 1);
    for coding in encoded() {
        assert_eq!(version(coding), 2, "{coding:?}");
    }
}

#[test]
fn long_records_and_long_batches_are_encoded_in_several_frames() {
    for coding in encoded() {
        let mut queue = Harness::coded(64 * 1024 * 1024, OnFull::Reject, coding);
        let mut noise = vec![0; 300_000];
        getrandom::fill(&mut noise).unwrap();
        let long = queue.record("tank", noise.clone());
        queue.append(vec![long]);
        queue.fill("tank", 5_000, 100);
        queue.kill();
        queue.open();
        let records = queue.check();
        assert_eq!(records.len(), 5_001);
        assert_eq!(records[0].payload, noise);
    }
}
