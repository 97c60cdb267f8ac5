//! A stream that fills the disk leaves the others, and every cursor, room to write.

use std::sync::Arc;

use bytes::Bytes;

use super::harness::{ManualClock, root};
use crate::{
    AppendError, Clock as _, Condition, Environment, Keys, NewRecord, OnFull, StreamOptions,
    disk::simulated::SimulatedDisk,
    open::{Opened, open_streams},
    reader::{self, Limits},
    stream,
    writer::Outcome,
};

const GREEDY: usize = 0;
const MODEST: usize = 1;
/// What both may take together is far more than the disk has.
const DISK_BYTES: usize = 3 * 1024 * 1024;
const LIMIT: u64 = 16 * 1024 * 1024;

struct Two {
    disk: SimulatedDisk,
    clock: Arc<ManualClock>,
    opened: Opened,
    on_full: OnFull,
}

impl Two {
    fn new(on_full: OnFull) -> Self {
        let disk = SimulatedDisk::default();
        let clock = Arc::new(ManualClock::default());
        let opened = Self::opened(&disk, &clock, on_full);
        Self { disk, clock, opened, on_full }
    }

    fn opened(disk: &SimulatedDisk, clock: &Arc<ManualClock>, on_full: OnFull) -> Opened {
        let streams = ["greedy", "modest"].map(|name| StreamOptions {
            bytes_max: LIMIT,
            on_full,
            ..StreamOptions::with_defaults(name)
        });
        let environment = Environment {
            disk: Arc::new(disk.clone()),
            clock: Arc::clone(clock) as _,
            keys: Keys::none(),
        };
        open_streams(&root(), streams.into(), &environment).unwrap()
    }

    fn kill_and_open(self) -> Self {
        let Self { disk, clock, opened, on_full } = self;
        drop(opened);
        let opened = Self::opened(&disk, &clock, on_full);
        Self { disk, clock, opened, on_full }
    }

    fn append(&mut self, stream: usize, bytes: usize) -> Outcome {
        self.append_from("s", stream, bytes)
    }

    fn append_from(&mut self, source: &str, stream: usize, bytes: usize) -> Outcome {
        let record = NewRecord {
            source: source.into(),
            topic: "t".to_owned(),
            payload: Bytes::from(vec![stream as u8; bytes]),
            stamp: self.clock.now(),
        };
        let id = self.opened.streams[stream].id;
        self.opened.committer.commit(&[&[(id, record)]]).remove(0).remove(0)
    }

    fn condition(&self, stream: usize) -> Condition {
        self.opened.streams[stream].state().troubles.condition()
    }

    /// Reads and acknowledges everything; how much that was.
    fn drain(&mut self, stream: usize) -> u64 {
        let shared = &self.opened.streams[stream];
        let (mut from, mut count) = (0, 0);
        loop {
            let limits = Limits { records_max: 100, bytes_max: 1 << 20 };
            let chunk = reader::read(shared, from, limits).unwrap();
            if chunk.records.is_empty() {
                return count;
            }
            for record in &chunk.records {
                assert_eq!(record.payload[0], stream as u8);
                assert!(stream::acknowledge(shared, record.sequence).0);
                count += 1;
            }
            from = chunk.next;
        }
    }
}

#[test]
fn a_stream_that_fills_the_disk_leaves_the_others_room_to_write() {
    for on_full in [OnFull::DropOldest, OnFull::DropNewest, OnFull::Reject] {
        let mut two = Two::new(on_full);
        // The regular work, which comes every second, lays the reserve by.
        two.opened.committer.tend();
        two.disk.set_capacity(Some(two.disk.used() + DISK_BYTES));
        let mut promised = 0;
        for _ in 0..2 * DISK_BYTES / 10_000 {
            promised += u64::from(matches!(two.append(GREEDY, 10_000), Ok(Some(_))));
            two.opened.committer.tend();
        }
        let evicted = two.opened.streams[GREEDY].ledger().total.evicted;
        match on_full {
            OnFull::Reject => assert_eq!(two.condition(GREEDY), Condition::Full),
            OnFull::DropOldest | OnFull::DropNewest => assert!(evicted > 0),
        }

        // Never written before, the other stream takes in a good deal.
        for number in 0..50 {
            assert_eq!(two.append(MODEST, 10_000), Ok(Some(number)), "{on_full:?}");
        }
        assert_eq!(two.condition(MODEST), Condition::Healthy);
        two.opened.committer.tend();

        // Both cursors can be written, so that what is drained is not sent again.
        assert_eq!(two.drain(MODEST), 50);
        two.opened.committer.tend();
        for stream in [GREEDY, MODEST] {
            let condition = two.condition(stream);
            assert!(!matches!(condition, Condition::CursorFailing(_)), "{condition:?}");
        }
        two = two.kill_and_open();
        assert_eq!(two.drain(MODEST), 0, "{on_full:?}");
        let left = match on_full {
            OnFull::DropOldest => promised - evicted,
            OnFull::DropNewest | OnFull::Reject => promised,
        };
        assert_eq!(two.drain(GREEDY), left, "{on_full:?}");
        two.opened.committer.tend();
        let next = two.opened.streams[GREEDY].state().next;
        assert_eq!(two.append(GREEDY, 10_000), Ok(Some(next)), "{on_full:?}");
        assert_eq!(two.condition(GREEDY), Condition::Healthy);
    }
}

#[test]
fn the_cursor_grows_on_a_full_disk_at_the_price_of_the_ballast() {
    let mut two = Two::new(OnFull::Reject);
    two.append(GREEDY, 10).unwrap();
    two.opened.committer.tend();
    two.disk.set_capacity(Some(two.disk.used()));
    // With so many sources the accounts outgrow the space that was reserved for the cursor.
    for number in 0..1_000 {
        let source = format!("{number:0100}");
        assert_eq!(two.append_from(&source, GREEDY, 1), Ok(Some(number + 1)));
    }
    assert_eq!(two.drain(GREEDY), 1_001);
    two.opened.committer.tend();
    assert_eq!(two.condition(GREEDY), Condition::Healthy);
    assert!(!two.disk.paths().iter().any(|path| path.ends_with("greedy/ballast")));
    two = two.kill_and_open();
    assert_eq!(two.opened.streams[GREEDY].ledger().sources.len(), 1_001);
    assert_eq!(two.drain(GREEDY), 0);
    assert_eq!(two.append(GREEDY, LIMIT as usize), Err(AppendError::StreamFull));
}
