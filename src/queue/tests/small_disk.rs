//! A real file system of 64 MB, through the real handle: filled, killed, drained, resumed.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::harness::ManualClock;
use crate::{
    AppendError, Clock as _, Condition, Environment, Folder, NewRecord, OnFull, Options, Queue,
    Record, StreamOptions,
};

const DISK_BYTES: u64 = 64 * 1024 * 1024;
/// What each stream may take: far more than the disk has.
const STREAM_BYTES_MAX: u64 = 1024 * 1024 * 1024;
const PAYLOAD_BYTES: usize = 10_000;
const BATCH: usize = 50;
/// Twice what the disk holds; nobody writes more.
const BATCHES_MAX: usize = 2 * DISK_BYTES as usize / (BATCH * PAYLOAD_BYTES);
/// Batches that are written on the full disk before the process is killed.
const BATCHES_WHILE_FULL: usize = 20;
const PATIENCE: Duration = Duration::from_secs(30);
const ITSELF: &str = "tests::small_disk::as_root_a_disk_of_64_mb_is_filled_drained_and_reopened";
const CHILD_DIR: &str = "HOLDFAST_TEST_CHILD_DIR";
const CHILD_POLICY: &str = "HOLDFAST_TEST_CHILD_POLICY";
const POLICIES: [(&str, OnFull); 3] = [
    ("drop_oldest", OnFull::DropOldest),
    ("drop_newest", OnFull::DropNewest),
    ("reject", OnFull::Reject),
];

/// Unmounted when dropped.
struct SmallDisk {
    mounted_at: PathBuf,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (image, at) = (folder.path().join("image"), folder.path().join("disk"));
        std::fs::create_dir(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(DISK_BYTES).unwrap();
        let made = run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image));
        let looped = made
            .and_then(|()| run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at)));
        if let Err(why) = looped {
            println!("no loop device ({why}); a tmpfs of the same size instead");
            let size = format!("size={DISK_BYTES}");
            let mut command = Command::new("mount");
            run(command.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at))
                .expect("this test needs root, to mount");
        }
        Self { mounted_at: at, _folder: folder }
    }

    /// Another file takes all that is left.
    fn hog(&self) -> PathBuf {
        let path = self.mounted_at.join("hog");
        let mut file = std::fs::File::create(&path).unwrap();
        for bytes in [1 << 20, 4096] {
            let piece = vec![0x5A; bytes];
            while file.write_all(&piece).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, in case something still looks at it; there is nobody to tell of an error.
        let _ = Command::new("umount").arg("-l").arg(&self.mounted_at).status();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", told.trim())) }
}

fn open(dir: &Path, on_full: OnFull) -> (Queue, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let streams = ["greedy", "modest"].map(|name| StreamOptions {
        bytes_max: STREAM_BYTES_MAX,
        on_full,
        ..StreamOptions::with_defaults(name)
    });
    let options = Options { streams: streams.into(), commit_interval: Duration::ZERO };
    let environment = Environment::new(Arc::clone(&clock) as _);
    (Queue::open(dir, options, &environment).unwrap().0, clock)
}

/// The number, over and over.
fn payload(number: usize) -> Bytes {
    let text = format!("{number:010}");
    Bytes::from(text.repeat(PAYLOAD_BYTES / text.len()))
}

async fn append(
    queue: &Queue,
    clock: &ManualClock,
    stream: &str,
    numbers: std::ops::Range<usize>,
) -> Vec<Result<Option<u64>, AppendError>> {
    let id = queue.stream(stream).unwrap().id();
    let records = numbers.map(|number| {
        let (topic, payload, stamp) = ("t".to_owned(), payload(number), clock.now());
        (id, NewRecord { source: "s".into(), topic, payload, stamp })
    });
    queue.append(records.collect()).await
}

/// Reads and acknowledges all of a stream.
async fn drain(queue: &Queue, stream: &str) -> Vec<Record> {
    let stream = queue.stream(stream).unwrap();
    let (mut from, mut records) = (0, Vec::new());
    loop {
        let chunk = stream.read(from, 100, 1 << 20).await.unwrap();
        if chunk.records.is_empty() {
            return records;
        }
        assert!(chunk.records.iter().all(|record| stream.acknowledge(record.sequence)));
        from = chunk.next;
        records.extend(chunk.records);
    }
}

fn condition(queue: &Queue, stream: &str) -> Condition {
    let streams = queue.health().streams;
    streams.into_iter().find(|health| health.stream == stream).unwrap().condition
}

/// What the process that is killed does: it fills the disk, and says what it was promised.
async fn fill_until_killed(dir: &Path, on_full: OnFull) {
    let (queue, clock) = open(dir, on_full);
    for batch in 0..BATCHES_MAX {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let outcomes = append(&queue, &clock, "greedy", numbers.clone()).await;
        for (number, outcome) in numbers.zip(outcomes) {
            match outcome {
                Ok(Some(sequence)) => eprintln!("promised {number} {sequence}"),
                Ok(None) => eprintln!("dropped"),
                Err(error) => assert_eq!(error, AppendError::StreamFull),
            }
        }
        let total = queue.ledger().streams.swap_remove(0).total;
        let full = condition(&queue, "greedy") == Condition::Full || total.evicted > 0;
        eprintln!("{}", if full { "full" } else { "written" });
    }
}

#[derive(Debug, Default)]
struct Promises {
    /// Numbers by sequence.
    promised: BTreeMap<u64, usize>,
    dropped: u64,
}

/// Kills the process when dropped, too.
struct Filling(Child);

impl Drop for Filling {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Fills the disk from another process, which is killed while it goes on writing.
fn fill_and_kill(dir: &Path, policy: &str) -> Promises {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", ITSELF, "--nocapture"]);
    command.env(CHILD_DIR, dir).env(CHILD_POLICY, policy);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Filling(command.spawn().unwrap());
    let mut lines = BufReader::new(child.0.stderr.take().unwrap()).lines();
    let (mut promises, mut full) = (Promises::default(), 0);
    while full < BATCHES_WHILE_FULL {
        let line = lines.next().expect("the disk fills up").unwrap();
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["promised", number, sequence] => {
                let number = number.parse().unwrap();
                promises.promised.insert(sequence.parse().unwrap(), number);
            }
            ["dropped"] => promises.dropped += 1,
            ["full"] => full += 1,
            ["written"] => {}
            _ => panic!("{line}"),
        }
    }
    promises
}

/// Everything that was promised is there, or was evicted and is older than all that is.
fn compare(records: &[Record], promises: &Promises, evicted: u64, on_full: OnFull) {
    assert!(records.is_sorted_by(|a, b| a.sequence < b.sequence));
    let first = records.first().map_or(u64::MAX, |record| record.sequence);
    let mut there = 0;
    for record in records {
        let number: usize = str::from_utf8(&record.payload[..10]).unwrap().parse().unwrap();
        assert_eq!(record.payload, payload(number));
        // What was not promised may have been written when the process was killed.
        if let Some(promised) = promises.promised.get(&record.sequence) {
            assert_eq!(*promised, number, "sequence {}", record.sequence);
            there += 1;
        }
    }
    let missing = promises.promised.len() - there;
    if on_full == OnFull::DropOldest {
        assert!(missing > 0 && missing as u64 <= evicted, "{missing} of {evicted}");
        assert_eq!(promises.promised.range(..first).count(), missing, "only the oldest go");
    } else {
        assert_eq!(missing, 0);
        assert!(evicted >= promises.dropped);
    }
}

async fn reopen_drain_and_resume(disk: &SmallDisk, on_full: OnFull, promises: &Promises) {
    let dir = disk.mounted_at.join("queue");
    let (queue, clock) = open(&dir, on_full);
    let hog = disk.hog();
    let ledger = queue.ledger();
    assert!(ledger.balances(), "{ledger:#?}");

    // Another stream, never written before, has its reserve.
    let outcomes = append(&queue, &clock, "modest", 0..20).await;
    assert_eq!(outcomes, (0..20).map(|sequence| Ok(Some(sequence))).collect::<Vec<_>>());

    // Drained on the full disk, it goes on by itself although the other file stays.
    let records = drain(&queue, "greedy").await;
    compare(&records, promises, ledger.streams[0].total.evicted, on_full);
    let next = ledger.streams[0].next_sequence;
    let outcomes = append(&queue, &clock, "greedy", 0..100).await;
    assert_eq!(outcomes, (next..next + 100).map(|n| Ok(Some(n))).collect::<Vec<_>>());
    assert_eq!(condition(&queue, "greedy"), Condition::Healthy);
    queue.close().await;
    drop(queue);

    let ledger = Folder::new(&dir).ledger().unwrap();
    assert!(ledger.balances(), "{ledger:#?}");
    let (queue, _) = open(&dir, on_full);
    assert_eq!(drain(&queue, "greedy").await.len(), 100, "what was drained is not sent again");
    assert_eq!(drain(&queue, "modest").await.len(), 20);
    std::fs::remove_file(hog).unwrap();
    queue.close().await;
    let [greedy, modest] = &Folder::new(&dir).ledger().unwrap().streams[..] else {
        panic!("two streams")
    };
    assert_eq!((greedy.total.queued, modest.total.queued), (0, 0));
    assert_eq!(greedy.total.delivered, records.len() as u64 + 100);
}

/// Needs root, to mount; `tests/run` leaves it out for others and says so.
#[test]
fn as_root_a_disk_of_64_mb_is_filled_drained_and_reopened() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if let (Ok(dir), Ok(asked)) = (std::env::var(CHILD_DIR), std::env::var(CHILD_POLICY)) {
        let (_, on_full) = POLICIES.into_iter().find(|(name, _)| *name == asked).unwrap();
        return runtime.block_on(fill_until_killed(Path::new(&dir), on_full));
    }
    for (name, on_full) in POLICIES {
        let begun = Instant::now();
        let disk = SmallDisk::mount();
        let promises = fill_and_kill(&disk.mounted_at.join("queue"), name);
        let rest = reopen_drain_and_resume(&disk, on_full, &promises);
        runtime.block_on(async { tokio::time::timeout(PATIENCE, rest).await.expect("in time") });
        println!(
            "{name}: {} records promised on 64 MB, {} dropped, {:?}",
            promises.promised.len(),
            promises.dropped,
            begun.elapsed()
        );
    }
}
