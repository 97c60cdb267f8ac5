//! Repair: puts right what is wrong, says what it did, and leaves what is intact.

use std::path::{Path, PathBuf};

use super::harness::{Harness, SMALL, STREAM, root, sequences};
use crate::{OnFull, OpenError, RepairError, Repaired, disk::Disk as _, removable, repair};

/// Several segments, the first of them partly acknowledged.
fn queue() -> Harness {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for batch in 0..8 {
        queue.fill(["a", "b"][batch % 2], 20, 200);
    }
    queue.read_all();
    for sequence in 0..5 {
        queue.acknowledge(sequence);
    }
    queue.close();
    queue
}

fn repaired(queue: &Harness) -> Repaired {
    repair(&root(), vec![queue.options.clone()], &queue.environment()).unwrap()
}

fn segments(queue: &Harness) -> Vec<PathBuf> {
    let paths = queue.disk.paths().into_iter();
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "seg")).collect()
}

fn flip(queue: &Harness, path: &Path, at: usize) {
    let mut content = queue.disk.content(path);
    content[at] ^= 0x41;
    queue.disk.set_content(path, &content);
}

#[test]
fn a_sound_folder_is_said_to_be_sound() {
    let queue = queue();
    let done = repaired(&queue);
    assert!(done.was_sound(), "{done:?}");
    assert_eq!(done.before, done.after);
    assert_eq!(done.found.intact, 155);
}

#[test]
fn a_sound_folder_is_left_as_it_is() {
    let queue = queue();
    let before: Vec<_> = queue.disk.paths();
    let changes = queue.disk.changes();
    // With other limits than the gateway's, as the tools have them without its configuration.
    let done = repair(&root(), Vec::new(), &queue.environment()).unwrap();
    assert!(done.was_sound(), "{done:?}");
    assert_eq!((&done.made, &done.removed), (&Vec::new(), &Vec::new()));
    assert_eq!((queue.disk.changes(), queue.disk.paths()), (changes, before));
    assert_eq!(done.remaining, done.found);
}

#[test]
fn a_damaged_header_is_remarked_upon_and_goes_with_its_segment() {
    let mut queue = queue();
    let paths = segments(&queue);
    for path in [&paths[0], paths.last().unwrap()] {
        flip(&queue, path, 5);
    }
    let report = queue.folder().verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!((report.remarks.len(), report.intact), (2, 155), "{report:?}");
    assert!(report.remarks[0].contains("no record is lost by that"), "{report:?}");
    let done = repaired(&queue);
    assert!(done.was_sound(), "{done:?}");
    assert_eq!(done.remaining.remarks, report.remarks);
    queue.open();
    assert_eq!(queue.check().len(), 155);
    for record in queue.read_all() {
        assert!(queue.acknowledge(record.sequence));
    }
    queue.fill("a", 1, 10);
    queue.tend();
    queue.close();
    let report = queue.folder().verify().unwrap();
    assert_eq!((report.remarks, report.intact), (Vec::new(), 1));
    assert_eq!(queue.folder().ledger().unwrap().streams[0].total.damaged, 0);
}

#[test]
fn what_a_repair_cannot_put_right_is_known_before() {
    for number in 0..segments(&queue()).len() {
        for can_be_read in [true, false] {
            let queue = queue();
            let path = &segments(&queue)[number];
            if can_be_read {
                flip(&queue, path, 4000);
            } else {
                queue.disk.make_unreadable(&path.to_string_lossy(), 0..u64::MAX);
            }
            let found = queue.folder().verify().unwrap();
            let done = repaired(&queue);
            assert!(!found.is_clean(), "segment {number}, {can_be_read}");
            assert_eq!(found.irreparable, !can_be_read, "{number}: {found:?}");
            assert_eq!(found.irreparable, !done.remaining.is_clean(), "{number}: {done:?}");
        }
    }
}

#[test]
fn a_header_is_of_no_consequence_when_its_segment_is_given_back() {
    let queue = queue();
    let first = &segments(&queue)[0];
    let content = queue.disk.content(first);
    queue.disk.set_content(first, &vec![0x55; content.len()]);
    let found = queue.folder().verify().unwrap();
    assert!(!found.irreparable && found.damaged() > 0, "{found:?}");
    let done = repaired(&queue);
    assert!(done.remaining.is_clean(), "{:?}", done.remaining);
}

#[test]
fn damage_in_every_segment_is_settled_at_once_and_nothing_intact_goes() {
    let mut queue = queue();
    let paths = segments(&queue);
    assert!(paths.len() > 2);
    for path in &paths {
        flip(&queue, path, 4000);
    }
    let intact = queue.folder().verify().unwrap().intact;
    let done = repaired(&queue);
    let lost = paths.len() as u64;
    assert_eq!((done.found.damaged(), done.found.damage.len()), (lost, paths.len()));
    assert!(!done.was_sound());
    assert!(done.remaining.damage.is_empty(), "{:?}", done.remaining);
    let pieces = done
        .made
        .iter()
        .filter(|file| file.contains("quarantine/") && !file.contains(".txt"))
        .count();
    assert_eq!(pieces, paths.len(), "{:?}", done.made);
    let total = &done.after.streams[0].total;
    assert_eq!((total.damaged, total.queued), (lost, intact));
    assert!(done.after.balances());
    // Once more there is nothing to do, and the gateway delivers the rest.
    assert!(repaired(&queue).was_sound());
    queue.open();
    assert!(queue.recovery.is_clean(), "{}", queue.recovery);
    assert_eq!(queue.check().len() as u64, intact);
}

#[test]
fn a_damaged_cursor_and_dead_files_are_put_right() {
    let mut queue = queue();
    queue.open();
    let before = sequences(&queue.read_all());
    queue.close();
    for slot in ["cursor.0", "cursor.1"] {
        let path = root().join(STREAM).join(slot);
        if queue.disk.content(&path).iter().any(|byte| *byte != 0) {
            flip(&queue, &path, 30);
        }
    }
    let left = root().join(STREAM).join("00000000deadbeef.spare");
    queue.disk.create(&left).unwrap();
    assert_eq!(removable(&queue.folder()).unwrap(), [format!("{STREAM}/00000000deadbeef.spare")]);
    let done = repaired(&queue);
    assert!(done.found.notes.iter().any(|note| note.contains("cursor is lost")), "{done:?}");
    assert_eq!(done.removed, [format!("{STREAM}/00000000deadbeef.spare")]);
    assert!(done.remaining.is_clean(), "{:?}", done.remaining);
    queue.open();
    let after = sequences(&queue.check());
    assert!(before.iter().all(|sequence| after.contains(sequence)), "no queued record is lost");
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let mut queue = queue();
    queue.open();
    let changes = queue.disk.changes();
    let error = repair(&root(), Vec::new(), &queue.environment()).unwrap_err();
    assert!(matches!(error, RepairError::Open(OpenError::InUse(_))), "{error}");
    assert_eq!(queue.disk.changes(), changes);
}
