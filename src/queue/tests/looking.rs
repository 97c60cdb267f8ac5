//! Looking into a folder: what is shown is true, nothing is changed, a running gateway disturbs
//! nothing.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;

use super::harness::{Harness, ManualClock, SMALL, STREAM, sequences};
use crate::{
    Environment, Folder, InspectError, NewRecord, OnFull, Options, Purpose, Queue, Record, Stamp,
    StreamOptions,
};

fn records(folder: &Folder, from: u64) -> Vec<Record> {
    let records = folder.records(STREAM, from).unwrap();
    records.map(|stored| stored.unwrap().record).collect()
}

fn filled() -> Harness {
    let mut queue = Harness::new(SMALL, OnFull::Reject);
    for batch in 0..6 {
        queue.clock.advance(Duration::from_secs(1));
        queue.fill(["a", "b"][batch % 2], 20, 200);
    }
    queue
}

#[test]
fn the_records_are_those_that_the_queue_serves() {
    let mut queue = filled();
    let all = queue.read_all();
    for sequence in (0..90).filter(|sequence| sequence % 3 > 0) {
        assert!(queue.acknowledge(sequence));
    }
    queue.close();
    let open: Vec<_> = all
        .iter()
        .filter(|record| record.sequence >= 90 || record.sequence % 3 == 0)
        .cloned()
        .collect();
    assert_eq!(records(&queue.folder(), 0), open);
    assert_eq!(sequences(&records(&queue.folder(), 88)), (90..120).collect::<Vec<_>>());
    let with_settled = queue.folder().records(STREAM, 0).unwrap().with_settled();
    let with_settled: Vec<_> = with_settled.map(Result::unwrap).collect();
    assert_eq!(with_settled.len(), all.len(), "settled records are still there");
    assert!(with_settled.iter().all(|one| one.settled != open.contains(&one.record)));
}

#[test]
fn damaged_records_are_passed_over_and_counted() {
    let mut queue = filled();
    queue.close();
    let mut paths = queue.disk.paths();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    for path in &paths {
        let mut content = queue.disk.content(path);
        let text = [b'x'; 100];
        let at = content.windows(100).position(|window| window == text).unwrap();
        content[at] ^= 1;
        queue.disk.set_content(path, &content);
    }
    let folder = queue.folder();
    let mut shown = folder.records(STREAM, 0).unwrap();
    assert_eq!(shown.by_ref().count(), 120 - paths.len());
    assert_eq!(shown.damaged(), paths.len() as u64);
    let report = folder.verify().unwrap();
    assert_eq!((report.damaged(), report.intact), (paths.len() as u64, shown_count(&folder)));
    let files = folder.files(STREAM).unwrap();
    assert!(files.segments.iter().all(|file| file.damaged == 1), "{files:?}");
}

fn shown_count(folder: &Folder) -> u64 {
    folder.records(STREAM, 0).unwrap().count() as u64
}

#[test]
fn the_overview_says_what_waits_and_since_when() {
    let mut queue = filled();
    queue.read_all();
    (0..30).for_each(|sequence| assert!(queue.acknowledge(sequence)));
    queue.close();
    let overview = queue.folder().overview().unwrap().remove(0);
    assert_eq!((overview.queued, overview.floor, overview.next_sequence), (90, 30, 120));
    let millis = |stamp: Option<Stamp>| stamp.unwrap().monotonic_millis;
    assert_eq!((millis(overview.oldest), millis(overview.newest)), (1_002_000, 1_006_000));
    assert!((18_000..40_000).contains(&overview.queued_bytes), "{overview:?}");
    let files = queue.folder().files(STREAM).unwrap();
    assert_eq!(files.segments.len(), overview.segments);
    assert_eq!(files.segments.iter().map(|file| file.queued).sum::<u64>(), 90);
    assert!(files.segments.iter().all(|file| file.format_version == Some(1)), "{files:?}");
    assert!(files.others.iter().any(|file| file.purpose == Purpose::Cursor));
}

#[test]
fn a_stream_that_is_not_there_is_refused_with_those_that_are() {
    let queue = filled();
    let error = queue.folder().records("telemetri", 0).unwrap_err();
    assert!(matches!(&error, InspectError::NoStream { there, .. } if there == &[STREAM]));
    assert!(error.to_string().contains("telemetry"), "{error}");
}

/// Everything that can be told of the files below a folder.
fn fingerprint(dir: &Path) -> BTreeMap<String, (SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let (path, modified) = (entry.path(), entry.metadata().unwrap().modified().unwrap());
        if path.is_dir() {
            found.extend(fingerprint(&path));
            found.insert(path.display().to_string(), (modified, Vec::new()));
        } else {
            found.insert(path.display().to_string(), (modified, fs::read(&path).unwrap()));
        }
    }
    found
}

fn look_at_everything(folder: &Folder) -> Vec<Record> {
    assert!(folder.ledger().unwrap().balances());
    let report = folder.verify().unwrap();
    assert!(report.is_clean(), "{report:?}");
    folder.overview().unwrap();
    folder.files(STREAM).unwrap();
    let mut records = folder.records(STREAM, 0).unwrap();
    let shown = records.by_ref().map(|stored| stored.unwrap().record).collect();
    assert_eq!(records.damaged(), 0);
    shown
}

fn options() -> Options {
    let mut stream = StreamOptions::with_defaults(STREAM);
    stream.bytes_max = 512 * 1024;
    Options { streams: vec![stream], commit_interval: Duration::ZERO }
}

fn open(dir: &Path) -> Queue {
    let clock = Arc::new(ManualClock::default());
    Queue::open(dir, options(), &Environment::new(clock)).unwrap().0
}

/// Names itself, so that a wrong byte would be noticed.
fn numbered(number: u64) -> NewRecord {
    NewRecord {
        source: format!("s{}", number % 3).into(),
        topic: format!("t/{number}"),
        payload: Bytes::from(number.to_string().repeat(40)),
        stamp: Stamp { boot: 0, monotonic_millis: number, wall_millis: 0, wall_trusted: false },
    }
}

fn expect_true(records: &[Record]) {
    assert!(sequences(records).is_sorted_by(|a, b| a < b));
    for record in records {
        let known = numbered(record.stamp.monotonic_millis);
        assert_eq!((&record.topic, &record.payload), (&known.topic, &known.payload));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_by_looking() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path());
    let id = queue.stream(STREAM).unwrap().id();
    queue.append((0..300).map(|number| (id, numbered(number))).collect()).await;
    queue.close().await;
    let before = fingerprint(dir.path());
    assert_eq!(look_at_everything(&Folder::new(dir.path())).len(), 300);
    assert!(fingerprint(dir.path()) == before, "a file or folder was touched");
}

/// Appends and acknowledges until it is told to stop, so that segments come and go all the time.
async fn live(queue: Queue, stop: Arc<AtomicBool>, rounds: Arc<AtomicU64>) {
    let stream = queue.stream(STREAM).unwrap();
    let (mut number, mut from) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let batch = (number..number + 64).map(|number| (stream.id(), numbered(number)));
        queue.append(batch.collect()).await;
        number += 64;
        // Some hundred stay.
        if number % 256 == 0 && number > 512 {
            let chunk = stream.read(from, 256, 1 << 20).await.unwrap();
            for record in &chunk.records {
                stream.acknowledge(record.sequence);
            }
            from = chunk.next;
        }
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

const LIVE_FOR: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_gateway_is_looked_at_without_false_damage_and_so_is_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path());
    let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let running = tokio::spawn(live(queue.clone(), Arc::clone(&stop), Arc::clone(&rounds)));
    let path = dir.path().to_owned();
    let looking = tokio::task::spawn_blocking(move || {
        let (begun, mut looks) = (Instant::now(), 0);
        while begun.elapsed() < LIVE_FOR {
            expect_true(&look_at_everything(&Folder::new(&path)));
            look_at_a_copy(&path);
            looks += 1;
        }
        looks
    });
    let looked = looking.await;
    stop.store(true, Ordering::Relaxed);
    running.await.unwrap();
    queue.close().await;
    let (looks, rounds) = (looked.unwrap(), rounds.load(Ordering::Relaxed));
    println!("{looks} looks while {rounds} batches were appended");
    assert!(looks > 5 && rounds > 50, "{looks} looks, {rounds} batches");
    let last = Folder::new(dir.path()).overview().unwrap().remove(0);
    assert!(last.floor > 1000, "segments came and went: {last:?}");
}

/// What `cp -r` makes of a running gateway's folder belongs to no one moment: its youngest
/// records may look damaged, but it can be looked into, and no byte shown is wrong.
fn look_at_a_copy(dir: &Path) {
    let copy = tempfile::tempdir().unwrap();
    let mut cp = std::process::Command::new("cp");
    // Files that went away meanwhile make it complain; what it copied counts.
    cp.arg("-r").arg(dir.join(".")).arg(copy.path()).output().unwrap();
    let folder = Folder::new(copy.path());
    assert!(folder.ledger().unwrap().balances());
    folder.verify().unwrap();
    folder.overview().unwrap();
    folder.files(STREAM).unwrap();
    expect_true(&records(&folder, 0));
}
