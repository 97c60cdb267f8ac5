//! Every look at the disk fails (an opening, a list, a length, a read, the lock, a folder that is
//! to be made): once, for good on that file, or for good everywhere; while the queue is opened,
//! and while it is in use.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    harness::{Harness, SMALL, STREAM},
    power_cuts::kind,
    seeds::{Seeds, Tally},
};
use crate::{
    Keys, OnFull, OpenError, StreamOptions,
    disk::simulated::{Extent, Failure, Loss, SimulatedDisk},
    segment::SegmentName,
};

const FAILURES: [Failure; 3] = [
    Failure::Error(ErrorKind::Other),
    Failure::Error(ErrorKind::PermissionDenied),
    // Of a folder that is to be made, the half: its name is not durable.
    Failure::Short,
];
const EXTENTS: [Extent; 3] = [Extent::Once, Extent::Path, Extent::Everything];
const WAYS: u64 = (FAILURES.len() * EXTENTS.len()) as u64;
/// What the whole must come to.
const CASES_MIN: u64 = 1_000;
/// More often than an unreadable segment is tried before it is given up.
const READS: usize = 5;
const PAUSE: Duration = Duration::from_secs(31);

/// Where a story begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// There is no folder yet.
    Nothing,
    /// Ended in order, some of it acknowledged.
    Closed,
    /// Killed with a cursor that knows less than is there.
    Killed,
    /// Killed before the cursor was ever written again, after restarts that left short segments.
    Restarted,
}

const STARTS: [Start; 4] = [Start::Nothing, Start::Closed, Start::Killed, Start::Restarted];

/// A queue, what it was given, and what it must therefore hold.
struct Story {
    queue: Harness,
    submitted: u64,
    /// What was promised or served: the number of the submission by sequence.
    known: BTreeMap<u64, u64>,
    acknowledged: BTreeSet<u64>,
}

impl Story {
    fn on(disk: SimulatedDisk) -> Self {
        let options = StreamOptions {
            bytes_max: SMALL,
            on_full: OnFull::Reject,
            ..StreamOptions::with_defaults(STREAM)
        };
        let queue = Harness::closed(disk, options, Keys::none());
        Self { queue, submitted: 0, known: BTreeMap::new(), acknowledged: BTreeSet::new() }
    }

    /// The same story on a copy of its disk.
    fn copy(&self) -> Self {
        let mut copy = Self::on(self.queue.disk.duplicate());
        copy.submitted = self.submitted;
        copy.known.clone_from(&self.known);
        copy.acknowledged.clone_from(&self.acknowledged);
        copy
    }

    fn at(start: Start) -> Self {
        let mut story = Self::on(SimulatedDisk::default());
        if start == Start::Nothing {
            return story;
        }
        story.queue.open();
        for batch in 0..8 {
            story.append(12, 300);
            match start {
                Start::Restarted if batch % 3 == 2 => {
                    story.queue.kill();
                    story.queue.open();
                }
                Start::Killed | Start::Closed if batch == 5 => {
                    story.acknowledge(40);
                    story.queue.tend();
                }
                _ => {}
            }
        }
        match start {
            Start::Closed => story.queue.close(),
            _ => story.queue.kill(),
        }
        story
    }

    fn append(&mut self, count: u64, bytes: usize) {
        let first = self.submitted;
        self.submitted += count;
        let records = (first..self.submitted).map(|number| {
            let text = format!("{number:06}{:1$}", "", bytes);
            self.queue.record(["a", "b"][(number % 2) as usize], text)
        });
        let outcomes = self.queue.append(records.collect());
        for (number, outcome) in (first..).zip(outcomes) {
            if let Ok(Some(sequence)) = outcome {
                let before = self.known.insert(sequence, number);
                assert_eq!(before, None, "sequence {sequence} was used twice");
            }
        }
    }

    /// Reads as much as the disk allows, again where it does not, and acknowledges the first of it.
    fn acknowledge(&mut self, at_most: usize) {
        for _ in 0..READS {
            let Ok(records) = self.queue.try_read_from(0) else {
                self.queue.clock.advance(PAUSE);
                continue;
            };
            self.recognise(&records);
            for record in records.iter().take(at_most) {
                assert!(self.queue.acknowledge(record.sequence));
                self.acknowledged.insert(record.sequence);
            }
            return;
        }
    }

    fn recognise(&mut self, records: &[crate::Record]) {
        assert!(records.is_sorted_by(|a, b| a.sequence < b.sequence), "records come in order");
        for record in records {
            let number = str::from_utf8(&record.payload).unwrap()[..6].parse().unwrap();
            let known = *self.known.entry(record.sequence).or_insert(number);
            assert_eq!(known, number, "sequence {} was used twice", record.sequence);
            assert_eq!(&*record.source, ["a", "b"][(number % 2) as usize]);
        }
        assert!(self.known.values().is_sorted_by(|a, b| a < b), "in the order of their appends");
    }

    /// Opens the queue and uses it, as far as the disk lets it; false where it refuses to open,
    /// which must leave everything as it was.
    fn live(&mut self) -> bool {
        let changes = self.queue.disk.changes();
        match self.queue.try_open() {
            Ok(()) => {}
            Err(OpenError::Io { .. }) => {
                assert_eq!(self.queue.disk.changes(), changes, "refused, and changed all the same");
                return false;
            }
            Err(error) => panic!("{error}"),
        }
        self.acknowledge(5);
        for _ in 0..3 {
            self.append(10, 500);
        }
        self.queue.tend();
        self.acknowledge(5);
        assert!(self.queue.ledger().balances());
        true
    }

    /// Everything that was promised is there, but for what `may_be_missing`, which is counted.
    fn check(&mut self, may_be_missing: impl Fn(u64) -> bool) {
        let records = self.queue.check_the_sums();
        self.recognise(&records);
        let there: BTreeSet<u64> = records.iter().map(|record| record.sequence).collect();
        let missing = self.known.keys();
        let missing: Vec<u64> = missing
            .filter(|one| !there.contains(one) && !self.acknowledged.contains(one))
            .copied()
            .collect();
        let lost: Vec<_> = missing.iter().filter(|one| !may_be_missing(**one)).collect();
        let struck = self.queue.disk.struck();
        assert!(lost.is_empty(), "{lost:?} are lost, {struck:?}; {}", self.queue.recovery);
        let total = self.queue.total();
        let next = self.queue.shared().state().next;
        // Sequences that were set aside for what nobody could read, and that never were.
        let never = next - self.known.len() as u64;
        let missing = missing.len() as u64;
        assert!(total.damaged >= missing, "{missing} are missing: {total:?}");
        assert!(total.damaged <= missing + never, "{missing} missing, {never} never: {total:?}");
    }
}

/// Where the segments begin that there are now.
fn segments(disk: &SimulatedDisk) -> BTreeMap<PathBuf, u64> {
    let names = disk.paths().into_iter().filter_map(|path| {
        let name = SegmentName::parse(path.file_name()?.to_str()?)?;
        Some((path, name.base))
    });
    names.collect()
}

/// Whether a sequence lies in a segment, or behind it where it is not known.
fn lies_in(segments: &BTreeMap<PathBuf, u64>, path: &Path, sequence: u64) -> bool {
    let Some(base) = segments.get(path) else { return false };
    let end = segments.values().filter(|other| *other > base).min();
    (*base..end.copied().unwrap_or(u64::MAX)).contains(&sequence)
}

fn failing(start: &Story, look: u64, failure: Failure, extent: Extent) -> Tally {
    let mut story = start.copy();
    story.queue.disk.fail_look_after(look, failure, extent);
    let opened = story.live();
    let struck = story.queue.disk.struck().expect("there are at least as many looks");
    let mut names = segments(&start.queue.disk);
    names.extend(segments(&story.queue.disk));
    story.queue.disk.heal();
    story.queue.kill();
    story.queue.disk.power_cut(Loss::Everything, &mut |_| 0);
    story.queue.open();
    // Only a file that could not be read for good, and others could, is ever given up.
    let is_denied = failure == Failure::Error(ErrorKind::PermissionDenied);
    let dead = (extent == Extent::Path && !is_denied).then_some(&struck.1);
    story.check(|sequence| dead.is_some_and(|path| lies_in(&names, path, sequence)));
    if is_denied {
        assert_eq!(story.queue.total().damaged, 0, "what may not be read is no damage");
    }
    assert!(story.live());
    story.check(|sequence| dead.is_some_and(|path| lies_in(&names, path, sequence)));
    let damaged = story.queue.total().damaged;
    story.queue.close();
    story.queue.open();
    assert!(story.queue.recovery.is_clean(), "{}", story.queue.recovery);
    assert_eq!(story.queue.total().damaged, damaged, "damage is counted once");

    let mut tally = Tally::default();
    tally.count(format!("{failure:?} {extent:?}").to_lowercase());
    tally.count(format!("at {}", kind(&struck)));
    tally.count(if opened { "opened" } else { "refused" });
    tally
}

#[test]
fn every_look_at_the_disk_may_fail_and_nothing_acknowledged_is_lost() {
    let begun = std::time::Instant::now();
    let starts = STARTS.map(Story::at);
    let counts = [0, 1, 2, 3].map(|start: usize| {
        let mut story = starts[start].copy();
        let before = story.queue.disk.looks();
        assert!(story.live());
        story.queue.disk.looks() - before
    });
    // Stories are not shared between threads, so each case tells its own anew.
    drop(starts);
    let seeds = Seeds::numbers(counts.iter().sum::<u64>() * WAYS);
    let tally = seeds.run("every_look_at_the_disk", |number| {
        let (mut look, way) = (number / WAYS, number % WAYS);
        let mut start = 0;
        while look >= counts[start] {
            look -= counts[start];
            start += 1;
        }
        let (failure, extent) = (FAILURES[(way / 3) as usize], EXTENTS[(way % 3) as usize]);
        failing(&Story::at(STARTS[start]), look, failure, extent)
    });
    println!(
        "{} failures of {counts:?} looks from {STARTS:?}: {tally}; {:?}",
        tally.of("at"),
        begun.elapsed()
    );
    if !seeds.partial {
        assert!(tally.of("at") >= CASES_MIN, "{tally}");
        for what in ["open", "list", "read", "length", "lock", "createdir"] {
            assert!(tally.of(&format!("at {what}")) > 0, "none at {what}: {tally}");
        }
    }
}
