//! Damage of every kind: the queue opens, serves no wrong byte, and counts what is lost.

use std::path::{Path, PathBuf};

use super::harness::{Harness, SMALL, STREAM, root, sequences};
use crate::{OnFull, disk::Disk as _};

#[test]
fn damage_in_the_middle_is_named_and_charged_to_its_source() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for batch in 0..6 {
        let name = ["a", "b"][batch % 2];
        let records = (0..5).map(|n| queue.record(name, format!("record-{:02}", batch * 5 + n)));
        let records = records.collect();
        queue.append(records);
    }
    queue.kill();
    let path = segment_files(&queue).remove(0);
    let mut content = queue.disk.content(&path);
    let at = content.windows(9).position(|window| window == b"record-06").unwrap();
    content[at + 3] = b'y';
    queue.disk.set_content(&path, &content);
    queue.open();
    let records = queue.check();
    assert_eq!(records.len(), 29);
    assert!(!sequences(&records).contains(&6));
    assert_eq!(queue.recovery.damage.len(), 1);
    assert_eq!(queue.recovery.damage[0].sequences, 6..7);
    assert!(queue.recovery.damage[0].bytes.contains(&(at as u64)));
    assert_eq!(queue.total().damaged, 1);
    let quarantined =
        queue.disk.paths().into_iter().filter(|path| path.to_string_lossy().ends_with(".bad"));
    assert_eq!(quarantined.count(), 1);
    // Opening again finds the same damage and does not count it again.
    queue.close();
    queue.open();
    assert!(queue.recovery.damage.is_empty(), "{}", queue.recovery);
    assert_eq!(queue.total().damaged, 1);
}

#[test]
fn damage_found_while_reading_is_skipped_and_counted_under_its_source() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for _ in 0..12 {
        queue.fill("a", 10, 100);
        queue.fill("b", 10, 100);
    }
    assert!(segment_files(&queue).len() > 1);
    let path = segment_files(&queue).remove(0);
    let mut content = queue.disk.content(&path);
    let middle = content.len() / 2;
    content[middle] ^= 1;
    queue.disk.set_content(&path, &content);
    let records = queue.check();
    assert_eq!(records.len(), 239);
    let missing = (0..240).find(|sequence| !sequences(&records).contains(sequence)).unwrap();
    let source = if missing / 10 % 2 == 0 { "a" } else { "b" };
    assert_eq!(queue.counts_of(source).damaged, 1);
    assert_eq!(queue.total().damaged, 1);
    for record in records {
        assert!(queue.acknowledge(record.sequence));
    }
    queue.tend();
    assert_eq!(queue.total().queued, 0);
    assert_eq!(queue.shared().state().settled.floor(), 240);
}

#[test]
fn damage_beside_records_of_a_source_that_the_accounts_do_not_know_is_survived() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 3, 100);
    let path = segment_files(&queue).remove(0);
    let mut content = queue.disk.content(&path);
    content[..64].fill(0xA5);
    let at = content.windows(9).position(|window| window == b"xxxxxxxxx").unwrap();
    content[at] = b'y';
    queue.disk.set_content(&path, &content);
    {
        let mut state = queue.shared().state();
        state.accounts = crate::accounts::Accounts::default();
        state.accounts.accept(crate::accounts::UNKNOWN, 3);
    }
    assert_eq!(sequences(&queue.read_all()), vec![1, 2]);
    assert_eq!(queue.total().damaged, 1);
}

#[test]
fn a_lost_cursor_sends_again_and_loses_nothing() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for _ in 0..20 {
        queue.fill("a", 10, 100);
    }
    for record in queue.read_all().into_iter().take(130) {
        queue.acknowledge(record.sequence);
    }
    queue.tend();
    let first_on_disk = queue.shared().state().segments[0].name.base;
    assert!(first_on_disk > 0);
    queue.close();
    for path in
        queue.disk.paths().into_iter().filter(|path| path.to_string_lossy().contains("cursor"))
    {
        queue.disk.set_content(&path, b"nonsense");
    }
    queue.open();
    assert!(!queue.recovery.notes.is_empty());
    let records = queue.check();
    assert_eq!(sequences(&records), (first_on_disk..200).collect::<Vec<_>>());
    assert_eq!(queue.total().delivered, first_on_disk);
    assert_eq!(queue.total().damaged, 0);
}

#[test]
fn a_file_whose_name_does_not_fit_its_content_replaces_nothing() {
    for id in [0x7fff_fffe_0000_0001, 0xffff_ffff_0000_0001, 0x4000_0000_0000_0001_u64, 0] {
        for base in [0, 17, 1 << 40, u64::MAX] {
            let mut queue = Harness::new(SMALL, OnFull::Reject);
            for _ in 0..20 {
                queue.fill("a", 10, 100);
            }
            queue.close();
            let segments = segment_files(&queue);
            let content = queue.disk.content(segments.last().unwrap());
            // No id: that of the newest segment, whose records pass for this file's.
            let newest = segments.last().unwrap().file_name().unwrap().to_string_lossy();
            let id = if id == 0 { u64::from_str_radix(&newest[21..37], 16).unwrap() } else { id };
            let stray = segments[0].with_file_name(format!("{base:020}-{id:016x}.seg"));
            queue.disk.create(&stray).unwrap();
            queue.disk.set_content(&stray, &content);
            queue.open();
            let what = format!("{base} {id:x}: {}", queue.recovery);
            assert_eq!(sequences(&queue.check()), (0..200).collect::<Vec<_>>(), "{what}");
            queue.close();
            queue.open();
            if queue.append(vec![queue.record("b", "later")])[0].is_ok() {
                queue.close();
                queue.open();
                assert_eq!(queue.check().len(), 201, "{what}");
            }
        }
    }
}

/// The newest header knows of deliveries, but not that this record was among them.
#[test]
fn a_damaged_record_is_not_called_delivered_where_the_cursor_is_lost() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 10, 100);
    for record in queue.read_all() {
        queue.acknowledge(record.sequence);
    }
    while segment_files(&queue).len() < 2 {
        queue.fill("a", 10, 100);
    }
    queue.kill();
    let first = segment_files(&queue).remove(0);
    let mut content = queue.disk.content(&first);
    let payload = content.windows(100).position(|window| window == [b'x'; 100]).unwrap();
    content[payload] = b'y';
    queue.disk.set_content(&first, &content);
    for slot in ["cursor.0", "cursor.1"] {
        queue.disk.set_content(&first.with_file_name(slot), b"nonsense");
    }
    queue.open();
    assert_eq!(queue.recovery.damage.len(), 1, "{}", queue.recovery);
    assert_eq!(queue.total().damaged, 1);
    assert_eq!(queue.total().delivered, 0);
    queue.check();
}

#[test]
fn a_slot_of_the_cursor_that_is_gone_or_zeros_is_told() {
    for gone in [false, true] {
        for slot in ["cursor.0", "cursor.1"] {
            let mut queue = Harness::new(SMALL, OnFull::Reject);
            queue.fill("a", 10, 100);
            queue.tend();
            for record in queue.read_all() {
                queue.acknowledge(record.sequence);
            }
            queue.tend();
            queue.close();
            assert!(queue.folder().verify().unwrap().is_clean());
            let path = root().join(STREAM).join(slot);
            if gone {
                queue.disk.remove(&path).unwrap();
            } else {
                queue.disk.set_content(&path, &[0; 100]);
            }
            let report = queue.folder().verify().unwrap();
            assert!(report.notes[0].contains("cursor slots"), "{slot}: {report:?}");
            queue.open();
            assert!(!queue.recovery.is_clean(), "{slot}");
            queue.check();
        }
    }
}

/// The cursor of a queue that was killed early says nothing of the records that are gone.
#[test]
fn the_oldest_segments_are_counted_as_lost_where_the_cursor_is_older_than_they() {
    for lost_segments in [1, 2] {
        for header_too in [false, true] {
            let mut queue = Harness::new(SMALL, OnFull::Reject);
            for _ in 0..30 {
                queue.fill("a", 10, 100);
            }
            queue.kill();
            let segments = segment_files(&queue);
            assert!(segments.len() > 2, "{segments:?}");
            let first_left = queue_base(&segments[lost_segments]);
            for path in &segments[..lost_segments] {
                queue.disk.remove(path).unwrap();
            }
            if header_too {
                let last = segments.last().unwrap();
                let mut content = queue.disk.content(last);
                content[..64].fill(0xA5);
                queue.disk.set_content(last, &content);
            }
            queue.open();
            let records = queue.check();
            assert_eq!(sequences(&records)[0], first_left);
            assert_eq!(records.len() as u64 + queue.total().damaged, 300);
            assert!(queue.total().damaged >= first_left);
        }
    }
}

fn queue_base(path: &Path) -> u64 {
    let name = path.file_name().unwrap().to_string_lossy();
    name.split('-').next().unwrap().parse().unwrap()
}

#[test]
fn an_unreadable_sector_costs_its_records_and_an_unreadable_disk_none() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for _ in 0..10 {
        queue.fill("a", 10, 100);
    }
    let limits = crate::reader::Limits { records_max: 10, bytes_max: 100_000 };
    queue.disk.make_unreadable(".seg", 0..u64::MAX);
    assert!(crate::reader::read(queue.shared(), 0, limits).is_err());
    queue.disk.heal();
    assert_eq!(queue.check().len(), 100);
    queue.kill();
    queue.open();
    queue.disk.make_unreadable("00000000000000000000-", 8192..8193);
    let records = queue.check();
    assert!((50..100).contains(&records.len()), "{}", records.len());
    assert_eq!(queue.total().damaged as usize, 100 - records.len());
}

#[test]
fn stale_frames_of_a_recycled_segment_never_come_back() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for _ in 0..40 {
        queue.fill("a", 10, 400);
        for record in queue.read_all() {
            queue.acknowledge(record.sequence);
        }
        queue.tend();
    }
    queue.fill("fresh", 1, 10);
    let path = segment_files(&queue).pop().unwrap();
    let content = queue.disk.content(&path);
    // The file had a life before: there are payloads behind the tail.
    assert!(content.windows(100).any(|window| window == [b'x'; 100]));
    queue.kill();
    queue.open();
    let records = queue.check();
    assert_eq!(records.len(), 1);
    assert_eq!(&*records[0].source, "fresh");
    assert!(queue.recovery.is_clean(), "{}", queue.recovery);
}

fn segment_files(queue: &Harness) -> Vec<PathBuf> {
    let paths = queue.disk.paths().into_iter();
    paths.filter(|path| path.to_string_lossy().ends_with(".seg")).collect()
}

#[test]
fn frames_of_another_segment_never_join_even_where_they_would_follow() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 10, 100);
    queue.kill();
    queue.open();
    queue.fill("b", 10, 100);
    queue.kill();
    let files = segment_files(&queue);
    let [first, second] = &files[..] else { panic!("{files:?}") };
    // Behind the first segment's tail, as if its file had been the second's before.
    let (mut content, later) = (queue.disk.content(first), queue.disk.content(second));
    let header = u32::from_le_bytes(later[12..16].try_into().unwrap()) as usize;
    content.extend_from_slice(&later[header..]);
    queue.disk.set_content(first, &content);
    queue.disk.remove(second).unwrap();
    queue.open();
    assert_eq!(sequences(&queue.check()), (0..10).collect::<Vec<_>>());
}
