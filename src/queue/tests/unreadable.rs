//! What cannot be read, for now or for good: nothing is deleted without evidence, nothing given
//! out twice, and what is dead keeps nobody waiting.

use std::{io::ErrorKind, path::PathBuf, time::Duration};

use super::harness::{Harness, SMALL, STREAM, root, sequences};
use crate::{
    Condition, OnFull, Record,
    accounts::Fate,
    disk::{Disk as _, simulated::Op},
    retention,
};

/// The damaged length in the reviewer's case.
const EIGHT_TIB: u64 = 1 << 43;
/// As long as a segment may be unreadable before it is given up.
const A_WHILE: Duration = Duration::from_mins(1);

fn segment_files(queue: &Harness) -> Vec<String> {
    let paths = queue.disk.paths().into_iter();
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "seg"));
    paths.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
}

fn path_of(name: &str) -> PathBuf {
    root().join(STREAM).join(name)
}

fn bytes_of(queue: &Harness, name: &str) -> u64 {
    queue.disk.content(&path_of(name)).len() as u64
}

/// Appends records whose payloads tell them apart.
fn append(queue: &mut Harness, source: &str, texts: std::ops::Range<usize>) -> Vec<u64> {
    let records =
        texts.map(|number| queue.record(source, format!("{source}-{number:04} {:100}", "")));
    let outcomes = queue.append(records.collect());
    outcomes.into_iter().map(|outcome| outcome.unwrap().unwrap()).collect()
}

fn texts(records: &[Record]) -> Vec<String> {
    let texts = records.iter().map(|record| String::from_utf8_lossy(&record.payload));
    texts.map(|text| text.trim_end().to_owned()).collect()
}

/// How the last segment cannot be read while the queue is opened.
#[derive(Debug, Clone, Copy)]
enum Way {
    Content,
    Opening,
    Length,
}

impl Way {
    fn inflict(self, queue: &Harness, name: &str) {
        match self {
            Self::Content => queue.disk.make_unreadable(name, 0..u64::MAX),
            Self::Opening => queue.disk.fail(Op::Open, name, ErrorKind::Other, u64::MAX),
            Self::Length => queue.disk.fail(Op::Length, name, ErrorKind::Other, u64::MAX),
        }
    }
}

#[test]
fn a_last_segment_that_cannot_be_read_while_opening_loses_nothing() {
    for way in [Way::Content, Way::Opening, Way::Length] {
        for (tended, cursor_lost) in [(false, false), (true, false), (false, true)] {
            let what = format!("{way:?}, tended {tended}, cursor lost {cursor_lost}");
            let mut queue = Harness::new(SMALL, OnFull::Reject);
            let mut expected = Vec::new();
            for batch in 0..30 {
                append(&mut queue, "a", batch * 10..batch * 10 + 10);
                expected.extend((batch * 10..batch * 10 + 10).map(|n| format!("a-{n:04}")));
                if tended && batch == 27 {
                    queue.tend();
                }
            }
            assert!(segment_files(&queue).len() > 1, "{what}");
            queue.kill();
            if cursor_lost {
                for slot in ["cursor.0", "cursor.1"] {
                    queue.disk.set_content(&path_of(slot), b"nonsense");
                }
            }
            let last = segment_files(&queue).pop().unwrap();
            way.inflict(&queue, &last);
            queue.open();
            assert!(!queue.recovery.is_clean(), "{what}");
            let later = append(&mut queue, "b", 0..1)[0];
            assert!(later >= 300, "{what}: {later} was given out before");
            assert!(segment_files(&queue).contains(&last), "{what}: it is gone");
            // It cannot be read in vain, and is not given up at once.
            assert!(queue.try_read_from(0).is_err(), "{what}");
            assert!(queue.ledger().balances(), "{what}");
            queue.disk.heal();
            queue.kill();
            queue.open();
            expected.push("b-0000".to_owned());
            let records = queue.check();
            assert_eq!(texts(&records), expected, "{what}");
            let last = records.last().unwrap().sequence;
            assert_eq!(last, later, "{what}");
            assert_eq!(queue.counts_of("a").queued, 300, "{what}");
            // What was set aside and never was there is told, so that the sums are right.
            let total = queue.total();
            assert_eq!(total.damaged, later - 300, "{what}: {total:?}");
            for record in &records {
                assert!(queue.acknowledge(record.sequence), "{what}");
            }
            queue.tend();
            queue.close();
            queue.open();
            assert!(queue.recovery.is_clean(), "{what}: {}", queue.recovery);
            assert_eq!(queue.total().delivered, 301, "{what}");
            assert_eq!(queue.counts_of("a").delivered, 300, "{what}");
            queue.check();
        }
    }
}

#[test]
fn the_tail_of_a_last_segment_that_cannot_be_read_is_not_given_out_again() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    assert_eq!(append(&mut queue, "a", 0..20), (0..20).collect::<Vec<_>>());
    queue.kill();
    let last = segment_files(&queue).pop().unwrap();
    // All of the records, and the header, in one bad block of an otherwise sound file.
    assert!(bytes_of(&queue, &last) > 4096);
    queue.disk.make_unreadable(&last, 0..4096);
    queue.open();
    assert!(append(&mut queue, "b", 0..1)[0] >= 20);
    let total = queue.total();
    assert!(total.damaged >= 20, "{total:?}");
    assert_eq!(texts(&queue.check()), ["b-0000"]);
}

/// Restarts leave short segments behind, of which one bad block is all there is.
#[test]
fn a_short_segment_that_is_dead_keeps_nobody_waiting() {
    for way in [Way::Content, Way::Opening] {
        let mut queue = Harness::new(SMALL, OnFull::Reject);
        for number in 0..3 {
            append(&mut queue, ["a", "rare", "a"][number], 0..3);
            queue.close();
            queue.open();
        }
        (0..3).for_each(|sequence| assert!(queue.acknowledge(sequence)));
        let dead = segment_files(&queue).remove(1);
        assert!(bytes_of(&queue, &dead) < 4096);
        way.inflict(&queue, &dead);
        // Tried for a while, and told, before it is given up.
        for _ in 0..20 {
            assert!(queue.try_read_from(0).is_err(), "{way:?}");
            assert!(matches!(queue.condition(), Condition::ReadFailing(_)), "{way:?}");
        }
        queue.clock.advance(A_WHILE);
        let records = queue.check();
        assert_eq!(sequences(&records), [6, 7, 8], "{way:?}");
        assert_eq!(queue.condition(), Condition::Healthy, "{way:?}");
        assert_eq!((queue.total().damaged, queue.counts_of("a").damaged), (3, 0), "{way:?}");
        queue.disk.heal();
        assert_eq!(sequences(&queue.check()), [6, 7, 8], "{way:?}");
    }
}

#[test]
fn a_disk_that_cannot_be_read_at_all_costs_nothing_however_often_it_is_tried() {
    // A disk that is gone may go on answering from memory, but syncs nothing.
    for op in [Op::Read, Op::Open, Op::Sync] {
        let mut queue = Harness::new(SMALL, OnFull::Reject);
        for _ in 0..2 {
            queue.fill("a", 3, 50);
            queue.close();
            queue.open();
        }
        queue.disk.fail(op, "", ErrorKind::Other, u64::MAX);
        queue.disk.fail(Op::Read, ".seg", ErrorKind::Other, u64::MAX);
        for _ in 0..20 {
            assert!(queue.try_read_from(0).is_err(), "{op:?}");
            queue.clock.advance(A_WHILE);
        }
        queue.disk.heal();
        assert_eq!(queue.check().len(), 6, "{op:?}");
        assert_eq!(queue.total().damaged, 0, "{op:?}");
    }
}

#[test]
fn a_segment_that_is_deleted_at_run_time_is_counted_and_passed_over() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for source in ["a", "rare", "a"] {
        append(&mut queue, source, 0..3);
        queue.close();
        queue.open();
    }
    (0..3).for_each(|sequence| assert!(queue.acknowledge(sequence)));
    let gone = segment_files(&queue).remove(1);
    queue.disk.remove(&path_of(&gone)).unwrap();
    assert_eq!(sequences(&queue.check()), [6, 7, 8]);
    assert_eq!(queue.counts_of("rare").damaged, 3);
    // All of the files at once: a disk that is no longer where it was.
    queue.disk.fail(Op::Open, "", ErrorKind::NotFound, u64::MAX);
    for _ in 0..5 {
        assert!(queue.try_read_from(0).is_err());
    }
    queue.disk.heal();
    assert_eq!(queue.check().len(), 3);
    assert_eq!(queue.total().damaged, 3);
}

#[test]
fn a_header_that_cannot_be_read_does_not_keep_the_segment_before_it() {
    let fill = || {
        let mut queue = Harness::new(SMALL, OnFull::Reject);
        queue.fill("rare", 3, 50);
        queue.close();
        queue.open();
        queue.fill("often", 100, 50);
        let files = segment_files(&queue);
        queue.disk.make_unreadable(&files[1], 0..4096);
        (queue, files)
    };
    let (queue, _) = fill();
    let first = queue.shared().state().segments[0].name;
    retention::retire(queue.shared(), first, Fate::Evicted);
    assert_eq!((queue.counts_of("rare").evicted, queue.counts_of("often").evicted), (3, 0));

    let (queue, files) = fill();
    let mut content = queue.disk.content(&path_of(&files[0]));
    let payload = content.windows(50).position(|window| window == [b'x'; 50]).unwrap();
    content[payload] = b'y';
    queue.disk.set_content(&path_of(&files[0]), &content);
    assert_eq!(sequences(&queue.read_from(0))[..2], [1, 2], "damage is passed over all the same");
    assert!(queue.ledger().balances());
}

#[test]
fn a_name_that_is_no_segments_does_away_with_nothing() {
    for (what, unreadable) in [("file", true), ("folder", false)] {
        let mut queue = Harness::new(SMALL, OnFull::Reject);
        for _ in 0..20 {
            queue.fill("a", 10, 100);
        }
        queue.close();
        let before = segment_files(&queue);
        let stray = "00000000000000000000-4000000000000001.seg";
        if unreadable {
            queue.disk.create(&path_of(stray)).unwrap();
            queue.disk.set_content(&path_of(stray), &[0; 1000]);
            queue.disk.make_unreadable(stray, 0..u64::MAX);
        } else {
            queue.disk.create_dir(&path_of(stray)).unwrap();
        }
        queue.open();
        assert_eq!(queue.recovery.is_clean(), !unreadable, "{what}: {}", queue.recovery);
        assert_eq!(sequences(&queue.check()), (0..200).collect::<Vec<_>>(), "{what}");
        assert!(before.iter().all(|file| segment_files(&queue).contains(file)), "{what}");
        let later = queue.fill("b", 1, 10)[0];
        queue.close();
        queue.open();
        assert_eq!(queue.check().last().unwrap().sequence, later, "{what}");
        assert_eq!(queue.check().len(), 201, "{what}");
    }
}

#[test]
fn a_segment_whose_length_is_damaged_is_read_no_further_than_segments_go() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 3, 50);
    queue.kill();
    let last = segment_files(&queue).pop().unwrap();
    queue.disk.belie_length(&last, EIGHT_TIB);
    queue.open();
    assert_eq!(queue.check().len(), 3);
    assert!(queue.shared().state().segments[0].file_bytes < EIGHT_TIB);
    assert_eq!(queue.folder().verify().unwrap().intact, 3);
}
