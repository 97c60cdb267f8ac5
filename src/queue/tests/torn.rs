//! A write that was cut off is told as that: nothing is called damaged, nothing was accepted, and
//! what was to be stored then never comes back.

use std::path::PathBuf;

use super::harness::{Coding, Harness, SMALL, STREAM, root, sequences};
use crate::{
    OnFull,
    disk::simulated::SECTOR_BYTES,
    frame::{FRAME_HEADER_BYTES, FrameHeader},
};

/// Records of the batch that is cut off.
const LAST: u64 = 12;

/// A killed queue whose last batch can be cut off.
struct Story {
    queue: Harness,
    path: PathBuf,
    /// The segment before the last batch was written, and after.
    before: Vec<u8>,
    after: Vec<u8>,
    /// The first sequence of the last batch.
    first: u64,
    /// Where its frame begins, and where it ends.
    start: usize,
    end: usize,
}

impl Story {
    /// One batch that is stored, and one more.
    fn of(mut queue: Harness) -> Self {
        queue.fill("a", 3, 50);
        let segment = *queue.shared().state().segments.back().unwrap();
        let path = queue.shared().dir.join(segment.name.file_name());
        let before = queue.disk.content(&path);
        let records = (0..LAST).map(|_| queue.record("b", noise(200))).collect();
        let first = queue.append(records)[0].unwrap().unwrap();
        let now = *queue.shared().state().segments.back().unwrap();
        assert_eq!(now.name, segment.name, "the batch goes into the same segment");
        queue.kill();
        let after = queue.disk.content(&path);
        let (start, end) = (segment.data_end as usize, now.data_end as usize);
        let header = FrameHeader::decode(&after[start..], segment.name.salt()).unwrap();
        assert_eq!(u64::from(header.records), LAST, "it is one frame");
        Self { queue, path, before, after, first, start, end }
    }

    /// Every place where a disk can cut the last batch off and leave its header.
    fn cuts(&self) -> Vec<usize> {
        let body = self.start + FRAME_HEADER_BYTES;
        let cuts = (body.next_multiple_of(SECTOR_BYTES)..self.end).step_by(SECTOR_BYTES);
        let cuts: Vec<_> = cuts.collect();
        assert!(cuts.len() >= 3, "{cuts:?}");
        cuts
    }

    /// The same queue with its last write cut off there.
    fn cut(&self, at: usize) -> Harness {
        let (disk, options) = (self.queue.disk.duplicate(), self.queue.options.clone());
        let content = [&self.after[..at], &self.before[at..]].concat();
        disk.set_content(&self.path, &content);
        Harness::with_keys(disk, options, self.queue.keys.clone())
    }

    /// Cuts it off everywhere; `intact` says how many of the last batch each cut leaves.
    fn is_told_as_torn(&self, intact: impl Fn(usize) -> u64) {
        for at in self.cuts() {
            let mut queue = self.cut(at);
            let next = self.first + intact(at);
            assert!(next < self.first + LAST);
            self.expect_torn(&queue, next);
            let told = queue.recovery.torn.clone();
            let ledger = queue.ledger();
            // Nothing is appended, so the next opening finds the same, if there is anything left
            // of the frame.
            queue.kill();
            queue.open();
            if intact(at) > 0 {
                assert_eq!(queue.recovery.torn, told);
            }
            assert!(queue.recovery.damage.is_empty(), "{}", queue.recovery);
            assert_eq!((queue.ledger(), queue.shared().state().next), (ledger, next));
            self.goes_on(&mut queue, next);
        }
    }

    fn expect_torn(&self, queue: &Harness, next: u64) {
        let what = queue.recovery.to_string();
        let [torn] = &queue.recovery.torn[..] else { panic!("{what}") };
        assert_eq!(torn.sequences, next..self.first + LAST, "{what}");
        assert_eq!(torn.bytes.end, self.end as u64, "{what}");
        assert!(what.contains("nobody was told that these were stored"), "{what}");
        assert!(queue.recovery.damage.is_empty(), "{what}");
        let records = queue.check();
        assert_eq!(sequences(&records).last(), Some(&(next - 1)), "{what}");
        let total = queue.total();
        assert_eq!((total.accepted, total.damaged), (next, 0), "{what}");
        let report = queue.folder().verify().unwrap();
        assert!(report.damage.is_empty(), "{report:?}");
        assert_eq!(report.intact, records.len() as u64, "{report:?}");
        assert_eq!(quarantined(queue, ".txt"), [format!("{torn}\n").into_bytes()], "{what}");
        // The space is given back.
        assert_eq!(queue.disk.content(&self.path).len() as u64, torn.bytes.start, "{what}");
    }

    /// Its numbers go to others, for ever.
    fn goes_on(&self, queue: &mut Harness, next: u64) {
        let later = |n: u64| format!("later {n}");
        for n in next..next + 2 * LAST {
            let record = queue.record("later", later(n));
            assert_eq!(queue.append(vec![record]), [Ok(Some(n))]);
        }
        queue.kill();
        // Even if the disk found again what it had not written.
        if queue.disk.paths().contains(&self.path) {
            queue.disk.set_content(&self.path, &self.after);
        }
        queue.open();
        assert!(queue.recovery.is_clean(), "{}", queue.recovery);
        let records = queue.check();
        assert_eq!(records.last().unwrap().sequence, next + 2 * LAST - 1);
        for record in records.iter().filter(|record| record.sequence >= next) {
            assert_eq!(record.payload, later(record.sequence));
        }
        assert_eq!(queue.total().damaged, 0);
    }

    /// How many records of the last batch lie wholly before a place.
    fn records_before(&self, at: usize) -> u64 {
        let mut count = 0;
        let mut place = self.start + FRAME_HEADER_BYTES;
        while place < self.end {
            place +=
                u32::from_le_bytes(self.after[place + 4..place + 8].try_into().unwrap()) as usize;
            count += u64::from(place <= at);
        }
        count
    }
}

/// Bytes that no compression shortens.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

fn quarantined(queue: &Harness, suffix: &str) -> Vec<Vec<u8>> {
    let dir = root().join(STREAM).join("quarantine");
    let paths = queue.disk.paths().into_iter().filter(|path| path.parent() == Some(&dir));
    let paths = paths.filter(|path| path.to_string_lossy().ends_with(suffix));
    paths.map(|path| queue.disk.content(&path)).collect()
}

#[test]
fn a_batch_that_was_cut_off_on_a_fresh_segment_was_never_accepted() {
    let story = Story::of(Harness::new(SMALL, OnFull::Reject));
    assert!(story.before[story.start..].iter().all(|byte| *byte == 0));
    story.is_told_as_torn(|at| story.records_before(at));
}

/// A segment's file that was used before.
fn recycled() -> Story {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for _ in 0..40 {
        queue.fill("a", 10, 400);
        for record in queue.read_all() {
            queue.acknowledge(record.sequence);
        }
        queue.tend();
    }
    Story::of(queue)
}

#[test]
fn a_batch_that_was_cut_off_on_a_recycled_segment_was_never_accepted() {
    let story = recycled();
    let stale = &story.before[story.start..story.end];
    assert!(stale.windows(100).any(|window| window == [b'x'; 100]), "the file had a life before");
    story.is_told_as_torn(|at| story.records_before(at));
}

#[test]
fn an_encoded_frame_that_was_cut_off_was_never_accepted() {
    for coding in Coding::all().filter(|coding| *coding != Coding::PLAIN) {
        let story = Story::of(Harness::coded(SMALL, OnFull::Reject, coding));
        story.is_told_as_torn(|_| 0);
    }
}

#[test]
fn what_was_there_instead_of_a_torn_batch_is_kept_with_the_reason() {
    let story = recycled();
    let at = story.cuts()[1];
    let queue = story.cut(at);
    let bytes = &queue.recovery.torn[0].bytes;
    let lines = quarantined(&queue, ".txt");
    assert_eq!(lines, [format!("{}\n", queue.recovery.torn[0]).into_bytes()]);
    let content = [&story.after[..at], &story.before[at..]].concat();
    assert_eq!(
        quarantined(&queue, ".bad"),
        [content[bytes.start as usize..bytes.end as usize].to_vec()]
    );
}

#[test]
fn without_a_cursor_a_torn_batch_is_told_as_one_too() {
    let story = Story::of(Harness::new(SMALL, OnFull::Reject));
    let at = story.cuts()[1];
    for slot in ["cursor.0", "cursor.1"] {
        story.queue.disk.set_content(&root().join(STREAM).join(slot), b"nonsense");
    }
    let queue = story.cut(at);
    assert!(queue.recovery.notes.iter().any(|note| note.contains("cursor is lost")));
    story.expect_torn(&queue, story.first + story.records_before(at));
}

/// Flips a bit of the record with this number in the last batch.
fn flip(story: &mut Story, number: u64) {
    let mut place = story.start + FRAME_HEADER_BYTES;
    for _ in 0..number {
        place += u32::from_le_bytes(story.after[place + 4..place + 8].try_into().unwrap()) as usize;
    }
    story.after[place + 40] ^= 1;
    story.queue.disk.set_content(&story.path, &story.after);
}

fn expect_damaged(queue: &Harness, damaged: u64, next: u64) {
    assert!(queue.recovery.torn.is_empty(), "{}", queue.recovery);
    let [damage] = &queue.recovery.damage[..] else { panic!("{}", queue.recovery) };
    assert_eq!(damage.sequences, damaged..damaged + 1);
    queue.check();
    assert_eq!((queue.total().accepted, queue.total().damaged), (next, 1));
    assert_eq!(queue.shared().state().next, next);
}

#[test]
fn the_last_record_of_a_queue_that_was_closed_is_damaged_and_not_torn() {
    let mut story = Story::of(Harness::new(SMALL, OnFull::Reject));
    story.queue.open();
    story.queue.close();
    flip(&mut story, LAST - 1);
    story.queue.open();
    expect_damaged(&story.queue, story.first + LAST - 1, story.first + LAST);
}

#[test]
fn a_record_with_an_intact_one_behind_it_is_damaged_and_not_torn() {
    for number in [0, 5, LAST - 2] {
        let mut story = Story::of(Harness::new(SMALL, OnFull::Reject));
        flip(&mut story, number);
        story.queue.open();
        expect_damaged(&story.queue, story.first + number, story.first + LAST);
    }
}

#[test]
fn the_last_record_is_damaged_and_not_torn_where_no_sector_begins_in_it() {
    let mut seen = [0, 0];
    for length in 50..300 {
        let mut queue = Harness::new(SMALL, OnFull::Reject);
        let record = queue.record("a", noise(length));
        let last = queue.record("a", noise(100));
        queue.append(vec![record, last]);
        let segment = *queue.shared().state().segments.back().unwrap();
        queue.kill();
        let path = root().join(STREAM).join(segment.name.file_name());
        let mut content = queue.disk.content(&path);
        let end = segment.data_end as usize;
        content[end - 1] ^= 1;
        queue.disk.set_content(&path, &content);
        queue.open();
        // The record's length: what its payload takes, and the rest.
        let bytes = &queue.recovery.to_string();
        let torn = !queue.recovery.torn.is_empty();
        let lost = if torn {
            queue.recovery.torn[0].bytes.clone()
        } else {
            queue.recovery.damage[0].bytes.clone()
        };
        let begins = (lost.start..lost.end).any(|at| at % SECTOR_BYTES as u64 == 0);
        // A few bytes before the record may be there by chance.
        let nearly = (lost.start - 8..lost.end).any(|at| at % SECTOR_BYTES as u64 == 0);
        assert!(torn == begins || torn && nearly, "{bytes}");
        assert_eq!(queue.total().damaged, u64::from(!torn));
        seen[usize::from(torn)] += 1;
        queue.check();
    }
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}

#[test]
fn a_write_is_cut_off_even_if_the_last_bytes_before_the_missing_record_are_there_by_chance() {
    let mut seen = 0;
    for length in 100..700 {
        let mut queue = Harness::new(SMALL, OnFull::Reject);
        // The segment is fresh, so its zeros are those of the payload.
        let record = queue.record("a", [noise(length), vec![0; 4]].concat());
        let last = queue.record("a", noise(100));
        queue.append(vec![record, last]);
        let segment = *queue.shared().state().segments.back().unwrap();
        queue.kill();
        let path = root().join(STREAM).join(segment.name.file_name());
        let (mut content, end) = (queue.disk.content(&path), segment.data_end as usize);
        let cut = end / SECTOR_BYTES * SECTOR_BYTES;
        content[cut..end].fill(0);
        queue.disk.set_content(&path, &content);
        queue.open();
        let there = queue.check().len();
        if there == 1 && queue.recovery.torn[0].bytes.start > cut as u64 {
            seen += 1;
        }
        assert_eq!(queue.total().damaged, 0, "{}", queue.recovery);
    }
    assert!(seen > 0, "no cut was hidden by zeros");
}

#[test]
fn what_the_disk_cannot_read_is_damaged_and_not_torn() {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    queue.fill("a", 40, 200);
    let segment = *queue.shared().state().segments.back().unwrap();
    queue.kill();
    queue.disk.make_unreadable(".seg", segment.data_end - 1..segment.data_end);
    queue.open();
    assert!(queue.recovery.torn.is_empty(), "{}", queue.recovery);
    let there = queue.check().len() as u64;
    assert!((1..40).contains(&there), "{there}");
    assert_eq!((queue.total().damaged, queue.shared().state().next), (40 - there, 40));
}

#[test]
fn of_a_write_of_several_frames_only_the_end_of_the_last_is_torn() {
    let mut queue = Harness::new(64 * 1024 * 1024, OnFull::Reject);
    queue.fill("a", 5_000, 10);
    let segment = *queue.shared().state().segments.back().unwrap();
    queue.kill();
    let path = root().join(STREAM).join(segment.name.file_name());
    let mut content = queue.disk.content(&path);
    let middle = content.windows(10).position(|window| window == b"xxxxxxxxxx").unwrap();
    content[middle] = b'y';
    let end = segment.data_end as usize;
    content[(end - 2_000) / SECTOR_BYTES * SECTOR_BYTES..end].fill(0);
    queue.disk.set_content(&path, &content);
    queue.open();
    let [torn] = &queue.recovery.torn[..] else { panic!("{}", queue.recovery) };
    assert!(torn.sequences.start > 4_900 && torn.sequences.end == 5_000, "{torn}");
    let next = torn.sequences.start;
    assert_eq!(queue.recovery.damage[0].sequences, 0..1);
    assert_eq!((queue.total().accepted, queue.total().damaged), (next, 1));
    assert_eq!(queue.check().len() as u64, next - 1);
    assert_eq!(queue.fill("a", 1, 10), [next]);
}
