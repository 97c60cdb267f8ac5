//! Through the handles, with the thread, on a real folder.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::harness::ManualClock;
use crate::{
    Access, AppendError, Disk, DiskFile, Entry, Environment, Folder, Lock, NewRecord, OpenError,
    Options, Queue, Stamp, StreamOptions, disk::simulated::SimulatedDisk,
};

fn options(names: &[&str]) -> Options {
    Options {
        streams: names.iter().map(|name| StreamOptions::with_defaults(name)).collect(),
        commit_interval: Duration::ZERO,
    }
}

fn environment() -> Environment {
    Environment::new(std::sync::Arc::new(ManualClock::default()))
}

fn open(dir: &Path, names: &[&str]) -> Queue {
    Queue::open(dir, options(names), &environment()).unwrap().0
}

fn record(number: usize) -> NewRecord {
    NewRecord {
        source: format!("s{}", number % 3).into(),
        topic: "t".to_owned(),
        payload: Bytes::from(number.to_string()),
        stamp: Stamp { boot: 0, monotonic_millis: 0, wall_millis: 0, wall_trusted: false },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_append_and_one_reads_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), &["telemetry", "events"]);
    let stream = queue.stream("telemetry").unwrap();
    let tasks = (0..8).map(|task| {
        let (queue, id) = (queue.clone(), stream.id());
        tokio::spawn(async move {
            for batch in 0..20 {
                let records = (0..10).map(|n| (id, record(task * 1000 + batch * 10 + n)));
                let outcomes = queue.append(records.collect()).await;
                assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Some(_)))));
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut end = stream.durable_end();
    let mut from = 0;
    let mut expected = 0;
    while expected < 1600 {
        let chunk = stream.read(from, 64, 1 << 20).await.unwrap();
        if chunk.records.is_empty() {
            end.wait_for(|end| *end > from).await.unwrap();
        }
        for record in &chunk.records {
            assert_eq!(record.sequence, expected);
            assert!(stream.acknowledge(record.sequence));
            expected += 1;
        }
        from = chunk.next;
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(stream.depth().0, 0);
    assert_eq!(stream.floor(), 1600);
    assert!(queue.ledger().balances());
    queue.close().await;
    let ledger = Folder::new(dir.path()).ledger().unwrap();
    assert!(ledger.balances());
    assert_eq!(ledger.streams[1].total.delivered, 1600);
    let late = queue.append(vec![(stream.id(), record(1))]).await;
    assert_eq!(late, vec![Err(crate::AppendError::Closed)]);
}

#[tokio::test]
async fn a_second_gateway_is_told_that_the_folder_is_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), &["telemetry"]);
    let second = Queue::open(dir.path(), options(&["telemetry"]), &environment()).unwrap_err();
    assert!(matches!(second, OpenError::InUse(_)), "{second}");
    queue.close().await;
    open(dir.path(), &["telemetry"]).close().await;
}

#[tokio::test]
async fn a_stream_that_is_no_longer_configured_drains() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), &["old"]);
    let id = queue.stream("old").unwrap().id();
    queue.append(vec![(id, record(1)), (id, record(2))]).await;
    queue.close().await;
    let queue = open(dir.path(), &["new"]);
    let old = queue.stream("old").unwrap();
    assert_eq!(old.depth().0, 2);
    let chunk = old.read(0, 10, 1000).await.unwrap();
    assert_eq!(chunk.records.len(), 2);
    assert!(old.acknowledge(0) && old.acknowledge(1));
    queue.close().await;
    assert_eq!(Folder::new(dir.path()).ledger().unwrap().streams[1].total.delivered, 2);
}

#[tokio::test]
async fn a_live_folder_can_be_looked_into() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), &["telemetry"]);
    let id = queue.stream("telemetry").unwrap().id();
    queue.append((0..100).map(|number| (id, record(number))).collect()).await;
    let ledger = Folder::new(dir.path()).ledger().unwrap();
    assert!(ledger.balances());
    assert_eq!(ledger.streams[0].total.queued, 100);
    let report = Folder::new(dir.path()).verify().unwrap();
    assert_eq!((report.intact, report.damage.len()), (100, 0));
    queue.close().await;
}

#[tokio::test]
async fn the_heart_beats_while_nothing_happens() {
    let dir = tempfile::tempdir().unwrap();
    let queue = open(dir.path(), &["telemetry"]);
    let first = queue.heartbeat();
    let beating = async {
        while queue.heartbeat() == first {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), beating).await.expect("the thread is alive");
    queue.close().await;
}

#[tokio::test]
async fn names_that_are_no_folders_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for names in [&["../up"][..], &[""], &["twice", "twice"]] {
        let error = Queue::open(dir.path(), options(names), &environment()).unwrap_err();
        assert!(matches!(error, OpenError::StreamName(_)), "{error}");
    }
}

#[tokio::test]
async fn company_is_waited_for_no_longer_than_the_interval() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(&["telemetry"]);
    options.commit_interval = Duration::from_millis(30);
    let (queue, _) = Queue::open(dir.path(), options, &environment()).unwrap();
    let id = queue.stream("telemetry").unwrap().id();
    let begun = std::time::Instant::now();
    let outcomes = queue.append(vec![(id, record(1))]).await;
    assert_eq!(outcomes, vec![Ok(Some(0))]);
    assert!(begun.elapsed() >= Duration::from_millis(30));
    queue.close().await;
}

/// A disk with a bug: it panics where a segment is begun, once it is told to.
#[derive(Debug, Default)]
struct PanickingDisk {
    disk: SimulatedDisk,
    panics: AtomicBool,
}

impl Disk for PanickingDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.disk.list(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(path, access)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        assert!(!self.panics.load(Ordering::SeqCst), "the disk has a bug");
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        self.disk.lock(path)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_panic_of_the_commit_thread_every_append_is_told_that_the_queue_is_closed() {
    let disk = Arc::new(PanickingDisk::default());
    let environment = Environment { disk: Arc::clone(&disk) as _, ..environment() };
    let (queue, _) =
        Queue::open(Path::new("/queue"), options(&["telemetry"]), &environment).unwrap();
    let id = queue.stream("telemetry").unwrap().id();
    disk.panics.store(true, Ordering::SeqCst);
    let all = async {
        // The first, those that wait beside it, and those that come afterwards.
        let waiting: Vec<_> = (0..40)
            .map(|number| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.append(vec![(id, record(number))]).await })
            })
            .collect();
        for append in waiting {
            assert_eq!(append.await.unwrap(), vec![Err(AppendError::Closed)]);
        }
        // More than may wait at once.
        let big = NewRecord { payload: Bytes::from(vec![0; 9 << 20]), ..record(0) };
        for _ in 0..4 {
            let outcome = queue.append(vec![(id, big.clone())]).await;
            assert_eq!(outcome, vec![Err(AppendError::Closed)]);
        }
        queue.close().await;
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("nothing hangs");
}
