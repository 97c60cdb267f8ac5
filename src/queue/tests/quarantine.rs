//! What was cut out is kept, with the reason, in a folder that stays small.

use std::path::PathBuf;

use super::harness::{Harness, SMALL, STREAM, root, sequences};
use crate::{
    OnFull,
    quarantine::{FILES_MAX, FOLDER, SHARE_OF_LIMIT},
};

fn quarantined(queue: &Harness, suffix: &str) -> Vec<PathBuf> {
    let dir = root().join(STREAM).join(FOLDER);
    let paths = queue.disk.paths().into_iter();
    paths
        .filter(|path| path.parent() == Some(&dir) && path.to_string_lossy().ends_with(suffix))
        .collect()
}

fn segment(queue: &Harness) -> PathBuf {
    let mut paths = queue.disk.paths().into_iter();
    paths.find(|path| path.to_string_lossy().ends_with(".seg")).unwrap()
}

/// Thirty records in six batches; the process is dead.
fn thirty_records() -> (Harness, Vec<u8>) {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for batch in 0..6 {
        let records = (0..5).map(|n| queue.record("a", format!("record-{:02}", batch * 5 + n)));
        let records = records.collect();
        queue.append(records);
    }
    // The cursor knows of them all, so that none can be torn.
    queue.shared().state().changes += 1;
    queue.tend();
    queue.kill();
    let content = queue.disk.content(&segment(&queue));
    (queue, content)
}

fn place(content: &[u8], text: &str) -> usize {
    content.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

type Wound = fn(&mut Vec<u8>);

#[test]
fn what_was_cut_out_is_kept_with_the_reason() {
    let damages: [(&str, Wound); 3] = [
        ("no checksum fits what is there", |content| {
            let at = place(content, "record-06");
            content[at + 3] = b'y';
        }),
        ("there are only zeros", |content| {
            // Payloads are the last of their records.
            let (start, end) = (place(content, "record-02") + 9, place(content, "record-12") + 9);
            content[start..end].fill(0);
        }),
        ("nothing is left of them", |content| {
            content.truncate(place(content, "record-27") + 9);
        }),
    ];
    for (why, damage) in damages {
        let (mut queue, mut content) = thirty_records();
        damage(&mut content);
        queue.disk.set_content(&segment(&queue), &content);
        queue.open();
        let lost = 30 - queue.check().len();
        assert!(lost > 0, "{why}");
        let notes = quarantined(&queue, ".txt");
        assert_eq!(notes.len(), queue.recovery.damage.len(), "{why}");
        let told: Vec<_> =
            notes.iter().map(|path| String::from_utf8(queue.disk.content(path)).unwrap()).collect();
        assert!(told.iter().any(|line| line.contains(why)), "{why}: {told:?}");
        for (line, damage) in told.iter().zip(&queue.recovery.damage) {
            assert!(line.starts_with(&damage.to_string()), "{line} and {damage}");
        }
    }
}

#[test]
fn what_the_disk_cannot_read_is_cut_out_and_the_rest_goes_on() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for _ in 0..12 {
        queue.fill("a", 10, 200);
    }
    queue.disk.make_unreadable("00000000000000000000-", 5000..5001);
    let records = queue.check();
    assert_eq!(queue.total().damaged as usize, 120 - records.len());
    assert!((100..120).contains(&records.len()), "{}", records.len());
    let notes = quarantined(&queue, ".txt");
    let told = String::from_utf8(queue.disk.content(&notes[0])).unwrap();
    assert!(told.contains("the disk could not read all of these bytes"), "{told}");
    // The disk stays as it is, and everything else goes on.
    let next = queue.fill("a", 3, 10);
    for record in queue.check() {
        assert!(queue.acknowledge(record.sequence));
    }
    queue.tend();
    assert_eq!((queue.total().queued, next), (0, vec![120, 121, 122]));
    queue.kill();
    queue.open();
    assert_eq!(sequences(&queue.check()), vec![0; 0]);
}

#[test]
fn the_quarantine_takes_no_more_than_its_share() {
    let mut queue = Harness::new(16 * SMALL, OnFull::Reject);
    let share = 16 * SMALL / SHARE_OF_LIMIT;
    let mut cut_out = 0;
    for round in 0..12 {
        queue.fill("a", 200, 300);
        queue.kill();
        // Every second record of the newest segment.
        let paths = queue.disk.paths();
        let newest = paths.iter().rfind(|path| path.to_string_lossy().ends_with(".seg")).unwrap();
        let mut content = queue.disk.content(newest);
        let mut at = 0;
        while let Some(found) = content[at..].windows(300).position(|part| part == [b'x'; 300]) {
            content[at + found + 150] = b'y';
            at = (at + found + 700).min(content.len());
        }
        queue.disk.set_content(newest, &content);
        queue.open();
        cut_out += queue.recovery.damage.len();
        for record in queue.check() {
            queue.acknowledge(record.sequence);
        }
        queue.tend();
        let files = quarantined(&queue, "");
        let bytes: usize = files.iter().map(|path| queue.disk.content(path).len()).sum();
        assert!(bytes as u64 <= share, "round {round}: {bytes} bytes of {share}");
        assert!(files.len() <= FILES_MAX, "round {round}: {} files", files.len());
    }
    // More was cut out than there is room for, and the newest of it is there.
    assert!(cut_out as u64 * 300 > share, "{cut_out}");
    let newest = queue.recovery.damage.last().unwrap().sequences.start;
    let newest = format!("-{newest:020}.bad");
    assert_eq!(quarantined(&queue, &newest).len(), 1, "{newest}");
}
